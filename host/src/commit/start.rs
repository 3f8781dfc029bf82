//! Before the first row: is the destination fit, and is it ours?

use rivet_sdk::{Destination, Error, ErrorKind, Result};
use ulid::Ulid;

use super::decision::{Decision, decided, decision};
use super::keys::{RunKey, export_folder, extension, new_attempt_id, next_run_id};
use super::runs::{list_runs, read_plan};
use super::success::own_success;
use crate::crash::crash_point;
use crate::plan::{Plan, WriteMode};
use crate::sink::any_folder;

/// A run id for a new plan: later than every run at the destination, whatever the clock says.
pub fn new_run_id(dest: &mut dyn Destination, export: &str) -> Result<String> {
    let runs = list_runs(dest, export)?;
    Ok(next_run_id(runs.iter().map(|run| run.key.run_id())))
}

/// Refuses a destination where the commit could not be safe: a foreign `_SUCCESS`, a store
/// that ignores put-if-absent, a `replace` plan older than what it would replace.
pub fn check_destination(dest: &mut dyn Destination, plan: &Plan) -> Result<()> {
    let run = RunKey::of(plan)?;
    check_names(dest, &run, plan)?;
    own_success(dest, run.export(), &plan.destination.data_prefix)?;
    remove_probes(dest, run.export())?;
    check_put_if_absent(dest, run.export())?;
    let newer = list_runs(dest, run.export())?.into_iter().rev().find(|found| found.has_plan && found.key > run);
    match newer {
        Some(newer)
            if plan.destination.write_mode == WriteMode::Replace
                && matches!(decision(dest, &newer.key)?, Decision::Committed { .. }) =>
        {
            Err(Error::new(ErrorKind::Conflict, "this plan is older than the run it would replace")
                .with_code("stale_plan")
                .with_hint("make a new plan")
                .with_context("run", run.run_id())
                .with_context("newer run", newer.key.run_id()))
        }
        _ => Ok(()),
    }
}

/// Refuses names that the destination does not take, before a row is read: those of parts are the longest.
fn check_names(dest: &mut dyn Destination, run: &RunKey, plan: &Plan) -> Result<()> {
    let last = plan.chunks.last().map_or(0, |chunk| chunk.index);
    let folder = plan.output.partition.as_ref().map(any_folder).unwrap_or_default();
    let folder = format!("{}{folder}", plan.destination.data_prefix);
    let key = run.part(&folder, last, &new_attempt_id(), 1, extension(&plan.output));
    match dest.head(&key) {
        Err(error) if error.kind() == ErrorKind::Config => Err(error.with_context("object", key)),
        // Whatever else there is to say of the destination, the steps that follow say it.
        _ => Ok(()),
    }
}

/// What the objects of `rivet doctor` are called, at the destination's root.
pub const DOCTOR_PROBE: &str = "rivet-doctor-";
const PROBE: &str = "probe-";
/// Another run may take a living probe for a dead one's, and remove it between its two writes.
const PROBES: u32 = 3;

/// Removes the probes that killed runs left, and those of a killed `rivet doctor`.
pub fn remove_probes(dest: &mut dyn Destination, export: &str) -> Result<()> {
    let ours = format!("{}{PROBE}", export_folder(export));
    let is_ulid = |text: &str| text.split('-').next().is_some_and(|id| Ulid::from_string(id).is_ok());
    for prefix in [ours.as_str(), DOCTOR_PROBE] {
        for object in dest.list(prefix)? {
            if object.key.strip_prefix(prefix).is_some_and(is_ulid) {
                log::info!("{export}: removed {}, which a killed probe left", object.key);
                dest.delete(&object.key)?;
            }
        }
    }
    Ok(())
}

/// Puts one object twice. A store that lets the second one through cannot keep our promises.
fn check_put_if_absent(dest: &mut dyn Destination, export: &str) -> Result<()> {
    for _ in 0..PROBES {
        let key = format!("{}{PROBE}{}", export_folder(export), Ulid::generate());
        let first = dest.put_if_absent(&key, b"1")?;
        crash_point("probe.again");
        let second = dest.put_if_absent(&key, b"2");
        crash_point("probe.delete");
        dest.delete(&key)?;
        if first && !second? {
            return Ok(());
        }
    }
    Err(Error::unsupported("the store does not keep put-if-absent: a second writer overwrote the first")
        .with_code("no_put_if_absent")
        .with_hint("use a store that honours `If-None-Match: *`; exactly-once needs it")
        .with_context("destination", dest.location()))
}

/// Puts the plan at the destination, so that any machine can go on with it. The same plan
/// again is fine; another one under the same run id, or a decided run, is not.
pub fn publish_plan(dest: &mut dyn Destination, plan: &Plan) -> Result<()> {
    let run = RunKey::of(plan)?;
    if plan.chunks.is_empty() || plan.chunks.iter().zip(0u32..).any(|(chunk, position)| chunk.index != position) {
        return Err(Error::internal("a plan's chunks must be numbered 0, 1, 2, …"));
    }
    match decision(dest, &run)? {
        Decision::Undecided | Decision::Committed { .. } => {}
        other => return Err(decided(&run, &other)),
    }
    let body = plan.body()?;
    crash_point("plan.put");
    let put = dest.put_if_absent(&run.plan(), &body);
    if matches!(put, Ok(true)) {
        return Ok(());
    }
    match dest.get(&run.plan())? {
        Some(found) if found == body => Ok(()),
        // The same document may be printed otherwise, or be what an older version made of it.
        Some(_) if read_plan(dest, &run)?.is_same_document(plan)? => Ok(()),
        Some(_) => Err(another_plan(&run)),
        None => Err(put.err().unwrap_or_else(|| decided(&run, &Decision::Undecided))),
    }
}

/// Refuses a plan where another one lies at the destination under its run id. None may lie there yet.
pub fn check_published(dest: &mut dyn Destination, plan: &Plan) -> Result<()> {
    let run = RunKey::of(plan)?;
    match read_plan(dest, &run) {
        Ok(published) if published.is_same_document(plan)? => Ok(()),
        Ok(_) => Err(another_plan(&run)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn another_plan(run: &RunKey) -> Error {
    Error::new(ErrorKind::Conflict, "another plan with this run id is at the destination")
        .with_code("another_plan")
        .with_hint("use the plan that was published, or make a new one; one plan is one run")
        .with_context("object", run.plan())
}
