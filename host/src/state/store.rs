//! What both stores can do: statements in SQL that both understand, over rows of texts and numbers.
//!
//! Parameters are `?1`, `?2`…; `{now_ms}` is the store's clock in milliseconds: that of the
//! machine for a file, that of the server for a database.

use rivet_sdk::{Error, ErrorKind, Result};

use super::migrations::MIGRATIONS;

/// One value of a row, or of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    Null,
    Integer(i64),
    Text(String),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

/// Counts beyond `i64` do not happen; one would be stored as the largest.
impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Parameters, from whatever they are.
macro_rules! cells {
    ($($value:expr),* $(,)?) => { &[$($crate::state::store::Cell::from($value)),*] };
}
pub(super) use cells;

/// One row of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row(pub Vec<Cell>);

impl Row {
    /// A text that is never NULL.
    pub fn text(&self, column: usize) -> Result<String> {
        self.optional_text(column)?.ok_or_else(|| unexpected(column))
    }

    /// A text, or None for NULL.
    pub fn optional_text(&self, column: usize) -> Result<Option<String>> {
        match self.0.get(column) {
            Some(Cell::Text(text)) => Ok(Some(text.clone())),
            Some(Cell::Null) => Ok(None),
            _ => Err(unexpected(column)),
        }
    }

    /// A number that is never NULL.
    pub fn integer(&self, column: usize) -> Result<i64> {
        match self.0.get(column) {
            Some(Cell::Integer(number)) => Ok(*number),
            _ => Err(unexpected(column)),
        }
    }

    /// A count, or None for NULL.
    pub fn optional_count(&self, column: usize) -> Result<Option<u64>> {
        match self.0.get(column) {
            Some(Cell::Null) => Ok(None),
            Some(Cell::Integer(number)) => u64::try_from(*number).map(Some).map_err(|_| unexpected(column)),
            _ => Err(unexpected(column)),
        }
    }
}

fn unexpected(column: usize) -> Error {
    damaged(&format!("column {} of an answer is not what rivet wrote", column + 1))
}

/// The store holds something rivet did not write.
pub(super) fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("the state store is damaged: {what}")).with_code("damaged_state").with_hint(
        "restore it from a backup (a copy from before the last migration is beside a state file), or move it away: \
             unfinished runs are found at the destination, watermarks are lost",
    )
}

/// A newer rivet wrote the store.
pub(super) fn newer(what: &str, version: usize) -> Error {
    Error::new(ErrorKind::Conflict, format!("{what} has version {version}, this rivet knows {}", MIGRATIONS.len()))
        .with_code("newer_state")
        .with_hint("use the newer rivet that wrote it")
}

/// Another tool wrote the store. The one people used before is known by its tables.
pub(super) fn foreign(tables: &[String], what: &str, remedy: &str) -> Error {
    let by = if tables.iter().any(|table| table == "export_state") { "rivet-cli" } else { "another tool" };
    let some: Vec<&str> = tables.iter().take(3).map(String::as_str).collect();
    Error::new(ErrorKind::Conflict, format!("{what} was written by {by} (tables {})", some.join(", ")))
        .with_code("foreign_state")
        .with_hint(remedy)
}

/// Runs statements; inside a transaction, all or none of them count.
pub(super) trait Statements {
    /// The rows of a query.
    fn query(&mut self, sql: &str, values: &[Cell]) -> Result<Vec<Row>>;
    /// How many rows a statement changed.
    fn change(&mut self, sql: &str, values: &[Cell]) -> Result<u64>;
}
