//! One connection, its settings made at the start and verified, and what interrupts it.

use std::sync::Arc;
use std::time::Duration;

use rivet_sdk::lexer::{Rules, single};
use rivet_sdk::sql::session::{self, Stopper};
use rivet_sdk::{Error, ErrorKind, Relation, Result, Retry, Scalar, SessionPolicy, Snapshot, log};

use crate::facts::{self, DatabaseFacts};
use crate::link::Link;
use crate::options::Endpoint;
use crate::wire::{Rows, Wire};

/// What every session sets: what an ODBC client has. The login's language, and with it DATEFORMAT and DATEFIRST, stays:
/// it says what a query's own dates mean, and rivet's literals are the same in all.
const SETTINGS: [&str; 12] = [
    "QUOTED_IDENTIFIER ON",
    "ANSI_NULLS ON",
    "ANSI_PADDING ON",
    "ANSI_WARNINGS ON",
    "ARITHABORT ON",
    "CONCAT_NULL_YIELDS_NULL ON",
    "XACT_ABORT ON",
    "NUMERIC_ROUNDABORT OFF",
    "IMPLICIT_TRANSACTIONS OFF",
    "ROWCOUNT 0",
    "TEXTSIZE 2147483647",
    "DEADLOCK_PRIORITY LOW",
];

/// What changes values, as the server must then show it.
const VALUES: &str = "SELECT @@TEXTSIZE";

/// What changes the meaning of a user's query.
const MEANINGS: [&str; 4] = ["QUOTED_IDENTIFIER", "ANSI_NULLS", "ARITHABORT", "CONCAT_NULL_YIELDS_NULL"];
const ISOLATION: &str =
    "SELECT CAST(transaction_isolation_level AS int) FROM sys.dm_exec_sessions WHERE session_id = @@SPID";

/// How long a stopped statement may take to end before its connection is dropped.
const ABANDON: Duration = Duration::from_secs(5);

/// A connection whose settings hold.
pub(crate) struct Session {
    wire: Wire,
    endpoint: Endpoint,
    database: DatabaseFacts,
    lock_timeout: Option<u64>,
    /// The frozen database that this session reads together with others.
    joined: Option<String>,
    /// Of statements whose caller brings none.
    limits: SessionPolicy,
    stopper: Arc<Stopper<Link>>,
}

impl Session {
    /// Connects, sets and verifies.
    pub fn open(endpoint: Endpoint) -> Result<Self> {
        let (wire, database) = connect(&endpoint)?;
        let stopper = Stopper::of(wire.link());
        let limits = SessionPolicy::PLANNING;
        Ok(Self { wire, endpoint, database, lock_timeout: None, joined: None, limits, stopper })
    }

    /// A handle for another thread.
    pub fn stopper(&self) -> Arc<Stopper<Link>> {
        Arc::clone(&self.stopper)
    }

    /// Sets the limits of statements whose caller brings none.
    pub fn limit(&mut self, limits: &SessionPolicy) {
        self.limits = *limits;
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

    /// The read point that a database which cannot change is by itself; None for any other.
    pub fn snapshot(&mut self) -> Result<Option<Snapshot>> {
        self.reconnect()?;
        Ok(self.database.snapshot())
    }

    /// From now on reads at that point, or not at all.
    pub fn join(&mut self, token: &str) -> Result<()> {
        self.reconnect()?;
        self.database.still_is(token, false)?;
        self.joined = Some(token.to_owned());
        Ok(())
    }

    /// Reads at whatever point there is.
    pub fn release(&mut self) {
        self.joined = None;
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
            if let Some(token) = &self.joined {
                self.database.still_is(token, true)?;
            }
            self.lock_timeout = None;
            self.stopper.moves_to(self.wire.link());
        }
        Ok(())
    }
}

impl session::Session for Session {
    type Wire = Wire;

    fn limits(&self) -> SessionPolicy {
        self.limits
    }

