//! The source side of a plugin: a driver that opens instances, and what an instance can do.

use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{
    Context, Error, ErrorKind, ExportRequest, Relation, Result, Scalar, Split, SplitRequest, TableName, TypeMapping,
};

/// Opens sources. The plugin's entry in [`crate::plugin!`].
pub trait SourceDriver: 'static {
    /// What the user may configure; its JSON Schema is published in the plugin manifest.
    type Options: DeserializeOwned + JsonSchema;
    /// The instance a worker owns.
    type Source: Source;
    /// What this source can do beyond the three core methods.
    const CAPABILITIES: &'static [&'static str];

    /// Connects. Called in the worker's own thread, once per worker.
    fn open(options: Self::Options, context: &Context) -> Result<Self::Source>;
}

/// The [`Error::code`] that says that a joined [`Snapshot`] is gone, because its holder is: from
/// [`Source::join`], or from a later call of an instance that had joined.
pub const SNAPSHOT_LOST: &str = "snapshot_lost";

/// Names of [`SourceDriver::CAPABILITIES`].
pub mod capability {
    /// [`super::Source::tables`] lists tables.
    pub const TABLES: &str = "tables";
    /// [`super::Source::split`] by [`super::SplitBy::Range`].
    pub const SPLIT_RANGE: &str = "split_range";
    /// [`super::Source::split`] by [`super::SplitBy::Keyset`].
    pub const SPLIT_KEYSET: &str = "split_keyset";
    /// [`super::Source::split`] by [`super::SplitBy::Native`].
    pub const SPLIT_NATIVE: &str = "split_native";
    /// [`super::Source::snapshot`] gives one read point to all workers.
    pub const SNAPSHOT: &str = "snapshot";
    /// [`super::Source::pressure`] reads a counter.
    pub const PRESSURE: &str = "pressure";
    /// [`super::Source::interrupt`] stops a statement from another thread.
    pub const INTERRUPT: &str = "interrupt";
    /// [`super::Source::bounds`] finds the ends of a key.
    pub const BOUNDS: &str = "bounds";
    /// [`super::Source::count`] counts rows.
    pub const COUNT: &str = "count";
    /// Relations may be queries.
    pub const QUERY: &str = "query";
}

/// One connection, owned by one worker. Never shared: every method takes `&mut self`.
pub trait Source: Send {
    /// Which server and database this is, for fingerprints and for `doctor`.
    fn identity(&mut self) -> Result<Identity>;

    /// Reads the rows of `request` into `sink`: the schema once, then batches.
    /// Stops, with its error, as soon as the sink returns one.
    fn export(&mut self, request: &ExportRequest, sink: &mut dyn BatchSink) -> Result<ExportStats>;

    /// The single value of a query that returns one row of one column; None for no row.
    fn query_scalar(&mut self, sql: &str) -> Result<Option<Scalar>>;

    /// The columns `request` would produce, in order, without reading rows.
    fn type_mappings(&mut self, request: &ExportRequest) -> Result<Vec<TypeMapping>>;

    /// Tables and views whose name matches.
    fn tables(&mut self, filter: &TableFilter) -> Result<Vec<TableSummary>> {
        let _ = filter;
        Err(missing(capability::TABLES))
    }

    /// Keys and size estimates of a relation.
    fn describe(&mut self, relation: &Relation) -> Result<Description>;

    /// Row-balanced, disjoint slices whose union is every row that meets the request's
    /// conditions.
    fn split(&mut self, request: &SplitRequest) -> Result<Split> {
        let _ = request;
        Err(missing("split"))
    }

    /// The least and the greatest key among the rows that meet the request's conditions, as the
    /// server compares them, and how many rows have no key.
    fn bounds(&mut self, request: &BoundsRequest) -> Result<Bounds> {
        let _ = request;
        Err(missing(capability::BOUNDS))
    }

    /// The server's clock, as [`Scalar::Instant`]. None where there is none to ask.
    fn clock(&mut self) -> Result<Option<Scalar>> {
        Ok(None)
    }

    /// Fixes a read point that `workers` other instances may [`Source::join`], held by this
    /// instance until [`Source::release`]. None where the database cannot.
    fn snapshot(&mut self, workers: u32) -> Result<Option<Snapshot>> {
        let _ = workers;
        Ok(None)
    }

    /// From now on, reads at `snapshot`. Fails with code [`SNAPSHOT_LOST`] where that is gone.
    fn join(&mut self, snapshot: &Snapshot) -> Result<()> {
        let _ = snapshot;
        Err(missing(capability::SNAPSHOT))
    }

    /// Ends the read point of this instance, and whatever it holds on the server.
    fn release(&mut self) -> Result<()> {
        Ok(())
    }

    /// The exact number of rows `request` selects.
    fn count(&mut self, request: &ExportRequest) -> Result<u64> {
        let _ = request;
        Err(missing(capability::COUNT))
    }

    /// A counter that grows while the server is under write pressure. None where it cannot
    /// be read.
    fn pressure(&mut self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// A handle that stops this instance's running statement from another thread. An
    /// interrupted instance is closed, never reused.
    fn interrupt(&self) -> Option<Box<dyn Interrupt>> {
        None
    }
}

fn missing(capability: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("this source does not offer `{capability}`"))
}

