//! The open file: read only, with a time limit and a stop for each statement.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rivet_sdk::lexer::{Rules, single};
use rivet_sdk::{Context, Error, ErrorKind, Interrupt, Result, SessionPolicy};
use rusqlite::{Connection, ErrorCode, InterruptHandle, OpenFlags, Statement, Transaction};

use crate::error::{fault, timeout};
use crate::file::{Immutable, why_closed};
use crate::instant;
use crate::options::SqliteOptions;

/// Virtual machine steps between two looks at the clock and the cancel flag.
const STEPS: i32 = 5_000;

/// A connection and what can stop it.
pub struct Database {
    connection: Connection,
    watch: Arc<Watch>,
    busy_timeout: Duration,
    /// The file, canonical.
    pub file: PathBuf,
    /// The promise that it does not change.
    immutable: Option<Immutable>,
}

impl Database {
    /// Opens the file read only.
    pub fn open(options: &SqliteOptions, context: &Context) -> Result<Self> {
        let (named, immutable) = options.file()?;
        let shown = named.display().to_string();
        let file = named.canonicalize().map_err(|error| unreachable_file(&shown, &error))?;
        let metadata = std::fs::metadata(&file).map_err(|error| unreachable_file(&shown, &error))?;
        if !metadata.is_file() {
            return Err(Error::config(format!("`{shown}` is not a file")).with_hint("name the database file"));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let in_file = |error: rusqlite::Error| {
            let code = error.sqlite_error_code();
            why_closed(&file, code, fault(error)).with_context("file", shown.clone())
        };
        let immutable = if immutable { Some(Immutable::of(&file)?) } else { None };
        let opened = match &immutable {
            Some(immutable) => Connection::open_with_flags(immutable.uri(), flags | OpenFlags::SQLITE_OPEN_URI),
            None => Connection::open_with_flags(&file, flags),
        };
        let mut connection = opened.map_err(in_file)?;
        connection.busy_timeout(Duration::ZERO).map_err(in_file)?;
        let busy_timeout = Duration::from_secs(options.busy_timeout_s.unwrap_or(5).into());
        let watch = Arc::new(Watch::new(context));
        let watching = Arc::clone(&watch);
        connection.progress_handler(STEPS, Some(move || watching.must_stop())).map_err(in_file)?;
        connection.pragma_update(None, "query_only", true).map_err(in_file)?;
        connection.pragma_update(None, "trusted_schema", false).map_err(in_file)?;
        instant::register(&connection).map_err(in_file)?;
        // The first read of the file: it shows whether it is a database. One that is locked is waited for by the first
        // statement, which has its own limits.
        match connection.query_row("PRAGMA schema_version", [], |_| Ok(())) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
            read => read.map_err(in_file)?,
        }
        connection.busy_timeout(busy_timeout).map_err(in_file)?;
        Ok(Self { connection, watch, busy_timeout, file, immutable })
    }

