//! One connection, its settings made at the start and verified, and what interrupts it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rivet_sdk::{Error, ErrorKind, Result, Retry, Scalar, SessionPolicy, log};

use crate::error::lost;
use crate::link::Link;
use crate::options::Endpoint;
use crate::wire::{Rows, Wire, attention};

/// What every session sets: what an ODBC client has, and nothing that depends on the login, its
/// language or the database. DATEFORMAT comes after LANGUAGE, which sets it too.
const SETTINGS: &str = "SET QUOTED_IDENTIFIER, ANSI_NULLS, ANSI_PADDING, ANSI_WARNINGS, ARITHABORT, \
     CONCAT_NULL_YIELDS_NULL, XACT_ABORT ON; SET NUMERIC_ROUNDABORT OFF; SET IMPLICIT_TRANSACTIONS OFF; \
     SET ROWCOUNT 0; SET TEXTSIZE -1; SET LANGUAGE us_english; SET DATEFORMAT ymd; SET DEADLOCK_PRIORITY LOW; \
     SET TRANSACTION ISOLATION LEVEL";

/// What the server must then show. The date reads as the second of March in a session of another
/// DATEFORMAT.
const PROOF: &str = "SELECT @@TEXTSIZE, CONVERT(nvarchar(23), CAST('2003-02-01' AS datetime), 126), \
     CAST(SESSIONPROPERTY('QUOTED_IDENTIFIER') AS int), CAST(SESSIONPROPERTY('ANSI_NULLS') AS int), \
     CAST(SESSIONPROPERTY('ARITHABORT') AS int), CAST(SESSIONPROPERTY('CONCAT_NULL_YIELDS_NULL') AS int), \
     (SELECT CAST(transaction_isolation_level AS int) FROM sys.dm_exec_sessions WHERE session_id = @@SPID)";

/// How long a stopped statement may take to end before its connection is dropped.
const ABANDON: Duration = Duration::from_secs(5);

/// A connection whose settings hold.
pub(crate) struct Session {
    wire: Wire,
    endpoint: Endpoint,
    database: DatabaseFacts,
    lock_timeout: Option<u64>,
    stopper: Arc<Stopper>,
}

/// What `sys.databases` says of the database in use.
#[derive(Debug, Clone, Default)]
pub(crate) struct DatabaseFacts {
    pub id: Option<i128>,
    pub name: String,
    pub broker: Option<String>,
    pub created: Option<String>,
    /// SNAPSHOT isolation is allowed.
    pub snapshot: bool,
    /// READ COMMITTED reads row versions.
    pub row_versions: bool,
    pub compatibility: i128,
}

/// What another thread needs to stop the session's statement.
pub(crate) struct Stopper {
    /// The connection in use now: it changes when a broken one is opened anew.
    link: Mutex<Arc<Link>>,
    used: AtomicBool,
}

impl Stopper {
    /// Sends an attention on the session's own connection.
    pub fn stop(&self) -> Result<()> {
        self.used.store(true, Ordering::SeqCst);
        let link = Arc::clone(&self.link.lock().unwrap_or_else(PoisonError::into_inner));
        link.send(&attention()).map_err(|error| lost(&error))
    }
}

impl Session {
    /// Connects, sets and verifies.
    pub fn open(endpoint: Endpoint) -> Result<Self> {
        let (wire, database) = connect(&endpoint)?;
        let stopper = Arc::new(Stopper { link: Mutex::new(wire.link()), used: AtomicBool::new(false) });
        Ok(Self { wire, endpoint, database, lock_timeout: None, stopper })
    }

    /// A handle for another thread.
    pub fn stopper(&self) -> Arc<Stopper> {
        Arc::clone(&self.stopper)
    }

    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub fn database(&self) -> &DatabaseFacts {
        &self.database
    }

    /// Runs `work` under the policy's time limits. Whatever it leaves running is stopped.
    pub fn with<T>(&mut self, policy: &SessionPolicy, work: impl FnOnce(&mut Wire) -> Result<T>) -> Result<T> {
        self.reconnect()?;
        let prepared = self
            .limit_locks(policy.lock_timeout_ms)
            .and_then(|()| self.wire.set_patience(policy.statement_timeout_ms.map(Duration::from_millis)));
        let outcome = prepared.and_then(|()| work(&mut self.wire));
        if self.wire.is_busy() {
            self.wire.abandon(ABANDON);
        }
        if !self.wire.is_broken() {
            self.wire.set_patience(None)?;
        }
        outcome.map_err(|error| match self.stopper.used.load(Ordering::SeqCst) {
            true => Error::cancelled("the statement was stopped"),
            false => error,
        })
    }

