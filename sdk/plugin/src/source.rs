//! The source side of a plugin: a driver that opens instances, and what an instance can do.

mod stats;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use self::stats::{ColumnStats, ExportStats};
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
    /// What this source can do beyond the five core methods.
    const CAPABILITIES: &'static [&'static str];

    /// Connects, and logs in: one instance is one connection. The planner has an instance, and each worker that does not
    /// take over the planner's has one of its own.
    ///
    /// # Errors
    /// `Config` for an option that is wrong, `Auth` for a login that the server refuses, `NotFound` for a database or
    /// file that is not there, `Permission` where this login may not use it, `Timeout` past `connect_timeout_s`,
    /// `Connection` for a server that was not reached or did not speak, `ResourceExhausted` where it has no connection
    /// left, with [`crate::Retry::Transient`], since one may be free later.
    fn open(options: Self::Options, context: &Context) -> Result<Self::Source>;
}

/// The [`Error::code`] that says that a joined [`Snapshot`] is gone, because its holder is: from
/// [`Source::join`], or from a later call of an instance that had joined.
pub const SNAPSHOT_LOST: &str = "snapshot_lost";

/// Names of [`SourceDriver::CAPABILITIES`].
pub mod capability {
    /// [`super::Source::tables`] lists tables.
    pub const TABLES: &str = "tables";
    /// [`super::Source::split`] by [`crate::SplitBy::Range`].
    pub const SPLIT_RANGE: &str = "split_range";
    /// [`super::Source::split`] by [`crate::SplitBy::Keyset`].
    pub const SPLIT_KEYSET: &str = "split_keyset";
    /// [`super::Source::split`] by [`crate::SplitBy::Native`].
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

/// One connection, owned by one worker.
///
/// # Threads
/// An instance is opened, asked and dropped on one thread that is its own (ADR 14), and is asked one thing at a time: it
/// may keep what is bound to a thread, and needs no lock. It is `Send` because a thread is made for it. The sink of an
/// export is called on that thread, too. Only the handle that [`Source::interrupt`] gave is used from another one.
///
/// # Order of calls
/// [`SourceDriver::open`]; [`Source::limit`], with capability `limits`; then whatever is wanted, in any order and as
/// often as it is wanted: no method may count on another having been called. A planner asks `identity`, `describe` and
/// `type_mappings`, then `clock`, `bounds`, `count` and `split`. A reader asks `snapshot` for the others or `join`s
/// theirs, calls `export` once a chunk, and `release`s. Dropping the instance closes the connection, whatever went
/// before.
///
/// # After an error
/// A question that the server refused (`NotFound`, `InvalidQuery`, `Permission`, `Unsupported`, …) leaves the instance
/// as it was, and more questions follow. After an error of [`Source::export`], an interrupt or a panic it is only
/// dropped.
///
/// # Errors of every method
/// `Connection` where the connection broke, `Timeout` where a limit passed, `Cancelled` once [`Context::check`] fails,
/// and what the server says of itself: `Throttled`, `Transient`, `ResourceExhausted`. Where a method names further
/// kinds, the host or a user tells them apart.
pub trait Source: Send {
    /// Which server and database this is, for fingerprints and for `doctor`. The same for every instance of the same
    /// options.
    fn identity(&mut self) -> Result<Identity>;

    /// From now on, the limits of every statement that answers a question without limits of its own: all but those
    /// with an [`ExportRequest`]. Before, [`SessionPolicy::PLANNING`]. Called at once after `open`, and again where
    /// limits change; only with [`capability::LIMITS`].
    fn limit(&mut self, limits: &SessionPolicy) -> Result<()> {
        let _ = limits;
        Ok(())
    }

    /// Reads the rows of `request` into `sink`: the schema once, which is that of [`Source::type_mappings`], then
    /// batches within [`ExportRequest::batch`]. As soon as the sink returns an error, it ends its statement and returns
    /// that error. A sink that blocks holds the source back: that time is no statement's.
    ///
    /// # Errors
    /// `NotFound` for a relation or column that is not there, `Permission`, `InvalidQuery`. `Data` for a value that
    /// Arrow cannot hold ([`crate::OnUnrepresentable::Fail`]), that is larger than [`ExportRequest::max_value_bytes`] or
    /// malformed, with column, row and remedy. `Conflict` where the relation is not what it was when its columns were
    /// asked for. Code [`SNAPSHOT_LOST`] where the read point is gone.
    fn export(&mut self, request: &ExportRequest, sink: &mut dyn BatchSink) -> Result<ExportStats>;

    /// The single value of a query that returns one row of one column; None for no row, [`Scalar::Null`] for a NULL.
    ///
    /// # Errors
    /// `InvalidQuery` for a text that is not one query, and for more than one row or column.
    fn query_scalar(&mut self, sql: &str) -> Result<Option<Scalar>>;

    /// The columns `request` would produce, in order, without reading rows.
    ///
    /// # Errors
    /// `NotFound` for a relation or column that is not there: for a plan made earlier, the host calls that drift.
    /// `Permission` where the login may not read some of the columns, which [`Error::unreadable_columns`] names: the
    /// host leaves those out, or says so. `UnsupportedType` where a column cannot be what was asked for, `InvalidQuery`
    /// for a query that the server refuses.
    fn type_mappings(&mut self, request: &ExportRequest) -> Result<Vec<TypeMapping>>;

    /// Tables and views that `filter` lets through and the login may see, without the system's own.
    fn tables(&mut self, filter: &TableFilter) -> Result<Vec<TableSummary>> {
        let _ = filter;
        Err(missing(capability::TABLES))
    }

