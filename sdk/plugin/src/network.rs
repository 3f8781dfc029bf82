//! Sockets to a database server: found, tuned, given a time limit, and made secure.

mod farewell;
mod patience;

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, TcpStream, ToSocketAddrs};
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::ioctl_fionread;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;

pub use patience::{Over, Patience, Within};

use crate::{Error, ErrorKind, Result, Retry, tls};

const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;
/// How long sent bytes may stay unacknowledged before the connection counts as dead.
const USER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a server may not take what is sent to it.
const WRITE_LIMIT: Duration = Duration::from_secs(60);

/// While rows stream, less than this in the socket is not worth waking up for…
const GATHERED_BYTES: u64 = 64 << 10;
/// …for so long.
const GATHER: Duration = Duration::from_micros(500);

/// A connected socket.
pub enum Stream {
    /// Plain text over a network.
    Tcp(TcpStream),
    /// A socket file of this machine.
    Unix(UnixStream),
    /// TLS over a network.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// Ends a connection from another thread: whoever waits for its next byte is woken.
#[derive(Debug)]
pub enum Closer {
    /// Over a network.
    Tcp(TcpStream),
    /// Over a socket file.
    Unix(UnixStream),
}

impl Closer {
    /// Ends both directions.
    pub fn close(&self) {
        // It may be closed already.
        let _ = match self {
            Self::Tcp(socket) => socket.shutdown(Shutdown::Both),
            Self::Unix(socket) => socket.shutdown(Shutdown::Both),
        };
    }

    /// The same for a statement that the server could not be asked to stop, which is said, and why not.
    pub fn give_up(&self, why: &Error) -> Error {
        self.close();
        closed_instead(why)
    }
}

/// What an interrupt says that ended its session's own connection, and why.
pub fn closed_instead(why: &Error) -> Error {
    Error::connection("the server could not be asked to stop the statement: its connection was closed instead")
        .with_source(why)
        .with_hint("the server notices when it next sends something; until then the statement may go on there")
}

/// Connects to the first address of `host` that answers, within what is left of a login's `patience`.
pub fn tcp(host: &str, port: u16, patience: &Patience) -> Result<TcpStream> {
    let addresses = (host, port).to_socket_addrs().map_err(|error| {
        Error::connection(format!("the host name {host} is unknown"))
            .with_source(&error)
            .with_hint("check `host` (or the URL) for a typing error, and that the name resolves on this machine")
    })?;
    let timeout = patience.left().unwrap_or(USER_TIMEOUT);
    let deadline = Instant::now() + timeout;
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&address, left) {
            Ok(socket) => {
                tune(&socket).map_err(|error| lost(&error))?;
                return Ok(socket);
            }
            Err(error) => failure = error,
        }
    }
    Err(unreachable(&format!("{host}:{port}"), timeout, &failure))
}

/// Connects to a socket file.
pub fn unix(path: &Path) -> Result<UnixStream> {
    let refused = |error| unreachable(&path.display().to_string(), Duration::ZERO, &error);
    let socket = UnixStream::connect(path).map_err(refused)?;
    socket.set_write_timeout(Some(WRITE_LIMIT)).map_err(|error| lost(&error))?;
    Ok(socket)
}

/// A TLS session with `host`, which people know as `place`; nothing is sent yet.
pub fn tls_session(host: &str, place: &str, config: &Arc<ClientConfig>) -> Result<ClientConnection> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| {
        Error::config(format!("TLS with {place} failed: `{host}` is not a name that a certificate can bear"))
            .with_hint("connect by the server's host name")
    })?;
    ClientConnection::new(Arc::clone(config), name).map_err(|error| tls_refused(place, &error))
}

/// Completes the handshake of `session` over the bare socket.
pub fn handshake(
    session: &mut ClientConnection,
    socket: &TcpStream,
    place: &str,
    patience: &mut Patience,
) -> Result<()> {
    while session.is_handshaking() {
        match session.complete_io(&mut patience.over(socket)) {
            Ok(_) => {}
            Err(error) => {
                let explained = || patience.explain(place, &error);
                return Err(tls::in_io(&error).map_or_else(explained, |fault| refused(place, &fault)));
            }
        }
    }
    Ok(())
}

/// Makes the socket secure, at the point of the protocol where TLS begins.
pub fn secured(
    socket: TcpStream,
    host: &str,
    place: &str,
    config: &Arc<ClientConfig>,
    patience: &mut Patience,
) -> Result<Stream> {
    let mut session = tls_session(host, place, config)?;
    handshake(&mut session, &socket, place, patience)?;
    Ok(Stream::Tls(Box::new(StreamOwned::new(session, socket))))
}

