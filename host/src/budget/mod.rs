//! The one byte budget of the process: who may hold how much, and how much was held at most.
//!
//! Everything that buffers rows or file bytes owns a [`Share`] and takes a [`MemoryReservation`] from it. Waiting is
//! first come, first served, and cannot deadlock: a share that holds nothing is always served, so that each queue,
//! plugin and encoder can hold at least one batch, whatever the others do.
//!
//! The exception is a *large* value, which takes a multiple of its size on its way from the
//! connection to the file. It needs the one exclusive permit, from the first of its bytes that
//! are read until the last are written. The permit belongs to a [`Lane`], that is, to one worker:
//! the value passes from its source to its encoder under it. Meanwhile no other worker's batch
//! enters a queue, and what is in the queues is encoded first.

mod services;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use services::InstanceServices;

use rivet_sdk::{Error, Result};

/// How often a waiting request looks at its cancel flag.
const CANCEL_CHECK: Duration = Duration::from_millis(50);
/// What this share of the limit stands for is not counted: code, threads, compressors, and what the
/// allocator keeps.
const UNCOUNTED_OF_LIMIT: u64 = 4;
/// What a large value takes of the budget, in values: the batch it came in, the page it is put
/// into, that page with its levels, and the page compressed.
const LARGE_COPIES: u64 = 4;
/// How long a large value waits for room that may never come: a worker that hangs keeps its batch.
const PATIENCE: Duration = Duration::from_secs(2);
/// A value above the limit divided by this is large…
const LARGE_OF_LIMIT: u64 = 16;
/// …or above a worker's share of it divided by this: as many as there are workers may come at once.
const LARGE_OF_LANE: u64 = 8;

/// The process-wide byte budget (`memory_limit_mb`).
pub struct Budget {
    limit: u64,
    lanes: AtomicU64,
    next_lane: AtomicU64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    used: u64,
    peak: u64,
    /// Of what is used: batches between a source and its encoder, which go away by themselves.
    queued: u64,
    next_ticket: u64,
    waiting: VecDeque<u64>,
    large: Option<Large>,
}

/// Who has the exclusive permit.
struct Large {
    lane: u64,
    /// Set once that worker was given up: its permit is anybody's.
    cancelled: Arc<AtomicBool>,
    in_source: usize,
    in_queue: usize,
}

impl Budget {
    /// A budget of `limit_bytes`.
    pub fn new(limit_bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            limit: limit_bytes,
            lanes: AtomicU64::new(0),
            next_lane: AtomicU64::new(0),
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// The budget's size.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// What may be held at once.
    fn room(&self) -> u64 {
        self.limit - self.limit / UNCOUNTED_OF_LIMIT
    }

    /// Bytes held now.
    pub fn used(&self) -> u64 {
        self.lock().used
    }

    /// The most bytes that were ever held at once.
    pub fn peak(&self) -> u64 {
        self.lock().peak
    }

    /// Requests above this need the exclusive permit.
    pub fn large_above(&self) -> u64 {
        self.limit / LARGE_OF_LIMIT.max(LARGE_OF_LANE * self.lanes.load(Ordering::Relaxed))
    }

    /// The shares of one worker, which ends when `cancelled` is set.
    pub fn lane(self: &Arc<Self>, cancelled: Arc<AtomicBool>) -> Lane {
        self.lanes.fetch_add(1, Ordering::Relaxed);
        let id = self.next_lane.fetch_add(1, Ordering::Relaxed);
        Lane(Arc::new(LaneState { budget: Arc::clone(self), id, cancelled }))
    }

    /// A holder on its own.
    pub fn share(self: &Arc<Self>) -> Share {
        self.lane(Arc::default()).share()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Budget").field("limit", &self.limit).field("used", &state.used).finish_non_exhaustive()
    }
}

/// One worker's shares: large values pass among them under one permit.
#[derive(Clone)]
pub struct Lane(Arc<LaneState>);

struct LaneState {
    budget: Arc<Budget>,
    id: u64,
    cancelled: Arc<AtomicBool>,
}

impl Lane {
    /// A new holder.
    pub fn share(&self) -> Share {
        Share(Arc::new(ShareState { lane: self.clone(), held: Mutex::default() }))
    }

