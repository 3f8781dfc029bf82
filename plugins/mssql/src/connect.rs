//! Opens the connection: where the instance listens, TCP, PRELOGIN, TLS. Nothing of the session yet.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rivet_sdk::options::TlsMode;
use rivet_sdk::{Error, ErrorKind, Result, Retry};
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;

use crate::error::{confused, lost};
use crate::link::{Link, Records};
use crate::login::{encryption, prelogin, server_encryption};
use crate::options::{Endpoint, PORT};
use crate::packet::{self, HEADER_BYTES, LAST};

const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;
/// How long sent bytes may stay unacknowledged before the connection counts as dead.
const USER_TIMEOUT_MS: u32 = 60_000;
/// Before anything else was agreed on.
const FIRST_PACKET_BYTES: usize = 4096;
/// Where SQL Server Browser listens, and how long it may take.
const BROWSER_PORT: u16 = 1434;
const BROWSER_TIMEOUT: Duration = Duration::from_secs(2);

/// Connects to `host` at `port` (a routed login names another than the endpoint's) and makes the
/// connection as secure as the endpoint demands.
pub(crate) fn connect(endpoint: &Endpoint, host: &str, port: Option<u16>) -> Result<Link> {
    let port = match (port, &endpoint.instance) {
        (Some(port), _) => port,
        (None, Some(instance)) => ask_browser(host, instance)?,
        (None, None) => PORT,
    };
    let attempt = Attempt { endpoint, host, place: format!("{host}:{port}") };
    let tls = crate::tls::client(&endpoint.tls, endpoint.strict)?;
    let mut socket = attempt.connect_tcp(port)?;
    if endpoint.strict {
        let mut session = attempt.session(tls.as_ref().ok_or_else(|| Error::internal("strict without TLS"))?)?;
        while session.is_handshaking() {
            session.complete_io(&mut socket).map_err(|error| attempt.tls_failed(&error))?;
        }
        let link = Link::new(socket, Some(session));
        for packet in packet::packets(packet::kind::PRELOGIN, &attempt.prelogin(encryption::ON), FIRST_PACKET_BYTES) {
            link.send(&packet).map_err(|error| lost(&error))?;
        }
        read_prelogin(&mut Reader { link: &link, records: Records::default() })?;
        return Ok(link);
    }
    let wanted = if tls.is_some() { encryption::ON } else { encryption::NOT_SUPPORTED };
    send(&mut socket, &attempt.prelogin(wanted))?;
    let answer = read_prelogin(&mut socket)?;
    match (tls, server_encryption(&answer)) {
        (_, None) => Err(confused("the answer to PRELOGIN")),
        (None, Some(encryption::ON | encryption::REQUIRED)) => {
            Err(Error::connection(format!("{} demands encryption", attempt.place))
                .with_retry(Retry::Permanent)
                .with_hint("take `tls: { mode: disable }` (or encrypt=disable) out"))
        }
        (None, Some(_)) => Ok(Link::new(socket, None)),
        (Some(config), Some(encryption::ON | encryption::REQUIRED)) => {
            let session = attempt.handshake(&mut socket, &config)?;
            Ok(Link::new(socket, Some(session)))
        }
        (Some(_), Some(_)) if endpoint.tls.mode == TlsMode::Prefer => {
            // A server without encryption ends the connection of a client that asked for it.
            let mut socket = attempt.connect_tcp(port)?;
            send(&mut socket, &attempt.prelogin(encryption::NOT_SUPPORTED))?;
            read_prelogin(&mut socket)?;
            Ok(Link::new(socket, None))
        }
        (Some(_), Some(_)) => Err(Error::connection(format!("{} does not offer encryption", attempt.place))
            .with_retry(Retry::Permanent)
            .with_hint("turn encryption on at the server; `tls: { mode: disable }` sends everything as plain text")),
    }
}

/// One server that is being connected to.
struct Attempt<'a> {
    endpoint: &'a Endpoint,
    host: &'a str,
    place: String,
}

