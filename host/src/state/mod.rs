//! What is remembered between runs: leases, watermarks, schemas and a journal, in a SQLite file
//! beside the configuration or in a PostgreSQL database.
//!
//! Of a run that is going on, correctness never rests on this: the decision object at the
//! destination does that. The lease only keeps two runs of one export from doing the same work.

mod holder;
mod journal;
mod lease;
mod migrations;
mod place;
mod postgres;
mod schema;
mod sqlite;
mod store;
mod watermark;

use std::path::Path;

use rivet_sdk::{Result, Secret};

pub use journal::{RunNumbers, RunRecord, RunStatus};
pub use lease::Lease;
pub use schema::SeenSchema;
pub use watermark::{Advance, Watermark};

use self::postgres::Database;
use self::sqlite::File;
use self::store::{Cell, Row, Statements};
use crate::config::StateConfig;
use crate::redact;

/// The file's name, beside the configuration.
pub const STATE_FILE: &str = ".rivet_state.db";

/// The state store, open.
#[derive(Debug)]
pub struct State {
    store: Store,
}

#[derive(Debug)]
enum Store {
    File(File),
    Database(Box<Database>),
}

impl State {
    /// Opens the configured store, making or migrating it. A store of another tool, or of a
    /// newer rivet, is refused.
    pub fn of(config: &StateConfig) -> Result<Self> {
        match config {
            StateConfig::Sqlite(path) => Self::open_file(path),
            StateConfig::Postgres(url) => Self::open_url(url),
        }
    }

    /// As [`State::of`], without making a file that is not there: None.
    pub fn look(config: &StateConfig) -> Result<Option<Self>> {
        match config {
            StateConfig::Sqlite(path) if !path.exists() => Ok(None),
            config => Self::of(config).map(Some),
        }
    }

    /// The state file in `folder`.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::open_file(&folder.join(STATE_FILE))
    }

    /// A state file of any name.
    pub fn open_file(path: &Path) -> Result<Self> {
        Ok(Self { store: Store::File(File::open(path)?) })
    }

    /// The state in a PostgreSQL database.
    pub fn open_url(url: &Secret) -> Result<Self> {
        redact::remember([url.clone()]);
        Ok(Self { store: Store::Database(Box::new(Database::open(url)?)) })
    }

    /// Where the store is, for people.
    pub fn place(&self) -> String {
        match &self.store {
            Store::File(file) => file.path().display().to_string(),
            Store::Database(database) => database.place(),
        }
    }

    /// A second connection to the same store.
    fn again(&self) -> Result<Self> {
        let store = match &self.store {
            Store::File(file) => Store::File(File::connect(file.path())?),
            Store::Database(database) => Store::Database(Box::new(database.again()?)),
        };
        Ok(Self { store })
    }

    /// All statements of `work`, or none; no other transaction on `export` runs meanwhile. May
    /// run twice, where a connection breaks.
    fn transaction<T>(&self, export: &str, work: impl FnMut(&mut dyn Statements) -> Result<T>) -> Result<T> {
        match &self.store {
            Store::File(file) => file.transaction(work),
            Store::Database(database) => database.transaction(export, work),
        }
    }

    fn query(&self, sql: &str, values: &[Cell]) -> Result<Vec<Row>> {
        match &self.store {
            Store::File(file) => file.query(sql, values),
            Store::Database(database) => database.query(sql, values),
        }
    }

    /// One statement in a transaction of its own.
    fn change(&self, export: &str, sql: &str, values: &[Cell]) -> Result<()> {
        self.transaction(export, |statements| statements.change(sql, values).map(|_| ()))
    }
}

/// Always six digits, so that moments sort as texts.
fn now() -> String {
    format!("{:.6}", jiff::Timestamp::now())
}

#[cfg(test)]
mod tests;
