//! What the host asks a source for: a relation, its columns, a slice of its rows.
//!
//! A request is structured, not SQL; the driver renders its own dialect, most of it with
//! [`crate::sql`].

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Scalar, WantedType};

/// What is read: a table (or view), or a query.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Relation {
    /// A table, view or anything else that can stand after FROM by name.
    Table(TableName),
    /// One SELECT statement as the user wrote it, with whatever stands at its end.
    Query(String),
}

impl Relation {
    /// The table's name, unless this is a query.
    pub fn table(&self) -> Option<&TableName> {
        match self {
            Self::Table(name) => Some(name),
            Self::Query(_) => None,
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(name) => name.fmt(f),
            Self::Query(_) => f.write_str("(query)"),
        }
    }
}

/// A table's name as the catalogue spells it: exact case, no quotes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct TableName {
    /// The schema (PostgreSQL, SQL Server), database (MySQL) or attached name (SQLite).
    /// None means the session's default.
    pub schema: Option<String>,
    /// The table.
    pub name: String,
}

impl TableName {
    /// A name in `schema`, or in the session's default one.
    pub fn new(schema: Option<String>, name: impl Into<String>) -> Self {
        Self { schema, name: name.into() }
    }

    /// A name in the session's default schema.
    pub fn unqualified(name: impl Into<String>) -> Self {
        Self { schema: None, name: name.into() }
    }

    /// A name in `schema`.
    pub fn qualified(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: Some(schema.into()), name: name.into() }
    }
}

impl FromStr for TableName {
    type Err = String;

    /// Reads `orders`, `public.orders` and, where a name holds a dot, a space or a quote,
    /// `public."Order.Items"` with `""` for a quote. Names keep their case with or without
    /// quotes. Brackets and backticks are read like quotes.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text.trim();
        loop {
            let (part, after) = name_part(rest).ok_or_else(|| format!("`{text}` is not a table's name"))?;
            parts.push(part);
            match after.strip_prefix('.') {
                Some(more) => rest = more,
                None if after.is_empty() => break,
                None => return Err(format!("`{text}` is not a table's name")),
            }
        }
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next(), parts.next()) {
            (Some(name), None, None) => Ok(Self::unqualified(name)),
            (Some(schema), Some(name), None) => Ok(Self::qualified(schema, name)),
            _ => Err(format!("`{text}` has more parts than schema and table")),
        }
    }
}

/// The first part of a dotted name, and what follows it.
fn name_part(text: &str) -> Option<(String, &str)> {
    let close = match text.chars().next()? {
        quote @ ('"' | '`') => quote,
        '[' => ']',
        _ => {
            let (part, _) = text.split_once('.').unwrap_or((text, ""));
            let plain = !part.is_empty() && !part.contains(|c: char| "\"`[];".contains(c) || c.is_control());
            return plain.then(|| (part.to_owned(), text.get(part.len()..).unwrap_or("")));
        }
    };
    let mut part = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((index, character)) = characters.next() {
        if character != close {
            part.push(character);
        } else if characters.next_if(|(_, next)| *next == close).is_some() {
            part.push(close);
        } else {
            let after = text.get(index + close.len_utf8()..)?;
            return (!part.is_empty()).then_some((part, after));
        }
    }
    None
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        f.write_str(&self.name)
    }
}

