//! Which read point a run's chunks share, and what happens when it is lost.

use rivet_sdk::{Error, ErrorKind, Result, Retry, Snapshot, Source};

use crate::plan::{ConsistencyPolicy, Plan};

/// The code of an error that says that a run's shared read point is gone.
pub(super) const LOST: &str = "snapshot_lost";

/// Whether chunks of other read points would be wrong, and not only reported.
pub(super) fn is_needed(plan: &Plan) -> bool {
    plan.consistency == ConsistencyPolicy::Snapshot || plan.strategy.name == "native"
}

/// Takes the read point of this run, where the plan wants one and the source can give it.
pub(super) fn take(plan: &Plan, source: &mut dyn Source) -> Result<Option<Snapshot>> {
    let useful = plan.chunks.len() > 1 && plan.consistency != ConsistencyPolicy::PerChunk;
    if !is_needed(plan) && !useful {
        return Ok(None);
    }
    let taken = source.snapshot(plan.execution.parallel)?;
    if taken.is_none() && is_needed(plan) && plan.chunks.len() > 1 {
        return Err(Error::config("this source cannot give all chunks one snapshot")
            .with_hint(
                "use `consistency: auto` or `per_chunk`, or `chunk_by: none`: one statement is always consistent",
            )
            .with_context("export", plan.export.clone()));
    }
    Ok(taken)
}

/// Puts an instance at the shared read point; what its rows then come from. `again`: an earlier
/// instance of this worker was there and lost its connection.
///
/// Where the read point is gone and the plan can do without, the chunk is read at a point of its
/// own, and the manifest says so.
pub(super) fn join(plan: &Plan, snapshot: &Snapshot, source: &mut dyn Source, again: bool) -> Result<Option<String>> {
    let refused = if again && !snapshot.rejoinable {
        Error::new(ErrorKind::Conflict, "a connection was lost, and its snapshot cannot be joined again")
    } else {
        match source.join(snapshot) {
            Ok(()) => return Ok(Some(snapshot.read_point.clone())),
            // The server may be back in a moment, and the snapshot with it.
            Err(error) if error.is_transient() || !says_gone(error.kind()) => return Err(error),
            Err(error) => error,
        }
    };
    if is_needed(plan) {
        return Err(Error::new(ErrorKind::Conflict, format!("the run's snapshot is lost: {}", refused.message()))
            .with_code(LOST)
            .with_retry(Retry::Permanent)
            .with_hint(
                "the rows read so far belong to a read point that is gone; the run starts again from its first chunk",
            ));
    }
    log::warn!("{}: {}; from here on, chunks are read at points of their own", plan.export, refused.message());
    Ok(None)
}

/// Whether a refused join can mean that the snapshot's holder is gone, and not that the driver
/// or its rights are wrong.
fn says_gone(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Conflict | ErrorKind::NotFound | ErrorKind::Config | ErrorKind::InvalidQuery | ErrorKind::Data
    )
}
