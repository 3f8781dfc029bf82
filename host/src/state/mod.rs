//! What one machine remembers between runs: leases and a journal, in `.rivet_state.db`.
//!
//! Correctness never rests on this file: the decision object at the destination does that. The
//! lease only keeps two runs of one export from doing the same work.

mod holder;
mod journal;
mod lease;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rivet_sdk::{Error, ErrorKind, Result, Retry};
use rusqlite::{Connection, ErrorCode, TransactionBehavior};

pub use journal::{RunRecord, RunStatus};
pub use lease::Lease;

/// The file's name, beside the configuration.
pub const STATE_FILE: &str = ".rivet_state.db";

/// Marks a SQLite file as ours: `rivt`.
const APPLICATION_ID: i32 = 0x7269_7674;
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Each step takes the schema from its position to the next. Never change one; append.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE rivet_lease (
        export     TEXT PRIMARY KEY,
        token      INTEGER NOT NULL,
        holder     TEXT NOT NULL,
        expires_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE rivet_run (
        run_id      TEXT PRIMARY KEY,
        export      TEXT NOT NULL,
        plan_id     TEXT NOT NULL,
        started_at  TEXT NOT NULL,
        finished_at TEXT,
        status      TEXT NOT NULL,
        rows        INTEGER,
        bytes       INTEGER,
        error       TEXT
    ) STRICT;
    CREATE INDEX rivet_run_export ON rivet_run (export, run_id);
"];

/// The state file, open.
#[derive(Debug)]
pub struct State {
    path: PathBuf,
    connection: Connection,
}

impl State {
    /// Opens the state file in `folder`, making or migrating it. A file of another tool, or of
    /// a newer rivet, is refused.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::open_file(&folder.join(STATE_FILE))
    }

    /// As [`State::open`], for a file of any name.
    pub fn open_file(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        let mut connection = Connection::open(&path).map_err(|error| state_error(&path, &error))?;
        prepare(&path, &mut connection).map_err(|error| match error {
            Refusal::Ours(error) => error,
            Refusal::Sqlite(error) => state_error(&path, &error),
        })?;
        Ok(Self { path, connection })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn error(&self, error: &rusqlite::Error) -> Error {
        state_error(&self.path, error)
    }
}

enum Refusal {
    Ours(Error),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn prepare(path: &Path, connection: &mut Connection) -> Result<(), Refusal> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    check_owner(path, connection)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    // Two processes may make the file at once: look again once nobody else can.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    if version > MIGRATIONS.len() {
        return Err(Refusal::Ours(
            Error::new(
                ErrorKind::Conflict,
                format!("the state file has version {version}, this rivet knows {}", MIGRATIONS.len()),
            )
            .with_code("newer_state")
            .with_hint("use the newer rivet that wrote it")
            .with_context("file", path.display().to_string()),
        ));
    }
    for step in MIGRATIONS.iter().skip(version) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX))?;
    transaction.commit()?;
    Ok(())
}

/// A file that holds tables but not our mark belongs to somebody else.
fn check_owner(path: &Path, connection: &Connection) -> Result<(), Refusal> {
    let owner: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if owner == APPLICATION_ID {
        return Ok(());
    }
    let mut statement = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name LIMIT 3")?;
    let tables: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    // A process making the file at this moment sets mark and tables in one transaction.
    let owner: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if tables.is_empty() || owner == APPLICATION_ID {
        return Ok(());
    }
    Err(Refusal::Ours(
        Error::new(ErrorKind::Conflict, format!("the state file was written by another tool (tables {})", tables.join(", ")))
            .with_code("foreign_state")
            .with_hint("it may hold the progress of incremental exports: move it away to start afresh, or keep this configuration in another folder")
            .with_context("file", path.display().to_string()),
    ))
}

fn state_error(path: &Path, error: &rusqlite::Error) -> Error {
    let (kind, hint) = match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen) => {
            (ErrorKind::Permission, "the folder must exist and be writable: SQLite makes files beside it")
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            (ErrorKind::Permission, "let the user that runs rivet write the file and its folder")
        }
        Some(ErrorCode::DiskFull) => (ErrorKind::ResourceExhausted, "free space on the disk"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (ErrorKind::Transient, "another process holds the file for long; try again")
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => (
            ErrorKind::Conflict,
            "the file is not a state file of rivet, or is damaged; move it away: unfinished runs are found at the destination",
        ),
        _ => (ErrorKind::Other, "the state file cannot be used"),
    };
    let retry = if kind == ErrorKind::Transient { Retry::Transient(None) } else { Retry::Permanent };
    Error::new(kind, format!("state file: {error}"))
        .with_retry(retry)
        .with_hint(hint)
        .with_context("file", path.display().to_string())
}

#[cfg(test)]
mod tests;
