//! One export from its configuration or sealed plan to its manifest: plan, chunks, commit.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rivet_sdk::{Destination, Error, ErrorKind, Result, Snapshot, Source};

use super::journal::Journal;
use super::stop::Guard;
use super::{ChunkEvent, Job, Stop, run_chunks};
use crate::batch::Counters;
use crate::budget::Budget;
use crate::commit::{self, Decision, RunKey};
use crate::config::ExportConfig;
use crate::plan::{self, Chunk, ConsistencyPolicy, Inputs, Manifest, Plan, Planned};
use crate::session::Session;
use crate::source::{DestinationEnd, Lent, SourceEnd};

/// How `run` was asked to go about it.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunOptions {
    /// Continue the unfinished run instead of abandoning it.
    pub resume: bool,
    /// How long to wait for another run of the same export.
    pub lock_wait: Duration,
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
    /// The run was complete before: nothing was done.
    pub already_committed: bool,
}

/// Plans, runs and commits one export.
pub fn run_export(
    session: &Session,
    export: &ExportConfig,
    options: RunOptions,
    watch: &mut dyn Watch,
) -> Result<Finished> {
    let started = Instant::now();
    let (destination_end, mut destination) = session.open_destination(export)?;
    let source_end = session.source_end()?;
    let journal =
        if destination_end.is_stdout() { None } else { Some(Journal::open(session, export, options.lock_wait)?) };
    if journal.is_some() {
        tidy(&export.name, &mut *destination)?;
    }
    let mut prepared = if destination_end.is_stdout() {
        Prepared::fresh(session, export, &source_end, ulid::Ulid::generate().to_string())?
    } else if options.resume {
        match resumable(session, export, &mut *destination, journal.as_ref())? {
            Resumed::Unfinished(prepared) => *prepared,
            Resumed::Uncommitted(plan) => {
                let finished = committed(*plan, &mut *destination, started)?;
                if let Some(journal) = &journal {
                    let run_id = finished.plan.run_id.clone();
                    journal.end(&run_id, &Ok(&finished), &session.stop)?;
                }
                return Ok(finished);
            }
            Resumed::Nothing => {
                log::warn!("{}: no unfinished run to resume; a new run begins", export.name);
                start(session, export, &source_end, &mut *destination)?
            }
        }
    } else {
        start(session, export, &source_end, &mut *destination)?
    };
    let ends = Ends { source: source_end, destination: destination_end, budget: Arc::clone(&session.budget) };
    if prepared.source.is_none() {
        prepared.source = Some(ends.source.open(&session.lent())?);
    }
    let Some(journal) = journal else {
        return execute(prepared, ends, &mut *destination, &session.stop, watch, started);
    };
    let run_id = prepared.plan.run_id.clone();
    journal.begin(&prepared.plan)?;
    let result = execute(prepared, ends, &mut *destination, &session.stop, watch, started);
    journal.end(&run_id, &result.as_ref(), &session.stop)?;
    result
}

