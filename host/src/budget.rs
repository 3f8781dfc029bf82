//! The one byte budget of the process: who may hold how much, and how much was held at most.
//!
//! Everything that buffers rows or file bytes owns a [`Share`] and takes [`Held`] bytes from
//! it. Waiting is first come, first served, and cannot deadlock: a share that holds nothing is
//! always served, so that each queue, plugin and encoder can hold at least one batch, whatever
//! the others do. The exception is a *large* request, above a sixteenth of the budget: it
//! needs the one exclusive permit, so that large values pass one after the other instead of
//! all at once.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rivet_sdk::{Error, HostServices, Result};

/// How often a waiting request looks at its cancel flag.
const CANCEL_CHECK: Duration = Duration::from_millis(50);

/// The process-wide byte budget (`memory_limit_mb`).
pub struct Budget {
    limit: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    used: u64,
    peak: u64,
    next_ticket: u64,
    waiting: VecDeque<u64>,
    large_out: bool,
}

impl Budget {
    /// A budget of `limit_bytes`.
    pub fn new(limit_bytes: u64) -> Arc<Self> {
        Arc::new(Self { limit: limit_bytes, state: Mutex::default(), changed: Condvar::new() })
    }

    /// The budget's size.
    pub fn limit(&self) -> u64 {
        self.limit
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
        self.limit / 16
    }

