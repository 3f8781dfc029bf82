//! From batches to parts: names, metadata columns, encoding, and streaming to the destination.
//!
//! A [`ChunkSink`] takes the rows of one attempt at one chunk and writes its parts. The same
//! rows in the same order give the same bytes, whatever batches they came in, however many
//! threads encode and however tight memory is. A part becomes visible when it is complete;
//! a sink that is dropped before [`ChunkSink::finish`] leaves nothing behind.

mod blocks;
mod chunk;
mod csv;
mod longest;
mod object;
mod parquet;
mod partition;
mod pool;
mod router;
mod row_hash;
mod schema;
mod ties;
mod unique;

use arrow_array::RecordBatch;
use rivet_sdk::{Destination, Result};

pub use self::chunk::{ChunkSink, OnPart, PartKey, See, SinkSpec, Written};
pub use self::partition::{any_folder, check as check_partition};
use self::router::Router;
pub use self::schema::{EXPORTED_AT, ROW_HASH, output_schema};
pub use self::ties::TieFilter;
use self::unique::Uniques;
pub use self::unique::too_many as too_many_unique;
use crate::batch::Receiver;
use crate::plan::QualitySpec;

/// Row groups larger than this share of the memory budget are made smaller.
const GROUPS_OF_BUDGET: u64 = 8;
/// Row groups smaller than this make files slow to read.
const MIN_GROUP_BYTES: u64 = 4 << 20;

/// The row group target for a plan: the configured one, or less where `workers` workers, each
/// with a row group in memory, would take more than an eighth of the memory budget for them.
///
/// Part of the plan, not of the run: borders may depend on settings, never on memory.
pub fn row_group_bytes(configured: u64, memory_limit_bytes: u64, workers: u32) -> u64 {
    let share = memory_limit_bytes / GROUPS_OF_BUDGET / u64::from(workers.max(1));
    configured.min(share.max(MIN_GROUP_BYTES))
}

/// Writes everything a queue gives, into folders where the output wants partitions. None where
/// the source did not deliver all of it: then nothing is left behind, and the source's own
/// result says why. What `ties` leaves out is not written, and nothing else looks at it.
pub fn write_chunk(
    spec: SinkSpec<'_>,
    quality: Option<&QualitySpec>,
    mut ties: Option<&mut TieFilter>,
    chunks: usize,
    destination: &mut dyn Destination,
    queue: &mut Receiver,
) -> Result<Option<Written>> {
    let mut uniques = Uniques::new(quality, spec.columns, &spec.share)?;
    let mut see = |batch: &RecordBatch| {
        let left = ties.as_mut().map(|ties| ties.pass(batch)).transpose()?.flatten();
        uniques.see(left.as_ref().unwrap_or(batch))?;
        Ok(left)
    };
    let written = match &spec.output.partition {
        None => ChunkSink::new(spec, destination)?.write_all(queue, &mut see)?,
        Some(partition) => Router::new(partition, spec, destination)?.write_all(queue, &mut see)?,
    };
    Ok(written.map(|written| Written { unique: uniques.end(chunks > 1), ..written }))
}
