//! A repair: a run that reads some chunks of a committed run again and takes its other parts over.
//!
//! It is a run like any other: every chunk has a report, its own or one taken over, and its
//! manifest supersedes the run it repairs. Two rules keep the parts that it takes over from being
//! removed under it. It makes its plan visible, then looks whether that run still stands; whoever
//! removes a run marks it, then looks for repairs of it and abandons those that are undecided.
//! Whichever comes second sees the other.

use rivet_sdk::{Destination, Error, ErrorKind, Result};

use super::attempt::{publish_report, read_report};
use super::decision::{Decision, decide_abandoned, decision};
use super::keys::RunKey;
use super::replace::{remove_abandoned, tombstone};
use super::runs::{abandon, list_runs, read_plan, resume_point};
use crate::crash::crash_point;
use crate::plan::{MadeBy, Plan, Report};

/// The code of the error that a repair ends with when a later run took the place of the repaired one.
pub const REPAIRED_RUN_GONE: &str = "repaired_run_gone";

/// Takes over, for a published repair, the reports of the chunks that it does not read again.
/// Nothing to do for any other plan. Repeatable.
pub fn take_over(dest: &mut dyn Destination, plan: &Plan) -> Result<()> {
    let Some(repairs) = &plan.repairs else { return Ok(()) };
    let run = RunKey::of(plan)?;
    let base = RunKey::new(run.export(), &repairs.run_id)?;
    crash_point("repair.base");
    match decision(dest, &base)? {
        Decision::Committed { checksum, .. } if checksum == repairs.manifest_checksum => {}
        _ => {
            abandon(dest, &run, "the run it repairs is gone")?;
            return Err(gone(&run, &base));
        }
    }
    let (plan_id, plan_seal, done) = (plan.id()?, plan.seal()?, resume_point(dest, plan)?);
    let taken = |index: &u32| !repairs.chunks.contains(index) && !done.contains(index);
    for index in plan.chunks.iter().map(|chunk| chunk.index).filter(taken) {
        let Some(report) = read_report(dest, &base, index)? else {
            return Err(gone(&run, &base).with_context("object", base.report(index)));
        };
        let made_by = Some(MadeBy::with_plugin_of(report.made_by.as_ref()));
        let (run_id, plan_id, plan_seal) = (plan.run_id.clone(), plan_id.clone(), plan_seal.clone());
        let report = Report { run_id, plan_id, plan_seal, made_by, ..report };
        crash_point("repair.take");
        publish_report(dest, plan, &report)?;
    }
    Ok(())
}

fn gone(run: &RunKey, base: &RunKey) -> Error {
    Error::new(ErrorKind::Conflict, format!("run {} cannot be repaired: it, or what it left, is gone", base.run_id()))
        .with_code(REPAIRED_RUN_GONE)
        .with_hint("a later run took its place, or its reports were removed; `rivet run` makes a new run")
        .with_context("export", run.export())
        .with_context("repair", run.run_id())
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
        if decide_abandoned(dest, &run.key, tombstone(&run.key, prefix, why))? {
            remove_abandoned(dest, &run.key, prefix)?;
        }
    }
    Ok(())
}