    /// LOCK_TIMEOUT stays until it is set again.
    fn limit_locks(&mut self, limit: Option<u64>) -> Result<()> {
        if self.lock_timeout == limit {
            return Ok(());
        }
        let wanted = limit.map_or(-1, |limit| i128::from(limit.min(i32::MAX.unsigned_abs().into())));
        let shown = self.wire.run(&format!("SET LOCK_TIMEOUT {wanted}; SELECT @@LOCK_TIMEOUT"))?.one()?;
        if shown != [Scalar::Integer(wanted)] {
            return Err(swallowed("LOCK_TIMEOUT", shown.first(), &wanted.to_string()));
        }
        self.lock_timeout = limit;
        Ok(())
    }

    fn reconnect(&mut self) -> Result<()> {
        if self.wire.is_broken() {
            (self.wire, self.database) = connect(&self.endpoint)?;
            self.lock_timeout = None;
            *self.stopper.link.lock().unwrap_or_else(PoisonError::into_inner) = self.wire.link();
        }
        Ok(())
    }
}

fn connect(endpoint: &Endpoint) -> Result<(Wire, DatabaseFacts)> {
    let mut wire = Wire::open(endpoint)?;
    let database = facts(&mut wire)?;
    // One statement reads at one moment either way; under SNAPSHOT it neither waits for writers nor
    // makes them wait.
    let (isolation, level) = if database.snapshot { ("SNAPSHOT", 5) } else { ("READ COMMITTED", 2) };
    wire.run(&format!("{SETTINGS} {isolation}"))?;
    let shown = wire.run(PROOF)?.one()?;
    let [text_size, date, rest @ .., found] = &shown[..] else { return Err(Error::internal("a proof too short")) };
    if !matches!(text_size, Scalar::Integer(-1 | 2_147_483_647)) {
        return Err(swallowed("TEXTSIZE", Some(text_size), "-1"));
    }
    if *date != Scalar::Text("2003-02-01T00:00:00".into()) {
        return Err(swallowed("DATEFORMAT", Some(date), "ymd"));
    }
    let names = ["QUOTED_IDENTIFIER", "ANSI_NULLS", "ARITHABORT", "CONCAT_NULL_YIELDS_NULL"];
    for (name, value) in names.iter().zip(rest) {
        if *value != Scalar::Integer(1) {
            return Err(swallowed(name, Some(value), "ON"));
        }
    }
    match found {
        Scalar::Integer(found) if *found == level => {}
        // A server without the view cannot be asked.
        Scalar::Null => log::debug!("the isolation level cannot be read back"),
        other => return Err(swallowed("TRANSACTION ISOLATION LEVEL", Some(other), isolation)),
    }
    Ok((wire, database))
}

fn swallowed(name: &str, found: Option<&Scalar>, wanted: &str) -> Error {
    let found = found.map_or_else(|| "nothing".to_owned(), Scalar::as_text);
    Error::new(ErrorKind::Connection, format!("the setting {name} shows {found} although it was set to {wanted}"))
        .with_retry(Retry::Permanent)
        .with_hint("a proxy between rivet and SQL Server swallows SET; connect past it")
}

fn facts(wire: &mut Wire) -> Result<DatabaseFacts> {
    let mut row = wire
        .run(
            "SELECT CAST(database_id AS int), name, CAST(service_broker_guid AS nvarchar(36)), \
             CONVERT(nvarchar(30), create_date, 126), CAST(snapshot_isolation_state AS int), \
             CAST(is_read_committed_snapshot_on AS int), CAST(compatibility_level AS int) \
             FROM sys.databases WHERE database_id = DB_ID()",
        )?
        .one()?
        .into_iter();
    let mut next = || row.next().unwrap_or(Scalar::Null);
    Ok(DatabaseFacts {
        id: whole(&next()),
        name: words(&next()).unwrap_or_default(),
        broker: words(&next()),
        created: words(&next()),
        snapshot: whole(&next()) == Some(1),
        row_versions: whole(&next()) == Some(1),
        compatibility: whole(&next()).unwrap_or(0),
    })
}

/// A number in an answer; None for NULL.
pub(crate) fn whole(value: &Scalar) -> Option<i128> {
    match value {
        Scalar::Integer(value) => Some(*value),
        Scalar::Boolean(value) => Some(i128::from(*value)),
        Scalar::Decimal(text) => text.parse().ok(),
        _ => None,
    }
}

/// A text in an answer; None for NULL.
pub(crate) fn words(value: &Scalar) -> Option<String> {
    match value {
        Scalar::Null => None,
        value => Some(value.as_text()),
    }
}

/// The rows of a question of ours.
pub(crate) fn ask(wire: &mut Wire, sql: &str) -> Result<Vec<Vec<Scalar>>> {
    log::trace!("{sql}");
    let Rows { rows, .. } = wire.run(sql)?;
    Ok(rows)
}
