//! The store in a PostgreSQL database, for machines that share it.
//!
//! Everything is one short transaction under an advisory lock of that transaction, every
//! statement is unnamed: a pooler that lends connections by transaction does no harm. A
//! connection that broke is made again, and the transaction repeated: each is written so that
//! it may run twice.

mod client;
mod error;
mod noted;
mod url;

use std::cell::RefCell;
use std::thread;
use std::time::Duration;

use postgres::Client;
use postgres::types::{ToSql, Type};
use rivet_sdk::{Error, Result, Secret};

use self::client::Patient;
use self::url::Address;
use super::migrations::{ADDED, MIGRATIONS};
use super::store::{Cell, Row, Statements, damaged, foreign, newer};

/// Marks our advisory locks: `rivt`.
const LOCKS: i32 = 0x7269_7674;
/// The lock of those who make or migrate the tables; an export's is its name's checksum.
const MIGRATION_LOCK: i32 = 0;
const NOW_MS: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
const REMEDY: &str = "the progress of incremental exports in it is not taken over: give rivet a database or a \
                      schema of its own; `?options=-csearch_path%3Drivet` names a schema";
/// How often a transaction is tried over a connection that breaks.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);

/// The database, connected.
pub(super) struct Database {
    address: Address,
    client: RefCell<Patient>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Database").field(&self.address.place()).finish()
    }
}

impl Database {
    /// Connects, and makes or migrates the tables.
    pub fn open(url: &Secret) -> Result<Self> {
        let database = Self::connect(Address::parse(url)?)?;
        database.prepare()?;
        Ok(database)
    }

    /// A second connection to a database that [`Database::open`] has prepared.
    pub fn again(&self) -> Result<Self> {
        Self::connect(self.address.clone())
    }

    fn connect(address: Address) -> Result<Self> {
        let client = RefCell::new(address.connect()?);
        Ok(Self { address, client })
    }

    /// Host, port and database.
    pub fn place(&self) -> String {
        self.address.place()
    }

    /// All statements of `work`, or none; no other transaction on `export` runs meanwhile.
    pub fn transaction<T>(&self, export: &str, mut work: impl FnMut(&mut dyn Statements) -> Result<T>) -> Result<T> {
        let lock = i32::from_ne_bytes(crc32c::crc32c(export.as_bytes()).to_ne_bytes());
        self.connected(|statements| statements.transaction(lock, &mut work))
    }

    /// The rows of a query.
    pub fn query(&self, sql: &str, values: &[Cell]) -> Result<Vec<Row>> {
        self.connected(|statements| statements.query(sql, values))
    }

    /// Does `work`, again if the connection breaks meanwhile.
    fn connected<T>(&self, mut work: impl FnMut(&mut OnServer<'_>) -> Result<T>) -> Result<T> {
        let mut client = self.client.borrow_mut();
        let (mut attempt, mut broken) = (1, false);
        loop {
            let again = std::mem::take(&mut broken) || client.is_closed();
            let result = if again { self.reconnect(&mut client) } else { Ok(()) }
                .and_then(|()| work(&mut OnServer { client: &mut client, address: &self.address }));
            match result {
                // The server's last word may arrive before the end of the connection is noticed.
                Err(error)
                    if attempt < ATTEMPTS && !client.is_silent() && (client.is_closed() || is_last_word(&error)) =>
                {
                    broken = true;
                    log::warn!("the state store's connection broke and is made again: {error}");
                    // The first time it is only a server that closes idle connections.
                    if attempt > 1 {
                        thread::sleep(PAUSE * attempt);
                    }
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    fn reconnect(&self, client: &mut Patient) -> Result<()> {
        *client = self.address.connect()?;
        Ok(())
    }

    fn prepare(&self) -> Result<()> {
        self.connected(|statements| {
            if statements.version()? == Some(MIGRATIONS.len()) && statements.has_all_columns()? {
                return Ok(());
            }
            statements.migrate()
        })
    }
}

/// Whether the server ends the connection with this error, by its class: it shuts down, or an
/// administrator ended the session. The transaction is rolled back.
fn is_last_word(error: &Error) -> bool {
    error.code().is_some_and(|code| matches!(code, "57P01" | "57P02" | "57P03") || code.starts_with("08"))
}

/// Statements on the connection, in or outside a transaction.
struct OnServer<'a> {
    client: &'a mut Patient,
    address: &'a Address,
}

impl OnServer<'_> {
    /// One transaction under `lock`. The limits make sure that nobody waits long for a process
    /// that was stopped in the middle of it.
    fn transaction<T>(&mut self, lock: i32, work: &mut dyn FnMut(&mut dyn Statements) -> Result<T>) -> Result<T> {
        self.begin(lock)?;
        let result = work(self);
        self.end(result)
    }

    fn begin(&mut self, lock: i32) -> Result<()> {
        self.batch(&format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
             SET LOCAL lock_timeout = '20s';
             SET LOCAL statement_timeout = '30s';
             SET LOCAL idle_in_transaction_session_timeout = '30s';
             SELECT pg_advisory_xact_lock({LOCKS}, {lock})"
        ))
        .inspect_err(|_| self.roll_back())
    }

    fn end<T>(&mut self, result: Result<T>) -> Result<T> {
        match result {
            Ok(value) => self.batch("COMMIT").map(|()| value),
            Err(error) => {
                self.roll_back();
                Err(error)
            }
        }
    }

    fn roll_back(&mut self) {
        // A connection that is gone has rolled back by itself.
        if let Err(error) = self.batch("ROLLBACK") {
            log::debug!("the state store's transaction was not rolled back: {error}");
        }
    }

    fn ask<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Client) -> Result<T, postgres::Error> + Send + 'static,
    ) -> Result<T> {
        let answer = self.client.ask(work).map_err(|error| error.with_context("state", self.address.place()))?;
        answer.map_err(|error| self.address.error(&error))
    }

