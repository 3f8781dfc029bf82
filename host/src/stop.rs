//! The wish to stop, from a signal or from a failure, seen by every worker.

use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rivet_sdk::{Error, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level;

use crate::threads;

/// How long the process may take to end once a signal asks it to: a little longer than what it waits for itself.
const LAST_RESORT: Duration = Duration::from_millis(11_500);

/// What [`Stop`] remembers of a signal: its number.
const INTERRUPT: usize = 2;
const TERMINATE: usize = 15;

/// What ends with this was stopped by the user, and can go on.
pub fn interrupted() -> Error {
    Error::cancelled("interrupted").with_hint("`rivet run --resume` continues this run")
}

/// A flag that every thread of a run looks at.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    wanted: Arc<AtomicBool>,
    /// The first signal's number; 0 before.
    signal: Arc<AtomicUsize>,
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
        for (signal, number) in [(SIGINT, INTERRUPT), (SIGTERM, TERMINATE)] {
            // Order matters: the second delivery finds the flag set by the first, and whoever sees the flag knows
            // already which signal set it.
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop.wanted))
                .map_err(refused)?;
            signal_hook::flag::register_usize(signal, Arc::clone(&stop.signal), number).map_err(refused)?;
            signal_hook::flag::register(signal, Arc::clone(&stop.wanted)).map_err(refused)?;
        }
        Ok(stop)
    }

    /// Ends the process, with the signal's exit code, if it has not ended some seconds after a signal: whatever it
    /// waits for then, it would wait for longer. `tell` says so.
    pub fn is_final(&self, tell: impl FnOnce(Duration) + Send + 'static) -> Result<()> {
        let refused = |error: std::io::Error| Error::internal(format!("signal handlers: {error}"));
        let (mut asked, ask) = UnixStream::pair().map_err(refused)?;
        for signal in [SIGINT, SIGTERM] {
            low_level::pipe::register(signal, ask.try_clone().map_err(refused)?).map_err(refused)?;
        }
        let stop = self.clone();
        threads::start("last-resort", move || {
            if asked.read_exact(&mut [0]).is_err() {
                return;
            }
            std::thread::sleep(LAST_RESORT);
            tell(LAST_RESORT);
            low_level::exit(stop.reason().unwrap_or(StopReason::Interrupt).exit_code().into());
        })?;
        Ok(())
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

    /// The flag itself, for whoever waits without knowing of signals.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.wanted)
    }

    /// The signal that asked for it, if one did.
    pub fn reason(&self) -> Option<StopReason> {
        if !self.wanted.load(Ordering::SeqCst) {
            return None;
        }
        match self.signal.load(Ordering::SeqCst) {
            TERMINATE => Some(StopReason::Terminate),
            _ => Some(StopReason::Interrupt),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever sees that it is to stop may end the process in the very next moment.
    #[test]
    fn a_termination_is_never_taken_for_an_interrupt() {
        let stop = Stop::on_signals().unwrap();
        assert_eq!(stop.reason(), None);
        signal_hook::low_level::raise(SIGTERM).unwrap();
        assert_eq!(stop.reason().map(StopReason::exit_code), Some(143));
    }
}
