//! The wish to stop, from a signal or from a failure, seen by every worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use rivet_sdk::{Error, ErrorKind, Interrupt, Result};
use signal_hook::consts::{SIGINT, SIGTERM};

/// How often a guard looks at the wish to stop.
const GUARD_TICK: Duration = Duration::from_millis(50);

/// Starts a thread that nobody waits for. The system may refuse: that is an error like any other.
pub(super) fn thread(name: String, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let started = std::thread::Builder::new().name(name.clone()).spawn(work);
    started.map(|_| ()).map_err(|error| {
        Error::new(ErrorKind::ResourceExhausted, format!("the thread `{name}` could not be started: {error}"))
            .with_hint(
                "raise the limit of processes and threads (`ulimit -u`, a container's pids limit), or lower `parallel`",
            )
    })
}

/// Keeps [`Stop::guard`] going.
#[derive(Debug)]
pub struct Guard(Arc<AtomicBool>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A flag that every thread of a run looks at.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    wanted: Arc<AtomicBool>,
    signal: Arc<AtomicI32>,
}

/// Why a run was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// Ctrl-C: SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl StopReason {
    /// The exit code that says so: 128 and the signal's number.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

impl Stop {
    /// Stops on SIGINT and SIGTERM. A second signal ends the process at once.
    pub fn on_signals() -> Result<Self> {
        let stop = Self::default();
        let refused = |error: std::io::Error| Error::internal(format!("signal handlers: {error}"));
        for signal in [SIGINT, SIGTERM] {
            // Order matters: the second delivery finds the flag set by the first.
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop.wanted))
                .map_err(refused)?;
            signal_hook::flag::register(signal, Arc::clone(&stop.wanted)).map_err(refused)?;
        }
        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM]).map_err(refused)?;
        let seen = Arc::clone(&stop.signal);
        std::thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                seen.store(signal, Ordering::SeqCst);
            }
        });
        Ok(stop)
    }

    /// Whether to stop.
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Asks for it, as a signal would.
    #[cfg(test)]
    pub(crate) fn want(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// Calls `interrupt` once stopping is wanted, until the guard is dropped: for statements
    /// that run outside the pool.
    pub fn guard(&self, interrupt: Option<Box<dyn Interrupt>>) -> Result<Guard> {
        let over = Arc::new(AtomicBool::new(false));
        if let Some(interrupt) = interrupt {
            let (stop, over) = (self.clone(), Arc::clone(&over));
            let watch = move || {
                while !over.load(Ordering::Relaxed) {
                    if stop.is_wanted() {
                        if let Err(error) = interrupt.interrupt() {
                            log::warn!("a statement could not be cancelled on the server: {error}");
                        }
                        return;
                    }
                    std::thread::sleep(GUARD_TICK);
                }
            };
            thread("guard".to_owned(), watch)?;
        }
        Ok(Guard(over))
    }

    /// The signal that asked for it, if one did.
    pub fn reason(&self) -> Option<StopReason> {
        if !self.is_wanted() {
            return None;
        }
        match self.signal.load(Ordering::SeqCst) {
            SIGTERM => Some(StopReason::Terminate),
            _ => Some(StopReason::Interrupt),
        }
    }
}
