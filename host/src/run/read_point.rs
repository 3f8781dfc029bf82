//! Which read point a run's chunks share, and what happens when it is lost.

use std::time::Duration;

use rivet_sdk::{Error, ErrorKind, OneReadPoint, Result, Retry, SNAPSHOT_LOST, Snapshot, Source};

use crate::plan::{ConsistencyPolicy, Plan, Report, StrategyKind};
use crate::planner;

/// Whether chunks of other read points would be wrong, and not only reported.
pub(super) fn is_needed(plan: &Plan) -> bool {
    plan.consistency == ConsistencyPolicy::Snapshot || plan.strategy.kind == StrategyKind::Native
}

/// Takes the read point of this run for so many other instances, where the plan wants one and the source can give it.
/// `counted`: rows are counted at it as well, so that one chunk has use for it too.
pub(super) fn take(plan: &Plan, source: &mut dyn Source, others: u32, counted: bool) -> Result<Option<Snapshot>> {
    let useful = (plan.chunks.len() > 1 || counted) && plan.consistency != ConsistencyPolicy::PerChunk;
    if plan.one_read_point != OneReadPoint::Snapshot || !is_needed(plan) && !useful {
        return Ok(None);
    }
    let taken = source.snapshot(others)?;
    if taken.is_none() && is_needed(plan) && plan.chunks.len() > 1 {
        // What was planned with other rights, or what the source could not know before it tried.
        let description = source.describe(&plan.relation)?;
        let refused = planner::no_snapshot(description.one_read_point, description.no_snapshot.as_deref());
        return Err(refused.with_context("export", plan.export.clone()));
    }
    Ok(taken)
}

/// Whether every chunk of the plan was read at the snapshot, by this process.
pub(super) fn is_shared(plan: &Plan, snapshot: &Snapshot, reports: &[Report]) -> bool {
    let at = |report: &Report| report.read_point.as_ref() == Some(&snapshot.read_point);
    reports.len() == plan.chunks.len() && reports.iter().all(at)
}

/// Puts an instance at the shared read point; what its rows then come from. `late`: the time to
/// join is over.
///
/// Where the read point is gone and the plan can do without, the chunk is read at a point of its
/// own, and the manifest says so.
pub(super) fn join(plan: &Plan, snapshot: &Snapshot, source: &mut dyn Source, late: bool) -> Result<Option<String>> {
    if !late {
        match source.join(snapshot) {
            Ok(()) => return Ok(Some(snapshot.read_point.clone())),
            Err(error) if error.code() == Some(SNAPSHOT_LOST) => {}
            Err(error) => return Err(error),
        }
    }
    if is_needed(plan) {
        return Err(lost(plan));
    }
    log::warn!("{}: the shared read point is gone; from here on, chunks are read at points of their own", plan.export);
    Ok(None)
}

/// What a chunk's failure means once the read point is known to be gone: the run's, or one more
/// try at a point of its own.
pub(super) fn explain(plan: &Plan, error: Error) -> Error {
    if error.code() != Some(SNAPSHOT_LOST) {
        return error;
    }
    if is_needed(plan) { lost(plan) } else { error.with_retry(Retry::Transient(Some(Duration::ZERO))) }
}

/// Whether a run failed because its read point is gone, so that starting it again may help.
pub(super) fn is_lost(error: &Error) -> bool {
    error.code() == Some(SNAPSHOT_LOST) && !error.is_transient()
}

fn lost(plan: &Plan) -> Error {
    let held = if plan.consistency == ConsistencyPolicy::Snapshot {
        "`consistency: snapshot`"
    } else {
        "a cut by physical ranges"
    };
    Error::new(ErrorKind::Conflict, format!("the connection that held the run's snapshot is lost, and {held} needs it"))
        .with_code(SNAPSHOT_LOST)
        .with_hint("run the export again; every chunk is then read at a new read point")
}