    fn has_permit(&self, large: &Large) -> bool {
        large.lane == self.0.id
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("id", &self.0.id).finish_non_exhaustive()
    }
}

impl Drop for LaneState {
    fn drop(&mut self) {
        self.budget.lanes.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One holder of the budget: a queue, a plugin instance, an encoder. Clones are the same holder.
#[derive(Clone)]
pub struct Share(Arc<ShareState>);

struct ShareState {
    lane: Lane,
    held: Mutex<Holding>,
}

#[derive(Default)]
struct Holding {
    bytes: u64,
    /// Reservations of a source that are large.
    large: Vec<u64>,
}

/// What bytes are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// A batch on its way to the encoder.
    Queue,
    /// A source's buffer.
    Source,
    /// Anything else; never large.
    Other,
}

impl ShareState {
    fn budget(&self) -> &Budget {
        &self.lane.0.budget
    }

    fn held(&self) -> MutexGuard<'_, Holding> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, state: &mut State, bytes: u64) {
        state.used = state.used.saturating_add(bytes);
        state.peak = state.peak.max(state.used);
        self.held().bytes += bytes;
    }

    fn give_back(&self, bytes: u64, of: Use, large: bool) {
        let mut state = self.budget().lock();
        let mut held = self.held();
        let bytes = bytes.min(held.bytes);
        held.bytes -= bytes;
        state.used = state.used.saturating_sub(bytes);
        if of == Use::Queue {
            state.queued = state.queued.saturating_sub(bytes);
        }
        if large && let Some(permit) = state.large.as_mut().filter(|permit| self.lane.has_permit(permit)) {
            let holders = if of == Use::Queue { &mut permit.in_queue } else { &mut permit.in_source };
            *holders = holders.saturating_sub(1);
            if permit.in_queue + permit.in_source == 0 {
                state.large = None;
            }
        }
        drop(held);
        drop(state);
        self.budget().changed.notify_all();
    }

