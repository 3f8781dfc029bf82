//! The queue itself: a sender for the source, a receiver for the encoder.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use rivet_sdk::{BatchSink, Error, Result};

use super::check::{check_batch, check_schema};
use crate::budget::{MemoryReservation, Share};

/// How often a waiting side looks at its cancel flag.
const FENCE_CHECK: Duration = Duration::from_millis(50);

/// Rows and bytes that came through, for progress displays. Shared by all workers.
#[derive(Debug, Default)]
pub struct Counters {
    /// Rows taken from sources.
    pub rows: AtomicU64,
    /// Bytes of the Arrow buffers they came in.
    pub bytes: AtomicU64,
}

/// What a channel needs to know.
#[derive(Debug, Clone)]
pub struct ChannelSpec {
    /// [`Plan::source_schema`](crate::plan::Plan::source_schema).
    pub schema: SchemaRef,
    /// This queue's share of the process's budget.
    pub share: Share,
    /// Bytes this queue holds at most; one batch always fits.
    pub capacity_bytes: u64,
    /// Set by the host to stop this attempt: from then on the sender answers `Cancelled`.
    pub cancelled: Arc<AtomicBool>,
    /// Where rows and bytes are counted.
    pub counters: Arc<Counters>,
}

/// A queue for one attempt at one chunk.
pub fn channel(spec: ChannelSpec) -> (Sender, Receiver) {
    let queue = Arc::new(Queue { state: Mutex::default(), changed: Condvar::new() });
    let receiver = Receiver { queue: Arc::clone(&queue), cancelled: Arc::clone(&spec.cancelled) };
    (Sender { queue, spec, schema_seen: false, rows: 0, bytes: 0 }, receiver)
}

struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    batches: VecDeque<QueuedBatch>,
    bytes: u64,
    sender_gone: bool,
    complete: bool,
    receiver_gone: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, FENCE_CHECK).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// A batch, and its bytes of the budget.
#[derive(Debug)]
pub struct QueuedBatch {
    /// The rows.
    pub batch: RecordBatch,
    /// Given back when dropped: drop it together with the rows.
    pub memory: MemoryReservation,
}

/// The source's end of a queue.
pub struct Sender {
    queue: Arc<Queue>,
    spec: ChannelSpec,
    schema_seen: bool,
    rows: u64,
    bytes: u64,
}

impl Sender {
    /// Rows accepted so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of the Arrow buffers accepted so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Says that the source delivered everything. Dropping a sender without it tells the
    /// receiver that the source failed.
    pub fn complete(self) -> Result<()> {
        if !self.schema_seen {
            return Err(Error::protocol("the source ended without delivering a schema"));
        }
        self.queue.lock().complete = true;
        Ok(())
    }

    fn check_open(&self, state: &State) -> Result<()> {
        if state.receiver_gone || self.spec.cancelled.load(Ordering::Relaxed) {
            return Err(Error::cancelled("the rows are no longer wanted"));
        }
        Ok(())
    }
}

impl BatchSink for Sender {
    fn on_schema(&mut self, schema: SchemaRef) -> Result<()> {
        if self.schema_seen {
            return Err(Error::protocol("the source delivered a schema twice"));
        }
        check_schema(&self.spec.schema, &schema)?;
        self.schema_seen = true;
        self.check_open(&self.queue.lock())
    }

    fn on_batch(&mut self, batch: RecordBatch) -> Result<()> {
        if !self.schema_seen {
            return Err(Error::protocol("the source delivered rows before their schema"));
        }
        check_batch(&self.spec.schema, &batch)?;
        let rows = u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
        if rows == 0 {
            return self.check_open(&self.queue.lock());
        }
        let bytes = u64::try_from(batch.get_array_memory_size()).unwrap_or(u64::MAX);
        let mut state = self.queue.lock();
        loop {
            self.check_open(&state)?;
            if state.bytes == 0 || state.bytes.saturating_add(bytes) <= self.spec.capacity_bytes {
                break;
            }
            state = self.queue.wait(state);
        }
        drop(state);
        let memory = self.spec.share.take(bytes, &self.spec.cancelled)?;
        self.rows += rows;
        self.bytes += bytes;
        self.spec.counters.rows.fetch_add(rows, Ordering::Relaxed);
        self.spec.counters.bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut state = self.queue.lock();
        self.check_open(&state)?;
        state.bytes += bytes;
        state.batches.push_back(QueuedBatch { batch, memory });
        drop(state);
        self.queue.changed.notify_all();
        Ok(())
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.queue.lock().sender_gone = true;
        self.queue.changed.notify_all();
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// The encoder's end of a queue: an iterator over batches. Dropping it stops the source.
pub struct Receiver {
    queue: Arc<Queue>,
    cancelled: Arc<AtomicBool>,
}

impl Receiver {
    /// After the last batch: whether the source delivered everything. If not, its own result
    /// says why, and the parts must be abandoned.
    pub fn is_complete(&self) -> bool {
        self.queue.lock().complete && !self.cancelled.load(Ordering::Relaxed)
    }
}

impl Iterator for Receiver {
    type Item = QueuedBatch;

    fn next(&mut self) -> Option<QueuedBatch> {
        let mut state = self.queue.lock();
        loop {
            if self.cancelled.load(Ordering::Relaxed) {
                return None;
            }
            if let Some(next) = state.batches.pop_front() {
                state.bytes = state.bytes.saturating_sub(next.memory.bytes());
                drop(state);
                self.queue.changed.notify_all();
                return Some(next);
            }
            if state.sender_gone {
                return None;
            }
            state = self.queue.wait(state);
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.receiver_gone = true;
        state.batches.clear();
        state.bytes = 0;
        drop(state);
        self.queue.changed.notify_all();
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}