/// Removes what dead writers left unfinished. A store may keep that right from us: nothing of it
/// is visible, and its owner may clean up by a rule.
fn tidy(export: &str, destination: &mut dyn Destination) -> Result<()> {
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

/// Runs what is left of a sealed plan, and commits it.
pub fn apply(plan: Plan, ends: Ends, stop: &Stop, watch: &mut dyn Watch) -> Result<Finished> {
    let started = Instant::now();
    let lent = ends.lent();
    let mut destination = ends.destination.open(&lent)?;
    let run = RunKey::of(&plan)?;
    if let Decision::Committed { .. } = commit::decision(&mut *destination, &run)? {
        return committed(plan, &mut *destination, started);
    }
    let mut source = ends.source.open(&lent)?;
    let guard = stop.guard(source.interrupt());
    check_drift(&plan, &mut *source)?;
    commit::check_destination(&mut *destination, &plan)?;
    commit::publish_plan(&mut *destination, &plan)?;
    let done = done_chunks(&plan, &mut *destination)?;
    let prepared = Prepared { plan, done, source: Some(source), warnings: Vec::new(), _guard: guard };
    execute(prepared, ends, &mut *destination, stop, watch, started)
}

/// A run that has its manifest: whatever a killed commit left is done, nothing is read.
fn committed(plan: Plan, destination: &mut dyn Destination, started: Instant) -> Result<Finished> {
    let manifest = commit::commit(destination, &plan)?;
    Ok(Finished {
        rows: manifest.rows,
        location: destination.location(),
        manifest: Some(manifest),
        plan,
        retries: 0,
        elapsed: started.elapsed(),
        warnings: Vec::new(),
        already_committed: true,
    })
}

/// Runs one chunk of a sealed plan, from any machine. The commit is somebody else's.
pub fn apply_chunk(plan: Plan, index: u32, ends: Ends, stop: &Stop, watch: &mut dyn Watch) -> Result<u64> {
    let chunk = plan.chunks.iter().find(|chunk| chunk.index == index).cloned().ok_or_else(|| {
        Error::config(format!("the plan has no chunk {index}"))
            .with_hint(format!("its chunks are 0 to {}", plan.chunks.len() - 1))
    })?;
    if plan.consistency == ConsistencyPolicy::Snapshot {
        return Err(Error::config("a chunk run on its own cannot share a snapshot with the others")
            .with_hint("plan with `consistency: auto`, or apply the plan as a whole"));
    }
    let lent = ends.lent();
    let mut destination = ends.destination.open(&lent)?;
    if plan.strategy.name == "native" && plan.chunks.len() > 1 {
        return Err(Error::config(
            "physical ranges need a snapshot that all chunks share; a chunk run on its own has none",
        )
        .with_hint("plan with `chunk_by: range`"));
    }
    let mut source = ends.source.open(&lent)?;
    check_drift(&plan, &mut *source)?;
    drop(source);
    commit::check_destination(&mut *destination, &plan)?;
    commit::publish_plan(&mut *destination, &plan)?;
    let counters = Arc::<Counters>::default();
    watch.planned(&plan, 0, &counters);
    let job = job(Arc::new(plan), ends, counters, None)?;
    let reports = run_chunks(job, [chunk], stop, &mut |event| watch.chunk(event))?;
    Ok(reports.iter().map(|report| report.rows).sum())
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
    fn lent(&self) -> Lent {
        Lent { budget: Arc::clone(&self.budget), cancelled: Arc::default() }
    }
}

struct Prepared {
    plan: Plan,
    done: BTreeSet<u32>,
    /// The planner's instance; it holds the snapshot while workers read.
    source: Option<Box<dyn Source>>,
    warnings: Vec<String>,
    /// Stops the planner's statement when the user wants to stop.
    _guard: Guard,
}

impl Prepared {
    fn fresh(session: &Session, export: &ExportConfig, source_end: &SourceEnd, run_id: String) -> Result<Self> {
        let mut source = source_end.open(&session.lent())?;
        let guard = session.stop.guard(source.interrupt());
        let planned = plan::build(&mut *source, &inputs(session, export, source_end, run_id))?;
        let Planned { plan, warnings, .. } = planned;
        Ok(Self { plan, done: BTreeSet::new(), source: Some(source), warnings, _guard: guard })
    }
}

fn inputs<'a>(session: &'a Session, export: &'a ExportConfig, source_end: &'a SourceEnd, run_id: String) -> Inputs<'a> {
    Inputs {
        export,
        source_plugin: &session.source_plugin,
        source_options: &session.config.source.block.options,
        capabilities: &source_end.manifest().capabilities,
        run_id,
        memory_limit_bytes: session.budget.limit(),
        now: jiff::Timestamp::now(),
    }
}

/// Makes a plan without looking at the destination: for `check`. Its run never happens.
pub fn draft_export(session: &Session, export: &ExportConfig) -> Result<plan::Planned> {
    let source_end = session.source_end()?;
    let mut source = source_end.open(&session.lent())?;
    plan::build(&mut *source, &inputs(session, export, &source_end, ulid::Ulid::generate().to_string()))
}

