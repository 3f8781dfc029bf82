//! Stops a session's statement from another thread.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rivet_sdk::network::{Closer, Patience, lost};
use rivet_sdk::sql::session::Stoppable;
use rivet_sdk::{Error, Result};

use crate::connect::Target;
use crate::wire::Wire;

/// How long a cancel request may take, connection included: the host gives a statement that it stops ten seconds.
const CANCEL: Duration = Duration::from_secs(4);

/// The server process of a session.
pub(crate) struct Backend {
    key: (Target, i32, i32),
    closer: Closer,
}

impl Backend {
    /// The one over this connection.
    pub fn of(wire: &Wire) -> Result<Self> {
        Ok(Self { key: wire.cancel_key(), closer: wire.closer()? })
    }
}

impl Stoppable for Backend {
    fn stop(&self) -> Result<()> {
        let (target, process, secret) = &self.key;
        cancel(target, *process, *secret)
    }

    fn give_up(&self, why: &Error) -> Error {
        self.closer.give_up(why)
    }
}

/// Asks the server, over a connection of its own, to stop a session's statement.
pub(crate) fn cancel(target: &Target, process: i32, secret: i32) -> Result<()> {
    let (mut target, mut patience) = (target.clone(), Patience::for_login(CANCEL));
    let mut stream = target.connect(&mut patience)?;
    let mut request = BytesMut::new();
    frontend::cancel_request(process, secret, &mut request);
    stream.write_all(&request).and_then(|()| stream.flush()).map_err(|error| lost(&error))?;
    // The server closes once it has passed the signal on.
    match patience.within(&mut stream).read(&mut [0]) {
        Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            Err(Error::connection(format!("{} does not take the request to stop", target.server.display())))
        }
        _ => Ok(()),
    }
}