    /// No transaction: a statement reads at a moment of its own, or under locks. Whatever `work` leaves running is
    /// stopped.
    fn transaction<T>(&mut self, policy: &SessionPolicy, work: impl FnOnce(&mut Wire) -> Result<T>) -> Result<T> {
        self.reconnect()?;
        // The server keeps no time: the client is the only one to end a statement, and does it at once.
        self.wire.set_patience(policy.statement_timeout_ms.map(Duration::from_millis));
        let outcome = self.limit_locks(policy.lock_timeout_ms).and_then(|()| work(&mut self.wire));
        if self.wire.is_busy() {
            self.wire.abandon(ABANDON);
        }
        outcome.map_err(|error| match self.stopper.was_used() {
            true => Error::cancelled("the statement was stopped"),
            false => error,
        })
    }

    fn query<T>(
        &mut self,
        policy: &SessionPolicy,
        sql: &str,
        work: impl FnOnce(&mut Wire, &str) -> Result<T>,
    ) -> Result<T> {
        let one = single(&Rules::sqlserver(), sql)?;
        let outcome = self.transaction(policy, |wire| work(wire, one));
        outcome.map_err(|error| error.late_for(&Relation::Query(sql.to_owned())))
    }
}

fn connect(endpoint: &Endpoint) -> Result<(Wire, DatabaseFacts)> {
    let mut wire = Wire::open(endpoint)?;
    let database = facts::facts(&mut wire)?;
    // Under SNAPSHOT a statement reads at one moment, and neither waits for writers nor makes them wait.
    let (isolation, level) = if database.snapshot { ("SNAPSHOT", 5) } else { ("READ COMMITTED", 2) };
    let mut settings: Vec<String> = SETTINGS.iter().map(|setting| format!("SET {setting}")).collect();
    settings.push(format!("SET TRANSACTION ISOLATION LEVEL {isolation}"));
    if let Err(error) = wire.run(&settings.join("; ")) {
        tolerate(error)?;
        // A relative of SQL Server may not know them all: what counts is what it shows afterwards.
        for setting in &settings {
            if let Err(error) = wire.run(setting) {
                tolerate(error)?;
            }
        }
    }
    verify(&mut wire, isolation, level)?;
    Ok((wire, database))
}

/// Reads the settings back: a proxy may have swallowed them.
fn verify(wire: &mut Wire, isolation: &str, level: i128) -> Result<()> {
    // The login itself asks for texts of any length; whoever does not show the setting is taken at its word.
    if let Some(shown) = known(wire, VALUES)?
        && !matches!(shown.first(), Some(Scalar::Integer(-1 | 2_147_483_647)))
    {
        return Err(swallowed("TEXTSIZE", shown.first(), "2147483647"));
    }
    let list: Vec<String> = MEANINGS.iter().map(|name| format!("CAST(SESSIONPROPERTY('{name}') AS int)")).collect();
    if let Some(shown) = known(wire, &format!("SELECT {}", list.join(", ")))? {
        for (name, value) in MEANINGS.iter().zip(&shown) {
            if *value != Scalar::Integer(1) {
                return Err(swallowed(name, Some(value), "ON"));
            }
        }
    }
    match known(wire, ISOLATION)?.as_deref() {
        Some([found]) if *found != Scalar::Integer(level) => {
            Err(swallowed("TRANSACTION ISOLATION LEVEL", Some(found), isolation))
        }
        _ => Ok(()),
    }
}

/// The row that answers a question; None where the server does not know, or does not tell.
fn known(wire: &mut Wire, sql: &str) -> Result<Option<Vec<Scalar>>> {
    match wire.run(sql) {
        Ok(rows) => Ok(rows.rows.into_iter().next()),
        Err(error) => tolerate(error).map(|()| None),
    }
}

/// A line in the log for an error that only says what the server does not have or tell; any other
/// error is passed on.
pub(crate) fn tolerate(error: Error) -> Result<()> {
    let kinds = [ErrorKind::InvalidQuery, ErrorKind::NotFound, ErrorKind::Permission, ErrorKind::Unsupported];
    if !kinds.contains(&error.kind()) {
        return Err(error);
    }
    log::debug!("the server does not have or tell this: {error}");
    Ok(())
}

fn swallowed(name: &str, found: Option<&Scalar>, wanted: &str) -> Error {
    let found = found.map_or_else(|| "nothing".to_owned(), Scalar::as_text);
    Error::new(ErrorKind::Connection, format!("the setting {name} shows {found} although it was set to {wanted}"))
        .with_retry(Retry::Permanent)
        .with_hint("a proxy between rivet and SQL Server swallows SET; connect past it")
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
