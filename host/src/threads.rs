//! Threads that the system may refuse: an error like any other, and no panic.

use std::thread::{Builder, JoinHandle};

use rivet_sdk::{Error, ErrorKind, Result};

/// Starts a thread. Nobody need wait for it.
pub fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(work).map_err(|error| {
        Error::new(ErrorKind::ResourceExhausted, format!("the thread `{name}` could not be started: {error}"))
            .with_hint(
                "raise the limit of processes and threads (`ulimit -u`, a container's pids limit), or lower `parallel`",
            )
    })
}
