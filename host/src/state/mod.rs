//! What is remembered between runs: leases, watermarks, schemas and a journal, in a SQLite file
//! beside the configuration.
//!
//! Of a run that is going on, correctness never rests on this: the decision object at the
//! destination does that. The lease only keeps two runs of one export from doing the same work.

mod holder;
mod journal;
mod lease;
mod migrations;
mod schema;
mod sqlite;
mod store;
mod watermark;

use std::path::Path;

use rivet_sdk::{Error, ErrorKind, Result};

pub use journal::{RunNumbers, RunRecord, RunStatus};
pub use lease::Lease;
pub use schema::SeenSchema;
pub use watermark::{Advance, Watermark};

use self::sqlite::File;
use self::store::{Cell, Row, Statements};

/// The file's name, beside the configuration.
pub const STATE_FILE: &str = ".rivet_state.db";

/// The state store, open.
#[derive(Debug)]
pub struct State {
    store: File,
}

impl State {
    /// Opens the state file in `folder`, making or migrating it. A file of another tool, or of
    /// a newer rivet, is refused.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::open_file(&folder.join(STATE_FILE))
    }

    /// As [`State::open`], for a file of any name.
    pub fn open_file(path: &Path) -> Result<Self> {
        Ok(Self { store: File::open(path)? })
    }

    /// Where the store is, for people.
    pub fn place(&self) -> String {
        self.store.path().display().to_string()
    }

    /// A second connection to the same store.
    fn again(&self) -> Result<Self> {
        Ok(Self { store: File::connect(self.store.path())? })
    }

    /// All statements of `work`, or none; no other transaction on `export` runs meanwhile.
    fn transaction<T>(&self, _export: &str, work: impl FnMut(&mut dyn Statements) -> Result<T>) -> Result<T> {
        self.store.transaction(work)
    }

    /// One statement in a transaction of its own.
    fn change(&self, export: &str, sql: &str, values: &[Cell]) -> Result<()> {
        self.transaction(export, |statements| statements.change(sql, values).map(|_| ()))
    }

    fn query(&self, sql: &str, values: &[Cell]) -> Result<Vec<Row>> {
        self.store.query(sql, values)
    }
}

/// A store that belongs to another tool.
fn foreign(tables: &[String], what: &str) -> Error {
    let some: Vec<&str> = tables.iter().take(3).map(String::as_str).collect();
    Error::new(ErrorKind::Conflict, format!("{what} was written by another tool (tables {})", some.join(", ")))
        .with_code("foreign_state")
        .with_hint("it may hold the progress of incremental exports: move it away to start afresh, or keep this configuration in another folder")
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}

#[cfg(test)]
mod tests;
