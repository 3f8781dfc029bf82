//! A read point that several connections share.
//!
//! MySQL cannot hand a snapshot from one connection to another. So one connection, the holder,
//! stops all writes for a moment (`FLUSH TABLES WITH READ LOCK`), every other opens a
//! transaction `WITH CONSISTENT SNAPSHOT` meanwhile, and then the holder lets writes go on. All
//! of them see the same state, as long as their connections live.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use rivet_sdk::{Error, ErrorKind, Result, SNAPSHOT_LOST};

use crate::server::Server;
use crate::wire::Wire;

/// How long the holder waits for running statements to let go of their tables: while it waits,
/// writers queue behind it.
const LOCK_WAIT_S: u32 = 10;
/// How long the server keeps the lock of a holder that it hears nothing of.
const SILENCE_S: u32 = 300;

/// The tokens of locks that are held now. Members are threads of the same process, because a
/// lock is held only for the moment in which they begin.
static HELD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// A read point.
pub(crate) struct Held {
    pub token: String,
    pub read_point: String,
}

/// Says, as long as it lives, that members may join.
pub(crate) struct Lock(String);

impl Drop for Lock {
    fn drop(&mut self) {
        HELD.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

const BEGIN: &str = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

/// Takes the lock. None where the user may not.
pub(crate) fn take(wire: &mut Wire, server: Server) -> Result<Option<(Held, Lock)>> {
    let wait = wire.query("SELECT @@SESSION.lock_wait_timeout")?;
    let wait = wait.value().unwrap_or_default().to_owned();
    wire.query(&format!("SET SESSION lock_wait_timeout = {LOCK_WAIT_S}"))?;
    let locked = wire.query("FLUSH TABLES WITH READ LOCK");
    match locked {
        Ok(_) => {}
        // RELOAD is missing; a hosted server may refuse the lock to everybody, with the number of a refused login.
        Err(error) if error.kind() == ErrorKind::Permission || error.code() == Some("1045") => {
            wire.query(&format!("SET SESSION lock_wait_timeout = {}", digits(&wait)))?;
            return Ok(None);
        }
        Err(error) => {
            return Err(error.with_hint(
                "the snapshot waits for statements that hold tables; try when they are done, or use `consistency: per_chunk`",
            ));
        }
    }
    let began = wire
        .query(&format!("SET SESSION lock_wait_timeout = {}, SESSION wait_timeout = {SILENCE_S}", digits(&wait)))
        .and_then(|_| wire.query(BEGIN))
        .and_then(|_| read_point(wire, server));
    match began {
        Ok(read_point) => {
            let token = format!("lock of connection {} at {read_point}", wire.thread());
            HELD.lock().unwrap_or_else(PoisonError::into_inner).insert(token.clone());
            Ok(Some((Held { token: token.clone(), read_point }, Lock(token))))
        }
        Err(error) => {
            // Whatever went wrong, nobody else shall wait for it.
            let _ = wire.query("UNLOCK TABLES");
            Err(error)
        }
    }
}

/// Begins a transaction that is a read point for its own session.
pub(crate) fn alone(wire: &mut Wire, server: Server) -> Result<Held> {
    wire.query(BEGIN)?;
    let read_point = read_point(wire, server)?;
    // Nobody can join: no token of this kind is ever held.
    Ok(Held { token: format!("connection {} at {read_point}", wire.thread()), read_point })
}

fn digits(text: &str) -> &str {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) { text } else { "DEFAULT" }
}

fn read_point(wire: &mut Wire, server: Server) -> Result<String> {
    let position = if server.mariadb { "@@GLOBAL.gtid_binlog_pos" } else { "@@GLOBAL.gtid_executed" };
    let rows = wire.query(&format!("SELECT UTC_TIMESTAMP(6), {position}"))?;
    let row = rows.rows.into_iter().next().unwrap_or_default();
    let [Some(at), position] = &row[..] else { return Err(Error::internal("the server has no time")) };
    Ok(match position.as_deref().map(|text| text.replace('\n', "")).filter(|text| !text.is_empty()) {
        Some(position) => format!("GTID {position} at {at} UTC"),
        None => format!("{at} UTC"),
    })
}

/// The read point is gone for good: trying again in this run is in vain, and a new run may well
/// succeed.
pub(crate) fn lost(what: &str) -> Error {
    Error::new(ErrorKind::Conflict, what)
        .with_code(SNAPSHOT_LOST)
        .with_hint("start the export again: a snapshot of MySQL lives in the connections that joined it at the start")
}

/// Begins a member's transaction, which is at the read point only if the lock was held before
/// and is still held after.
pub(crate) fn begin(wire: &mut Wire, token: &str) -> Result<()> {
    let held = || HELD.lock().unwrap_or_else(PoisonError::into_inner).contains(token);
    let gone = || lost("the snapshot can no longer be joined: its lock is released");
    if !held() {
        return Err(gone());
    }
    wire.query(BEGIN)?;
    if !held() {
        wire.query("ROLLBACK")?;
        return Err(gone());
    }
    Ok(())
}