    /// A new holder.
    pub fn share(self: &Arc<Self>) -> Share {
        Share(Arc::new(ShareState { budget: Arc::clone(self), held: Mutex::new(0) }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(state: &mut State, bytes: u64) {
        state.used = state.used.saturating_add(bytes);
        state.peak = state.peak.max(state.used);
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Budget").field("limit", &self.limit).field("used", &state.used).finish_non_exhaustive()
    }
}

/// One holder of the budget: a queue, a plugin instance, an encoder. Clones are the same holder.
#[derive(Clone)]
pub struct Share(Arc<ShareState>);

struct ShareState {
    budget: Arc<Budget>,
    held: Mutex<u64>,
}

impl ShareState {
    fn held(&self) -> MutexGuard<'_, u64> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, state: &mut State, bytes: u64) {
        Budget::add(state, bytes);
        *self.held() += bytes;
    }

    fn give_back(&self, bytes: u64, large: bool) {
        let mut state = self.budget.lock();
        let mut held = self.held();
        let bytes = bytes.min(*held);
        *held -= bytes;
        state.used = state.used.saturating_sub(bytes);
        if large {
            state.large_out = false;
        }
        drop(held);
        drop(state);
        self.budget.changed.notify_all();
    }
}

impl Share {
    /// Takes `bytes`, waiting until they are free. Fails with kind `Cancelled` once
    /// `cancelled` is set.
    pub fn take(&self, bytes: u64, cancelled: &AtomicBool) -> Result<Held> {
        let large = bytes > self.0.budget.large_above();
        self.wait_for(bytes, large, cancelled)?;
        Ok(Held { share: self.clone(), bytes, large })
    }

    /// Records `bytes` that are held already, without waiting: what an encoder buffers is
    /// known only afterwards. It holds others back, never the caller.
    pub fn record(&self, bytes: u64) -> Held {
        self.0.take(&mut self.0.budget.lock(), bytes);
        Held { share: self.clone(), bytes, large: false }
    }

    /// Bytes this share holds now.
    pub fn held(&self) -> u64 {
        *self.0.held()
    }

    /// Takes bytes where they are free and nobody waits for any.
    fn take_free(&self, bytes: u64) -> bool {
        let mut state = self.0.budget.lock();
        let free = state.waiting.is_empty() && state.used.saturating_add(bytes) <= self.0.budget.limit;
        if free {
            self.0.take(&mut state, bytes);
        }
        free
    }

    fn wait_for(&self, bytes: u64, large: bool, cancelled: &AtomicBool) -> Result<()> {
        let budget = &self.0.budget;
        let mut state = budget.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.push_back(ticket);
        loop {
            if cancelled.load(Ordering::Relaxed) {
                state.waiting.retain(|waiting| *waiting != ticket);
                drop(state);
                budget.changed.notify_all();
                return Err(Error::cancelled("the host asked to stop"));
            }
            let fits = state.used.saturating_add(bytes) <= budget.limit;
            let first = state.waiting.front() == Some(&ticket);
            let permitted = !large || !state.large_out;
            if permitted && (*self.0.held() == 0 || (first && fits)) {
                state.waiting.retain(|waiting| *waiting != ticket);
                state.large_out |= large;
                self.0.take(&mut state, bytes);
                drop(state);
                budget.changed.notify_all();
                return Ok(());
            }
            state = budget.changed.wait_timeout(state, CANCEL_CHECK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("held", &self.held()).finish_non_exhaustive()
    }
}

/// Bytes taken from the budget, given back when dropped.
#[derive(Debug)]
pub struct Held {
    share: Share,
    bytes: u64,
    large: bool,
}

impl Held {
    /// How many.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Replaces the amount, without waiting.
    pub fn set(&mut self, bytes: u64) {
        if bytes > self.bytes {
            self.share.0.take(&mut self.share.0.budget.lock(), bytes - self.bytes);
        } else if bytes < self.bytes {
            self.share.0.give_back(self.bytes - bytes, false);
        }
        self.bytes = bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.share.0.give_back(self.bytes, self.large);
    }
}

/// What the host lends to one plugin instance: its cancel flag and a share of the budget.
#[derive(Debug, Clone)]
pub struct InstanceServices {
    share: Share,
    cancelled: Arc<AtomicBool>,
}

impl InstanceServices {
    /// Services over a share; they cancel once `cancelled` is set.
    pub fn new(share: Share, cancelled: Arc<AtomicBool>) -> Self {
        Self { share, cancelled }
    }
}

impl HostServices for InstanceServices {
    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn reserve(&self, bytes: u64) -> Result<()> {
        self.share.wait_for(bytes, false, &self.cancelled)
    }

    fn try_reserve(&self, bytes: u64) -> bool {
        self.share.take_free(bytes)
    }

    fn release(&self, bytes: u64) {
        self.share.0.give_back(bytes, false);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    fn never() -> AtomicBool {
        AtomicBool::new(false)
    }

    #[test]
    fn a_request_waits_until_another_share_gives_back() {
        let budget = Budget::new(1600);
        let (first, second) = (budget.share(), budget.share());
        let held: Vec<_> = (0..15).map(|_| first.take(100, &never()).unwrap()).collect();
        let floor = second.take(100, &never()).unwrap();
        let (sent, received) = mpsc::channel();
        let waiter = {
            let second = second.clone();
            thread::spawn(move || sent.send(second.take(100, &never()).map(|held| held.bytes())).unwrap())
        };
        assert!(received.recv_timeout(Duration::from_millis(100)).is_err());
        drop(held);
        assert_eq!(received.recv().unwrap().unwrap(), 100);
        waiter.join().unwrap();
        drop(floor);
        assert_eq!((budget.used(), budget.peak()), (0, 1600));
    }

    #[test]
    fn an_empty_share_is_always_served() {
        let budget = Budget::new(100);
        let shares: Vec<Share> = (0..8).map(|_| budget.share()).collect();
        let held: Vec<Held> = shares.iter().map(|share| share.record(90)).collect();
        assert_eq!(budget.used(), 720);
        assert_eq!(budget.share().take(5, &never()).unwrap().bytes(), 5);
        drop(held);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn large_values_pass_one_after_the_other() {
        let budget = Budget::new(160);
        let large = budget.share().take(50, &never()).unwrap();
        let (sent, received) = mpsc::channel();
        let other = budget.share();
        let waiter = thread::spawn(move || sent.send(other.take(50, &never()).map(|held| held.bytes())).unwrap());
        assert!(received.recv_timeout(Duration::from_millis(100)).is_err());
        drop(large);
        assert_eq!(received.recv().unwrap().unwrap(), 50);
        waiter.join().unwrap();
    }

    #[test]
    fn what_can_do_with_less_is_told_at_once() {
        let budget = Budget::new(100);
        let services = |share: &Share| InstanceServices::new(share.clone(), Arc::default());
        let (one, other) = (budget.share(), budget.share());
        assert!(services(&one).try_reserve(60));
        assert!(!services(&other).try_reserve(60));
        assert!(services(&other).try_reserve(40));
        services(&one).release(60);
        let waiter = {
            let other = other.clone();
            thread::spawn(move || other.take(80, &never()).map(|held| held.bytes()))
        };
        while budget.lock().waiting.is_empty() {
            thread::yield_now();
        }
        assert!(!services(&one).try_reserve(10), "overtook somebody who waits");
        services(&other).release(40);
        assert_eq!(waiter.join().unwrap().unwrap(), 80);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn waiting_ends_when_cancelled() {
        let budget = Budget::new(100);
        let share = budget.share();
        let _held = share.take(5, &never()).unwrap();
        let _rest = budget.share().record(95);
        let error = share.take(5, &AtomicBool::new(true)).unwrap_err();
        assert_eq!(error.kind(), rivet_sdk::ErrorKind::Cancelled);
        assert_eq!(budget.used(), 100);
    }
}
