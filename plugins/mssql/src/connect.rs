//! Opens the connection: where the instance listens, TCP, PRELOGIN, TLS. Nothing of the session yet.

use std::io::{self, Read, Write as _};
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use rivet_sdk::network::{self, Patience, lost};
use rivet_sdk::options::TlsMode;
use rivet_sdk::rustls::{self, ClientConfig, ClientConnection};
use rivet_sdk::{Error, Result, Retry, tls};

use crate::error::confused;
use crate::link::{Link, Records};
use crate::login::{encryption, prelogin, server_encryption};
use crate::options::{Endpoint, PORT};
use crate::packet::{self, HEADER_BYTES, LAST};

/// What a TDS 8.0 client says in its first TLS message.
const STRICT_PROTOCOL: &[u8] = b"tds/8.0";
/// Before anything else was agreed on.
const FIRST_PACKET_BYTES: usize = 4096;
/// Where SQL Server Browser listens, and how long it may take.
const BROWSER_PORT: u16 = 1434;
const BROWSER_TIMEOUT: Duration = Duration::from_secs(2);

/// Connects to `host` at `port` (a routed login names another than the endpoint's) and makes the
/// connection as secure as the endpoint demands.
pub(crate) fn connect(endpoint: &Endpoint, host: &str, port: Option<u16>, patience: &mut Patience) -> Result<Link> {
    let port = match (port, &endpoint.instance) {
        (Some(port), _) => port,
        (None, Some(instance)) => ask_browser(host, instance)?,
        (None, None) => PORT,
    };
    let attempt = Attempt { endpoint, host, place: format!("{host}:{port}") };
    let tls = if endpoint.strict {
        tls::client(&endpoint.tls, rustls::DEFAULT_VERSIONS, &[STRICT_PROTOCOL])?
    } else {
        // TLS 1.3 leaves open which bytes after the handshake still stand inside TDS packets.
        tls::client(&endpoint.tls, &[&rustls::version::TLS12], &[])?
    };
    let socket = network::tcp(host, port, patience)?;
    if endpoint.strict {
        let mut session = attempt.session(tls.as_ref().ok_or_else(|| Error::internal("strict without TLS"))?)?;
        network::handshake(&mut session, &socket, &attempt.place, patience)?;
        let link = Link::new(socket, Some(session));
        for packet in packet::packets(packet::kind::PRELOGIN, &attempt.prelogin(encryption::ON), FIRST_PACKET_BYTES) {
            link.send(&packet).map_err(|error| lost(&error))?;
        }
        attempt.answer(&mut Reader { link: &link, records: Records::default(), patience })?;
        return Ok(link);
    }
    let wanted = if tls.is_some() { encryption::ON } else { encryption::NOT_SUPPORTED };
    send(&socket, &attempt.prelogin(wanted))?;
    let answer = attempt.answer(&mut patience.over(&socket))?;
    match (tls, server_encryption(&answer)) {
        (_, None) => Err(confused("the answer to PRELOGIN")),
        (None, Some(encryption::ON | encryption::REQUIRED)) => {
            Err(Error::connection(format!("{} demands encryption", attempt.place))
                .with_retry(Retry::Permanent)
                .with_hint("take `tls: { mode: disable }` (or encrypt=disable) out"))
        }
        (None, Some(_)) => Ok(Link::new(socket, None)),
        (Some(config), Some(encryption::ON | encryption::REQUIRED)) => {
            let session = attempt.handshake(&socket, &config, patience)?;
            Ok(Link::new(socket, Some(session)))
        }
        (Some(_), Some(_)) if endpoint.tls.mode == TlsMode::Prefer => {
            // A server without encryption ends the connection of a client that asked for it.
            let socket = network::tcp(host, port, patience)?;
            send(&socket, &attempt.prelogin(encryption::NOT_SUPPORTED))?;
            attempt.answer(&mut patience.over(&socket))?;
            Ok(Link::new(socket, None))
        }
        (Some(_), Some(_)) => Err(network::tls_missing(&attempt.place)),
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
        let mut session =
            network::tls_session(self.endpoint.certificate_host.as_deref().unwrap_or(self.host), &self.place, config)?;
        session.set_buffer_limit(None);
        Ok(session)
    }

    /// The answer to a PRELOGIN, read within the login's patience.
    fn answer(&self, from: &mut impl Read) -> Result<Vec<u8>> {
        let limit = self.endpoint.connect_timeout;
        read_prelogin(from, |error| Patience::for_login(limit).explain(&self.place, &error))
    }

    /// The handshake of TDS 7: TLS records inside PRELOGIN packets.
    fn handshake(
        &self,
        socket: &TcpStream,
        config: &Arc<ClientConfig>,
        patience: &mut Patience,
    ) -> Result<ClientConnection> {
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
            let answer = self
                .answer(&mut patience.over(socket))
                .map_err(|error| error.with_context("during", "the TLS handshake"))?;
            let mut rest = &answer[..];
            while !rest.is_empty() {
                session.read_tls(&mut rest).map_err(|error| lost(&error))?;
                if let Err(error) = session.process_new_packets() {
                    let mut alert = Vec::new();
                    // The server is told why, if it still listens.
                    let _ = session.write_tls(&mut alert).map(|_| send(socket, &alert));
                    return Err(network::tls_refused(&self.place, &error));
                }
            }
        }
    }
}

fn send(mut socket: &TcpStream, payload: &[u8]) -> Result<()> {
    for packet in packet::packets(packet::kind::PRELOGIN, payload, FIRST_PACKET_BYTES) {
        socket.write_all(&packet).map_err(|error| lost(&error))?;
    }
    Ok(())
}

/// One whole message, before there is a session.
fn read_prelogin(from: &mut impl Read, failed: impl Fn(io::Error) -> Error) -> Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let mut header = [0; HEADER_BYTES];
        from.read_exact(&mut header).map_err(&failed)?;
        let [kind, status, high, low, ..] = header;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let payload = length.checked_sub(HEADER_BYTES);
        let (Some(payload), packet::kind::ANSWER | packet::kind::PRELOGIN) = (payload, kind) else {
            return Err(confused("the answer to PRELOGIN").with_hint(
                "check that host and port are those of a SQL Server; one that wants TDS 8.0 needs `strict_encryption: true`",
            ));
        };
        let start = message.len();
        if start > 1 << 20 {
            return Err(confused("a PRELOGIN without an end"));
        }
        message.resize(start + payload, 0);
        from.read_exact(message.get_mut(start..).unwrap_or_default()).map_err(&failed)?;
        if status & LAST != 0 {
            return Ok(message);
        }
    }
}

struct Reader<'a> {
    link: &'a Link,
    records: Records,
    patience: &'a mut Patience,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.link.read(buffer, &mut self.records, self.patience)
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
