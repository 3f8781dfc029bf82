//! TLS, first inside PRELOGIN packets and then bare (MS-TDS 3.3.5.1), or before everything (TDS 8).

use std::io::{self, Cursor, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

use crate::packet;

/// The server's certificate, ready for both flavours.
#[derive(Debug, Clone)]
pub struct Tls {
    inside: Arc<ServerConfig>,
    strict: Arc<ServerConfig>,
}

impl Tls {
    /// Reads the certificate chain and its key from PEM files.
    pub fn load(certificate: &Path, key: &Path) -> io::Result<Self> {
        let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect)
            .map_err(|error| io::Error::other(format!("{}: {error}", certificate.display())))?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| io::Error::other(error.to_string()))?;
        let config = |versions: &[&'static rustls::SupportedProtocolVersion]| {
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_protocol_versions(versions)
                .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain.clone(), key.clone_key()))
                .map_err(io::Error::other)
        };
        // TDS 7 knows nothing newer than TLS 1.2.
        let inside = config(&[&rustls::version::TLS12])?;
        let mut strict = config(rustls::ALL_VERSIONS)?;
        strict.alpn_protocols = vec![b"tds/8.0".to_vec()];
        Ok(Self { inside: Arc::new(inside), strict: Arc::new(strict) })
    }

    /// The handshake of TDS 7: its records travel in PRELOGIN packets.
    pub fn accept_inside(&self, mut socket: TcpStream) -> io::Result<Transport> {
        let mut connection = ServerConnection::new(self.inside.clone()).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            let Some(message) = packet::read(&mut socket)? else { return Err(io::ErrorKind::UnexpectedEof.into()) };
            if message.kind != packet::PRELOGIN {
                return Err(io::Error::other("the client did not go on with the TLS handshake"));
            }
            let mut records = Cursor::new(message.body);
            let mut outcome = Ok(());
            while records.position() < records.get_ref().len() as u64 {
                connection.read_tls(&mut records)?;
                outcome = connection.process_new_packets().map(drop);
                if outcome.is_err() {
                    break;
                }
            }
            let mut answer = Vec::new();
            while connection.wants_write() {
                connection.write_tls(&mut answer)?;
            }
            if !answer.is_empty() {
                socket.write_all(&packet::single(packet::PRELOGIN, &answer))?;
            }
            outcome.map_err(io::Error::other)?;
        }
        Ok(Transport { socket, tls: Some(Arc::new(Mutex::new(connection))) })
    }

    /// The handshake of TDS 8, before PRELOGIN.
    pub fn accept_strict(&self, mut socket: TcpStream) -> io::Result<Transport> {
        let mut connection = ServerConnection::new(self.strict.clone()).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        Ok(Transport { socket, tls: Some(Arc::new(Mutex::new(connection))) })
    }
}

/// A connection, in the clear or not. Clones share it: one thread reads, another writes.
#[derive(Debug)]
pub struct Transport {
    socket: TcpStream,
    tls: Option<Arc<Mutex<ServerConnection>>>,
}

impl Transport {
    pub fn plain(socket: TcpStream) -> Self {
        Self { socket, tls: None }
    }

    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// The bare socket, for a client that only wanted its login hidden.
    pub fn into_plain(self) -> Self {
        Self { socket: self.socket, tls: None }
    }

    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { socket: self.socket.try_clone()?, tls: self.tls.clone() })
    }
}

fn locked(tls: &Mutex<ServerConnection>) -> MutexGuard<'_, ServerConnection> {
    tls.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Read for Transport {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &self.tls else { return self.socket.read(into) };
        let mut records = [0; 16 * 1024];
        loop {
            match locked(tls).reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return outcome,
            }
            // Waiting happens outside the lock, so that the writer goes on meanwhile.
            let length = self.socket.read(&mut records)?;
            if length == 0 {
                return Ok(0);
            }
            let mut tls = locked(tls);
            let mut arrived = &records[..length];
            while !arrived.is_empty() {
                tls.read_tls(&mut arrived)?;
                tls.process_new_packets().map_err(io::Error::other)?;
            }
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &self.tls else { return self.socket.write(bytes) };
        let piece = &bytes[..bytes.len().min(32 * 1024)];
        let mut records = Vec::new();
        {
            let mut tls = locked(tls);
            tls.writer().write_all(piece)?;
            while tls.wants_write() {
                tls.write_tls(&mut records)?;
            }
        }
        self.socket.write_all(&records)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}
