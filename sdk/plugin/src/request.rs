//! What the host asks a source for: a relation, its columns, a slice of its rows.
//!
//! A request is structured, not SQL; the driver renders its own dialect, most of it with
//! [`crate::sql`].

mod relation;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::relation::{Relation, TableName};
use crate::{Scalar, WantedType};

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
    /// At most this many rows; None for all.
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
    /// A single value of more bytes than this, as Arrow has it, is refused by name.
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

/// What a row must meet to be read. Those of a request are joined by AND.
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
    /// One value for each column of the key, in its order.
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
    /// Rows, at least 1: never exceeded.
    pub rows: usize,
    /// Bytes of Arrow buffers: the row with which they are reached is the batch's last.
    pub bytes: usize,
}

impl BatchLimits {
    /// At most `rows` rows, and about `bytes` bytes.
    pub const fn new(rows: usize, bytes: usize) -> Self {
        Self { rows, bytes }
    }
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { rows: 16_384, bytes: 8 << 20 }
    }
}

/// How long each statement may take, which the server must enforce. None is no limit.
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

    /// With these limits, in milliseconds; None is no limit.
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
