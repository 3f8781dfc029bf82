//! The chunks of a plan read at one read point, where there is one, and what the source counted there.

use std::sync::Arc;

use rivet_sdk::{Result, Snapshot, Source, capability};

use super::context::RunContext;
use super::governor;
use super::job::Job;
use super::pool::run_chunks;
use super::prepared::Prepared;
use super::reconciliation::Counted;
use super::slot::InstanceSlot;
use super::watch::ChunkEvent;
use super::{read_point, reconcile};
use crate::batch::Counters;
use crate::plan::{Chunk, Plan, Report};
use crate::source::InstanceContext;

/// A run whose chunks all have their reports.
pub(super) struct Executed {
    pub plan: Plan,
    /// Of the chunks that this process read.
    pub reports: Vec<Report>,
    /// Failed attempts that were tried again.
    pub retries: u64,
    /// As in [`super::Finished`].
    pub lowest_workers: Option<u32>,
    /// The source's counts at the run's own read point, where they were asked for and could be taken there.
    pub counted: Option<Counted>,
    pub warnings: Vec<String>,
}

/// Reads every chunk that has no report yet.
pub(super) fn execute(context: &mut RunContext<'_>, prepared: Prepared) -> Result<Executed> {
    let Prepared { plan, done, mut source, mut warnings } = prepared;
    let counters = Arc::<Counters>::default();
    context.watch.planned(&plan, done.len(), &counters);
    let left: Vec<Chunk> = plan.chunks.iter().filter(|chunk| !done.contains(&chunk.index)).cloned().collect();
    // One worker that can read at its own instance's read point needs no other one to hold it.
    let one_worker = left.len() == 1 || plan.execution.parallel == 1;
    let alone = one_worker && context.endpoints.source.manifest().can(capability::SNAPSHOT_ALONE);
    let others = if alone { 0 } else { plan.execution.parallel };
    let snapshot = match left.is_empty() {
        true => None,
        false => read_point::take(&plan, &mut *source.source, others, context.count)?,
    };
    // A snapshot that cannot be joined later holds a lock: it goes as soon as all have joined.
    let held_to_the_end = alone || snapshot.as_ref().is_none_or(|snapshot| snapshot.rejoinable);
    // Nor does anybody need an instance that holds nothing.
    let takes_a_chunk = !left.is_empty() && (alone || snapshot.is_none());
    let (mut holder, slot) = if takes_a_chunk {
        let read_point = snapshot.as_ref().map(|snapshot| snapshot.read_point.clone());
        (None, Some(InstanceSlot::of(source, read_point)))
    } else {
        (Some(source.source), None)
    };
    let plan = Arc::new(plan);
    let job = Job::new(Arc::clone(&plan), context.endpoints.clone(), counters, snapshot.clone())?;
    let allowance = Arc::clone(&job.allowance);
    let watcher = match one_worker {
        true => None,
        false => governor::watch(
            &plan,
            &context.endpoints.source,
            InstanceContext::new(&context.endpoints.budget),
            &allowance,
        )?,
    };
    let mut retries = 0;
    let mut joined = || holder.as_mut().map_or(Ok(()), |holder| holder.release());
    let watch = &mut *context.watch;
    let reports = run_chunks(job, left, slot.clone(), context.stop, &mut joined, &mut |event| {
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
    let mut source = holder.or_else(|| slot.as_ref().and_then(InstanceSlot::take_back));
    let counted = match &snapshot {
        Some(snapshot) if context.count && held_to_the_end && read_point::is_shared(&plan, snapshot, &reports) => {
            let own = source.as_deref_mut().filter(|_| alone);
            count(context, &plan, snapshot, own)
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
    Ok(Executed { plan: Arc::unwrap_or_clone(plan), reports, retries, lowest_workers, counted, warnings })
}

/// Counts at the run's read point, with the instance that reads there if it is at hand. None where that fails: what is
/// counted later will do.
fn count(
    context: &RunContext<'_>,
    plan: &Plan,
    snapshot: &Snapshot,
    own: Option<&mut (dyn Source + 'static)>,
) -> Option<Counted> {
    let counted = match own {
        Some(source) => reconcile::count_there(plan, snapshot, source),
        None => reconcile::count_at(plan, snapshot, &context.endpoints.source, &context.instance_context()),
    };
    match counted {
        Ok(counted) => Some(counted),
        Err(error) => {
            log::warn!("{}: no counts at the run's own read point: {error}", plan.export);
            None
        }
    }
}
