//! What a progress display hears of a run.

use std::sync::Arc;
use std::time::Duration;

use rivet_sdk::Error;

use crate::batch::Counters;
use crate::plan::{Plan, Report};

/// Told what is going on, for progress displays.
pub trait Watch {
    /// The plan is made; `done` chunks of it have reports already.
    fn planned(&mut self, plan: &Plan, done: usize, counters: &Arc<Counters>);
    /// Something happened to a chunk.
    fn chunk(&mut self, event: &ChunkEvent<'_>);
    /// The last chunk is done; the commit begins.
    fn committing(&mut self, plan: &Plan);
}

/// What happened to a chunk, for progress displays.
#[derive(Debug)]
pub enum ChunkEvent<'a> {
    /// Its report is published.
    Done(&'a Report),
    /// Another process had published its report before.
    DoneElsewhere(u32),
    /// It failed and is tried again after the delay.
    Retried {
        chunk: u32,
        /// What went wrong.
        error: &'a Error,
        /// The pause before the next attempt.
        delay: Duration,
    },
}
