//! What may happen to a session while it works: an attention, a KILL, a client that is gone.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::InterruptHandle;

/// Why a statement must stop before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Attention,
    Killed,
    Gone,
}

#[derive(Default)]
struct State {
    signal: Option<Signal>,
    interrupt: Option<InterruptHandle>,
}

/// Shared by a session, the thread that reads its socket, and whoever KILLs it.
#[derive(Default)]
pub struct Signals {
    state: Mutex<State>,
    changed: Condvar,
}

impl Signals {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops whatever runs.
    pub fn raise(&self, signal: Signal) {
        let mut state = self.state();
        // The end of a session outlasts an attention.
        if state.signal.is_none_or(|earlier| earlier == Signal::Attention) {
            state.signal = Some(signal);
        }
        if let Some(interrupt) = &state.interrupt {
            interrupt.interrupt();
        }
        self.changed.notify_all();
    }

    pub fn raised(&self) -> Option<Signal> {
        self.state().signal
    }

    /// Takes note of an attention that has been answered.
    pub fn answered(&self) {
        let mut state = self.state();
        if state.signal == Some(Signal::Attention) {
            state.signal = None;
        }
    }

    /// What to interrupt from now on.
    pub fn watch(&self, interrupt: InterruptHandle) {
        self.state().interrupt = Some(interrupt);
    }

    /// Waits, unless a signal comes.
    pub fn wait(&self, time: Duration) -> Option<Signal> {
        let end = Instant::now() + time;
        let mut state = self.state();
        loop {
            if let Some(signal) = state.signal {
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