/// The two sides did not agree on TLS.
pub fn tls_refused(place: &str, cause: &rustls::Error) -> Error {
    refused(place, &tls::fault(cause))
}

fn refused(place: &str, fault: &tls::Fault) -> Error {
    let mut hint = fault.hint("name the authority that signed it, or the certificate itself: `tls: { ca_file: … }`");
    if fault.cause == tls::Cause::Name {
        hint.push_str("; `tls: { mode: verify-ca }` asks for no name");
    }
    Error::connection(format!("TLS with {place} failed: {}", fault.text)).with_retry(Retry::Permanent).with_hint(hint)
}

/// TLS was demanded, and the server has none.
pub fn tls_missing(place: &str) -> Error {
    Error::connection(format!("{place} does not offer TLS"))
        .with_retry(Retry::Permanent)
        .with_hint("turn TLS on at the server; `tls: { mode: disable }` sends everything as plain text")
}

/// What `doctor` and every plan say of a connection without TLS to `host`, which people know as `place`.
pub fn unsecured(host: &str, place: &str) -> String {
    let way = if is_this_machine(host) { String::new() } else { format!(" between here and {place}") };
    format!(
        "none: everything crosses as plain text{way}, and nothing notices a byte that changes on the way; \
         `tls: {{ mode: require }}` demands TLS, as `environment: production` does"
    )
}

/// Whether `host` is a name of this machine's own network.
pub fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// An error of connecting and logging in to `place`, which is to be `product` (`a MySQL server`): with where that was
/// and, where the other side only hung up or stayed silent, what to look at.
pub fn while_connecting(error: Error, place: &str, product: &str) -> Error {
    let error = if error.message().contains(place) { error } else { error.with_context("server", place) };
    match (error.kind(), error.hint()) {
        (ErrorKind::Connection, None) => error.with_hint(format!(
            "check that {product} listens there: host and port; its log says why it lets nobody in"
        )),
        _ => error,
    }
}

/// A failure of the socket while talking to the server.
pub fn lost(error: &io::Error) -> Error {
    match tls::in_io(error) {
        // TLS 1.3 servers refuse a client's certificate only after the handshake.
        Some(fault) if fault.cause == tls::Cause::Client => {
            return Error::connection(format!("TLS failed: {}", fault.text))
                .with_retry(Retry::Permanent)
                .with_hint("check `tls.client_cert_file`, and that the server trusts who signed it");
        }
        Some(fault) => return Error::connection(format!("the connection broke: {}", fault.text)),
        None => {}
    }
    Error::connection(match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "the server closed the connection".to_owned()
        }
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "the server stopped answering".to_owned(),
        _ => format!("the connection broke: {error}"),
    })
}

fn unreachable(place: &str, timeout: Duration, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            Error::connection(format!("no answer from {place} within {} seconds", timeout.as_secs()))
                .with_hint("a firewall may drop the packets; check host and port")
        }
        _ => Error::connection(format!("cannot connect to {place}"))
            .with_source(error)
            .with_hint("check that the server runs and listens for TCP, and host and port"),
    }
}

