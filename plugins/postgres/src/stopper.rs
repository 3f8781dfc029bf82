//! Stops a session's statement from another thread.

use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rivet_sdk::network::{Closer, Patience, lost};
use rivet_sdk::{Error, Result};

use crate::connect::Target;
use crate::wire::Wire;

/// How long a cancel request may take, connection included: the host gives a statement that it stops ten seconds.
const CANCEL: Duration = Duration::from_secs(4);

/// What another thread needs to stop the session's statement.
pub(crate) struct Stopper {
    /// The session in use now: it changes when a broken connection is opened anew.
    session: Mutex<Stoppable>,
    used: AtomicBool,
}

struct Stoppable {
    key: (Target, i32, i32),
    closer: Closer,
}

impl Stoppable {
    fn of(wire: &Wire) -> Result<Self> {
        Ok(Self { key: wire.cancel_key(), closer: wire.closer()? })
    }
}

impl Stopper {
    /// For the session over this connection.
    pub fn of(wire: &Wire) -> Result<Self> {
        Ok(Self { session: Mutex::new(Stoppable::of(wire)?), used: AtomicBool::new(false) })
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

    /// Sends a cancel request over a connection of its own. Where there is none to be had, ends the session's.
    pub fn stop(&self) -> Result<()> {
        self.used.store(true, Ordering::SeqCst);
        let (target, process, secret) = self.session.lock().unwrap_or_else(PoisonError::into_inner).key.clone();
        cancel(&target, process, secret)
            .map_err(|error| self.session.lock().unwrap_or_else(PoisonError::into_inner).closer.give_up(&error))
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