    /// Keys, size estimates and read points of a relation, from the catalogue and not from its rows.
    ///
    /// # Errors
    /// As of [`Source::type_mappings`]: `NotFound` for a relation that is not there, with what has a similar name as its
    /// hint, `Permission`, and `InvalidQuery` for a query.
    fn describe(&mut self, relation: &Relation) -> Result<Description>;

    /// Row-balanced, disjoint slices whose union is every row that meets the request's conditions.
    ///
    /// # Errors
    /// `Unsupported` for a way to cut that this source, or this relation, does not have; `NotFound` for a key's column
    /// that is not there.
    fn split(&mut self, request: &SplitRequest) -> Result<Split> {
        let _ = request;
        Err(missing("split"))
    }

    /// The least and the greatest key among the rows that meet the request's conditions, as the server compares them,
    /// and how many rows have no key. Errors as of [`Source::split`].
    fn bounds(&mut self, request: &BoundsRequest) -> Result<Bounds> {
        let _ = request;
        Err(missing(capability::BOUNDS))
    }

    /// The server's clock, as [`Scalar::Instant`]. None where there is none to ask.
    fn clock(&mut self) -> Result<Option<Scalar>> {
        Ok(None)
    }

    /// Fixes a read point that `workers` other instances may [`Source::join`], held by this instance until
    /// [`Source::release`]. None where the database, or this login, cannot: then each statement reads at a point of its
    /// own, and the host says so or refuses. With [`capability::SNAPSHOT_ALONE`], `workers` may be 0: this instance
    /// itself reads at it.
    fn snapshot(&mut self, workers: u32) -> Result<Option<Snapshot>> {
        let _ = workers;
        Ok(None)
    }

    /// From now on, reads at `snapshot`, which another instance holds, until [`Source::release`].
    ///
    /// # Errors
    /// Code [`SNAPSHOT_LOST`] where it is gone; any other error is one of this instance.
    fn join(&mut self, snapshot: &Snapshot) -> Result<()> {
        let _ = snapshot;
        Err(missing(capability::SNAPSHOT))
    }

    /// Ends the read point of this instance, and whatever it holds on the server. Where there is none, nothing happens.
    fn release(&mut self) -> Result<()> {
        Ok(())
    }

    /// The exact number of rows `request` selects, at the instance's read point, if it has one. Errors as of
    /// [`Source::export`], but for those of values.
    fn count(&mut self, request: &ExportRequest) -> Result<u64> {
        let _ = request;
        Err(missing(capability::COUNT))
    }

    /// A counter that grows while the server is under write pressure: its unit is the source's own, and the host only
    /// looks at whether it grew. None where the login may not read it, or there is none.
    fn pressure(&mut self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// A handle that stops this instance's running statement from another thread; None without
    /// [`capability::INTERRUPT`]. Asked for once, after `open`. An interrupted instance is dropped, never asked again.
    fn interrupt(&self) -> Option<Box<dyn Interrupt>> {
        None
    }
}

fn missing(capability: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("this source does not offer `{capability}`"))
}

/// Stops a running statement from another thread.
pub trait Interrupt: Send + Sync {
    /// Asks the server to stop, at most once, on a thread that has nothing else to do and may hang. Returns once asked,
    /// not once stopped; where no statement runs, it changes nothing. An instance that has not answered ten seconds
    /// later is left behind with its thread.
    ///
    /// # Errors
    /// `Connection` where the server could not be asked: that is logged, and the host waits no longer for it.
    fn interrupt(&self) -> Result<()>;
}

/// Where an export's rows go, on the instance's own thread. It blocks to hold the source back.
pub trait BatchSink {
    /// Takes the schema: once, before the first batch, also where there are no rows.
    ///
    /// # Errors
    /// Any kind, to end the export; the source returns it as it is.
    fn on_schema(&mut self, schema: SchemaRef) -> Result<()>;
    /// Takes a batch of that schema, with at least one row. Errors as of [`BatchSink::on_schema`].
    fn on_batch(&mut self, batch: RecordBatch) -> Result<()>;
}

/// Whose ends are looked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BoundsRequest {
    /// Which rows: those that meet its conditions.
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

    /// Sets [`BoundsRequest::coalesced`].
    #[must_use]
    pub fn with_coalesced(self, coalesced: bool) -> Self {
        Self { coalesced, ..self }
    }
}

/// The ends of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Bounds {
    /// The least key, one value a column; None where no row has one.
    #[serde(default)]
    pub least: Option<Vec<Scalar>>,
    /// The greatest key; None exactly where `least` is.
    #[serde(default)]
    pub greatest: Option<Vec<Scalar>>,
    /// Rows with NULL in any column of the key; coalesced: in all of them.
    #[serde(default)]
    pub nulls: u64,
}

impl Bounds {
    /// `nulls` rows have no key, and all others lie between these two.
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
    /// Whether it can be joined for as long as its holder lives. If not, all join before the first row is read, whereupon
    /// the holder releases it, since it holds a lock; an instance that lost its connection cannot join again.
    pub rejoinable: bool,
    /// The read point for people: an LSN, a time, a transaction id.
    pub read_point: String,
}

impl Snapshot {
    /// A read point that an instance joins once.
    pub fn new(token: impl Into<String>, read_point: impl Into<String>) -> Self {
        Self { token: token.into(), rejoinable: false, read_point: read_point.into() }
    }

    /// Sets [`Snapshot::rejoinable`].
    #[must_use]
    pub fn with_rejoinable(self, rejoinable: bool) -> Self {
        Self { rejoinable, ..self }
    }
}