    /// Takes `bytes` once they may be had; whether they are a large value's.
    fn wait_for(&self, bytes: u64, of: Use, cancelled: &AtomicBool) -> Result<bool> {
        let budget = self.budget();
        let large = of != Use::Other && bytes > budget.large_above();
        let mut state = budget.lock();
        let since = Instant::now();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        if !large {
            state.waiting.push_back(ticket);
        }
        loop {
            if cancelled.load(Ordering::Relaxed) {
                state.waiting.retain(|waiting| *waiting != ticket);
                // It had the permit, and waited for room.
                let unused = |permit: &Large| self.lane.has_permit(permit) && permit.in_queue + permit.in_source == 0;
                if large && state.large.as_ref().is_some_and(unused) {
                    state.large = None;
                }
                drop(state);
                budget.changed.notify_all();
                return Err(Error::cancelled("interrupted"));
            }
            if state.large.as_ref().is_some_and(|permit| permit.cancelled.load(Ordering::Relaxed)) {
                state.large = None;
            }
            let served = if large {
                self.permit(&mut state, bytes, of, since.elapsed() > PATIENCE)
            } else {
                match &state.large {
                    Some(permit) if self.lane.has_permit(permit) => true,
                    Some(_) if of == Use::Queue => false,
                    _ => {
                        let fits = state.used.saturating_add(bytes) <= budget.room();
                        self.held().bytes == 0 || (fits && state.waiting.front() == Some(&ticket))
                    }
                }
            };
            if served {
                state.waiting.retain(|waiting| *waiting != ticket);
                if of == Use::Queue {
                    state.queued += bytes;
                }
                self.add(&mut state, bytes);
                drop(state);
                budget.changed.notify_all();
                return Ok(large);
            }
            state = budget.changed.wait_timeout(state, CANCEL_CHECK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes bytes where there is room, nobody waits for any, and no large value is on its way.
    fn take_free(&self, bytes: u64, of: Use) -> bool {
        let budget = self.budget();
        let mut state = budget.lock();
        let fits = state.used.saturating_add(bytes) <= budget.room();
        let small = of == Use::Other || bytes <= budget.large_above();
        let free = fits && small && state.waiting.is_empty() && state.large.is_none();
        if free {
            self.add(&mut state, bytes);
        }
        free
    }

    /// Whether a large value may come in now.
    fn permit(&self, state: &mut State, bytes: u64, of: Use, impatient: bool) -> bool {
        let has_room = impatient || self.has_room(state, bytes);
        let waits = match &state.large {
            // The value comes out of this worker's source, or its source needs another buffer for it.
            Some(permit) if self.lane.has_permit(permit) && permit.in_source > 0 => permit.in_queue > 0,
            Some(permit) if self.lane.has_permit(permit) => permit.in_queue > 0 || !has_room,
            Some(_) => true,
            None => {
                // From now on no other batch enters a queue: room will be there.
                let cancelled = Arc::clone(&self.lane.0.cancelled);
                state.large = Some(Large { lane: self.lane.0.id, cancelled, in_source: 0, in_queue: 0 });
                !has_room
            }
        };
        if !waits && let Some(permit) = &mut state.large {
            let holders = if of == Use::Queue { &mut permit.in_queue } else { &mut permit.in_source };
            *holders += 1;
        }
        !waits
    }

    /// Whether there is room for all that a large value takes, or nothing left to wait for.
    fn has_room(&self, state: &State, bytes: u64) -> bool {
        let wanted = bytes.saturating_mul(LARGE_COPIES);
        state.used.saturating_add(wanted) <= self.budget().room() || state.queued == 0
    }
}

impl Drop for ShareState {
    /// A plugin that went away may not have given everything back.
    fn drop(&mut self) {
        let (left, large) = {
            let mut held = self.held();
            (held.bytes, std::mem::take(&mut held.large))
        };
        for bytes in &large {
            self.give_back(*bytes, Use::Source, true);
        }
        let left = left.saturating_sub(large.iter().sum());
        if left > 0 {
            self.give_back(left, Use::Other, false);
        }
    }
}

impl Share {
    /// Takes `bytes` for a batch in a queue, waiting until they are free. Fails with kind
    /// `Cancelled` once `cancelled` is set.
    pub fn take(&self, bytes: u64, cancelled: &AtomicBool) -> Result<MemoryReservation> {
        let large = self.0.wait_for(bytes, Use::Queue, cancelled)?;
        Ok(MemoryReservation { share: self.clone(), bytes, of: Use::Queue, large })
    }

    /// Records `bytes` that are held already, without waiting: what an encoder buffers is
    /// known only afterwards. It holds others back, never the caller.
    pub fn record(&self, bytes: u64) -> MemoryReservation {
        self.0.add(&mut self.0.budget().lock(), bytes);
        MemoryReservation { share: self.clone(), bytes, of: Use::Other, large: false }
    }

    /// Bytes this share holds now.
    pub fn held(&self) -> u64 {
        self.0.held().bytes
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("held", &self.held()).finish_non_exhaustive()
    }
}

/// Bytes taken from the budget, given back when dropped.
#[derive(Debug)]
pub struct MemoryReservation {
    share: Share,
    bytes: u64,
    of: Use,
    large: bool,
}

impl MemoryReservation {
    /// How many.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Replaces the amount, without waiting.
    pub fn set(&mut self, bytes: u64) {
        if bytes > self.bytes {
            self.share.0.add(&mut self.share.0.budget().lock(), bytes - self.bytes);
        } else if bytes < self.bytes {
            self.share.0.give_back(self.bytes - bytes, Use::Other, false);
        }
        self.bytes = bytes;
    }
}

impl Drop for MemoryReservation {
    fn drop(&mut self) {
        self.share.0.give_back(self.bytes, self.of, self.large);
    }
}
