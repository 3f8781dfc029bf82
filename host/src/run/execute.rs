//! A plan carried out: its chunks, their commit, the note of it in the journal.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use rivet_sdk::{Destination, ErrorKind, Result, Snapshot, capability};

use super::export::{Finished, Watch};
use super::instance::{Ends, Instance};
use super::journal::Journal;
use super::worker::Seat;
use super::{Allowance, Checks, ChunkEvent, Job, Stop, drift, governor, read_point, reconcile, run_chunks};
use crate::batch::Counters;
use crate::commit;
use crate::plan::{Chunk, Plan};
use crate::source::Lent;

/// A plan, and what stands ready to carry it out.
pub(super) struct Prepared {
    pub plan: Plan,
    pub done: BTreeSet<u32>,
    /// The planner's instance; it holds the snapshot while workers read, or reads itself.
    pub source: Option<Instance>,
    pub warnings: Vec<String>,
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
        let grown = drift::grown(&journal.state, &finished, journal.growth)?;
        drift::remember(&journal.state, &finished)?;
        journal.advance(&finished)?;
        Ok(Finished { warnings: [finished.warnings, grown].concat(), ..finished })
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

pub(super) fn job(plan: Arc<Plan>, ends: Ends, counters: Arc<Counters>, snapshot: Option<Snapshot>) -> Result<Job> {
    let allowance = Allowance::of(plan.execution.parallel);
    Ok(Job {
        plan_id: plan.id()?,
        plan_seal: plan.seal()?,
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
    let Prepared { plan, done, mut source, mut warnings } = prepared;
    let unrecorded = ends.destination.is_stdout();
    let counters = Arc::<Counters>::default();
    watch.planned(&plan, done.len(), &counters);
    let left: Vec<Chunk> = plan.chunks.iter().filter(|chunk| !done.contains(&chunk.index)).cloned().collect();
    // One worker that can read at its own instance's read point needs no other one to hold it.
    let one_worker = left.len() == 1 || plan.execution.parallel == 1;
    let alone = one_worker && ends.source.manifest().can(capability::SNAPSHOT_ALONE);
    let others = if alone { 0 } else { plan.execution.parallel };
    let snapshot = match &mut source {
        Some(instance) if !left.is_empty() => read_point::take(&plan, &mut *instance.source, others, count)?,
        _ => None,
    };
    // A snapshot that cannot be joined later holds a lock: it goes as soon as all have joined.
    let held_to_the_end = alone || snapshot.as_ref().is_none_or(|snapshot| snapshot.rejoinable);
    // Nor does anybody need an instance that holds nothing.
    let takes_a_chunk = !left.is_empty() && (alone || snapshot.is_none());
    let read_point = snapshot.as_ref().map(|snapshot| snapshot.read_point.clone());
    let seat = source.take_if(|_| takes_a_chunk).map(|instance| Seat::of(instance.source, instance.lent, read_point));
    let plan = Arc::new(plan);
    let mut retries = 0;
    let job = job(Arc::clone(&plan), ends.clone(), counters, snapshot.clone())?;
    let mut joined = || source.as_mut().map_or(Ok(()), |instance| instance.source.release());
    let allowance = Arc::clone(&job.allowance);
    let watcher =
        if one_worker { None } else { governor::watch(&plan, &ends.source, Lent::new(&ends.budget), &allowance)? };
    let reports = run_chunks(job, left, seat.clone(), stop, &mut joined, &mut |event| {
        if let ChunkEvent::Retried { .. } = event {
            retries += 1;
        }
        watch.chunk(event);
    })?;
    let lowest_workers = watcher.as_ref().and_then(|_| allowance.lowest());
    if watcher.is_some() && lowest_workers.is_none() {
        warnings.push("`adaptive` moved nothing: the source's pressure could not be read".to_owned());
    }
    drop(watcher);
    let mut source = source.map(|instance| instance.source).or_else(|| seat.as_ref().and_then(Seat::leave));
    let counted = match &snapshot {
        Some(snapshot) if count && held_to_the_end && read_point::is_shared(&plan, snapshot, &reports) => {
            let counted = match source.as_mut().filter(|_| alone) {
                Some(source) => reconcile::count_there(&plan, snapshot, &mut **source),
                None => reconcile::count_at(&plan, snapshot, &ends.source, &ends.lent(stop)),
            };
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
