//! Transactions: begun at once for the client, in SQLite when a statement needs one.

use std::io;

use super::run::{self, Outcome};
use super::state::Session;
use crate::error::{SqlError, SqlResult};
use crate::request::Transaction;
use crate::tokens::{self, Done};

/// Isolation levels as sys.dm_exec_sessions numbers them.
pub const SNAPSHOT: i64 = 5;

/// A transaction manager request.
pub fn request(session: &mut Session, body: &[u8]) -> io::Result<()> {
    let (_, wanted) = crate::request::transaction_request(body).map_err(super::malformed)?;
    session.set_done(Done::Statement);
    let outcome = match wanted {
        Transaction::Begin { isolation } => {
            // 1 to 5 are numbered as the session's levels are.
            if (1..=5).contains(&isolation) {
                session.settings.isolation = i64::from(isolation);
            }
            begin(session)
        }
        Transaction::Commit { then_begin } => {
            commit(session).and_then(|()| if then_begin { begin(session) } else { Ok(()) })
        }
        Transaction::Rollback { savepoint, then_begin } => {
            let savepoint = Some(savepoint.as_str()).filter(|name| !name.is_empty());
            rollback(session, savepoint).and_then(|()| if then_begin { begin(session) } else { Ok(()) })
        }
        Transaction::Save { name } => save(session, &name),
    };
    if run::settle(session, outcome)? { session.end_batch() } else { Ok(()) }
}

/// A request has to name the transaction that is open.
pub fn agrees(session: &Session, descriptor: u64) -> SqlResult<()> {
    if descriptor == session.descriptor || (descriptor == 0 && session.open_transactions == 0) {
        return Ok(());
    }
    Err(SqlError::new(
        3989,
        "New request is not allowed to start because it should come with valid transaction descriptor.",
    ))
}

pub fn begin(session: &mut Session) -> Outcome {
    session.open_transactions += 1;
    if session.open_transactions == 1 {
        // Any number will do that was not there before.
        session.descriptor = u64::from(session.spid) << 32 | crate::types::cast::now().ticks & 0xffff_ffff | 1;
        let descriptor = session.descriptor;
        tokens::transaction(session.tokens(), 8, descriptor, 0);
    }
    session.publish();
    session.done(0, 0xd4, 0);
    Ok(())
}

pub fn commit(session: &mut Session) -> Outcome {
    if session.open_transactions == 0 {
        return Err(
            SqlError::new(3902, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.").into()
        );
    }
    session.open_transactions -= 1;
    if session.open_transactions == 0 {
        if !session.engine.sqlite.is_autocommit() {
            session.engine.sqlite.execute_batch("COMMIT")?;
        }
        ended(session, 9);
    }
    session.publish();
    session.done(0, 0xd5, 0);
    Ok(())
}

pub fn rollback(session: &mut Session, savepoint: Option<&str>) -> Outcome {
    if session.open_transactions == 0 {
        return Err(
            SqlError::new(3903, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.").into()
        );
    }
    if let Some(name) = savepoint
        && session.engine.sqlite.execute_batch(&format!("ROLLBACK TO {}", quoted(name))).is_ok()
    {
        session.done(0, 0xd2, 0);
        return Ok(());
    }
    forget(session);
    session.done(0, 0xd2, 0);
    Ok(())
}

pub fn save(session: &mut Session, name: &str) -> Outcome {
    enter(session, true, false)?;
    session.engine.sqlite.execute_batch(&format!("SAVEPOINT {}", quoted(name)))?;
    session.done(0, 0, 0);
    Ok(())
}

fn quoted(name: &str) -> String {
    format!("\"s_{}\"", name.replace('"', "\"\""))
}

/// Undoes whatever is open.
pub fn forget(session: &mut Session) {
    if !session.engine.sqlite.is_autocommit()
        && let Err(error) = session.engine.sqlite.execute_batch("ROLLBACK")
    {
        crate::server::log(&format!("a rollback failed: {error}"));
    }
    if session.open_transactions > 0 {
        session.open_transactions = 0;
        ended(session, 10);
    }
    session.publish();
}

fn ended(session: &mut Session, kind: u8) {
    let descriptor = std::mem::take(&mut session.descriptor);
    tokens::transaction(session.tokens(), kind, 0, descriptor);
}

/// Before a statement: SQLite's transaction begins when one is open and this statement needs it.
/// READ COMMITTED reads see what others committed meanwhile, so they need none.
pub fn enter(session: &mut Session, writes: bool, reads: bool) -> Outcome {
    if session.settings.isolation == SNAPSHOT && (reads || writes) && !session.engine.meta()?.snapshot_isolation {
        let name = &session.database.name;
        let message = format!(
            "Snapshot isolation transaction failed accessing database '{name}' because snapshot isolation is not allowed in \
             this database. Use ALTER DATABASE to allow snapshot isolation."
        );
        return Err(SqlError::new(3952, message).into());
    }
    if session.settings.is_on("IMPLICIT_TRANSACTIONS") && session.open_transactions == 0 && (reads || writes) {
        begin(session)?;
    }
    if session.open_transactions > 0 && session.engine.sqlite.is_autocommit() {
        if writes {
            session.engine.sqlite.execute_batch("BEGIN IMMEDIATE")?;
        } else if reads && session.settings.isolation >= 3 {
            session.engine.sqlite.execute_batch("BEGIN")?;
        }
    }
    Ok(())
}
