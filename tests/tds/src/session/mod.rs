//! One connection, from its first byte to its last.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use crate::catalogue::databases::Database;
use crate::engine::Engine;
use crate::error::SqlError;
use crate::faults;
use crate::login::{self, Encryption, Login, Secrecy};
use crate::packet::{self, Message, Writer};
use crate::server::{SessionEntry, Shared};
use crate::signals::{Signal, Signals};
use crate::tls::Transport;
use crate::tokens::{self, Done};
use crate::wire::Malformed;

pub mod ddl;
pub mod dml;
pub mod env;
pub mod procedures;
pub mod rows;
pub mod rpc;
pub mod run;
pub mod settings;
pub mod state;
pub mod tables;
pub mod transaction;
pub mod value;

use state::Session;

/// The login that may do everything.
pub const ADMINISTRATOR: &str = "sa";
/// Logins that are always there, with the server's password: they may what is granted to them.
const READERS: [&str; 4] = ["reader", "swallow", "deutsch", "svenska"];
/// A login that is locked out.
const LOCKED: &str = "locked";

fn malformed(error: Malformed) -> io::Error {
    io::Error::other(error.0)
}

/// Serves a connection to its end.
pub fn serve(socket: TcpStream, encryption: Encryption, shared: &Arc<Shared>) -> io::Result<()> {
    let mut first = [0];
    if socket.peek(&mut first)? == 0 {
        return Ok(());
    }
    // A TLS handshake record instead of PRELOGIN: TDS 8.
    let strict = first[0] == 0x16;
    let mut transport = match (&shared.tls, strict) {
        (Some(tls), true) => tls.accept_strict(socket)?,
        (None, true) => return Ok(()),
        _ => Transport::plain(socket),
    };
    let Some(message) = packet::read(&mut transport)? else { return Ok(()) };
    if message.kind != packet::PRELOGIN {
        return Err(io::Error::other("a connection begins with PRELOGIN"));
    }
    let wanted = login::wanted_encryption(&message.body).map_err(malformed)?;
    let (answer, secrecy) = if strict { (login::ON, Some(Secrecy::Clear)) } else { encryption.answer(wanted) };
    io::Write::write_all(&mut transport, &packet::single(packet::RESPONSE, &login::prelogin(answer)))?;
    let Some(secrecy) = secrecy else { return Ok(()) };
    if secrecy != Secrecy::Clear {
        let tls = shared.tls.as_ref().ok_or_else(|| io::Error::other("no certificate"))?;
        transport = tls.accept_inside(transport.socket().try_clone()?)?;
    }
    let Some(message) = packet::read(&mut transport)? else { return Ok(()) };
    if message.kind != packet::LOGIN {
        return Err(io::Error::other("LOGIN7 was expected"));
    }
    let login = Login::parse(&message.body).map_err(malformed)?;
    if secrecy == Secrecy::LoginOnly {
        transport = transport.into_plain();
    }
    let without = || shared.faults.is_armed(faults::Kind::NoFeatures, &login.database, 0);
    if login.features.is_some() && without() {
        return Ok(());
    }
    match admit(&login, shared) {
        Err(errors) => refuse(transport, &errors),
        Ok(database) => admitted(transport, &login, &database, shared),
    }
}

/// Why somebody may not come in, or the database they come to.
fn admit(login: &Login, shared: &Shared) -> Result<Database, Vec<SqlError>> {
    let wrong = SqlError::new(18456, format!("Login failed for user '{}'.", login.user)).class(14);
    let user = login.user.to_lowercase();
    if user == LOCKED {
        let message = format!(
            "Login failed for user '{}' because the account is currently locked out. The system administrator can unlock it.",
            login.user
        );
        return Err(vec![SqlError::new(18486, message).class(14)]);
    }
    let password = if user == ADMINISTRATOR || READERS.contains(&user.as_str()) {
        Some(shared.config.password.clone())
    } else {
        shared.databases.login(&user)
    };
    if password.as_ref() != Some(&login.password) {
        return Err(vec![wrong]);
    }
    let name = if login.database.is_empty() { "master" } else { &login.database };
    let Some(database) = shared.databases.find(name) else {
        let message = format!("Cannot open database \"{name}\" requested by the login. The login failed.");
        return Err(vec![SqlError::new(4060, message).class(11), wrong]);
    };
    if let Some(number) = shared.faults.strike(faults::Kind::Login, &database.name, 0) {
        let number = i32::try_from(number).unwrap_or(18456);
        return Err(vec![SqlError::new(number, format!("Trouble {number} was asked for at login.")).class(14)]);
    }
    Ok(database)
}

