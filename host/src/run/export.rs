//! One export from its configuration to its manifest: plan, begin, execute, commit, record.

use std::sync::Arc;
use std::time::Instant;

use rivet_sdk::{Error, ErrorKind, Result};

use super::checks;
use super::context::RunContext;
use super::finished::Finished;
use super::instance::Endpoints;
use super::journal::Journal;
use super::options::RunOptions;
use super::planning::Planner;
use super::prepared::Prepared;
use super::resume::{Resumed, resumable};
use super::sequence::{carry_out, commit_again};
use super::watch::Watch;
use super::watermark::Start;
use super::{place, reconcile, retry, watermark};
use crate::commit;
use crate::config::{ExportConfig, Mode, StateConfig};
use crate::session::Session;
use crate::source::ConnectionPermit;
use crate::stop::{Stop, interrupted};

/// Plans, runs and commits one export, and looks at it again where that is asked for.
pub fn run_export(
    session: &Session,
    export: &ExportConfig,
    options: RunOptions,
    permit: ConnectionPermit,
    watch: &mut dyn Watch,
) -> Result<Finished> {
    let options = RunOptions { reconcile: options.reconcile || export.reconcile_required, ..options };
    let (destination_factory, destination) = session.open_destination(export)?;
    let source = session.source_factory(export)?.with_permit(permit);
    if options.reconcile {
        reconcile::check_possible(export, &source, destination_factory.is_stdout())?;
    }
    let journal = match destination_factory.is_stdout() {
        true => None,
        false => Some(Journal::open(session, export, options.lock_wait)?),
    };
    let planner = Planner::new(session, export, &source);
    let mut context = RunContext {
        endpoints: Endpoints { source, destination: destination_factory, budget: Arc::clone(&session.budget) },
        journal,
        destination,
        on_schema_drift: Some(export.on_schema_drift),
        count: options.reconcile,
        stop: &session.stop,
        watch,
        started: Instant::now(),
    };
    let mut finished = run(&planner, &mut context, options.resume)
        .map_err(|error| continued(beside_the_state(session, error), &session.stop))?;
    finished.checks = checks::after_commit(&mut context, &finished, options);
    Ok(finished)
}

/// [`run_export`] without what comes after the commit.
fn run(planner: &Planner<'_>, context: &mut RunContext<'_>, resume: bool) -> Result<Finished> {
    let export = planner.export;
    if context.journal.is_some() {
        context.tidy(&export.name)?;
    }
    let resumed = if resume { resumed(planner, context)? } else { Resumed::Nothing };
    let mut prepared = match resumed {
        Resumed::Unfinished(prepared) => *prepared,
        Resumed::Uncommitted(plan) => {
            let finished = commit_again(*plan, &mut *context.destination, context.started)?;
            if let Some(journal) = &context.journal {
                journal.advance(&finished)?;
                journal.end(&finished.plan.run_id, &Ok(&finished), context.stop)?;
            }
            return Ok(finished);
        }
        Resumed::Nothing => plan(planner, context)?,
    };
    for attempt in 1.. {
        match carry_out(context, prepared) {
            // What went to standard output cannot be taken back.
            Err(error) if context.journal.is_some() && retry::run_again(&error, attempt, export.max_attempts) => {
                log::warn!("{}: {}; the run starts again", export.name, error.message());
                prepared = plan(planner, context)?;
            }
            result => return result,
        }
    }
    Err(Error::internal("the attempts of a run are not countable"))
}

/// What there is to resume; of standard output, nothing ever.
fn resumed(planner: &Planner<'_>, context: &mut RunContext<'_>) -> Result<Resumed> {
    let Some(journal) = &context.journal else { return Ok(Resumed::Nothing) };
    let export = planner.export;
    if let Mode::Incremental(_) = export.mode {
        // Another store may know nothing of the runs before the one that is resumed.
        watermark::stands_at(&journal.state, &export.name, &mut *context.destination)?;
    }
    let resumed = resumable(planner, &mut *context.destination, journal)?;
    if let Resumed::Nothing = resumed {
        log::warn!("{}: no unfinished run to resume; a new run begins", export.name);
    }
    Ok(resumed)
}

/// Plans a new run, once whatever an earlier one left is put right. From here on its plan stands at the destination,
/// and can be resumed.
fn plan(planner: &Planner<'_>, context: &mut RunContext<'_>) -> Result<Prepared> {
    let Some(journal) = &context.journal else {
        let asked = planner.plan(&ulid::Ulid::generate().to_string(), &Start::default())?;
        return Ok(Prepared::of(asked));
    };
    let (export, destination) = (planner.export, &mut *context.destination);
    for (run, decision) in commit::recover(destination, &export.name, "a later run")? {
        log::info!("the earlier run {} is now {}", run.run_id(), decision.word());
    }
    let run_id = commit::new_run_id(destination, &export.name)?;
    let start = match &export.mode {
        Mode::Incremental(_) => watermark::stands_at(&journal.state, &export.name, destination)?,
        _ => Start { place: Some(place::of(destination)), ..Start::default() },
    };
    let mut prepared = Prepared::of(planner.plan(&run_id, &start)?);
    match export.mode {
        Mode::Incremental(_) => place::take_over(&journal.state, &prepared.plan)?,
        _ => prepared.warnings.extend(place::warnings(Some(&journal.state), &prepared.plan)?),
    }
    commit::check_destination(destination, &prepared.plan)?;
    commit::publish_plan(destination, &prepared.plan)?;
    Ok(prepared)
}

/// What stopped on a signal, wherever it was, can go on.
fn continued(error: Error, stop: &Stop) -> Error {
    let stopped = error.kind() == ErrorKind::Cancelled && stop.is_wanted();
    if stopped && error.hint().is_none() { interrupted() } else { error }
}

/// Says that the state store takes a connection too, where a server has none left for the source's.
fn beside_the_state(session: &Session, error: Error) -> Error {
    if error.kind() != ErrorKind::ResourceExhausted || !matches!(session.config.state, StateConfig::Postgres(_)) {
        return error;
    }
    let hint = error.hint().unwrap_or("lower `parallel`").to_owned();
    error.with_hint(format!(
        "{hint}; the state store (`state.url`) holds a connection of its own all the while: if it is the same server's, \
         give it another login, or keep the state in a file"
    ))
}
