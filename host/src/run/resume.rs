//! What an earlier run left, and whether its plan still holds.

use rivet_sdk::{Destination, Error, Result};

use super::journal::Journal;
use super::planning::{Asked, Planner};
use super::prepared::{Prepared, done_chunks};
use super::{plan_check, read_point};
use crate::commit::{self, Decision};
use crate::plan::Plan;

/// What there is to resume.
pub(super) enum Resumed {
    /// A run without its manifest.
    Unfinished(Box<Prepared>),
    /// A run with its manifest, killed before its commit was complete or noted.
    Uncommitted(Box<Plan>),
    Nothing,
}

/// The newest run, if it is unfinished and its plan still is what the configuration asks for.
pub(super) fn resumable(
    planner: &Planner<'_>,
    destination: &mut dyn Destination,
    journal: &Journal,
) -> Result<Resumed> {
    let export = planner.export;
    let runs = commit::list_runs(destination, &export.name)?;
    let Some(newest) = runs.iter().rev().find(|run| run.has_plan) else { return Ok(Resumed::Nothing) };
    let plan = commit::read_plan(destination, &newest.key)?;
    if newest.has_decision {
        let Decision::Committed { .. } = commit::decision(destination, &newest.key)? else {
            return Ok(Resumed::Nothing);
        };
        let success = match commit::own_success(destination, &export.name, &plan.destination.data_prefix) {
            // The commit, which comes to the same, tells what stands.
            Err(error) if commit::is_foreign(&error) => None,
            success => success?,
        };
        let named = success.is_some_and(|success| success.run_id == plan.run_id);
        let noted = !journal.is_open(&plan.run_id)?;
        return Ok(if named && noted { Resumed::Nothing } else { Resumed::Uncommitted(Box::new(plan)) });
    }
    if !planner.is_as_configured(&plan)? {
        return Err(Error::config(format!("the configuration changed since run {} began", plan.run_id))
            .with_hint("run without --resume to abandon that run and start afresh")
            .with_context("export", export.name.clone()));
    }
    plan.check_chunks()?;
    let Asked { instance, .. } = planner.ask(|source| plan_check::check_source(&plan, source))?;
    let mut warnings = Vec::new();
    if let Some(difference) = plan.made_by.as_ref().and_then(|made_by| made_by.difference(&planner.made_by())) {
        warnings.push(format!("the run was begun by other versions: {difference}"));
    }
    let rereads = read_point::is_needed(&plan);
    if rereads && plan.chunks.len() > 1 {
        // The read point is gone. Chunks of another one must not be mixed in.
        commit::abandon(destination, &newest.key, "resume without its snapshot")?;
        log::warn!("the snapshot of run {} is gone: every chunk is read again in a new run", plan.run_id);
        return Ok(Resumed::Nothing);
    }
    let done = match done_chunks(&plan, destination) {
        Err(error) if error.code() == Some(commit::REPAIRED_RUN_GONE) => {
            log::warn!("{}: {error}", plan.export);
            return Ok(Resumed::Nothing);
        }
        done => done?,
    };
    if !done.is_empty() {
        warnings.push(format!(
            "resumed: {} of {} chunks were read earlier, at other read points",
            done.len(),
            plan.chunks.len()
        ));
    }
    Ok(Resumed::Unfinished(Box::new(Prepared { plan, done, source: instance, warnings })))
}
