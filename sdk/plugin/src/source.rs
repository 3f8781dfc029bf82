//! The source side of a plugin: a driver that opens instances, and what an instance can do.

use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{
    Context, Description, Error, ErrorKind, ExportRequest, Identity, Relation, Result, Scalar, SessionPolicy, Split,
    SplitRequest, TableFilter, TableSummary, TypeMapping,
};

/// Opens sources. The plugin's entry in [`crate::plugin!`].
pub trait SourceDriver: 'static {
    /// What the user may configure; its JSON Schema is published in the plugin manifest.
    type Options: DeserializeOwned + JsonSchema;
    /// The instance a worker owns.
    type Source: Source;
    /// What this source can do beyond the three core methods.
    const CAPABILITIES: &'static [&'static str];

    /// Connects. Called on the thread that all later calls come on, once per worker.
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
    /// [`super::Source::snapshot`] for no other instance gives one to this instance itself, which reads at it from then
    /// on. Without it, the host takes a second instance to read one chunk after the other at a snapshot.
    pub const SNAPSHOT_ALONE: &str = "snapshot_alone";
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
    /// A query is cut by the database's own rules ([`crate::lexer`]), and means what it means in any other session of
    /// the login. Plugins before SDK 0.3 cut it by those of PostgreSQL.
    pub const QUERY_RULES: &str = "query_rules";

    /// [`super::Source::limit`] is heeded, and limits are kept by the client, too: a statement that the server does not
    /// end is given up [`crate::SessionPolicy::CLIENT_GRACE`] later. A host ends the exports and counts of other
    /// sources itself, as wholes.
    pub const LIMITS: &str = "limits";

    /// Every capability that this SDK knows.
    pub const ALL: &[&str] = &[
        TABLES,
        SPLIT_RANGE,
        SPLIT_KEYSET,
        SPLIT_NATIVE,
        SNAPSHOT,
        SNAPSHOT_ALONE,
        PRESSURE,
        INTERRUPT,
        BOUNDS,
        COUNT,
        QUERY,
        QUERY_RULES,
        LIMITS,
    ];
}

/// One connection, owned by one worker. Never shared: every method takes `&mut self`.
pub trait Source: Send {
    /// Which server and database this is, for fingerprints and for `doctor`.
    fn identity(&mut self) -> Result<Identity>;

    /// From now on, the limits of every statement that answers a question without limits of its own: all but those
    /// with an [`ExportRequest`]. Before, [`SessionPolicy::PLANNING`].
    fn limit(&mut self, limits: &SessionPolicy) -> Result<()> {
        let _ = limits;
        Ok(())
    }

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
    /// instance until [`Source::release`]. None where the database cannot. With
    /// [`capability::SNAPSHOT_ALONE`], `workers` may be 0: this instance itself reads at it.
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

/// What an export statement did, beyond the rows that went through the sink.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
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

impl ExportStats {
    /// An export of this many rows.
    pub fn new(rows: u64) -> Self {
        Self { rows, ..Self::default() }
    }

    /// What was counted in columns.
    #[must_use]
    pub fn with_columns(self, columns: Vec<ColumnStats>) -> Self {
        Self { columns, ..self }
    }

    /// Texts for the user.
    #[must_use]
    pub fn with_warnings(self, warnings: Vec<String>) -> Self {
        Self { warnings, ..self }
    }

    /// How long the longest statement was open.
    #[must_use]
    pub fn with_longest_statement(self, longest_statement: Duration) -> Self {
        Self { longest_statement, ..self }
    }
}

/// What a column's values went through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
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

impl ColumnStats {
    /// A column in which nothing was counted yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Values that became NULL.
    #[must_use]
    pub fn with_unrepresentable(self, unrepresentable: u64) -> Self {
        Self { unrepresentable, ..self }
    }

    /// Values that lost digits.
    #[must_use]
    pub fn with_rounded(self, rounded: u64) -> Self {
        Self { rounded, ..self }
    }
}

/// Whose ends are looked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BoundsRequest {
    /// The rows.
    pub of: ExportRequest,
    /// The key's columns, most significant first.
    pub key: Vec<String>,
    /// The key is one value: that of the first of the columns that is not NULL.
    #[serde(default)]
    pub coalesced: bool,
}

impl BoundsRequest {
    /// The ends of `key` among the rows of `of`.
    pub fn new(of: ExportRequest, key: Vec<String>) -> Self {
        Self { of, key, coalesced: false }
    }

    /// Whether the key is the first of its columns that is not NULL.
    #[must_use]
    pub fn with_coalesced(self, coalesced: bool) -> Self {
        Self { coalesced, ..self }
    }
}

/// The ends of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
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

impl Bounds {
    /// Between these two, and so many rows without a key.
    pub fn new(least: Option<Vec<Scalar>>, greatest: Option<Vec<Scalar>>, nulls: u64) -> Self {
        Self { least, greatest, nulls }
    }
}

/// A read point that several instances can share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// What [`Source::join`] needs.
    pub token: String,
    /// Whether an instance that lost its connection can join again.
    pub rejoinable: bool,
    /// The read point for people: an LSN, a time, a transaction id.
    pub read_point: String,
}

impl Snapshot {
    /// A read point that an instance joins once.
    pub fn new(token: impl Into<String>, read_point: impl Into<String>) -> Self {
        Self { token: token.into(), rejoinable: false, read_point: read_point.into() }
    }

    /// Whether an instance that lost its connection can join again.
    #[must_use]
    pub fn with_rejoinable(self, rejoinable: bool) -> Self {
        Self { rejoinable, ..self }
    }
}
