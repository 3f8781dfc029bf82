//! Listeners, and what all sessions share.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::catalogue::databases::Databases;
use crate::faults::Faults;
use crate::login::Encryption;
use crate::session;
use crate::signals::{Signal, Signals};
use crate::tls::Tls;

/// How to start a server.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where its databases lie, one file each.
    pub folder: PathBuf,
    /// Its certificate chain and key, as PEM; without them nothing is encrypted.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The password of every login.
    pub password: String,
    /// Where it listens, and what it says there about encryption.
    pub listen: Vec<(SocketAddr, Encryption)>,
    /// Further addresses for the first of them, with its port.
    pub also: Vec<IpAddr>,
}

/// What other sessions may know of one.
#[derive(Clone)]
pub struct SessionEntry {
    pub login: String,
    pub host: String,
    pub application: String,
    pub database: String,
    pub isolation: i64,
    pub status: &'static str,
    pub login_time: String,
    pub lock_timeout: i64,
    pub deadlock_priority: i64,
    pub text_size: i64,
    pub language: String,
    pub date_format: String,
    pub open_transactions: i64,
    pub signals: Arc<Signals>,
}

/// What all sessions share.
pub struct Shared {
    pub config: Config,
    pub tls: Option<Tls>,
    pub databases: Databases,
    pub faults: Faults,
    sessions: Mutex<BTreeMap<u16, SessionEntry>>,
    connections: AtomicI64,
}

impl Shared {
    pub fn sessions(&self) -> MutexGuard<'_, BTreeMap<u16, SessionEntry>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a session the first free number; user sessions begin at 51.
    pub fn enter(&self, entry: SessionEntry) -> u16 {
        self.connections.fetch_add(1, Ordering::SeqCst);
        let mut sessions = self.sessions();
        let spid = (51..u16::MAX).find(|spid| !sessions.contains_key(spid)).unwrap_or(u16::MAX);
        sessions.insert(spid, entry);
        spid
    }

    /// @@CONNECTIONS: logins since the server began.
    pub fn connections(&self) -> i64 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Ends a session from outside; false if there is none of that number.
    pub fn kill(&self, spid: u16) -> bool {
        self.sessions().get(&spid).map(|entry| entry.signals.raise(Signal::Killed)).is_some()
    }
}

/// A server that listens for as long as the process lives.
pub struct Server {
    addresses: Vec<SocketAddr>,
}

impl Server {
    /// Opens the listeners and serves them from threads of their own.
    pub fn start(config: Config) -> io::Result<Self> {
        let tls = match &config.certificate {
            Some((certificate, key)) => Some(Tls::load(certificate, key)?),
            None => None,
        };
        let databases = Databases::open(config.folder.clone()).map_err(|error| io::Error::other(error.message))?;
        let listen = config.listen.clone();
        let shared = Arc::new(Shared {
            config,
            tls,
            databases,
            faults: Faults::default(),
            sessions: Mutex::default(),
            connections: AtomicI64::new(0),
        });
        let mut addresses = Vec::new();
        for (address, encryption) in listen {
            addresses.push(Self::listen(address, encryption, &shared)?);
        }
        if let (Some(first), Some((_, encryption))) = (addresses.first(), shared.config.listen.first()) {
            for address in &shared.config.also {
                Self::listen(SocketAddr::new(*address, first.port()), *encryption, &shared)?;
            }
        }
        Ok(Self { addresses })
    }

    fn listen(address: SocketAddr, encryption: Encryption, shared: &Arc<Shared>) -> io::Result<SocketAddr> {
        if shared.tls.is_none() && encryption != Encryption::NotSupported {
            return Err(io::Error::other("a listener with encryption needs a certificate"));
        }
        let listener = TcpListener::bind(address)?;
        let bound = listener.local_addr()?;
        let shared = shared.clone();
        thread::Builder::new().name("listener".into()).spawn(move || accept(&listener, encryption, &shared))?;
        Ok(bound)
    }

    /// Where it listens, in the configured order.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

fn accept(listener: &TcpListener, encryption: Encryption, shared: &Arc<Shared>) {
    for socket in listener.incoming() {
        let Ok(socket) = socket else { continue };
        let shared = shared.clone();
        let serve = move || {
            if let Err(error) = serve(socket, encryption, &shared) {
                log(&format!("a connection ended: {error}"));
            }
        };
        // A deep query needs a deep stack.
        if let Err(error) = thread::Builder::new().name("session".into()).stack_size(16 << 20).spawn(serve) {
            log(&format!("no thread for a connection: {error}"));
        }
    }
}

fn serve(socket: TcpStream, encryption: Encryption, shared: &Arc<Shared>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    session::serve(socket, encryption, shared)
}

/// The log is the standard error stream.
pub fn log(text: &str) {
    eprintln!("rivet-tds: {text}");
}