/// One export statement: which columns of which rows of which relation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExportRequest {
    /// What is read.
    pub relation: Relation,
    /// The columns, in output order, by their source names. Empty means: all, as the source
    /// has them.
    #[serde(default)]
    pub columns: Vec<ColumnRequest>,
    /// Source columns to leave out. Only looked at where `columns` is empty, or where a
    /// wanted type is given for some columns only (`columns_complete` is false).
    #[serde(default)]
    pub exclude: Vec<String>,
    /// True once the plan is made: `columns` is then the whole list, in order. While planning
    /// it is false and `columns` holds only the user's overrides.
    #[serde(default)]
    pub columns_complete: bool,
    /// All must hold for a row to be read. Empty means every row.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// Columns to sort by, ascending. Empty means any order.
    #[serde(default)]
    pub order_by: Vec<String>,
    /// At most this many rows.
    #[serde(default)]
    pub limit: Option<u64>,
    /// How large a batch may grow.
    pub batch: BatchLimits,
    /// Time limits for the statement.
    #[serde(default)]
    pub session: SessionPolicy,
    /// What becomes of a value that the Arrow type cannot hold.
    #[serde(default)]
    pub on_unrepresentable: OnUnrepresentable,
    /// A single value larger than this is refused by name.
    pub max_value_bytes: u64,
}

impl ExportRequest {
    /// Every row and column of `relation`, with default limits.
    pub fn whole(relation: Relation) -> Self {
        Self {
            relation,
            columns: Vec::new(),
            exclude: Vec::new(),
            columns_complete: false,
            conditions: Vec::new(),
            order_by: Vec::new(),
            limit: None,
            batch: BatchLimits::default(),
            session: SessionPolicy::default(),
            on_unrepresentable: OnUnrepresentable::Fail,
            max_value_bytes: 64 << 20,
        }
    }
}

/// One column the host wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ColumnRequest {
    /// The source's name for it, exact case.
    pub name: String,
    /// The type the user asked for; None takes the driver's own mapping.
    #[serde(default)]
    pub wanted: Option<WantedType>,
}

impl ColumnRequest {
    /// The column as this type, or as the driver's own mapping has it.
    pub fn new(name: impl Into<String>, wanted: Option<WantedType>) -> Self {
        Self { name: name.into(), wanted }
    }
}

/// Half of the rows' selection: conditions are joined by AND.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Condition {
    /// `from <= key < to` (or as the bounds say), the key compared as a tuple by the server.
    /// Rows with a NULL in the key are not selected, unless both bounds are absent.
    Range {
        /// The key's columns, most significant first.
        key: Vec<String>,
        /// No lower limit where absent.
        #[serde(default)]
        from: Option<Bound>,
        /// No upper limit where absent.
        #[serde(default)]
        to: Option<Bound>,
    },
    /// A range over one value: that of the first of `columns` that is not NULL. Rows in which all
    /// of them are NULL are not selected, unless both bounds are absent.
    Coalesced {
        /// The columns, in the order in which they are asked.
        columns: Vec<String>,
        /// No lower limit where absent.
        #[serde(default)]
        from: Option<Bound>,
        /// No upper limit where absent.
        #[serde(default)]
        to: Option<Bound>,
    },
    /// One of the columns is NULL, or with `all` every one.
    Null {
        /// The columns.
        columns: Vec<String>,
        /// Whether all of them must be.
        all: bool,
    },
    /// No row at all.
    Nothing,
    /// The column is NULL.
    IsNull {
        /// The column.
        column: String,
    },
    /// A physical range in the driver's own units (PostgreSQL: block numbers), half-open.
    Native {
        /// First unit; from the start where absent.
        #[serde(default)]
        from: Option<u64>,
        /// First unit that does not belong to it; to the end where absent.
        #[serde(default)]
        to: Option<u64>,
    },
}

impl Condition {
    /// The columns that it names.
    pub fn columns(&self) -> &[String] {
        match self {
            Self::Range { key: columns, .. } | Self::Coalesced { columns, .. } | Self::Null { columns, .. } => columns,
            Self::IsNull { column } => std::slice::from_ref(column),
            Self::Nothing | Self::Native { .. } => &[],
        }
    }
}

/// One end of a range.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Bound {
    /// One value a key column.
    pub values: Vec<Scalar>,
    /// Whether a row equal to the bound belongs to the range.
    pub inclusive: bool,
}

impl Bound {
    /// A bound whose equal rows are inside.
    pub fn inclusive(values: Vec<Scalar>) -> Self {
        Self { values, inclusive: true }
    }

