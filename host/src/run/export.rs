//! One export from its configuration to its manifest.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rivet_sdk::{Destination, Error, ErrorKind, Result};

use super::execute::{Prepared, committed, execute, recorded, tidy};
use super::instance::{Ends, Instance};
use super::journal::Journal;
use super::planning::{self, Looked};
use super::pool::interrupted;
use super::reconcile::{self, Counted};
use super::resume::{Resumed, resumable};
use super::watermark::Start;
use super::{Checks, ChunkEvent, Stop, checks, drift, place, read_point, watermark};
use crate::batch::Counters;
use crate::commit;
use crate::config::{ExportConfig, Mode, StateConfig};
use crate::plan::{self, Inputs, MadeBy, Manifest, Plan, Planned};
use crate::session::Session;
use crate::source::{Held, SourceEnd};

/// How `run` was asked to go about it.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunOptions {
    /// Continue the unfinished run instead of abandoning it.
    pub resume: bool,
    /// How long to wait for another run of the same export.
    pub lock_wait: Duration,
    /// After the commit, compare the manifest with the destination.
    pub validate: bool,
    /// Compare the source's counts with the manifest; an export may ask for it too.
    pub reconcile: bool,
}

/// Told what is going on, for progress displays.
pub trait Watch {
    /// The plan is made; `done` chunks of it have reports already.
    fn planned(&mut self, plan: &Plan, done: usize, counters: &Arc<Counters>);
    /// Something happened to a chunk.
    fn chunk(&mut self, event: &ChunkEvent<'_>);
    /// The last chunk is done; the commit begins.
    fn committing(&mut self, plan: &Plan);
}

/// A finished run.
#[derive(Debug)]
pub struct Finished {
    /// What was done.
    pub plan: Plan,
    /// What landed; None for standard output.
    pub manifest: Option<Manifest>,
    /// Where.
    pub location: String,
    /// Rows of standard output, or of the manifest.
    pub rows: u64,
    /// Failed attempts that were tried again.
    pub retries: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// Things the user should know.
    pub warnings: Vec<String>,
    /// The columns are not those of the last run, and `on_schema_drift: warn` let that pass.
    pub schema_changed: bool,
    /// The run was complete before: nothing was done.
    pub already_committed: bool,
    /// The fewest workers that the source's pressure left; None without `adaptive`, and where it could not be read.
    pub lowest_workers: Option<u32>,
    /// What was looked at after the commit.
    pub checks: Checks,
    /// The source's counts at the run's own read point.
    pub(super) counted: Option<Counted>,
}

/// Plans, runs and commits one export, and looks at it again where that is asked for.
pub fn run_export(
    session: &Session,
    export: &ExportConfig,
    options: RunOptions,
    held: Held,
    watch: &mut dyn Watch,
) -> Result<Finished> {
    let options = RunOptions { reconcile: options.reconcile || export.reconcile_required, ..options };
    let (destination_end, mut destination) = session.open_destination(export)?;
    let source_end = session.source_end(export)?.holding(held);
    if options.reconcile {
        reconcile::check_possible(export, &source_end, destination_end.is_stdout())?;
    }
    let journal =
        if destination_end.is_stdout() { None } else { Some(Journal::open(session, export, options.lock_wait)?) };
    let ends = Ends { source: source_end, destination: destination_end, budget: Arc::clone(&session.budget) };
    let mut finished = run(session, export, ends.clone(), &mut *destination, journal.as_ref(), options, watch)
        .map_err(|error| continued(beside_the_state(session, error), &session.stop))?;
    finished.checks = checks::after_commit(&ends, &mut *destination, &finished, options, &session.stop);
    Ok(finished)
}

/// What stopped on a signal, wherever it was, can go on.
fn continued(error: Error, stop: &Stop) -> Error {
    let stopped = error.kind() == ErrorKind::Cancelled && stop.is_wanted();
    if stopped && error.hint().is_none() { interrupted() } else { error }
}

/// [`run_export`] without what comes after the commit.
fn run(
    session: &Session,
    export: &ExportConfig,
    ends: Ends,
    destination: &mut dyn Destination,
    journal: Option<&Journal>,
    options: RunOptions,
    watch: &mut dyn Watch,
) -> Result<Finished> {
    let started = Instant::now();
    if journal.is_some() {
        tidy(&export.name, &mut *destination)?;
    }
    let mut prepared = if ends.destination.is_stdout() {
        fresh(session, export, &ends.source, ulid::Ulid::generate().to_string(), Start::default())?
    } else if options.resume {
        if let (Mode::Incremental(_), Some(journal)) = (&export.mode, journal) {
            // Another store may know nothing of the runs before the one that is resumed.
            watermark::stands_at(&journal.state, &export.name, destination)?;
        }
        match resumable(session, export, destination, journal)? {
            Resumed::Unfinished(prepared) => *prepared,
            Resumed::Uncommitted(plan) => {
                let finished = committed(*plan, destination, started)?;
                if let Some(journal) = journal {
                    journal.advance(&finished)?;
                    let run_id = finished.plan.run_id.clone();
                    journal.end(&run_id, &Ok(&finished), &session.stop)?;
                }
                return Ok(finished);
            }
            Resumed::Nothing => {
                log::warn!("{}: no unfinished run to resume; a new run begins", export.name);
                start(session, export, &ends.source, destination, journal)?
            }
        }
    } else {
        start(session, export, &ends.source, destination, journal)?
    };
    if prepared.source.is_none() {
        prepared.source = Some(Instance::open(&ends.source, &session.budget, &session.stop)?);
    }
    let Some(journal) = journal else {
        return execute(prepared, ends, destination, None, false, &session.stop, watch, started);
    };
    for attempt in 1.. {
        let drift = drift::check(&journal.state, &prepared.plan, export.on_schema_drift)?;
        let schema_changed = drift.is_some();
        prepared.warnings.extend(drift);
        let count = options.reconcile;
        match recorded(prepared, ends.clone(), destination, journal, count, &session.stop, watch, started) {
            Err(error) if read_point::is_lost(&error) && attempt < export.max_attempts => {
                log::warn!("{}: {}; the run starts again", export.name, error.message());
                prepared = start(session, export, &ends.source, destination, Some(journal))?;
            }
            result => return result.map(|finished| Finished { schema_changed, ..finished }),
        }
    }
    Err(Error::internal("the attempts of a run are not countable"))
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

/// A plan of now.
fn fresh(
    session: &Session,
    export: &ExportConfig,
    source_end: &SourceEnd,
    run_id: String,
    start: Start,
) -> Result<Prepared> {
    let looked = planning::look(session, export, source_end, |source| {
        plan::build(source, &from(start.clone(), inputs(session, export, source_end, run_id.clone())))
    })?;
    let Looked { instance, found: Planned { plan, warnings, .. } } = looked;
    Ok(Prepared { plan, done: BTreeSet::new(), source: Some(instance), warnings })
}

pub(super) fn inputs<'a>(
    session: &'a Session,
    export: &'a ExportConfig,
    source_end: &'a SourceEnd,
    run_id: String,
) -> Inputs<'a> {
    Inputs {
        export,
        source_plugin: &session.source_plugin,
        source_options: &session.config.source.block.options,
        capabilities: &source_end.manifest().capabilities,
        run_id,
        memory_limit_bytes: session.budget.limit(),
        stands_at: None,
        follows: None,
        place: None,
        made_by: MadeBy::this(Some(source_end.manifest())),
        now: jiff::Timestamp::now(),
    }
}

