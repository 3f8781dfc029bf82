//! Opens the socket: TCP or Unix, reads the server's greeting, and makes it secure. Nothing of
//! the session yet.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rivet_sdk::options::TlsMode;
use rivet_sdk::{Error, ErrorKind, Result, Retry};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;

use crate::auth::ssl_request;
use crate::error::{ServerMessage, confused, lost};
use crate::options::{Endpoint, Host};
use crate::packet::{Greeting, capability};

const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;
/// How long sent bytes may stay unacknowledged before the connection counts as dead.
const USER_TIMEOUT_MS: u32 = 60_000;
/// No greeting is longer.
const GREETING_BYTES: usize = 4096;

/// A connected socket.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// A socket on which the login can begin.
pub(crate) struct Connected {
    pub stream: Stream,
    pub greeting: Greeting,
    /// The number the next packet of ours must have.
    pub sequence: u8,
}

/// Connects to the endpoint.
pub(crate) fn connect(endpoint: &Endpoint) -> Result<Connected> {
    let tls = crate::tls::client(&endpoint.tls)?;
    let mut stream = match &endpoint.host {
        Host::Unix(path) => {
            let stream = UnixStream::connect(path).map_err(|error| unreachable(endpoint, &error))?;
            stream.set_read_timeout(Some(endpoint.connect_timeout)).map_err(|error| lost(&error))?;
            Stream::Unix(stream)
        }
        Host::Tcp(name, port) => Stream::Tcp(connect_tcp(endpoint, name, *port)?),
    };
    let greeting = greeting(&mut stream)?;
    if !greeting.can(capability::PROTOCOL_41) || !greeting.can(capability::SECURE_CONNECTION) {
        return Err(Error::connection(format!("{} speaks a protocol older than MySQL 4.1", endpoint.display()))
            .with_retry(Retry::Permanent)
            .with_hint("rivet reads MySQL 5.7 and later, and MariaDB 10.5 and later"));
    }
    // TLS guards a network; a socket file has none.
    let (socket, config, name) = match (stream, tls, &endpoint.host) {
        (Stream::Tcp(socket), Some(config), Host::Tcp(name, _)) => (socket, config, name),
        (stream, ..) => return Ok(Connected { stream, greeting, sequence: 1 }),
    };
    if !greeting.can(capability::SSL) {
        if endpoint.tls.mode == TlsMode::Prefer {
            return Ok(Connected { stream: Stream::Tcp(socket), greeting, sequence: 1 });
        }
        return Err(Error::connection(format!("{} does not offer TLS", endpoint.display()))
            .with_retry(Retry::Permanent)
            .with_hint("turn TLS on at the server; `tls: { mode: disable }` sends everything as plain text"));
    }
    let stream = handshake(endpoint, socket, name, &config, &greeting)?;
    Ok(Connected { stream, greeting, sequence: 2 })
}

/// Reads the greeting and not a byte more: what follows may be TLS.
fn greeting(stream: &mut Stream) -> Result<Greeting> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).map_err(|error| lost(&error))?;
    let [a, b, c, _] = header;
    let length = usize::try_from(u32::from_le_bytes([a, b, c, 0])).unwrap_or(usize::MAX);
    if length > GREETING_BYTES {
        return Err(confused("its greeting is too long"));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).map_err(|error| lost(&error))?;
    if body.first() == Some(&0xFF) {
        // Too many connections, or this address is not let in.
        return Err(ServerMessage::parse(&body).into_error());
    }
    Greeting::parse(&body)
}

fn handshake(
    endpoint: &Endpoint,
    mut socket: TcpStream,
    name: &str,
    config: &Arc<ClientConfig>,
    greeting: &Greeting,
) -> Result<Stream> {
    let failed = |cause: String| {
        Error::connection(format!("TLS with {} failed: {cause}", endpoint.display()))
            .with_retry(Retry::Permanent)
            .with_hint("check `tls.mode`, `tls.ca_file` and that the certificate names this host")
    };
    socket.write_all(&ssl_request(endpoint, greeting)).map_err(|error| lost(&error))?;
    let server = ServerName::try_from(name.to_owned()).map_err(|error| failed(error.to_string()))?;
    let mut session = ClientConnection::new(Arc::clone(config), server).map_err(|error| failed(error.to_string()))?;
    while session.is_handshaking() {
        match session.complete_io(&mut socket) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(failed(error.to_string())),
            Err(error) => return Err(lost(&error)),
        }
    }
    Ok(Stream::Tls(Box::new(StreamOwned::new(session, socket))))
}

fn connect_tcp(endpoint: &Endpoint, name: &str, port: u16) -> Result<TcpStream> {
    let addresses = (name, port).to_socket_addrs().map_err(|error| {
        Error::connection(format!("the host name {name} is unknown"))
            .with_source(&error)
            .with_hint("check `host` (or the URL) for a typing error, and that the name resolves on this machine")
    })?;
    let deadline = Instant::now() + endpoint.connect_timeout;
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&address, left) {
            Ok(socket) => {
                tune(&socket).map_err(|error| lost(&error))?;
                // Until the session stands, a silent server must not hang us.
                socket.set_read_timeout(Some(endpoint.connect_timeout)).map_err(|error| lost(&error))?;
                return Ok(socket);
            }
            Err(error) => failure = error,
        }
    }
    Err(unreachable(endpoint, &failure))
}

fn unreachable(endpoint: &Endpoint, error: &io::Error) -> Error {
    let place = endpoint.display();
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Error::new(
            ErrorKind::Connection,
            format!("no answer from {place} within {} seconds", endpoint.connect_timeout.as_secs()),
        )
        .with_hint("a firewall may drop the packets; check host and port"),
        _ => Error::connection(format!("cannot connect to {place}"))
            .with_source(error)
            .with_hint("check that the server runs, and host and port"),
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

    /// Ends both directions.
    pub fn shutdown(&self) {
        // It is being given up: that it is gone already is no news.
        let _ = match self {
            Self::Tcp(socket) => socket.shutdown(Shutdown::Both),
            Self::Unix(socket) => socket.shutdown(Shutdown::Both),
            Self::Tls(stream) => stream.sock.shutdown(Shutdown::Both),
        };
    }

    /// `TLSv1.3` and the like; None for plain text.
    pub fn tls_version(&self) -> Option<String> {
        match self {
            Self::Tls(stream) => stream.conn.protocol_version().map(|version| format!("{version:?}").replace('_', ".")),
            _ => None,
        }
    }

    /// Whether nobody between us and the server can listen.
    pub fn is_private(&self) -> bool {
        matches!(self, Self::Tls(_) | Self::Unix(_))
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
