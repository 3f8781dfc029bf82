//! Stops a session's statement from another thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rivet_sdk::Result;
use rivet_sdk::network::Closer;

use crate::options::Endpoint;
use crate::wire::Wire;

/// How long it may take to have a statement stopped, login included: the host gives a statement that it stops ten
/// seconds.
const CANCEL: Duration = Duration::from_secs(4);

/// What another thread needs to stop the session's statement.
pub(crate) struct Stopper {
    endpoint: Endpoint,
    /// The session in use now: it changes when a broken connection is opened anew.
    session: Mutex<Stoppable>,
    used: AtomicBool,
}

struct Stoppable {
    thread: u32,
    closer: Closer,
}

impl Stoppable {
    fn of(wire: &Wire) -> Result<Self> {
        Ok(Self { thread: wire.thread(), closer: wire.closer()? })
    }
}

impl Stopper {
    /// For the session over this connection.
    pub fn of(endpoint: &Endpoint, wire: &Wire) -> Result<Self> {
        let session = Mutex::new(Stoppable::of(wire)?);
        Ok(Self { endpoint: endpoint.clone(), session, used: AtomicBool::new(false) })
    }

    /// The session has another connection now.
    pub fn moves_to(&self, wire: &Wire) -> Result<()> {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Stoppable::of(wire)?;
        Ok(())
    }

    /// Whether somebody stopped a statement.
    pub fn was_used(&self) -> bool {
        self.used.load(Ordering::SeqCst)
    }

    /// Sends KILL QUERY over a connection of its own. Where there is none to be had (the login's only one is the
    /// session's), ends that.
    pub fn stop(&self) -> Result<()> {
        self.used.store(true, Ordering::SeqCst);
        let thread = self.session.lock().unwrap_or_else(PoisonError::into_inner).thread;
        kill(&self.endpoint, thread)
            .map_err(|error| self.session.lock().unwrap_or_else(PoisonError::into_inner).closer.give_up(&error))
    }
}

/// Asks the server, over a connection of its own, to stop a session's statement.
pub(crate) fn kill(endpoint: &Endpoint, thread: u32) -> Result<()> {
    let mut wire = Wire::open_within(endpoint, CANCEL)?;
    match wire.query(&format!("KILL QUERY {thread}")) {
        // The session is gone, and its statement with it.
        Err(error) if error.code() == Some("1094") => Ok(()),
        other => other.map(|_| ()),
    }
}
