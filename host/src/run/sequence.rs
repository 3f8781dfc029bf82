//! The steps of every run once its plan stands at the destination: begin, execute, commit, record.

use std::time::Instant;

use rivet_sdk::{Destination, Result};

use super::context::RunContext;
use super::drift;
use super::execute::{Executed, execute};
use super::finished::{Checks, Finished};
use super::journal::Journal;
use super::prepared::Prepared;
use crate::commit;
use crate::plan::Plan;

/// Takes a plan through its run.
pub(super) fn carry_out(context: &mut RunContext<'_>, mut prepared: Prepared) -> Result<Finished> {
    let run_id = prepared.plan.run_id.clone();
    let drift = begin(context, &prepared.plan)?;
    let schema_changed = drift.is_some();
    prepared.warnings.extend(drift);
    let result = execute(context, prepared).and_then(|executed| commit(context, executed));
    record(context, &run_id, result.map(|finished| Finished { schema_changed, ..finished }))
}

/// Compares the columns with those of the export's last run, and notes in the journal that this one begins. What
/// differs, where that is let pass.
fn begin(context: &RunContext<'_>, plan: &Plan) -> Result<Option<String>> {
    let Some(journal) = &context.journal else { return Ok(None) };
    let drift = match context.on_schema_drift {
        Some(policy) => drift::check(&journal.state, plan, policy)?,
        None => None,
    };
    journal.begin(plan)?;
    Ok(drift)
}

/// Makes one manifest of all reports, and names it in `_SUCCESS`. From standard output nothing can be taken back:
/// there, what was written is written.
fn commit(context: &mut RunContext<'_>, executed: Executed) -> Result<Finished> {
    let Executed { plan, reports, retries, lowest_workers, counted, warnings } = executed;
    let (manifest, rows) = if context.endpoints.destination.is_stdout() {
        (None, reports.iter().map(|report| report.rows).sum())
    } else {
        context.journal.as_ref().map_or(Ok(()), Journal::check)?;
        context.watch.committing(&plan);
        let manifest = commit::commit(&mut *context.destination, &plan)?;
        let rows = manifest.rows;
        (Some(manifest), rows)
    };
    Ok(Finished {
        location: context.destination.location(),
        manifest,
        rows,
        plan,
        retries,
        elapsed: context.started.elapsed(),
        warnings,
        schema_changed: false,
        already_committed: false,
        lowest_workers,
        checks: Checks::default(),
        counted,
    })
}

/// Notes in the journal how the run ended. After a commit, the columns are remembered and the watermark moves.
fn record(context: &RunContext<'_>, run_id: &str, result: Result<Finished>) -> Result<Finished> {
    let Some(journal) = &context.journal else { return result };
    let result = result.and_then(|finished| {
        let grown = drift::grown(&journal.state, &finished, journal.growth)?;
        drift::remember(&journal.state, &finished)?;
        journal.advance(&finished)?;
        Ok(Finished { warnings: [finished.warnings, grown].concat(), ..finished })
    });
    journal.end(run_id, &result.as_ref(), context.stop)?;
    result
}

/// The commit of a run that has its manifest: whatever a killed one left is done, nothing is read.
pub(super) fn commit_again(plan: Plan, destination: &mut dyn Destination, started: Instant) -> Result<Finished> {
    let manifest = commit::commit(destination, &plan)?;
    Ok(Finished {
        rows: manifest.rows,
        location: destination.location(),
        manifest: Some(manifest),
        plan,
        retries: 0,
        elapsed: started.elapsed(),
        warnings: Vec::new(),
        schema_changed: false,
        already_committed: true,
        lowest_workers: None,
        checks: Checks::default(),
        counted: None,
    })
}
