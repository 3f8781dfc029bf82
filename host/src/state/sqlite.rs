//! The store in a SQLite file.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rivet_sdk::{Error, ErrorKind, Result, Retry};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, Transaction, TransactionBehavior};

use super::migrations::{ADDED, MIGRATIONS};
use super::store::{Cell, Row, Statements, damaged, foreign, newer};
use crate::files::out_of_files;

/// Marks a SQLite file as ours: `rivt`.
const APPLICATION_ID: i32 = 0x7269_7674;
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// Counts the backups that this process began: its exports may make them side by side.
static BACKUPS: AtomicU64 = AtomicU64::new(0);
const NOW_MS: &str = "CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER)";

/// The state file, open.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    connection: Connection,
}

impl File {
    /// Opens the file, making or migrating it.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = Self::connect(path)?;
        let give_up = Instant::now() + BUSY_TIMEOUT;
        loop {
            match file.prepare() {
                Ok(()) => return Ok(file),
                // SQLite's own timeout does not cover two connections that turn a new file to WAL at once.
                Err(error) if error.kind() == ErrorKind::Transient && Instant::now() < give_up => {
                    std::thread::sleep(BUSY_PAUSE);
                }
                Err(error) => return Err(error.with_context("file", path.display().to_string())),
            }
        }
    }

    /// Opens a file that [`File::open`] has prepared before.
    pub fn connect(path: &Path) -> Result<Self> {
        // Without the flag that reads a name as a URI: a file may be called `file:x`.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| state_error(path, &error))?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(|error| state_error(path, &error))?;
        Ok(Self { path: path.to_owned(), connection })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[cfg(test)]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// All statements of `work`, or none; nobody else writes meanwhile.
    pub fn transaction<T>(&self, mut work: impl FnMut(&mut dyn Statements) -> Result<T>) -> Result<T> {
        let mut statements = InFile { path: &self.path, connection: &self.connection };
        let begun = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate);
        let transaction = begun.map_err(|error| self.error(&error))?;
        let value = work(&mut statements)?;
        transaction.commit().map_err(|error| self.error(&error))?;
        Ok(value)
    }

    /// The rows of a query.
    pub fn query(&self, sql: &str, values: &[Cell]) -> Result<Vec<Row>> {
        InFile { path: &self.path, connection: &self.connection }.query(sql, values)
    }

    /// Nothing is written before the file is known to be whole, ours and not too new.
    fn prepare(&mut self) -> Result<()> {
        self.check_owner()?;
        let version = self.version()?;
        self.check_version(version)?;
        if version > 0 {
            self.check_whole()?;
        }
        if version > 0 && version < MIGRATIONS.len() {
            self.back_up(version)?;
        }
        let set_up = |connection: &mut Connection| {
            connection.pragma_update(None, "journal_mode", "wal")?;
            connection.pragma_update(None, "synchronous", "full")
        };
        set_up(&mut self.connection).map_err(|error| self.error(&error))?;
        // Two processes may make the file at once: look again once nobody else can.
        let begun = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate);
        let transaction = begun.map_err(|error| self.error(&error))?;
        let version = self.version()?;
        self.check_version(version)?;
        let migrate = || -> rusqlite::Result<()> {
            for step in MIGRATIONS.iter().skip(version) {
                transaction.execute_batch(step)?;
            }
            for added in ADDED {
                let known = "SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2";
                if !transaction.prepare_cached(known)?.exists([added.table, added.column])? {
                    let (table, column) = (added.table, added.column);
                    transaction.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column} TEXT"))?;
                }
            }
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX))
        };
        migrate().map_err(|error| self.error(&error))?;
        transaction.commit().map_err(|error| self.error(&error))
    }

    fn version(&self) -> Result<usize> {
        let version: i64 = self.pragma("user_version")?;
        usize::try_from(version).map_err(|_| damaged(&format!("its version is {version}")))
    }

    fn check_version(&self, version: usize) -> Result<()> {
        if version <= MIGRATIONS.len() {
            return Ok(());
        }
        Err(newer("the state file", version))
    }

    fn check_whole(&self) -> Result<()> {
        let verdict: String = self.pragma("quick_check(1)")?;
        if verdict == "ok" { Ok(()) } else { Err(damaged(&verdict)) }
    }

    fn pragma<T: rusqlite::types::FromSql>(&self, name: &str) -> Result<T> {
        let value = self.connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0));
        value.map_err(|error| self.error(&error))
    }

    /// Copies the file as it is now beside itself, whole: `.rivet_state.db.bak-v1`.
    fn back_up(&self, version: usize) -> Result<()> {
        let beside = |end: &str| {
            let mut name = self.path.as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        };
        let number = BACKUPS.fetch_add(1, Ordering::Relaxed);
        let unfinished = beside(&format!(".bak-v{version}.{}-{number}", std::process::id()));
        let failed = |error: &dyn std::fmt::Display| {
            Error::new(ErrorKind::ResourceExhausted, format!("the state file was not migrated: no backup: {error}"))
                .with_hint("let the folder be writable and have room for a copy of the file")
        };
        let target = unfinished.to_str().ok_or_else(|| failed(&"its path is not UTF-8"))?;
        self.connection.execute("VACUUM INTO ?1", [target]).map_err(|error| failed(&error))?;
        let copied: rusqlite::Result<i64> =
            Connection::open(&unfinished).and_then(|copy| copy.query_row("PRAGMA user_version", [], |row| row.get(0)));
        // Somebody else migrated the file before it was copied, and made the backup.
        if copied.map_err(|error| failed(&error))? != i64::try_from(version).unwrap_or(i64::MAX) {
            return std::fs::remove_file(&unfinished).map_err(|error| failed(&error));
        }
        std::fs::rename(&unfinished, beside(&format!(".bak-v{version}"))).map_err(|error| failed(&error))
    }

    /// A file that holds tables but not our mark belongs to somebody else.
    fn check_owner(&self) -> Result<()> {
        if self.pragma::<i32>("application_id")? == APPLICATION_ID {
            return Ok(());
        }
        let tables = || -> rusqlite::Result<Vec<String>> {
            let mut statement = self.connection.prepare(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
                 ORDER BY name",
            )?;
            let names = statement.query_map([], |row| row.get(0))?;
            names.collect()
        };
        let tables = tables().map_err(|error| self.error(&error))?;
        // A process making the file at this moment sets mark and tables in one transaction.
        if tables.is_empty() || self.pragma::<i32>("application_id")? == APPLICATION_ID {
            return Ok(());
        }
        let file = self.path.display();
        let remedy = format!(
            "it may hold the progress of incremental exports, which is not taken over: `mv {file} {file}.old` starts \
             afresh; `state: {{path: FILE}}` keeps both"
        );
        Err(foreign(&tables, "the state file", &remedy))
    }

    fn error(&self, error: &rusqlite::Error) -> Error {
        state_error(&self.path, error)
    }
}