fn tune(socket: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    socket.set_nodelay(true)?;
    socket.set_write_timeout(Some(WRITE_LIMIT))?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(socket, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(socket, KEEPALIVE_PROBES)?;
    #[cfg(target_os = "linux")]
    sockopt::set_tcp_user_timeout(socket, u32::try_from(USER_TIMEOUT.as_millis()).unwrap_or(u32::MAX))?;
    Ok(())
}

impl Stream {
    /// What another thread needs to end it.
    pub fn closer(&self) -> io::Result<Closer> {
        Ok(match self {
            Self::Tcp(socket) => Closer::Tcp(socket.try_clone()?),
            Self::Unix(socket) => Closer::Unix(socket.try_clone()?),
            Self::Tls(stream) => Closer::Tcp(stream.sock.try_clone()?),
        })
    }

    /// Call before a read while rows stream: where little has arrived, lets more of it gather for a moment.
    ///
    /// A server sends rows in small pieces. Whoever reads each as it comes is put to sleep and woken for every
    /// one of them, at the server's expense too, and where both are on one machine they fight for the socket's
    /// lock. Nothing is slower for the pause: what arrives meanwhile waits in the socket, which has more room.
    pub fn gather(&self) {
        let arrived = match self {
            Self::Tcp(socket) => ioctl_fionread(socket),
            Self::Unix(socket) => ioctl_fionread(socket),
            Self::Tls(stream) => ioctl_fionread(&stream.sock),
        };
        // A socket that cannot say is read at once.
        if arrived.is_ok_and(|arrived| arrived < GATHERED_BYTES) {
            std::thread::sleep(GATHER);
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
            Self::Tls(stream) => version(&stream.conn),
            _ => None,
        }
    }

    /// Whether nobody between us and the server can listen.
    pub fn is_private(&self) -> bool {
        matches!(self, Self::Tls(_) | Self::Unix(_))
    }
}

/// `TLSv1.3` and the like, once the session stands.
pub fn version(session: &ClientConnection) -> Option<String> {
    session.protocol_version().map(|version| format!("{version:?}").replace('_', "."))
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

/// Reads more into `input`, behind what of it is `unread`, which moves to its beginning. It grows beyond its
/// `usual` size only for a message of `wanted` bytes, and bit by bit; once such a one is over it shrinks again.
pub fn fill(
    input: &mut Vec<u8>,
    unread: &mut Range<usize>,
    wanted: usize,
    usual: usize,
    from: &mut impl Read,
) -> io::Result<()> {
    if unread.start > 0 {
        input.copy_within(unread.clone(), 0);
        *unread = 0..unread.len();
    }
    let have = unread.len();
    if have == input.len() {
        // Doubling, so that a length that is refused meanwhile is never allocated.
        input.resize((have * 2).min(wanted.max(usual)).max(have + 1), 0);
    } else if input.len() > usual * 4 && wanted <= usual && have <= usual {
        input.truncate(usual);
        input.shrink_to_fit();
    }
    loop {
        match from.read(input.get_mut(have..).unwrap_or_default()) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                unread.end += count;
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives these pieces, an interruption before each, then its end.
    struct Pieces(Vec<Vec<u8>>, bool);

    impl Read for Pieces {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let Some(piece) = self.0.first_mut() else { return Ok(0) };
            let count = piece.len().min(into.len());
            into[..count].copy_from_slice(&piece[..count]);
            piece.drain(..count);
            self.0.retain(|piece| !piece.is_empty());
            Ok(count)
        }
    }

    #[test]
    fn a_warning_names_every_machine_but_this_one() {
        for host in ["localhost", "127.0.0.2", "::1"] {
            assert!(!unsecured(host, "it:1").contains("it:1"), "{host}");
        }
        for host in ["db.example", "10.0.0.1", "localhost.example"] {
            let words = unsecured(host, "it:1");
            assert!(words.contains("between here and it:1") && words.contains("a byte that changes"), "{words}");
        }
    }

    #[test]
    fn a_buffer_keeps_what_is_unread_and_grows_only_for_what_comes() {
        let all: Vec<u8> = (0..200).collect();
        let mut from = Pieces(all.chunks(30).map(<[u8]>::to_vec).collect(), false);
        let (mut input, mut unread) = (vec![0; 8], 0..0);
        fill(&mut input, &mut unread, 5, 8, &mut from).unwrap();
        assert_eq!((input.len(), &input[unread.clone()]), (8, &all[..8]));
        // Three are read. The next message has 100 bytes, of which not all are here at once.
        unread.start = 3;
        let mut sizes = Vec::new();
        while unread.len() < 100 {
            fill(&mut input, &mut unread, 100, 8, &mut from).unwrap();
            assert_eq!(input[unread.clone()], all[3..3 + unread.len()]);
            sizes.push(input.len());
        }
        sizes.dedup();
        assert_eq!(sizes, [8, 16, 32, 64, 100]);
        // It is over: the buffer is small again, and nothing is lost.
        unread.start = unread.end - 2;
        fill(&mut input, &mut unread, 5, 8, &mut from).unwrap();
        assert_eq!((input.len(), &input[unread.clone()]), (8, &all[101..109]));
        let mut next = 101;
        while next + unread.len() < 200 {
            next += unread.len();
            unread.start = unread.end;
            fill(&mut input, &mut unread, 5, 8, &mut from).unwrap();
            assert_eq!(input[unread.clone()], all[next..next + unread.len()]);
        }
        unread.start = unread.end;
        let ended = fill(&mut input, &mut unread, 5, 8, &mut from).unwrap_err();
        assert_eq!((ended.kind(), unread.len()), (io::ErrorKind::UnexpectedEof, 0));
    }
}
