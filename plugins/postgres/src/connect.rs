//! Opens the socket: TCP or Unix, with or without TLS. Nothing of the session yet.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rivet_sdk::options::TlsMode;
use rivet_sdk::{Error, ErrorKind, Result, Retry};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;

use crate::error::{confused, lost};
use crate::options::{Endpoint, Host};

const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;
/// How long sent bytes may stay unacknowledged before the connection counts as dead.
const USER_TIMEOUT_MS: u32 = 60_000;

/// A connected socket.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// Which of the endpoint's hosts answered, for a cancel request to go to the same place.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub host: Host,
    pub port: u16,
    pub tls: Option<Arc<ClientConfig>>,
    pub mode: TlsMode,
    pub timeout: Duration,
}

/// Connects to the first host that answers.
pub(crate) fn connect(endpoint: &Endpoint) -> Result<(Stream, Target)> {
    let tls = crate::tls::client(&endpoint.tls)?;
    let mut failure = None;
    for (host, port) in &endpoint.hosts {
        let target = Target {
            host: host.clone(),
            port: *port,
            tls: tls.clone(),
            mode: endpoint.tls.mode,
            timeout: endpoint.connect_timeout,
        };
        match target.connect() {
            Ok(stream) => return Ok((stream, target)),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    Err(failure.unwrap_or_else(|| Error::config("no host is given")))
}

impl Target {
    /// Opens the socket, and makes it secure as the mode says.
    pub fn connect(&self) -> Result<Stream> {
        let name = match &self.host {
            Host::Unix(folder) => {
                let path = folder.join(format!(".s.PGSQL.{}", self.port));
                let stream = UnixStream::connect(&path).map_err(|error| self.unreachable(&error))?;
                // TLS guards a network; a socket file has none.
                stream.set_read_timeout(Some(self.timeout)).map_err(|error| lost(&error))?;
                return Ok(Stream::Unix(stream));
            }
            Host::Tcp(name) => name,
        };
        let mut socket = self.connect_tcp(name)?;
        let Some(config) = &self.tls else { return Ok(Stream::Tcp(socket)) };
        let mut request = BytesMut::new();
        frontend::ssl_request(&mut request);
        socket.write_all(&request).map_err(|error| lost(&error))?;
        let mut answer = [0];
        socket.read_exact(&mut answer).map_err(|error| lost(&error))?;
        match answer {
            [b'S'] => self.handshake(socket, name, config),
            [b'N'] if self.mode == TlsMode::Prefer => Ok(Stream::Tcp(socket)),
            [b'N'] => Err(Error::connection(format!("{} does not offer TLS", self.host.display(self.port)))
                .with_retry(Retry::Permanent)
                .with_hint("turn TLS on at the server; `tls: { mode: disable }` sends everything as plain text")),
            _ => Err(confused("the answer to the TLS request")),
        }
    }

    fn handshake(&self, mut socket: TcpStream, name: &str, config: &Arc<ClientConfig>) -> Result<Stream> {
        let failed = |cause: String| {
            Error::connection(format!("TLS with {} failed: {cause}", self.host.display(self.port)))
                .with_retry(Retry::Permanent)
                .with_hint("check `tls.mode`, `tls.ca_file` and that the certificate names this host")
        };
        let server = ServerName::try_from(name.to_owned()).map_err(|error| failed(error.to_string()))?;
        let mut session =
            ClientConnection::new(Arc::clone(config), server).map_err(|error| failed(error.to_string()))?;
        while session.is_handshaking() {
            match session.complete_io(&mut socket) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(failed(error.to_string())),
                Err(error) => return Err(lost(&error)),
            }
        }
        Ok(Stream::Tls(Box::new(StreamOwned::new(session, socket))))
    }

    fn connect_tcp(&self, name: &str) -> Result<TcpStream> {
        let addresses = (name, self.port).to_socket_addrs().map_err(|error| {
            Error::connection(format!("the host name {name} is unknown"))
                .with_source(&error)
                .with_hint("check `host` (or the URL) for a typing error, and that the name resolves on this machine")
        })?;
        let deadline = Instant::now() + self.timeout;
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            match TcpStream::connect_timeout(&address, left) {
                Ok(socket) => {
                    tune(&socket).map_err(|error| lost(&error))?;
                    // Until the session stands, a silent server must not hang us.
                    socket.set_read_timeout(Some(self.timeout)).map_err(|error| lost(&error))?;
                    return Ok(socket);
                }
                Err(error) => failure = error,
            }
        }
        Err(self.unreachable(&failure))
    }

    fn unreachable(&self, error: &io::Error) -> Error {
        let place = self.host.display(self.port);
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Error::new(
                ErrorKind::Connection,
                format!("no answer from {place} within {} seconds", self.timeout.as_secs()),
            )
            .with_hint("a firewall may drop the packets; check host and port"),
            _ => Error::connection(format!("cannot connect to {place}"))
                .with_source(error)
                .with_hint("check that the server runs, and host and port"),
        }
    }
}

fn tune(socket: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    socket.set_nodelay(true)?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(socket, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(socket, KEEPALIVE_PROBES)?;
    #[cfg(target_os = "linux")]
    sockopt::set_tcp_user_timeout(socket, USER_TIMEOUT_MS)?;
    Ok(())
}

impl Stream {
    /// Limits how long a read may wait; None waits for ever (keepalive notices a dead peer).
    pub fn read_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_read_timeout(limit),
            Self::Unix(socket) => socket.set_read_timeout(limit),
            Self::Tls(stream) => stream.sock.set_read_timeout(limit),
        }
    }

    /// `TLSv1.3` and the like; None for plain text.
    pub fn tls_version(&self) -> Option<String> {
        match self {
            Self::Tls(stream) => stream.conn.protocol_version().map(|version| format!("{version:?}").replace('_', ".")),
            _ => None,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(buffer),
            Self::Unix(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write(bytes),
            Self::Unix(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.flush(),
            Self::Unix(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