/// Makes a plan and shows it to nobody: for `plan`.
pub fn plan_export(session: &Session, export: &ExportConfig) -> Result<plan::Planned> {
    let source_end = session.source_end()?;
    let run_id = match session.open_destination(export) {
        Ok((end, mut destination)) if !end.is_stdout() => commit::new_run_id(&mut *destination, &export.name)?,
        Ok(_) => ulid::Ulid::generate().to_string(),
        Err(error) => return Err(error),
    };
    let mut source = source_end.open(&session.lent())?;
    plan::build(&mut *source, &inputs(session, export, &source_end, run_id))
}

/// A new run, once whatever an earlier one left is put right.
fn start(
    session: &Session,
    export: &ExportConfig,
    source_end: &SourceEnd,
    destination: &mut dyn Destination,
) -> Result<Prepared> {
    for (run, decision) in commit::recover(destination, &export.name, "a later run")? {
        log::info!("the earlier run {} is now {}", run.run_id(), decision.word());
    }
    let run_id = commit::new_run_id(destination, &export.name)?;
    let prepared = Prepared::fresh(session, export, source_end, run_id)?;
    commit::check_destination(destination, &prepared.plan)?;
    commit::publish_plan(destination, &prepared.plan)?;
    Ok(prepared)
}

/// What there is to resume.
enum Resumed {
    /// A run without its manifest.
    Unfinished(Box<Prepared>),
    /// A run with its manifest, killed before its commit was complete or noted.
    Uncommitted(Box<Plan>),
    Nothing,
}

/// The newest run, if it is unfinished and its plan still is what the configuration asks for.
fn resumable(
    session: &Session,
    export: &ExportConfig,
    destination: &mut dyn Destination,
    journal: Option<&Journal>,
) -> Result<Resumed> {
    let runs = commit::list_runs(destination, &export.name)?;
    let Some(newest) = runs.iter().rev().find(|run| run.has_plan) else { return Ok(Resumed::Nothing) };
    let plan = commit::read_plan(destination, &newest.key)?;
    if newest.has_decision {
        let Decision::Committed { .. } = commit::decision(destination, &newest.key)? else {
            return Ok(Resumed::Nothing);
        };
        let said = commit::read_success(destination, &plan.destination.data_prefix)?;
        let named = said.is_some_and(|success| success.run_id == plan.run_id);
        let noted = match journal {
            Some(journal) => !journal.is_open(&plan.run_id)?,
            None => true,
        };
        return Ok(if named && noted { Resumed::Nothing } else { Resumed::Uncommitted(Box::new(plan)) });
    }
    let source_end = session.source_end()?;
    let now = inputs(session, export, &source_end, plan.run_id.clone());
    if plan.config_fingerprint != plan::fingerprint(&now)? {
        return Err(Error::config(format!("the configuration changed since run {} began", plan.run_id))
            .with_hint("run without --resume to abandon that run and start afresh")
            .with_context("export", export.name.clone()));
    }
    let mut source = source_end.open(&session.lent())?;
    let guard = session.stop.guard(source.interrupt());
    check_drift(&plan, &mut *source)?;
    let mut warnings = Vec::new();
    let rereads = plan.consistency == ConsistencyPolicy::Snapshot || plan.strategy.name == "native";
    if rereads && plan.chunks.len() > 1 {
        // The read point is gone. Chunks of another one must not be mixed in.
        commit::abandon(destination, &newest.key, "resume without its snapshot")?;
        log::warn!("the snapshot of run {} is gone: every chunk is read again in a new run", plan.run_id);
        return Ok(Resumed::Nothing);
    }
    let done = done_chunks(&plan, destination)?;
    if !done.is_empty() {
        warnings.push(format!(
            "resumed: {} of {} chunks were read earlier, at other read points",
            done.len(),
            plan.chunks.len()
        ));
    }
    Ok(Resumed::Unfinished(Box::new(Prepared { plan, done, source: Some(source), warnings, _guard: guard })))
}