pub(super) fn from(start: Start, inputs: Inputs<'_>) -> Inputs<'_> {
    Inputs { stands_at: start.stands_at, follows: start.follows, place: start.place, ..inputs }
}

/// A new run, once whatever an earlier one left is put right.
fn start(
    session: &Session,
    export: &ExportConfig,
    source_end: &SourceEnd,
    destination: &mut dyn Destination,
    journal: Option<&Journal>,
) -> Result<Prepared> {
    for (run, decision) in commit::recover(destination, &export.name, "a later run")? {
        log::info!("the earlier run {} is now {}", run.run_id(), decision.word());
    }
    let run_id = commit::new_run_id(destination, &export.name)?;
    let start = match (&export.mode, journal) {
        (Mode::Incremental(_), Some(journal)) => watermark::stands_at(&journal.state, &export.name, destination)?,
        _ => Start { place: Some(place::of(destination)), ..Start::default() },
    };
    let mut prepared = fresh(session, export, source_end, run_id, start)?;
    if let Some(journal) = journal {
        match export.mode {
            Mode::Incremental(_) => place::take_over(&journal.state, &prepared.plan)?,
            _ => prepared.warnings.extend(place::told(Some(&journal.state), &prepared.plan)?),
        }
    }
    commit::check_destination(destination, &prepared.plan)?;
    commit::publish_plan(destination, &prepared.plan)?;
    Ok(prepared)
}