fn refuse(transport: Transport, errors: &[SqlError]) -> io::Result<()> {
    let mut out = Writer::new(transport, 4096);
    for error in errors {
        tokens::error(out.buffer(), error);
    }
    tokens::done(out.buffer(), Done::Statement, tokens::ERROR, 0, 0);
    out.finish()?;
    linger(out.into_inner().socket())
}

/// Ends politely: what was sent must arrive before the socket goes.
fn linger(socket: &TcpStream) -> io::Result<()> {
    socket.shutdown(std::net::Shutdown::Write)
}

fn admitted(transport: Transport, login: &Login, database: &Database, shared: &Arc<Shared>) -> io::Result<()> {
    let size = match login.packet_size {
        0 => 4096,
        size => size.clamp(512, 32_767),
    };
    let mut out = Writer::new(transport, 4096);
    let signals = Arc::new(Signals::default());
    let engine = match Engine::open(database, signals.clone()) {
        Ok(engine) => engine,
        Err(error) => return refuse(out.into_inner(), &[error]),
    };
    let spid = shared.enter(SessionEntry::new(login, &database.name, signals.clone()));
    let _leaving = Leaving { spid, shared: shared.clone() };
    out.set_spid(spid);
    let meta = shared.databases.meta(database).map_err(|error| io::Error::other(error.message))?;
    let buffer = out.buffer();
    tokens::environment(buffer, 1, &database.name, "master");
    tokens::info(buffer, 5701, 0, &format!("Changed database context to '{}'.", database.name));
    tokens::collation(buffer, meta.collation);
    tokens::environment(buffer, 2, "us_english", "");
    tokens::info(buffer, 5703, 0, "Changed language setting to us_english.");
    if let Some(port) = shared.faults.strike(faults::Kind::Route, &database.name, 0) {
        tokens::login_ack(buffer);
        tokens::routing(buffer, u16::try_from(port).unwrap_or(0), "127.0.0.1");
        tokens::done(buffer, Done::Statement, 0, 0, 0);
        out.finish()?;
        return linger(out.into_inner().socket());
    }
    tokens::login_ack(buffer);
    tokens::environment(buffer, 4, &size.to_string(), "4096");
    if login.features.as_ref().is_some_and(|features| features.contains(&login::UTF8_SUPPORT)) {
        tokens::utf8_support(buffer);
    }
    tokens::done(buffer, Done::Statement, 0, 0, 0);
    out.finish()?;
    out.set_size(size);
    let requests = listen(out.get_mut().try_clone()?, signals.clone())?;
    let session = Session::new(shared.clone(), out, signals, engine, database.clone(), spid, login);
    work(session, &requests)
}

struct Leaving {
    spid: u16,
    shared: Arc<Shared>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.shared.sessions().remove(&self.spid);
    }
}

/// Reads on while the session works, so that an attention is heard at once.
fn listen(mut transport: Transport, signals: Arc<Signals>) -> io::Result<Receiver<Message>> {
    let (sender, receiver) = mpsc::channel();
    let read = move || {
        while let Ok(Some(message)) = packet::read(&mut transport) {
            if message.kind == packet::ATTENTION {
                signals.raise(Signal::Attention);
            }
            if sender.send(message).is_err() {
                return;
            }
        }
        signals.raise(Signal::Gone);
    };
    thread::Builder::new().name("reader".into()).spawn(read)?;
    Ok(receiver)
}

fn work(mut session: Session, requests: &Receiver<Message>) -> io::Result<()> {
    // The reader's thread blocks on the socket until somebody closes it.
    let socket = session.out.get_mut().socket().try_clone()?;
    let outcome = answer_all(&mut session, requests);
    if outcome.is_ok() {
        linger(&socket)?
    } else {
        socket.shutdown(std::net::Shutdown::Both)?
    }
    outcome
}

fn answer_all(session: &mut Session, requests: &Receiver<Message>) -> io::Result<()> {
    loop {
        if session.signals.raised() == Some(Signal::Killed) {
            return Ok(());
        }
        let Ok(message) = requests.recv_timeout(std::time::Duration::from_millis(200)) else {
            if session.signals.raised() == Some(Signal::Gone) {
                return Ok(());
            }
            continue;
        };
        match message.kind {
            // Either the answer it meant was over already, or this is the answer it waits for.
            packet::ATTENTION => {
                session.signals.answered();
                tokens::done(session.out.buffer(), Done::Statement, tokens::ATTENTION, 0, 0);
                session.out.finish()?;
            }
            packet::BATCH => run::batch_request(session, &message.body)?,
            packet::RPC => rpc::request(session, &message.body)?,
            packet::TRANSACTION => transaction::request(session, &message.body)?,
            kind => return Err(io::Error::other(format!("a message of kind {kind}"))),
        }
    }
}