/// Stops a running statement from another thread.
pub trait Interrupt: Send + Sync {
    /// Asks the server to stop. Returns once asked, not once stopped.
    fn interrupt(&self) -> Result<()>;
}

/// Where an export's rows go. It blocks to hold the source back, and returns an error of kind
/// [`ErrorKind::Cancelled`] to stop it.
pub trait BatchSink {
    /// Called once, before the first batch, also where there are no rows.
    fn on_schema(&mut self, schema: SchemaRef) -> Result<()>;
    /// Takes a batch of that schema.
    fn on_batch(&mut self, batch: RecordBatch) -> Result<()>;
}

/// Which database an instance is connected to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The product: `PostgreSQL`, `MariaDB`.
    pub product: String,
    /// Its version, as it prints it.
    pub version: String,
    /// The database's own stable id (system identifier and database), never a host name.
    pub id: String,
    /// The database, schema or file in use, for people.
    pub database: String,
    /// Who is logged in, where there is a login.
    pub user: Option<String>,
    /// A pooler or proxy in between, if one was detected.
    pub pooler: Option<String>,
    /// Things `doctor` tells the user: `("TLS", "TLSv1.3")`, missing rights, limits.
    pub notes: Vec<Note>,
}

/// One thing `doctor` tells the user about a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// What it is about.
    pub subject: String,
    /// What was found.
    pub text: String,
    /// Whether it deserves attention.
    pub warning: bool,
}

/// What an export statement did, beyond the rows that went through the sink.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportStats {
    /// Rows handed to the sink.
    pub rows: u64,
    /// Columns in which something was counted; others are left out.
    #[serde(default)]
    pub columns: Vec<ColumnStats>,
    /// Texts for the user.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// How long the longest statement was open on the server.
    #[serde(default)]
    pub longest_statement: Duration,
}

/// What a column's values went through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnStats {
    /// The column's source name.
    pub name: String,
    /// Values that became NULL under [`crate::OnUnrepresentable::Null`].
    #[serde(default)]
    pub unrepresentable: u64,
    /// Values that lost digits below the Arrow type's resolution.
    #[serde(default)]
    pub rounded: u64,
}

/// Which tables to list. Patterns are globs over names as the catalogue spells them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFilter {
    /// Only this schema; None means every schema that is not the system's.
    #[serde(default)]
    pub schema: Option<String>,
}

/// A table in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSummary {
    /// Its name.
    pub table: TableName,
    /// `table`, `view`, `materialized view`, `partitioned table`, `foreign table`.
    pub kind: String,
    /// The server's estimate, where it has one.
    pub rows: Option<u64>,
    /// The server's estimate, where it has one.
    pub bytes: Option<u64>,
}

/// What the planner needs to know of a relation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The relation with its schema filled in.
    pub relation: Relation,
    /// As in [`TableSummary::kind`], or `query`.
    pub kind: String,
    /// Unique keys and indexes that a chunk's range can use, the primary key first.
    pub keys: Vec<Key>,
    /// Estimated rows, from statistics; None where there are none.
    pub rows: Option<u64>,
    /// Estimated bytes of the relation's rows on the server.
    pub bytes: Option<u64>,
    /// Whether [`SplitBy::Native`] works on it, and if not, why.
    pub native: NativeSplit,
    /// What reads the relation's rows at one point in time.
    #[serde(default)]
    pub one_read_point: OneReadPoint,
}

/// What reads a relation's rows at one point in time. The host says of an export no more than this.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OneReadPoint {
    /// Every statement, and all those together that [`Source::join`]ed a snapshot.
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
pub struct Key {
    /// The index's name.
    pub name: String,
    /// Its columns, most significant first.
    pub columns: Vec<KeyColumn>,
    /// The primary key.
    pub primary: bool,
    /// Proven unique: full, valid, immediate.
    pub unique: bool,
}

/// One column of a [`Key`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyColumn {
    /// The column.
    pub name: String,
    /// Its type, as a user would write it.
    pub source_type: String,
    /// Whether NULL may occur.
    pub nullable: bool,
    /// Whether the planner may take ranges over it for its first choice: a number, a date, a moment or
    /// a uuid, whose values have a distance. `split` by range works over every type that has an order.
    pub rangeable: bool,
}

/// Whose ends are looked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoundsRequest {
    /// The rows.
    pub of: ExportRequest,
    /// The key's columns, most significant first.
    pub key: Vec<String>,
    /// The key is one value: that of the first of the columns that is not NULL.
    #[serde(default)]
    pub coalesced: bool,
}

/// The ends of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// The least key; None where no row has one.
    #[serde(default)]
    pub least: Option<Vec<Scalar>>,
    /// The greatest key.
    #[serde(default)]
    pub greatest: Option<Vec<Scalar>>,
    /// Rows with NULL in any column of the key; coalesced: in all of them.
    #[serde(default)]
    pub nulls: u64,
}

/// A read point that several instances can share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// What [`Source::join`] needs.
    pub token: String,
    /// Whether an instance that lost its connection can join again.
    pub rejoinable: bool,
    /// The read point for people: an LSN, a time, a transaction id.
    pub read_point: String,
}