impl Attempt<'_> {
    fn prelogin(&self, wanted: u8) -> Vec<u8> {
        prelogin(wanted, self.endpoint.instance.as_deref())
    }

    fn session(&self, config: &Arc<ClientConfig>) -> Result<ClientConnection> {
        let failed = |error: &dyn std::fmt::Display| self.refused(error.to_string());
        let name = ServerName::try_from(self.host.to_owned()).map_err(|error| failed(&error))?;
        let mut session = ClientConnection::new(Arc::clone(config), name).map_err(|error| failed(&error))?;
        session.set_buffer_limit(None);
        Ok(session)
    }

    /// The handshake of TDS 7: TLS records inside PRELOGIN packets.
    fn handshake(&self, socket: &mut TcpStream, config: &Arc<ClientConfig>) -> Result<ClientConnection> {
        let mut session = self.session(config)?;
        loop {
            let mut records = Vec::new();
            while session.wants_write() {
                session.write_tls(&mut records).map_err(|error| lost(&error))?;
            }
            if !records.is_empty() {
                send(socket, &records)?;
            }
            if !session.is_handshaking() {
                return Ok(session);
            }
            let answer = read_prelogin(socket).map_err(|error| error.with_context("during", "the TLS handshake"))?;
            let mut rest = &answer[..];
            while !rest.is_empty() {
                session.read_tls(&mut rest).map_err(|error| lost(&error))?;
                if let Err(error) = session.process_new_packets() {
                    let mut alert = Vec::new();
                    // The server is told why, if it still listens.
                    let _ = session.write_tls(&mut alert).map(|_| send(socket, &alert));
                    return Err(self.refused(error.to_string()));
                }
            }
        }
    }

    fn tls_failed(&self, error: &io::Error) -> Error {
        if error.kind() == io::ErrorKind::InvalidData { self.refused(error.to_string()) } else { lost(error) }
    }

    fn refused(&self, cause: String) -> Error {
        Error::connection(format!("TLS with {} failed: {cause}", self.place))
            .with_retry(Retry::Permanent)
            .with_hint("check `tls.mode`, `tls.ca_file` and that the certificate names this host")
    }

    fn connect_tcp(&self, port: u16) -> Result<TcpStream> {
        let addresses = (self.host, port).to_socket_addrs().map_err(|error| {
            Error::connection(format!("the host name {} is unknown", self.host))
                .with_source(&error)
                .with_hint("check `host` (or the URL) for a typing error, and that the name resolves on this machine")
        })?;
        let timeout = self.endpoint.connect_timeout;
        let deadline = Instant::now() + timeout;
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            match TcpStream::connect_timeout(&address, left) {
                Ok(socket) => {
                    tune(&socket).map_err(|error| lost(&error))?;
                    // Until the session stands, a silent server must not hang us.
                    socket.set_read_timeout(Some(timeout)).map_err(|error| lost(&error))?;
                    return Ok(socket);
                }
                Err(error) => failure = error,
            }
        }
        Err(match failure.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Error::new(
                ErrorKind::Connection,
                format!("no answer from {} within {} seconds", self.place, timeout.as_secs()),
            )
            .with_hint("a firewall may drop the packets; check host and port"),
            _ => Error::connection(format!("cannot connect to {}", self.place))
                .with_source(&failure)
                .with_hint("check that the server runs, that TCP/IP is enabled in it, and host and port"),
        })
    }
}

fn send(socket: &mut TcpStream, payload: &[u8]) -> Result<()> {
    for packet in packet::packets(packet::kind::PRELOGIN, payload, FIRST_PACKET_BYTES) {
        socket.write_all(&packet).map_err(|error| lost(&error))?;
    }
    Ok(())
}

/// One whole message, before there is a session.
fn read_prelogin(from: &mut impl Read) -> Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let mut header = [0; HEADER_BYTES];
        from.read_exact(&mut header).map_err(|error| lost(&error))?;
        let [kind, status, high, low, ..] = header;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let payload = length.checked_sub(HEADER_BYTES);
        let (Some(payload), packet::kind::ANSWER | packet::kind::PRELOGIN) = (payload, kind) else {
            return Err(confused("the answer to PRELOGIN").with_hint(
                "is this the port of SQL Server? A server that wants TDS 8.0 needs `strict_encryption: true`",
            ));
        };
        let start = message.len();
        if start > 1 << 20 {
            return Err(confused("a PRELOGIN without an end"));
        }
        message.resize(start + payload, 0);
        from.read_exact(message.get_mut(start..).unwrap_or_default()).map_err(|error| lost(&error))?;
        if status & LAST != 0 {
            return Ok(message);
        }
    }
}

struct Reader<'a> {
    link: &'a Link,
    records: Records,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.link.read(buffer, &mut self.records)
    }
}

/// Asks SQL Server Browser for the TCP port of an instance.
fn ask_browser(host: &str, instance: &str) -> Result<u16> {
    let failed = |error: &io::Error| {
        Error::connection(format!("SQL Server Browser on {host} (UDP {BROWSER_PORT}) does not answer for {instance}"))
            .with_source(error)
            .with_hint("start SQL Server Browser, or give the instance's `port`")
    };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, BROWSER_PORT).to_socket_addrs().map_err(|error| failed(&error))? {
        let local = if address.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
        let asked = UdpSocket::bind(local).and_then(|socket| {
            socket.set_read_timeout(Some(BROWSER_TIMEOUT))?;
            socket.connect(address)?;
            let mut question = vec![0x04];
            question.extend_from_slice(instance.as_bytes());
            question.push(0);
            socket.send(&question)?;
            let mut answer = vec![0; 4096];
            let count = socket.recv(&mut answer)?;
            answer.truncate(count);
            Ok(answer)
        });
        match asked {
            Ok(answer) => {
                return browser_port(&answer).ok_or_else(|| {
                    Error::connection(format!("the instance {instance} on {host} does not listen on TCP"))
                        .with_retry(Retry::Permanent)
                        .with_hint("enable TCP/IP for the instance")
                });
            }
            Err(error) => last = error,
        }
    }
    Err(failed(&last))
}

/// `…;tcp;1435;…` behind a byte 5 and a length.
fn browser_port(answer: &[u8]) -> Option<u16> {
    let (5, rest) = answer.split_first()? else { return None };
    let text = String::from_utf8_lossy(rest.get(2..)?).into_owned();
    let mut words = text.split(';');
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case("tcp") {
            return words.next()?.parse().ok();
        }
    }
    None
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browsers_answer_names_a_port() {
        let text = b"ServerName;ILSUNG1;InstanceName;YUKONSTD;IsClustered;No;Version;9.00.1399.06;tcp;57137;;";
        let answer = [&[5, 0, 0][..], text].concat();
        assert_eq!(browser_port(&answer), Some(57_137));
        assert_eq!(browser_port(b"\x05\0\0ServerName;X;np;\\\\X;;"), None);
        assert_eq!(browser_port(b""), None);
    }
}