    /// A bound whose equal rows are outside.
    pub fn exclusive(values: Vec<Scalar>) -> Self {
        Self { values, inclusive: false }
    }
}

/// How large one batch may grow. Whichever limit is met first ends the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BatchLimits {
    /// Rows.
    pub rows: usize,
    /// Bytes of Arrow buffers.
    pub bytes: usize,
}

impl BatchLimits {
    /// At most so many rows, and about so many bytes.
    pub const fn new(rows: usize, bytes: usize) -> Self {
        Self { rows, bytes }
    }
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { rows: 16_384, bytes: 8 << 20 }
    }
}

/// What the server must enforce for each statement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct SessionPolicy {
    /// Longest a statement may run, in milliseconds.
    #[serde(default)]
    pub statement_timeout_ms: Option<u64>,
    /// Longest a statement may wait for a lock, in milliseconds.
    #[serde(default)]
    pub lock_timeout_ms: Option<u64>,
}

impl SessionPolicy {
    /// The limits of questions that bring none of their own, where the host tells no others.
    pub const PLANNING: Self = Self::new(Some(300_000), Some(10_000));

    /// How much later than the server a client gives a statement up.
    pub const CLIENT_GRACE: Duration = Duration::from_secs(10);

    /// With these limits, in milliseconds.
    pub const fn new(statement_timeout_ms: Option<u64>, lock_timeout_ms: Option<u64>) -> Self {
        Self { statement_timeout_ms, lock_timeout_ms }
    }

    /// Of two, the longer limit for each; none is the longest.
    #[must_use]
    pub fn longer(&self, other: &Self) -> Self {
        let longer = |one: Option<u64>, other: Option<u64>| one.zip(other).map(|(one, other)| one.max(other));
        Self::new(
            longer(self.statement_timeout_ms, other.statement_timeout_ms),
            longer(self.lock_timeout_ms, other.lock_timeout_ms),
        )
    }

    /// Of these and an export's, those for a question about its columns: little has to be read for it, whatever the
    /// export's statements may take.
    #[must_use]
    pub fn for_columns(&self, export: &Self) -> Self {
        Self { statement_timeout_ms: self.statement_timeout_ms.max(export.statement_timeout_ms), ..*export }
    }

    /// How long a client waits for a statement of which the server should have ended by then; None is for ever.
    pub fn patience(&self) -> Option<Duration> {
        self.statement_timeout_ms.map(|limit| Duration::from_millis(limit).saturating_add(Self::CLIENT_GRACE))
    }
}

/// What becomes of a value that the Arrow type cannot hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnUnrepresentable {
    /// The export fails with column, row key and remedy.
    #[default]
    Fail,
    /// It becomes NULL and is counted in [`crate::ColumnStats::unrepresentable`].
    Null,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_names_are_read_with_and_without_quotes() {
        let qualified = TableName::qualified;
        for (text, name) in [
            ("orders", TableName::unqualified("orders")),
            ("Public.Orders", qualified("Public", "Orders")),
            ("\"Order-Items\"", TableName::unqualified("Order-Items")),
            ("public.\"Order.Items\"", qualified("public", "Order.Items")),
            ("\"a\"\"b\".c", qualified("a\"b", "c")),
            ("[dbo].[My Table]", qualified("dbo", "My Table")),
            ("`shop`.`x``y`", qualified("shop", "x`y")),
            ("größe.zeilen", qualified("größe", "zeilen")),
            ("Order-Items", TableName::unqualified("Order-Items")),
        ] {
            assert_eq!(text.parse(), Ok(name), "{text}");
        }
    }

    #[test]
    fn what_is_no_table_name_is_refused() {
        for text in ["", ".", "a.", ".a", "a.b.c", "\"a", "\"\"", "\"a\"b", "a; DROP TABLE b", "a\"b"] {
            assert!(text.parse::<TableName>().is_err(), "{text}");
        }
    }
}
