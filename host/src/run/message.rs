//! What a worker's threads say to the pool.

use rivet_sdk::{Error, Result};

use crate::plan::{Chunk, Report};

/// What a worker says.
pub(super) enum Message {
    /// It reads at the run's snapshot now, or cannot.
    Joined { worker: u64, result: Result<()> },
    /// It has read a chunk of so many rows and can take another one.
    Read { worker: u64, rows: u64 },
    /// A chunk has its report, or failed.
    ChunkEnded { worker: u64, chunk: Chunk, result: Result<Option<Box<Report>>> },
    /// One of its threads panicked: nothing more comes of it.
    Died { worker: u64, error: Error },
}