    /// Prepares a statement that only reads.
    pub fn prepare(&self, sql: &str) -> Result<Statement<'_>> {
        self.watch.begin();
        let statement = self.connection.prepare(sql).map_err(|error| self.fault(error))?;
        if !statement.readonly() {
            return Err(Error::new(ErrorKind::Permission, "the statement writes").with_hint("use a SELECT"));
        }
        Ok(statement)
    }

    /// The one statement in a user's query, which SQLite has understood as it was written.
    pub fn query<'a>(&self, sql: &'a str) -> Result<&'a str> {
        let one = single(&Rules::sqlite(), sql)?;
        let statement = self.prepare(sql)?;
        let wrong = match (statement.column_count(), statement.parameter_count()) {
            (0, _) => "the query returns no columns",
            // SQLite would take NULL for it.
            (_, 1..) => "the query has a parameter that stands for a value",
            _ => return Ok(one),
        };
        Err(Error::new(ErrorKind::InvalidQuery, wrong).with_hint("`query` must be one SELECT, complete as it stands"))
    }

    /// One text or number of the first row, as `read` takes it.
    pub fn one<T: rusqlite::types::FromSql>(&self, sql: &str) -> Result<T> {
        self.watch.begin();
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(|error| self.fault(error))
    }

    /// All rows of a statement of our own, read by `read`.
    pub fn all<T>(
        &self,
        sql: &str,
        parameters: &[&str],
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.prepare(sql)?;
        let rows = statement.query_map(rusqlite::params_from_iter(parameters), read);
        let rows = rows.map_err(|error| self.fault(error))?;
        rows.collect::<rusqlite::Result<_>>().map_err(|error| self.fault(error))
    }

    /// All statements read at one point, until what is returned is dropped.
    pub fn read_point(&self) -> Result<Transaction<'_>> {
        self.connection.unchecked_transaction().map_err(|error| self.fault(error))
    }

    /// The collation a column compares with.
    pub fn collation(&self, table: &str, column: &str) -> Option<String> {
        let (_, collation, ..) = self.connection.column_metadata(Some("main"), table, column).ok()?;
        Some(collation?.to_string_lossy().into_owned())
    }

    /// Limits each statement from now on. Without one of its own, a wait for a lock has the file's.
    pub fn limit(&self, session: &SessionPolicy) -> Result<()> {
        let wait = session.lock_timeout_ms.map_or(self.busy_timeout, Duration::from_millis);
        self.connection.busy_timeout(wait).map_err(|error| self.fault(error))?;
        self.watch.limit(session.statement_timeout_ms);
        Ok(())
    }

    /// Time spent outside the statement (the sink held us back) does not count.
    pub fn forgive(&self, spent: Duration) {
        self.watch.forgive(spent);
    }

    /// The host's side of this instance.
    pub fn context(&self) -> &Context {
        &self.watch.context
    }

    /// Fails once the work is no longer wanted, or can no longer be right.
    pub fn check(&self) -> Result<()> {
        self.watch.context.check()?;
        if self.watch.interrupted.load(Ordering::Relaxed) {
            return Err(Error::cancelled("the statement was interrupted"));
        }
        self.immutable.as_ref().map_or(Ok(()), Immutable::check)
    }

    /// The error of a failed call; an interrupted statement says what interrupted it.
    pub fn fault(&self, error: rusqlite::Error) -> Error {
        if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) {
            if self.watch.late.load(Ordering::Relaxed) {
                return timeout();
            }
            return Error::cancelled("the statement was interrupted");
        }
        // A writer may have died since the file was opened.
        let error = why_closed(&self.file, error.sqlite_error_code(), fault(error));
        match error.kind() {
            // What is wrong with the file, and not with the statement.
            ErrorKind::NotFound | ErrorKind::InvalidQuery | ErrorKind::Data | ErrorKind::Other => error,
            _ => error.with_context("file", self.file.display().to_string()),
        }
    }

    /// Stops the running statement from another thread.
    pub fn interrupt(&self) -> Stop {
        Stop { handle: self.connection.get_interrupt_handle(), watch: Arc::clone(&self.watch) }
    }
}

fn unreachable_file(shown: &str, error: &std::io::Error) -> Error {
    let (kind, hint) = match error.kind() {
        std::io::ErrorKind::NotFound => (ErrorKind::NotFound, "relative paths start at the working directory"),
        std::io::ErrorKind::PermissionDenied => (ErrorKind::Permission, "allow this user to read the file"),
        _ => (ErrorKind::Connection, "check the path"),
    };
    Error::new(kind, format!("cannot open `{shown}`")).with_source(error).with_hint(hint)
}

/// What the progress handler looks at.
struct Watch {
    context: Context,
    start: Instant,
    /// Of each statement, in milliseconds; `u64::MAX` means none.
    limit_ms: AtomicU64,
    /// Of the statement under way: milliseconds after `start`; `u64::MAX` means no limit.
    deadline_ms: AtomicU64,
    late: AtomicBool,
    interrupted: AtomicBool,
}

impl Watch {
    fn new(context: &Context) -> Self {
        Self {
            context: context.clone(),
            start: Instant::now(),
            limit_ms: AtomicU64::new(u64::MAX),
            deadline_ms: AtomicU64::new(u64::MAX),
            late: AtomicBool::new(false),
            interrupted: AtomicBool::new(false),
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn limit(&self, each_ms: Option<u64>) {
        self.limit_ms.store(each_ms.unwrap_or(u64::MAX), Ordering::Relaxed);
        self.begin();
    }

    /// A statement begins.
    fn begin(&self) {
        let deadline = self.now_ms().saturating_add(self.limit_ms.load(Ordering::Relaxed));
        self.deadline_ms.store(deadline, Ordering::Relaxed);
        self.late.store(false, Ordering::Relaxed);
    }

    fn forgive(&self, spent: Duration) {
        let spent = u64::try_from(spent.as_millis()).unwrap_or(u64::MAX);
        let deadline = self.deadline_ms.load(Ordering::Relaxed);
        self.deadline_ms.store(deadline.saturating_add(spent), Ordering::Relaxed);
    }

    fn must_stop(&self) -> bool {
        if self.interrupted.load(Ordering::Relaxed) || self.context.is_cancelled() {
            return true;
        }
        let late = self.now_ms() >= self.deadline_ms.load(Ordering::Relaxed);
        if late {
            self.late.store(true, Ordering::Relaxed);
        }
        late
    }
}

/// Stops the statement, and every later one of the instance.
pub struct Stop {
    handle: InterruptHandle,
    watch: Arc<Watch>,
}

impl Interrupt for Stop {
    fn interrupt(&self) -> Result<()> {
        self.watch.interrupted.store(true, Ordering::Relaxed);
        self.handle.interrupt();
        Ok(())
    }
}
