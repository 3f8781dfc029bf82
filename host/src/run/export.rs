//! One export from its configuration or sealed plan to its manifest: plan, chunks, commit.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rivet_sdk::{Destination, Error, ErrorKind, Result, Snapshot, Source};

use super::journal::Journal;
use super::reconcile::{self, Counted};
use super::resume::{Resumed, resumable};
use super::stop::Guard;
use super::watermark::Start;
use super::{Allowance, Checks, ChunkEvent, Job, Stop, checks, drift, governor, read_point, run_chunks, watermark};
use crate::batch::Counters;
use crate::budget::Budget;
use crate::commit;
use crate::config::{ExportConfig, Mode};
use crate::plan::{self, Chunk, Inputs, Manifest, Plan, Planned};
use crate::session::Session;
use crate::source::{DestinationEnd, Held, Lent, SourceEnd};

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
    /// The fewest workers that the source's pressure left; None without `adaptive`.
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
    let source_end = session.source_end()?.holding(held);
    if options.reconcile {
        reconcile::check_possible(export, &source_end, destination_end.is_stdout())?;
    }
    let journal =
        if destination_end.is_stdout() { None } else { Some(Journal::open(session, export, options.lock_wait)?) };
    let ends = Ends { source: source_end, destination: destination_end, budget: Arc::clone(&session.budget) };
    let mut finished = run(session, export, ends.clone(), &mut *destination, journal.as_ref(), options, watch)?;
    finished.checks = checks::after_commit(&ends, &mut *destination, &finished, options, &session.stop);
    Ok(finished)
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
        Prepared::fresh(session, export, &ends.source, ulid::Ulid::generate().to_string(), Start::default())?
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
        prepared.source = Some(ends.source.open(&session.lent())?);
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

/// Carries a plan out, notes in the journal how that went, and moves the watermark.
#[allow(clippy::too_many_arguments, reason = "as `execute`")]
pub(super) fn recorded(
    prepared: Prepared,
    ends: Ends,
    destination: &mut dyn Destination,
    journal: &Journal,
    count: bool,
    stop: &Stop,
    watch: &mut dyn Watch,
    started: Instant,
) -> Result<Finished> {
    let run_id = prepared.plan.run_id.clone();
    journal.begin(&prepared.plan)?;
    let result = execute(prepared, ends, destination, Some(journal), count, stop, watch, started);
    let result = result.and_then(|finished| {
        drift::remember(&journal.state, &finished.plan)?;
        journal.advance(&finished)?;
        Ok(finished)
    });
    journal.end(&run_id, &result.as_ref(), stop)?;
    result
}