/// Statements on the file's connection, in or outside a transaction.
struct InFile<'a> {
    path: &'a Path,
    connection: &'a Connection,
}

impl Statements for InFile<'_> {
    fn query(&mut self, sql: &str, values: &[Cell]) -> Result<Vec<Row>> {
        let read = || -> rusqlite::Result<Vec<Row>> {
            let mut statement = self.connection.prepare_cached(&dialect(sql))?;
            let columns = statement.column_count();
            let rows = statement.query_map(rusqlite::params_from_iter(values), |row| {
                (0..columns).map(|column| cell(row.get_ref(column)?)).collect::<rusqlite::Result<_>>().map(Row)
            })?;
            rows.collect()
        };
        read().map_err(|error| state_error(self.path, &error))
    }

    fn change(&mut self, sql: &str, values: &[Cell]) -> Result<u64> {
        let changed = self.connection.execute(&dialect(sql), rusqlite::params_from_iter(values));
        let changed = changed.map_err(|error| state_error(self.path, &error))?;
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }
}

fn dialect(sql: &str) -> String {
    sql.replace("{now_ms}", NOW_MS)
}

fn cell(value: ValueRef<'_>) -> rusqlite::Result<Cell> {
    match value {
        ValueRef::Null => Ok(Cell::Null),
        ValueRef::Integer(number) => Ok(Cell::Integer(number)),
        ValueRef::Text(text) => Ok(Cell::Text(std::str::from_utf8(text)?.to_owned())),
        ValueRef::Real(_) | ValueRef::Blob(_) => {
            Err(rusqlite::Error::InvalidColumnType(0, String::new(), value.data_type()))
        }
    }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

/// What to do, where no file can be opened at the moment.
fn full() -> Option<&'static str> {
    out_of_files(std::fs::File::open("/dev/null").err()?.raw_os_error())
}

fn state_error(path: &Path, error: &rusqlite::Error) -> Error {
    let (kind, hint) = match error.sqlite_error_code() {
        // SQLite does not say so, but trying tells.
        Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure) if full().is_some() => {
            (ErrorKind::ResourceExhausted, full().unwrap_or_default())
        }
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
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            return damaged(&error.to_string()).with_context("file", path.display().to_string());
        }
        _ => (ErrorKind::Other, "the state file cannot be used"),
    };
    let retry = if kind == ErrorKind::Transient { Retry::Transient(None) } else { Retry::Permanent };
    Error::new(kind, format!("state file: {error}"))
        .with_retry(retry)
        .with_hint(hint)
        .with_context("file", path.display().to_string())
}
