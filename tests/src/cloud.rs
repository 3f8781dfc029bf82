//! Addresses that exist in clouds only, played here: an HTTP server that is also a proxy and, for
//! https, every host it is asked for, with a certificate of an authority of its own.
//!
//! A test says what is answered, and sees what was asked. [`crate::signatures`] knows the stores.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

/// Hosts whose names the certificate bears.
const HOSTS: &str = "DNS:*.amazonaws.com,DNS:*.s3.eu-west-3.amazonaws.com,DNS:*.s3.us-east-1.amazonaws.com,DNS:*.r2.cloudflarestorage.com,\
                     DNS:oauth2.googleapis.com,DNS:storage.googleapis.com,DNS:login.microsoftonline.com";

/// What was asked.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The host that is meant, with its port where that is not the usual one.
    pub host: String,
    /// `GET`, `PUT`…
    pub method: String,
    /// As sent, without the query.
    pub path: String,
    /// As sent, without the question mark.
    pub query: String,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Request {
    /// A header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Whether the query has this parameter.
    pub fn has(&self, name: &str) -> bool {
        self.query.split('&').any(|pair| pair.split('=').next() == Some(name))
    }

    /// The body's fields, as a form's.
    pub fn form(&self) -> BTreeMap<String, String> {
        let text = String::from_utf8_lossy(&self.body).into_owned();
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect()
    }
}

/// A form's value as it was before it was encoded.
pub(crate) fn decoded(value: &str) -> String {
    let mut pieces = value.split('%');
    let mut out = pieces.next().unwrap().replace('+', " ").into_bytes();
    for piece in pieces {
        out.push(u8::from_str_radix(&piece[..2], 16).unwrap());
        out.extend(piece[2..].replace('+', " ").bytes());
    }
    String::from_utf8(out).unwrap()
}

/// What is answered.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// 200…
    pub status: u16,
    /// Without those of the connection.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// An answer of this status and body.
pub fn answer(status: u16, body: impl Into<Vec<u8>>) -> Answer {
    Answer { status, headers: Vec::new(), body: body.into() }
}

impl Answer {
    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

type Play = dyn Fn(&Request) -> Answer + Send + Sync;

/// A server. Its threads end with the process.
pub struct Front {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
}

/// Starts one that answers what `play` says.
pub fn front(play: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Front {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let front = Front { address: listener.local_addr().unwrap(), seen: Arc::default() };
    let (seen, play): (_, Arc<Play>) = (Arc::clone(&front.seen), Arc::new(play));
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (seen, play) = (Arc::clone(&seen), Arc::clone(&play));
            thread::spawn(move || plain(client, &seen, &*play));
        }
    });
    front
}

impl Front {
    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Variables with which a program reaches every host through this server, but those of loopback.
    pub fn as_proxy(&self) -> Vec<(&'static str, String)> {
        let proxies = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"].map(|name| (name, self.url()));
        let none = ["NO_PROXY", "no_proxy"].map(|name| (name, "127.0.0.1,localhost".to_owned()));
        proxies.into_iter().chain(none).collect()
    }

    /// What was asked so far.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The authority to trust, in PEM.
pub fn authority() -> PathBuf {
    certificates().path().join("ca.crt")
}

fn certificates() -> &'static TempDir {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let extensions = format!("subjectAltName={}\nbasicConstraints=CA:FALSE\n", HOSTS.replace(' ', ""));
        std::fs::write(folder.path().join("extensions"), extensions).unwrap();
        for line in [
            "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=cloud -keyout ca.key -out ca.crt",
            "req -newkey rsa:2048 -nodes -subj /CN=hosts -keyout hosts.key -out hosts.csr",
            "x509 -req -in hosts.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile extensions -out hosts.crt",
        ] {
            openssl(folder.path(), line);
        }
        folder
    })
}

/// Runs `openssl` in a folder, which must succeed.
pub fn openssl(folder: &std::path::Path, line: &str) {
    let done = Command::new("openssl").args(line.split(' ')).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&done.stderr));
}

