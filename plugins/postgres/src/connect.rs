//! Opens the socket: TCP or Unix, with or without TLS. Nothing of the session yet.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rivet_sdk::network::{self, Stream, lost};
use rivet_sdk::options::TlsMode;
use rivet_sdk::rustls::{self, ClientConfig};
use rivet_sdk::{Error, Result, tls};

use crate::error::confused;
use crate::options::{Endpoint, Host};

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
    let tls = tls::client(&endpoint.tls, rustls::DEFAULT_VERSIONS, &[])?;
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
                // TLS guards a network; a socket file has none.
                return network::unix(&path, self.timeout).map(Stream::Unix);
            }
            Host::Tcp(name) => name,
        };
        let mut socket = network::tcp(name, self.port, self.timeout)?;
        let Some(config) = &self.tls else { return Ok(Stream::Tcp(socket)) };
        let mut request = BytesMut::new();
        frontend::ssl_request(&mut request);
        socket.write_all(&request).map_err(|error| lost(&error))?;
        let mut answer = [0];
        socket.read_exact(&mut answer).map_err(|error| lost(&error))?;
        match answer {
            [b'S'] => network::secured(socket, name, &self.host.display(self.port), config),
            [b'N'] if self.mode == TlsMode::Prefer => Ok(Stream::Tcp(socket)),
            [b'N'] => Err(network::tls_missing(&self.host.display(self.port))),
            _ => Err(confused("the answer to the TLS request")),
        }
    }
}