fn done_chunks(plan: &Plan, destination: &mut dyn Destination) -> Result<BTreeSet<u32>> {
    commit::resume_point(destination, plan)
}

/// The table must still be the one the plan was made for.
fn check_drift(plan: &Plan, source: &mut dyn Source) -> Result<()> {
    let drift = |what: String| {
        Error::new(ErrorKind::Conflict, what)
            .with_code("schema_drift")
            .with_hint("make a new plan")
            .with_context("export", plan.export.clone())
    };
    let identity = source.identity()?;
    if identity.id != plan.source.identity {
        return Err(drift(format!(
            "the plan was made for another database ({}), this is {}",
            plan.source.identity, identity.id
        )));
    }
    let Some(first) = plan.chunks.first() else { return Err(Error::config("the plan has no chunks")) };
    let found = source.type_mappings(&plan.request(first)).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::Config => {
            drift(format!("{} changed since the plan was made: {}", plan.relation, error.message()))
        }
        _ => error,
    })?;
    for (planned, found) in plan.columns.iter().zip(&found) {
        if planned.mapping != *found {
            return Err(drift(format!(
                "the column `{}` of {} is now {}, the plan was made for {}",
                planned.mapping.name, plan.relation, found.source_type, planned.mapping.source_type
            )));
        }
    }
    Ok(())
}

fn job(plan: Arc<Plan>, ends: Ends, counters: Arc<Counters>, snapshot: Option<Snapshot>) -> Result<Job> {
    Ok(Job {
        plan_id: plan.id()?,
        schema: plan.source_schema()?,
        unrecorded: ends.destination.is_stdout(),
        plan,
        source: ends.source,
        destination: ends.destination,
        lent_budget: ends.budget,
        counters,
        snapshot,
    })
}

fn execute(
    prepared: Prepared,
    ends: Ends,
    destination: &mut dyn Destination,
    stop: &Stop,
    watch: &mut dyn Watch,
    started: Instant,
) -> Result<Finished> {
    let Prepared { plan, done, mut source, mut warnings, _guard } = prepared;
    let unrecorded = ends.destination.is_stdout();
    let counters = Arc::<Counters>::default();
    watch.planned(&plan, done.len(), &counters);
    let left: Vec<Chunk> = plan.chunks.iter().filter(|chunk| !done.contains(&chunk.index)).cloned().collect();
    let snapshot = match &mut source {
        Some(source) if !left.is_empty() => snapshot(&plan, &mut **source)?,
        _ => None,
    };
    let plan = Arc::new(plan);
    let mut retries = 0;
    let reports = run_chunks(job(Arc::clone(&plan), ends, counters, snapshot)?, left, stop, &mut |event| {
        if let ChunkEvent::Retried { .. } = event {
            retries += 1;
        }
        watch.chunk(event);
    })?;
    if let Some(source) = &mut source
        && let Err(error) = source.release()
    {
        warnings.push(format!("the snapshot could not be released: {error}"));
    }
    drop(source);
    let plan = Arc::unwrap_or_clone(plan);
    let (manifest, rows) = if unrecorded {
        (None, reports.iter().map(|report| report.rows).sum())
    } else {
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
        already_committed: false,
    })
}

/// The read point of this run, where the plan wants one and the source can give it.
fn snapshot(plan: &Plan, source: &mut dyn Source) -> Result<Option<Snapshot>> {
    let needed = plan.consistency == ConsistencyPolicy::Snapshot || plan.strategy.name == "native";
    let useful = plan.chunks.len() > 1 && plan.consistency != ConsistencyPolicy::PerChunk;
    if !needed && !useful {
        return Ok(None);
    }
    let taken = source.snapshot(plan.execution.parallel)?;
    if taken.is_none() && needed && plan.chunks.len() > 1 {
        return Err(Error::config("this source cannot give all chunks one snapshot")
            .with_hint(
                "use `consistency: auto` or `per_chunk`, or `chunk_by: none`: one statement is always consistent",
            )
            .with_context("export", plan.export.clone()));
    }
    Ok(taken)
}
