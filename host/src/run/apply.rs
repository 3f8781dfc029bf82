//! A sealed plan, carried out as a whole or a chunk at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rivet_sdk::{Destination, Error, Result};

use super::context::RunContext;
use super::finished::Finished;
use super::instance::{Endpoints, Instance};
use super::job::Job;
use super::journal::Journal;
use super::plan_check;
use super::pool::run_chunks;
use super::prepared::{Prepared, done_chunks};
use super::sequence::{carry_out, commit_again};
use super::slot::InstanceSlot;
use super::watch::Watch;
use super::{age, watermark};
use crate::batch::Counters;
use crate::commit::{self, Decision, RunKey};
use crate::config::StateConfig;
use crate::plan::{ConsistencyPolicy, Plan, StrategyKind};
use crate::state::RunStatus;
use crate::stop::Stop;

/// The state store in which the export's lease is held, and how long to wait for it. A sealed plan
/// names none: without one, what lies at the destination keeps two runs apart.
#[derive(Debug, Clone, Copy)]
pub struct LeaseRequest<'a> {
    /// The store.
    pub state: &'a StateConfig,
    /// How long another run of the export is waited for.
    pub wait: Duration,
}

impl LeaseRequest<'_> {
    fn take(self, plan: &Plan) -> Result<Journal> {
        Journal::of(self.state, &plan.export, self.wait)
    }
}

/// Runs what is left of a sealed plan that is not older than `max_age`, and commits it.
pub fn apply(
    plan: Plan,
    max_age: Duration,
    endpoints: Endpoints,
    lease: Option<LeaseRequest<'_>>,
    stop: &Stop,
    watch: &mut dyn Watch,
) -> Result<Finished> {
    let started = Instant::now();
    let mut destination = endpoints.destination.open(&endpoints.instance_context(stop))?;
    let run = RunKey::of(&plan)?;
    // Of a committed plan no row is read any more.
    if let Err(too_old) = check_age(&plan, max_age)
        && !matches!(commit::decision(&mut *destination, &run)?, Decision::Committed { .. })
    {
        return Err(too_old);
    }
    let journal = lease.map(|lease| lease.take(&plan)).transpose()?;
    if let Decision::Committed { .. } = commit::decision(&mut *destination, &run)? {
        return finish(plan, &mut *destination, journal.as_ref(), stop, started);
    }
    let mut context = RunContext {
        endpoints,
        journal,
        destination,
        // The plan says what its columns are.
        on_schema_drift: None,
        count: false,
        stop,
        watch,
        started,
    };
    let prepared = publish(&mut context, plan)?;
    carry_out(&mut context, prepared)
}

/// Checks a plan that somebody made earlier against the source and the destination of now. It stands at the destination
/// then, too.
fn publish(context: &mut RunContext<'_>, plan: Plan) -> Result<Prepared> {
    let source = checked_source(&context.endpoints, &plan, context.stop)?;
    let destination = &mut *context.destination;
    commit::check_destination(destination, &plan)?;
    commit::check_chain(destination, &plan)?;
    if let Some(journal) = &context.journal {
        watermark::check_start(&journal.state, &plan, destination)?;
    }
    commit::publish_plan(destination, &plan)?;
    let done = done_chunks(&plan, destination)?;
    Ok(Prepared { plan, done, source, warnings: Vec::new() })
}

/// An instance of the source, which still is as the plan has it.
fn checked_source(endpoints: &Endpoints, plan: &Plan, stop: &Stop) -> Result<Instance> {
    let mut instance = Instance::open(&endpoints.source, &endpoints.budget, stop)?;
    plan.check_chunks()?;
    plan.warn_of_versions(Some(endpoints.source.manifest()));
    plan_check::check_source(plan, &mut *instance.source)?;
    Ok(instance)
}

fn check_age(plan: &Plan, max_age: Duration) -> Result<()> {
    let checked = age::check(&plan.created_at, max_age, jiff::Timestamp::now());
    checked.map_err(|error| error.with_context("export", plan.export.clone()))
}

/// Commits a plan whose chunks were applied one by one.
pub fn commit_plan(
    plan: Plan,
    destination: &mut dyn Destination,
    lease: Option<LeaseRequest<'_>>,
    stop: &Stop,
) -> Result<Finished> {
    let journal = lease.map(|lease| lease.take(&plan)).transpose()?;
    plan.warn_of_versions(None);
    finish(plan, destination, journal.as_ref(), stop, Instant::now())
}

/// Commits, or finishes the commit, and lets the state store know.
fn finish(
    plan: Plan,
    destination: &mut dyn Destination,
    journal: Option<&Journal>,
    stop: &Stop,
    started: Instant,
) -> Result<Finished> {
    commit::check_published(destination, &plan)?;
    let finished = commit_again(plan, destination, started)?;
    let Some(journal) = journal else { return Ok(finished) };
    let plan = &finished.plan;
    if plan.incremental.is_some() {
        // Not a move from where this plan began: later runs may have gone on from its end.
        watermark::stands_at(&journal.state, &plan.export, destination)?;
    }
    if journal.status(&plan.run_id)? != Some(RunStatus::Succeeded) {
        journal.begin(plan)?;
        journal.end(&plan.run_id, &Ok(&finished), stop)?;
    }
    Ok(finished)
}

/// Runs one chunk of a sealed plan that is not older than `max_age`, from any machine. The commit
/// is somebody else's.
pub fn apply_chunk(
    plan: Plan,
    max_age: Duration,
    index: u32,
    endpoints: Endpoints,
    stop: &Stop,
    watch: &mut dyn Watch,
) -> Result<u64> {
    check_age(&plan, max_age)?;
    let chunk = plan.chunks.iter().find(|chunk| chunk.index == index).cloned().ok_or_else(|| {
        Error::config(format!("the plan has no chunk {index}"))
            .with_hint(format!("its chunks are 0 to {}", plan.chunks.len() - 1))
    })?;
    if plan.consistency == ConsistencyPolicy::Snapshot {
        return Err(Error::config("a chunk run on its own cannot share a snapshot with the others")
            .with_hint("plan with `consistency: auto`, or apply the plan as a whole"));
    }
    let mut destination = endpoints.destination.open(&endpoints.instance_context(stop))?;
    if plan.strategy.kind == StrategyKind::Native && plan.chunks.len() > 1 {
        return Err(Error::config(
            "physical ranges need a snapshot that all chunks share; a chunk run on its own has none",
        )
        .with_hint("plan with `chunk_by: range`"));
    }
    let instance = checked_source(&endpoints, &plan, stop)?;
    commit::check_destination(&mut *destination, &plan)?;
    commit::publish_plan(&mut *destination, &plan)?;
    let counters = Arc::<Counters>::default();
    watch.planned(&plan, 0, &counters);
    let job = Job::new(Arc::new(plan), endpoints, counters, None)?;
    let slot = InstanceSlot::of(instance, None);
    let reports = run_chunks(job, [chunk], Some(slot), stop, &mut || Ok(()), &mut |event| watch.chunk(event))?;
    Ok(reports.iter().map(|report| report.rows).sum())
}
