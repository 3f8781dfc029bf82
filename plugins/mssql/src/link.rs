//! The connected socket, plain or under TLS, that two threads may write to: the one that works, and
//! the one that stops it. Only the first one reads.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rivet_sdk::network::{self, Patience, lost};
use rivet_sdk::rustls::ClientConnection;
use rivet_sdk::sql::session::Stoppable;
use rivet_sdk::{Error, Result};

use crate::packet;

/// Encrypted bytes read from the socket at a time.
const RECORD_BYTES: usize = 32 << 10;

/// A socket, and the TLS session over it.
pub(crate) struct Link {
    socket: TcpStream,
    encrypted: bool,
    /// Held only while bytes are moved in or out of the session, or written to the socket; never
    /// while the socket is waited for.
    session: Mutex<Option<ClientConnection>>,
}

/// Bytes from the socket that have not gone into the session yet.
#[derive(Debug, Default)]
pub(crate) struct Records {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    closed: bool,
}

impl Link {
    /// A link over a connected socket; None as the session means plain text.
    pub fn new(socket: TcpStream, session: Option<ClientConnection>) -> Self {
        Self { socket, encrypted: session.is_some(), session: Mutex::new(session) }
    }

    /// Sends all of `packet`, which becomes one TLS record.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        let mut session = self.lock();
        match &mut *session {
            None => (&self.socket).write_all(packet),
            Some(session) => {
                session.writer().write_all(packet)?;
                while session.wants_write() {
                    session.write_tls(&mut &self.socket)?;
                }
                Ok(())
            }
        }
    }

    /// Reads into `buffer`; 0 means that the server closed. `records` is the caller's to keep.
    pub fn read(&self, buffer: &mut [u8], records: &mut Records, patience: &mut Patience) -> io::Result<usize> {
        if !self.encrypted {
            return patience.over(&self.socket).read(buffer);
        }
        loop {
            if let Some(count) = self.decrypt(buffer, records)? {
                return Ok(count);
            }
            records.bytes.resize(RECORD_BYTES, 0);
            records.start = 0;
            records.end = 0;
            records.end = patience.over(&self.socket).read(&mut records.bytes)?;
            records.closed = records.end == 0;
        }
    }

    /// What can be read without waiting; None where more records are needed. The session holds little
    /// plain text: it is taken out before more records go in.
    fn decrypt(&self, buffer: &mut [u8], records: &mut Records) -> io::Result<Option<usize>> {
        let mut session = self.lock();
        let Some(session) = &mut *session else { return Ok(Some(0)) };
        loop {
            match session.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done.map(Some),
            }
            let mut fresh = records.bytes.get(records.start..records.end).unwrap_or_default();
            if fresh.is_empty() && !std::mem::take(&mut records.closed) {
                return Ok(None);
            }
            session.read_tls(&mut fresh)?;
            records.start = records.end - fresh.len();
            session.process_new_packets().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            while session.wants_write() {
                session.write_tls(&mut &self.socket)?;
            }
        }
    }

    /// Ends both directions: whoever waits in a read is woken.
    pub fn close(&self) {
        // It may be closed already.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// `TLSv1.2` and the like; None for plain text.
    pub fn tls_version(&self) -> Option<String> {
        self.lock().as_ref().and_then(network::version)
    }

    fn lock(&self) -> MutexGuard<'_, Option<ClientConnection>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stoppable for Link {
    /// On the session's own connection, whatever is being read on it.
    fn stop(&self) -> Result<()> {
        self.send(&packet::attention()).map_err(|error| lost(&error))
    }

    fn give_up(&self, why: &Error) -> Error {
        self.close();
        network::closed_instead(why)
    }
}
