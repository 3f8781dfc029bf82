//! Every deletion of parts and of runs' control objects; who may be deleted is decided above.

use rivet_sdk::{Destination, ErrorKind, Result};

use super::decision::{Tombstone, decide_abandoned};
use super::keys::{ControlObject, PartName, RunKey, parse_control, parse_part};
use super::runs::{list_runs, read_plan};
use crate::crash::crash_point;
use crate::plan::Plan;

/// Deletes the parts of the export under `data_prefix` that are `meant`; the keys that went. The whole prefix is
/// listed, since partition folders come before a part's name.
pub(super) fn remove_parts(
    dest: &mut dyn Destination,
    export: &str,
    data_prefix: &str,
    point: &'static str,
    meant: impl Fn(&str, &PartName) -> bool,
) -> Result<Vec<String>> {
    let mut gone = Vec::new();
    for object in dest.list(data_prefix)? {
        if parse_part(export, &object.key).is_some_and(|part| meant(&object.key, &part)) {
            crash_point(point);
            dest.delete(&object.key)?;
            gone.push(object.key);
        }
    }
    Ok(gone)
}

/// Takes an abandoned run away.
pub(super) fn remove_abandoned(dest: &mut dyn Destination, run: &RunKey, data_prefix: &str) -> Result<Vec<String>> {
    crash_point("abandon.list");
    let gone = remove_parts(dest, run.export(), data_prefix, "abandon.part", |_, part| part.run_id == run.run_id())?;
    remove_control(dest, run, "abandon.reports", "abandon.plan")?;
    Ok(gone)
}

/// Deletes reports, then the plan. The decision stays: it keeps late workers out for good.
pub(super) fn remove_control(
    dest: &mut dyn Destination,
    run: &RunKey,
    reports: &'static str,
    plan: &'static str,
) -> Result<()> {
    for object in dest.list(&run.folder())? {
        if let Some((_, ControlObject::Report(_))) = parse_control(run.export(), &object.key) {
            crash_point(reports);
            dest.delete(&object.key)?;
        }
    }
    crash_point(plan);
    dest.delete(&run.plan())
}

/// Abandons every undecided repair of a run that is marked as replaced.
pub(super) fn withdraw_repairs(dest: &mut dyn Destination, base: &RunKey) -> Result<()> {
    crash_point("repair.list");
    withdraw(dest, base, "repair.withdraw", "the run it repairs is replaced", |plan| {
        plan.repairs.as_ref().is_some_and(|repairs| repairs.run_id == base.run_id())
    })
}

/// Abandons the undecided runs of the export, but `but`, whose plans are meant.
pub(super) fn withdraw(
    dest: &mut dyn Destination,
    but: &RunKey,
    point: &'static str,
    why: &str,
    meant: impl Fn(&Plan) -> bool,
) -> Result<()> {
    for run in list_runs(dest, but.export())?.into_iter().filter(|run| run.has_plan && !run.has_decision) {
        if run.key == *but {
            continue;
        }
        let plan = match read_plan(dest, &run.key) {
            // Somebody else gave it up meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            plan => plan?,
        };
        if !meant(&plan) {
            continue;
        }
        let prefix = &plan.destination.data_prefix;
        crash_point(point);
        if decide_abandoned(dest, &run.key, Tombstone::new(&run.key, prefix, why))? {
            remove_abandoned(dest, &run.key, prefix)?;
        }
    }
    Ok(())
}
