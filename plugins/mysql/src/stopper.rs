//! Stops a session's statement from another thread.

use std::time::Duration;

use rivet_sdk::network::Closer;
use rivet_sdk::sql::session::Stoppable;
use rivet_sdk::{Error, Result};

use crate::options::Endpoint;
use crate::wire::Wire;

/// How long it may take to have a statement stopped, login included: the host gives a statement that it stops ten
/// seconds.
const CANCEL: Duration = Duration::from_secs(4);

/// The server's thread of a session.
pub(crate) struct Thread {
    endpoint: Endpoint,
    number: u32,
    closer: Closer,
}

impl Thread {
    /// The one over this connection.
    pub fn of(endpoint: &Endpoint, wire: &Wire) -> Result<Self> {
        Ok(Self { endpoint: endpoint.clone(), number: wire.thread(), closer: wire.closer()? })
    }
}

impl Stoppable for Thread {
    fn stop(&self) -> Result<()> {
        kill(&self.endpoint, self.number)
    }

    /// The login's only connection may be the session's.
    fn give_up(&self, why: &Error) -> Error {
        self.closer.give_up(why)
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
