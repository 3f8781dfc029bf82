//! What may happen to a session while it works: an attention, a KILL, a client that is gone.

use std::cell::RefCell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Why a statement must stop before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Attention,
    Killed,
    Gone,
}

/// Shared by a session, the thread that reads its socket, and whoever KILLs it.
#[derive(Default)]
pub struct Signals {
    state: Mutex<Option<Signal>>,
    changed: Condvar,
}

impl Signals {
    fn state(&self) -> MutexGuard<'_, Option<Signal>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops whatever runs.
    pub fn raise(&self, signal: Signal) {
        let mut state = self.state();
        // The end of a session outlasts an attention.
        if state.is_none_or(|earlier| earlier == Signal::Attention) {
            *state = Some(signal);
        }
        self.changed.notify_all();
    }

    pub fn raised(&self) -> Option<Signal> {
        *self.state()
    }

    /// Takes note of an attention that has been answered.
    pub fn answered(&self) {
        let mut state = self.state();
        if *state == Some(Signal::Attention) {
            *state = None;
        }
    }

    /// Waits, unless a signal comes.
    pub fn wait(&self, time: Duration) -> Option<Signal> {
        let end = Instant::now() + time;
        let mut state = self.state();
        loop {
            if let Some(signal) = *state {
                return Some(signal);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

thread_local! {
    /// Whose locks this thread waits for, how long, and since when.
    static PATIENCE: RefCell<Option<(Arc<Signals>, Duration, Instant)>> = const { RefCell::new(None) };
}

/// Says for how long this thread waits for another session's locks.
pub fn be_patient(signals: Arc<Signals>, time: Duration) {
    PATIENCE.set(Some((signals, time, Instant::now())));
}

/// SQLite's question, whenever a lock is not to be had: whether to try again.
pub fn try_again(count: i32) -> bool {
    PATIENCE.with_borrow_mut(|patience| {
        let Some((signals, time, since)) = patience else { return false };
        if count == 0 {
            *since = Instant::now();
        }
        since.elapsed() < *time && signals.wait(Duration::from_millis(5)).is_none()
    })
}
