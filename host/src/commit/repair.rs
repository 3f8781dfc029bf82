//! A repair: a run that reads some chunks of a committed run again and takes its other parts over.
//!
//! It is a run like any other: every chunk has a report, its own or one taken over, and its
//! manifest supersedes the run it repairs. Two rules keep the parts that it takes over from being
//! removed under it. It makes its plan visible, then looks whether that run still stands; whoever
//! removes a run marks it, then looks for repairs of it and abandons those that are undecided.
//! Whichever comes second sees the other.

use rivet_sdk::{Destination, Error, ErrorKind, Result};

use super::attempt::{publish_report, read_report};
use super::decision::{Decision, decision};
use super::keys::RunKey;
use super::recover::abandon;
use super::runs::resume_point;
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