/// The header and the claims of a JWT that the key of `public.pem` in this folder has signed; panics
/// if it has not.
pub fn verified(folder: &std::path::Path, jwt: &str) -> [serde_json::Value; 2] {
    let (signed, signature) = jwt.rsplit_once('.').unwrap();
    std::fs::write(folder.join("signed"), signed).unwrap();
    std::fs::write(folder.join("signature"), URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    openssl(folder, "dgst -sha256 -verify public.pem -signature signature signed");
    let (header, claims) = signed.split_once('.').unwrap();
    [header, claims].map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
}

fn tls() -> Arc<ServerConfig> {
    static TLS: OnceLock<Arc<ServerConfig>> = OnceLock::new();
    let made = TLS.get_or_init(|| {
        let folder = certificates().path();
        let certificate = CertificateDer::from_pem_file(folder.join("hosts.crt")).unwrap();
        let key = PrivateKeyDer::from_pem_file(folder.join("hosts.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        Arc::new(config.with_single_cert(vec![certificate], key).unwrap())
    });
    Arc::clone(made)
}

fn plain(mut client: TcpStream, seen: &Mutex<Vec<Request>>, play: &Play) {
    let _ = client.set_nodelay(true);
    let mut buffer = Vec::new();
    let Some(first) = take(&mut client, &mut buffer, None) else { return };
    if first.method == "CONNECT" {
        let host = first.path.trim_end_matches(":443").to_owned();
        if client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").is_ok() {
            let stream = StreamOwned::new(ServerConnection::new(tls()).unwrap(), client);
            converse(stream, Vec::new(), None, Some(&host), seen, play);
        }
        return;
    }
    converse(client, buffer, Some(first), None, seen, play);
}

fn converse(
    mut stream: impl Read + Write,
    mut buffer: Vec<u8>,
    first: Option<Request>,
    host: Option<&str>,
    seen: &Mutex<Vec<Request>>,
    play: &Play,
) {
    let mut next = first;
    while let Some(request) = next.take().or_else(|| take(&mut stream, &mut buffer, host)) {
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        if give(&mut stream, &request, &play(&request)).is_err() {
            return;
        }
    }
}

fn give(stream: &mut impl Write, request: &Request, answer: &Answer) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Played\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    // The length of what a HEAD asks about is the store's to say.
    if answer.status != 204 && !answer.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
        head.push_str(&format!("Content-Length: {}\r\n", answer.body.len()));
    }
    stream.write_all(head.as_bytes())?;
    stream.write_all(b"\r\n")?;
    if request.method != "HEAD" {
        stream.write_all(&answer.body)?;
    }
    stream.flush()
}

/// The next request; None where there is none.
fn take(stream: &mut impl Read, buffer: &mut Vec<u8>, host: Option<&str>) -> Option<Request> {
    let head = head(stream, buffer)?;
    let mut words = head.first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut place, mut target) = (host.map(str::to_owned), target);
    if let Some((_, rest)) = target.split_once("://").filter(|(scheme, _)| *scheme == "http") {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        (place, target) = (Some(authority.to_owned()), format!("/{path}"));
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let host = place.unwrap_or_else(|| head.headers.get("host").cloned().unwrap_or_default());
    let body = body(stream, buffer, &head.headers)?;
    Some(Request { host, method, path: path.to_owned(), query: query.to_owned(), headers: head.headers, body })
}

pub(crate) struct Head {
    pub first: String,
    pub headers: BTreeMap<String, String>,
}

/// A message's first line and its headers.
pub(crate) fn head(stream: &mut impl Read, buffer: &mut Vec<u8>) -> Option<Head> {
    let end = loop {
        match buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            Some(end) => break end,
            None => more(stream, buffer)?,
        }
    };
    let text = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end + 4);
    let mut lines = text.split("\r\n");
    let first = lines.next()?.to_owned();
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    Some(Head { first, headers })
}

/// A message's body: of the length told, or in chunks; none where neither is told.
pub(crate) fn body(
    stream: &mut impl Read,
    buffer: &mut Vec<u8>,
    headers: &BTreeMap<String, String>,
) -> Option<Vec<u8>> {
    if let Some(length) = headers.get("content-length") {
        let length: usize = length.parse().ok()?;
        while buffer.len() < length {
            more(stream, buffer)?;
        }
        return Some(buffer.drain(..length).collect());
    }
    let mut whole = Vec::new();
    while headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        let end = loop {
            match buffer.windows(2).position(|window| window == b"\r\n") {
                Some(end) => break end,
                None => more(stream, buffer)?,
            }
        };
        let length = usize::from_str_radix(std::str::from_utf8(&buffer[..end]).ok()?, 16).ok()?;
        while buffer.len() < end + length + 4 {
            more(stream, buffer)?;
        }
        whole.extend_from_slice(&buffer[end + 2..end + 2 + length]);
        buffer.drain(..end + length + 4);
        if length == 0 {
            break;
        }
    }
    Some(whole)
}

fn more(stream: &mut impl Read, buffer: &mut Vec<u8>) -> Option<()> {
    let mut piece = [0; 65_536];
    match stream.read(&mut piece) {
        Ok(read @ 1..) => buffer.extend_from_slice(&piece[..read]),
        _ => return None,
    }
    Some(())
}