    fn batch(&mut self, sql: &str) -> Result<()> {
        let sql = sql.to_owned();
        self.ask(move |client| client.batch_execute(&sql))
    }

    /// None without tables of ours. Newer tables, and another tool's, are refused.
    fn version(&mut self) -> Result<Option<usize>> {
        // Not to_regclass: its cache may not know yet what somebody made while we waited for the lock.
        let tables = self.query(
            "SELECT relname::text FROM pg_catalog.pg_class WHERE relname IN ('rivet_version', 'export_state')
             AND pg_catalog.pg_table_is_visible(oid) ORDER BY relname DESC",
            &[],
        )?;
        let tables = tables.iter().map(|row| row.text(0)).collect::<Result<Vec<_>>>()?;
        match tables.first().map(String::as_str) {
            None => return Ok(None),
            Some("rivet_version") => {}
            Some(_) => return Err(foreign(&tables, &self.address.place(), REMEDY)),
        }
        let rows = self.query("SELECT version FROM rivet_version", &[])?;
        let [row] = rows.as_slice() else { return Err(damaged("rivet_version has not one row")) };
        let version = usize::try_from(row.integer(0)?).map_err(|_| damaged("its version is negative"))?;
        if version > MIGRATIONS.len() { Err(newer(&self.address.place(), version)) } else { Ok(Some(version)) }
    }

    /// Whether the columns that came without a version are there.
    fn has_all_columns(&mut self) -> Result<bool> {
        let columns = self.query(
            "SELECT relname::text, attname::text FROM pg_catalog.pg_attribute
             JOIN pg_catalog.pg_class ON pg_class.oid = attrelid
             WHERE relname LIKE 'rivet%' AND attnum > 0 AND pg_catalog.pg_table_is_visible(attrelid)",
            &[],
        )?;
        let known: Vec<(String, String)> =
            columns.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect::<Result<_>>()?;
        Ok(ADDED.iter().all(|added| known.iter().any(|(table, column)| table == added.table && column == added.column)))
    }

    /// Makes what is missing, in one transaction: all machines may come here at once.
    fn migrate(&mut self) -> Result<()> {
        self.begin(MIGRATION_LOCK)?;
        let migrated = self.version().and_then(|version| {
            if version.is_none() {
                self.batch(
                    "CREATE TABLE rivet_version (version BIGINT NOT NULL); INSERT INTO rivet_version VALUES (0)",
                )?;
            }
            for step in MIGRATIONS.iter().skip(version.unwrap_or_default()) {
                self.batch(&wider(step))?;
            }
            for added in ADDED {
                let (table, column) = (added.table, added.column);
                let text = wider("TEXT");
                self.batch(&format!("ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} {text}"))?;
            }
            self.batch(&format!("UPDATE rivet_version SET version = {}", MIGRATIONS.len()))
        });
        self.end(migrated)
    }
}

/// A migration in PostgreSQL's words. Texts compare by their bytes there too.
fn wider(step: &str) -> String {
    step.replace("INTEGER", "BIGINT").replace(") STRICT", ")").replace("TEXT", "TEXT COLLATE \"C\"")
}

fn dialect(sql: &str) -> String {
    sql.replace("{now_ms}", NOW_MS).replace('?', "$")
}

impl Statements for OnServer<'_> {
    fn query(&mut self, sql: &str, values: &[Cell]) -> Result<Vec<Row>> {
        let (sql, values) = (dialect(sql), values.to_vec());
        let rows = self.ask(move |client| client.query_typed(&sql, &parameters(&values)))?;
        rows.iter().map(row).collect()
    }

    fn change(&mut self, sql: &str, values: &[Cell]) -> Result<u64> {
        let (sql, values) = (dialect(sql), values.to_vec());
        self.ask(move |client| client.execute_typed(&sql, &parameters(&values)))
    }
}

fn parameters(values: &[Cell]) -> Vec<(&(dyn ToSql + Sync), Type)> {
    values.iter().map(parameter).collect()
}

fn parameter(value: &Cell) -> (&(dyn ToSql + Sync), Type) {
    match value {
        // The server finds the type by the place.
        Cell::Null => (&None::<String>, Type::UNKNOWN),
        Cell::Integer(number) => (number, Type::INT8),
        Cell::Text(text) => (text, Type::TEXT),
    }
}

fn row(row: &postgres::Row) -> Result<Row> {
    let strange = |error: postgres::Error| damaged(&format!("a row cannot be read: {error}"));
    let cell = |index: usize, column: &postgres::Column| {
        Ok(match *column.type_() {
            Type::INT4 => row.try_get::<_, Option<i32>>(index).map_err(strange)?.map(i64::from).into(),
            Type::INT8 => row.try_get::<_, Option<i64>>(index).map_err(strange)?.into(),
            Type::TEXT => row.try_get::<_, Option<String>>(index).map_err(strange)?.into(),
            ref other => return Err(damaged(&format!("column {} is of type {other}", column.name()))),
        })
    };
    row.columns().iter().enumerate().map(|(index, column)| cell(index, column)).collect::<Result<_>>().map(Row)
}
