//! Opens the socket: TCP or Unix, with or without TLS. Nothing of the session yet.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rivet_libpq::{Host, Server};
use rivet_sdk::network::{self, Patience, Stream, lost};
use rivet_sdk::options::TlsMode;
use rivet_sdk::rustls::ClientConfig;
use rivet_sdk::{Result, tls};

use crate::error::confused;
use crate::options::Endpoint;

/// One server of the endpoint's. Once connected, for a cancel request to go to the same place.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub server: Server,
    tls: Option<Arc<ClientConfig>>,
    mode: TlsMode,
}

/// The endpoint's servers, in the order in which they are tried.
pub(crate) fn targets(endpoint: &Endpoint) -> Result<Vec<Target>> {
    let tls = tls::client(&endpoint.tls, endpoint.tls_versions.list(), &[])?;
    let servers = match endpoint.random_order {
        true => rivet_libpq::shuffle(&endpoint.servers),
        false => endpoint.servers.clone(),
    };
    let target = |server| Target { server, tls: tls.clone(), mode: endpoint.tls.mode };
    Ok(servers.into_iter().map(target).collect())
}

impl Target {
    /// Opens the socket, and makes it secure as the mode says. From then on this is the one address that answered.
    pub fn connect(&mut self, patience: &mut Patience) -> Result<Stream> {
        let name = match &self.server.host {
            Host::Unix(folder) => {
                let path = folder.join(format!(".s.PGSQL.{}", self.server.port));
                // TLS guards a network; a socket file has none.
                return network::unix(&path).map(Stream::Unix);
            }
            Host::Tcp(name) => name,
        };
        let address = self.server.address.as_deref().unwrap_or(name);
        let mut socket = network::tcp(address, self.server.port, patience)?;
        let answered = socket.peer_addr().map(|peer| peer.ip().to_string()).map_err(|error| lost(&error))?;
        let stream = match &self.tls {
            None => Stream::Tcp(socket),
            Some(config) => {
                let mut request = BytesMut::new();
                frontend::ssl_request(&mut request);
                socket.write_all(&request).map_err(|error| lost(&error))?;
                let mut answer = [0];
                let read = patience.over(&socket).read_exact(&mut answer);
                read.map_err(|error| patience.explain(&self.server.display(), &error))?;
                match answer {
                    [b'S'] => network::secured(socket, name, &self.server.display(), config, patience)?,
                    [b'N'] if self.mode == TlsMode::Prefer => Stream::Tcp(socket),
                    [b'N'] => return Err(network::tls_missing(&self.server.display())),
                    _ => return Err(confused("the answer to the TLS request")),
                }
            }
        };
        self.server.address = Some(answered);
        Ok(stream)
    }
}
