//! Opens the socket: TCP or Unix, reads the server's greeting, and makes it secure. Nothing of
//! the session yet.

use std::io::{Read as _, Write as _};

use mysql_common::constants::CapabilityFlags;
use rivet_sdk::network::{self, Patience, Stream, lost};
use rivet_sdk::options::TlsMode;
use rivet_sdk::{Error, Result, Retry, tls};

use crate::auth::{self, ssl_request};
use crate::error::{ServerMessage, confused};
use crate::options::{Compression, Endpoint, Host};
use crate::packet::Greeting;

/// No greeting is longer.
const GREETING_BYTES: usize = 4096;

/// A socket on which the login can begin.
pub(crate) struct Connected {
    pub stream: Stream,
    pub greeting: Greeting,
    /// The number the next packet of ours must have.
    pub sequence: u8,
}

/// Connects to the endpoint.
pub(crate) fn connect(endpoint: &Endpoint, patience: &mut Patience) -> Result<Connected> {
    let tls = tls::client(&endpoint.tls, endpoint.tls_versions.list(), &[])?;
    let mut stream = match &endpoint.host {
        Host::Unix(path) => Stream::Unix(network::unix(path)?),
        Host::Tcp(name, port) => Stream::Tcp(network::tcp(name, *port, patience)?),
    };
    let greeting = greeting(&mut stream, endpoint, patience)?;
    if !greeting.can(CapabilityFlags::CLIENT_PROTOCOL_41) || !greeting.can(CapabilityFlags::CLIENT_SECURE_CONNECTION) {
        return Err(Error::connection(format!("{} speaks a protocol older than MySQL 4.1", endpoint.display()))
            .with_retry(Retry::Permanent)
            .with_hint("rivet reads MySQL 5.7 and later, and MariaDB 10.5 and later"));
    }
    let compression = endpoint.compression;
    if compression != Compression::None && !greeting.can(auth::compression(compression)) {
        return Err(Error::config(format!("{} does not offer {} compression", endpoint.display(), compression.name()))
            .with_hint("zstd needs MySQL 8.0.18; the server's protocol_compression_algorithms names what it allows; or set `compression: none`"));
    }
    // TLS guards a network; a socket file has none.
    let (mut socket, config, name) = match (stream, tls, &endpoint.host) {
        (Stream::Tcp(socket), Some(config), Host::Tcp(name, _)) => (socket, config, name),
        (stream, ..) => return Ok(Connected { stream, greeting, sequence: 1 }),
    };
    if !greeting.can(CapabilityFlags::CLIENT_SSL) {
        if endpoint.tls.mode == TlsMode::Prefer {
            return Ok(Connected { stream: Stream::Tcp(socket), greeting, sequence: 1 });
        }
        return Err(network::tls_missing(&endpoint.display()));
    }
    socket.write_all(&ssl_request(endpoint, &greeting)).map_err(|error| lost(&error))?;
    let stream = network::secured(socket, name, &endpoint.display(), &config, patience)?;
    Ok(Connected { stream, greeting, sequence: 2 })
}

/// Reads the greeting and not a byte more: what follows may be TLS.
fn greeting(stream: &mut Stream, endpoint: &Endpoint, patience: &mut Patience) -> Result<Greeting> {
    let mut read = |into: &mut [u8]| {
        let read = patience.within(stream).read_exact(into);
        read.map_err(|error| patience.explain(&endpoint.display(), &error))
    };
    let mut header = [0; 4];
    read(&mut header)?;
    let [a, b, c, _] = header;
    let length = usize::try_from(u32::from_le_bytes([a, b, c, 0])).unwrap_or(usize::MAX);
    if length > GREETING_BYTES {
        return Err(confused("its greeting is too long"));
    }
    let mut body = vec![0; length];
    read(&mut body)?;
    if body.first() == Some(&0xFF) {
        // Too many connections, or this address is not let in.
        return Err(ServerMessage::parse(&body).into_error());
    }
    Greeting::parse(&body)
}