/// Removes what dead writers left unfinished. A store may keep that right from us: nothing of it
/// is visible, and its owner may clean up by a rule.
pub(super) fn tidy(export: &str, destination: &mut dyn Destination) -> Result<()> {
    match destination.tidy() {
        Ok(removed) => {
            log::info!("{export}: removed {removed} unfinished objects of dead writers");
            Ok(())
        }
        Err(error) if matches!(error.kind(), ErrorKind::Permission | ErrorKind::Unsupported) => {
            log::info!("{export}: unfinished objects of dead writers stay: {error}");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// A run that has its manifest: whatever a killed commit left is done, nothing is read.
pub(super) fn committed(plan: Plan, destination: &mut dyn Destination, started: Instant) -> Result<Finished> {
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

/// Both ends of a run, and the memory it may use.
#[derive(Debug, Clone)]
pub struct Ends {
    /// Where rows come from.
    pub source: SourceEnd,
    /// Where parts go.
    pub destination: DestinationEnd,
    /// The process's memory.
    pub budget: Arc<Budget>,
}

impl Ends {
    pub(super) fn lent(&self) -> Lent {
        Lent::new(&self.budget)
    }
}

/// A plan, and what stands ready to carry it out.
pub(super) struct Prepared {
    pub plan: Plan,
    pub done: BTreeSet<u32>,
    /// The planner's instance; it holds the snapshot while workers read.
    pub source: Option<Box<dyn Source>>,
    pub warnings: Vec<String>,
    /// Stops the planner's statement when the user wants to stop.
    pub guard: Guard,
}

impl Prepared {
    fn fresh(
        session: &Session,
        export: &ExportConfig,
        source_end: &SourceEnd,
        run_id: String,
        start: Start,
    ) -> Result<Self> {
        let mut source = source_end.open(&session.lent())?;
        let guard = session.stop.guard(source.interrupt());
        let planned = plan::build(&mut *source, &from(start, inputs(session, export, source_end, run_id)))?;
        let Planned { plan, warnings, .. } = planned;
        Ok(Self { plan, done: BTreeSet::new(), source: Some(source), warnings, guard })
    }
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
        now: jiff::Timestamp::now(),
    }
}

pub(super) fn from(start: Start, inputs: Inputs<'_>) -> Inputs<'_> {
    Inputs { stands_at: start.stands_at, follows: start.follows, ..inputs }
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
        _ => Start::default(),
    };
    let prepared = Prepared::fresh(session, export, source_end, run_id, start)?;
    commit::check_destination(destination, &prepared.plan)?;
    commit::publish_plan(destination, &prepared.plan)?;
    Ok(prepared)
}

pub(super) fn job(plan: Arc<Plan>, ends: Ends, counters: Arc<Counters>, snapshot: Option<Snapshot>) -> Result<Job> {
    let allowance = Allowance::of(plan.execution.parallel);
    Ok(Job {
        plan_id: plan.id()?,
        schema: plan.source_schema()?,
        unrecorded: ends.destination.is_stdout(),
        plan,
        source: ends.source,
        destination: ends.destination,
        lent_budget: ends.budget,
        allowance,
        counters,
        snapshot,
    })
}

#[allow(clippy::too_many_arguments, reason = "one way for runs of every kind")]
pub(super) fn execute(
    prepared: Prepared,
    ends: Ends,
    destination: &mut dyn Destination,
    journal: Option<&Journal>,
    count: bool,
    stop: &Stop,
    watch: &mut dyn Watch,
    started: Instant,
) -> Result<Finished> {
    let Prepared { plan, done, mut source, mut warnings, guard: _guard } = prepared;
    let unrecorded = ends.destination.is_stdout();
    let counters = Arc::<Counters>::default();
    watch.planned(&plan, done.len(), &counters);
    let left: Vec<Chunk> = plan.chunks.iter().filter(|chunk| !done.contains(&chunk.index)).cloned().collect();
    let snapshot = match &mut source {
        Some(source) if !left.is_empty() => read_point::take(&plan, &mut **source, count)?,
        _ => None,
    };
    // A snapshot that cannot be joined later holds a lock: it goes as soon as all have joined.
    let held_to_the_end = snapshot.as_ref().is_none_or(|snapshot| snapshot.rejoinable);
    let plan = Arc::new(plan);
    let mut retries = 0;
    let job = job(Arc::clone(&plan), ends.clone(), counters, snapshot.clone())?;
    let mut joined = || source.as_mut().map_or(Ok(()), |source| source.release());
    let allowance = Arc::clone(&job.allowance);
    let watcher = governor::watch(&plan, &ends.source, ends.lent(), &allowance)?;
    let reports = run_chunks(job, left, stop, &mut joined, &mut |event| {
        if let ChunkEvent::Retried { .. } = event {
            retries += 1;
        }
        watch.chunk(event);
    })?;
    let lowest_workers = watcher.as_ref().map(|_| allowance.lowest());
    drop(watcher);
    let counted = match &snapshot {
        Some(snapshot) if count && snapshot.rejoinable && read_point::is_shared(&plan, snapshot, &reports) => {
            let counted = reconcile::count_at(&plan, snapshot, &ends.source, &ends.lent(), stop);
            counted
                .inspect_err(|error| log::warn!("{}: no counts at the run's own read point: {error}", plan.export))
                .ok()
        }
        _ => None,
    };
    if held_to_the_end
        && let Some(source) = &mut source
        && let Err(error) = source.release()
    {
        warnings.push(format!("the snapshot could not be released: {error}"));
    }
    drop(source);
    let plan = Arc::unwrap_or_clone(plan);
    let (manifest, rows) = if unrecorded {
        (None, reports.iter().map(|report| report.rows).sum())
    } else {
        journal.map_or(Ok(()), Journal::check)?;
        watch.committing(&plan);
        let manifest = commit::commit(destination, &plan)?;
        let rows = manifest.rows;
        (Some(manifest), rows)
    };
    Ok(Finished {
        location: destination.location(),
        manifest,
        rows,
        plan,
        retries,
        elapsed: started.elapsed(),
        warnings,
        schema_changed: false,
        already_committed: false,
        lowest_workers,
        checks: Checks::default(),
        counted,
    })
}
