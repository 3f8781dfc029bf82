//! What a source says of its server and of its relations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Relation, TableName};

/// Which database an instance is connected to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Identity {
    /// The product: `PostgreSQL`, `MariaDB`.
    pub product: String,
    /// Its version, as it prints it.
    pub version: String,
    /// The database's own stable id (system identifier and database), never a host name.
    pub id: String,
    /// The database, schema or file in use, for people.
    pub database: String,
    /// Who is logged in; None where the database knows no logins.
    pub user: Option<String>,
    /// A pooler or proxy in between; None where none was detected.
    pub pooler: Option<String>,
    /// Things `doctor` tells the user: `("TLS", "TLSv1.3")`, missing rights, limits.
    pub notes: Vec<Note>,
}

impl Identity {
    /// A connection without a login, a pooler or notes.
    pub fn new(
        product: impl Into<String>,
        version: impl Into<String>,
        id: impl Into<String>,
        database: impl Into<String>,
    ) -> Self {
        Self {
            product: product.into(),
            version: version.into(),
            id: id.into(),
            database: database.into(),
            user: None,
            pooler: None,
            notes: Vec::new(),
        }
    }

    /// Sets [`Identity::user`].
    #[must_use]
    pub fn with_user(self, user: impl Into<Option<String>>) -> Self {
        Self { user: user.into(), ..self }
    }

    /// Sets [`Identity::pooler`].
    #[must_use]
    pub fn with_pooler(self, pooler: impl Into<Option<String>>) -> Self {
        Self { pooler: pooler.into(), ..self }
    }

    /// Sets [`Identity::notes`].
    #[must_use]
    pub fn with_notes(self, notes: Vec<Note>) -> Self {
        Self { notes, ..self }
    }
}

/// One thing `doctor` tells the user about a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Note {
    /// What it is about, in a word or two: `TLS`, `login`.
    pub subject: String,
    /// What was found, as a line of `doctor`.
    pub text: String,
    /// Whether `doctor` marks it as a warning.
    pub warning: bool,
}

impl Note {
    /// Something worth knowing.
    pub fn new(subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self { subject: subject.into(), text: text.into(), warning: false }
    }

    /// Sets [`Note::warning`].
    #[must_use]
    pub fn with_warning(self, warning: bool) -> Self {
        Self { warning, ..self }
    }
}

/// Which tables to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TableFilter {
    /// Only this schema; None means every schema that is not the system's.
    #[serde(default)]
    pub schema: Option<String>,
}

impl TableFilter {
    /// The tables of this schema; None as in [`TableFilter::schema`].
    pub fn in_schema(schema: impl Into<Option<String>>) -> Self {
        Self { schema: schema.into() }
    }
}

/// A table in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TableSummary {
    /// Its name, with its schema where the database has schemas.
    pub table: TableName,
    /// `table`, `view`, `materialized view`, `partitioned table`, `foreign table`.
    pub kind: String,
    /// Estimated rows, from statistics; None where there are none.
    pub rows: Option<u64>,
    /// Estimated bytes on the server; None where it has no estimate.
    pub bytes: Option<u64>,
    /// The options name a database, and the table is in another one: it is meant only where its schema is named.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub elsewhere: bool,
    /// Tables that show this one's rows among theirs: what it is a partition of, or inherits from, and theirs in turn.
    /// Who exports one of those by a pattern leaves this table out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<TableName>,
}

impl TableSummary {
    /// A table without estimates.
    pub fn new(table: TableName, kind: impl Into<String>) -> Self {
        Self { table, kind: kind.into(), rows: None, bytes: None, elsewhere: false, within: Vec::new() }
    }

    /// Sets [`TableSummary::within`].
    #[must_use]
    pub fn with_within(self, within: Vec<TableName>) -> Self {
        Self { within, ..self }
    }

    /// Sets [`TableSummary::rows`].
    #[must_use]
    pub fn with_rows(self, rows: impl Into<Option<u64>>) -> Self {
        Self { rows: rows.into(), ..self }
    }

    /// Sets [`TableSummary::elsewhere`].
    #[must_use]
    pub fn with_elsewhere(self, elsewhere: bool) -> Self {
        Self { elsewhere, ..self }
    }

    /// Sets [`TableSummary::bytes`].
    #[must_use]
    pub fn with_bytes(self, bytes: impl Into<Option<u64>>) -> Self {
        Self { bytes: bytes.into(), ..self }
    }
}

/// What the planner needs to know of a relation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Description {
    /// The relation with its schema filled in.
    pub relation: Relation,
    /// As in [`TableSummary::kind`], or `query`.
    pub kind: String,
    /// Unique keys and indexes that a chunk's range can use, the primary key first.
    pub keys: Vec<Key>,
    /// Estimated rows, from statistics; None where there are none.
    pub rows: Option<u64>,
    /// Estimated bytes of the relation's rows on the server; None where it has no estimate.
    pub bytes: Option<u64>,
    /// Whether [`crate::SplitBy::Native`] works on it, and if not, why.
    pub native: NativeSplit,
    /// What reads the relation's rows at one point in time.
    #[serde(default)]
    pub one_read_point: OneReadPoint,
    /// Why that is no [`OneReadPoint::Snapshot`]: what lacks it, and what would help. Goes on after "cannot be had: ".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_snapshot: Option<String>,
}

impl Description {
    /// A relation of which nothing is known: no key, no estimate, no physical cut, no read point.
    pub fn new(relation: Relation, kind: impl Into<String>) -> Self {
        Self {
            relation,
            kind: kind.into(),
            keys: Vec::new(),
            rows: None,
            bytes: None,
            native: NativeSplit::Impossible("this source has no physical ranges".into()),
            one_read_point: OneReadPoint::None,
            no_snapshot: None,
        }
    }

    /// Sets [`Description::keys`].
    #[must_use]
    pub fn with_keys(self, keys: Vec<Key>) -> Self {
        Self { keys, ..self }
    }

    /// Sets [`Description::rows`].
    #[must_use]
    pub fn with_rows(self, rows: impl Into<Option<u64>>) -> Self {
        Self { rows: rows.into(), ..self }
    }

    /// Sets [`Description::bytes`].
    #[must_use]
    pub fn with_bytes(self, bytes: impl Into<Option<u64>>) -> Self {
        Self { bytes: bytes.into(), ..self }
    }

    /// Sets [`Description::native`].
    #[must_use]
    pub fn with_native(self, native: NativeSplit) -> Self {
        Self { native, ..self }
    }

    /// Sets [`Description::one_read_point`].
    #[must_use]
    pub fn with_one_read_point(self, one_read_point: OneReadPoint) -> Self {
        Self { one_read_point, ..self }
    }

    /// What reads its rows at one point in time, which is no snapshot that all share, and why.
    #[must_use]
    pub fn without_snapshot(self, one_read_point: OneReadPoint, why: impl Into<String>) -> Self {
        Self { one_read_point, no_snapshot: Some(why.into()), ..self }
    }
}

/// What reads a relation's rows at one point in time. The host says of an export no more than this.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OneReadPoint {
    /// Every statement, and all those together that `join`ed a snapshot.
    Snapshot,
    /// Every statement by itself.
    Statement,
    /// Nothing: rows that change or move while a statement reads may be seen as before or after,
    /// missed, or seen twice.
    #[default]
    #[serde(other)]
    None,
}

impl OneReadPoint {
    /// Whether it is [`OneReadPoint::None`].
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// Whether a relation can be cut physically.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NativeSplit {
    /// It can.
    Possible,
    /// It cannot, for this reason.
    Impossible(String),
}

/// An index or key that ranges can use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Key {
    /// The index's name, for people.
    pub name: String,
    /// Its columns, most significant first.
    pub columns: Vec<KeyColumn>,
    /// Whether it is the primary key.
    pub primary: bool,
    /// Proven unique: full, valid, immediate.
    pub unique: bool,
}

impl Key {
    /// An index over these columns that promises nothing.
    pub fn new(name: impl Into<String>, columns: Vec<KeyColumn>) -> Self {
        Self { name: name.into(), columns, primary: false, unique: false }
    }

    /// Sets [`Key::primary`].
    #[must_use]
    pub fn with_primary(self, primary: bool) -> Self {
        Self { primary, ..self }
    }

    /// Sets [`Key::unique`].
    #[must_use]
    pub fn with_unique(self, unique: bool) -> Self {
        Self { unique, ..self }
    }
}

/// One column of a [`Key`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KeyColumn {
    /// Its name, as the catalogue spells it.
    pub name: String,
    /// Its type, as a user would write it.
    pub source_type: String,
    /// Whether NULL may occur.
    pub nullable: bool,
    /// Whether the planner may take ranges over it for its first choice: a number, a date, a moment or
    /// a uuid, whose values have a distance. `split` by range works over every type that has an order.
    pub rangeable: bool,
}

impl KeyColumn {
    /// A column that may hold NULL and that ranges are not taken over.
    pub fn new(name: impl Into<String>, source_type: impl Into<String>) -> Self {
        Self { name: name.into(), source_type: source_type.into(), nullable: true, rangeable: false }
    }

    /// Sets [`KeyColumn::nullable`].
    #[must_use]
    pub fn with_nullable(self, nullable: bool) -> Self {
        Self { nullable, ..self }
    }

    /// Sets [`KeyColumn::rangeable`].
    #[must_use]
    pub fn with_rangeable(self, rangeable: bool) -> Self {
        Self { rangeable, ..self }
    }
}
