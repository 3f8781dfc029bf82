//! SQLite source for rivet: one file, opened read only, one connection an instance.
//!
//! A column's type is its declared type's: by name where the name says more than SQLite's
//! affinity (DATE, BOOLEAN, DECIMAL(p,s), UUID, JSON), by affinity otherwise; a column without a
//! type becomes what a first pass over its cells finds. A cell that contradicts its column
//! follows `on_unrepresentable`. Each export is one statement and so one read transaction; read
//! transactions cannot be shared between connections, so several chunks are `per_chunk`.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod bounds;
mod catalog;
mod cell;
mod columns;
mod database;
mod dialect;
mod error;
mod file;
mod index_tables;
mod instant;
mod number;
mod options;
mod order;
mod read;
mod split;
mod temporal;
mod types;

use rivet_sdk::sql::session::one_value;
use rivet_sdk::{
    BatchSink, Bounds, BoundsRequest, Context, Description, Error, ExportRequest, ExportStats, Identity, Interrupt,
    Note, Relation, Result, Scalar, SessionPolicy, Source, SourceDriver, Split, SplitRequest, TableFilter,
    TableSummary, TypeMapping, capability,
};

use crate::catalog::Shape;
use crate::columns::{Column, FirstPasses};
use crate::database::Database;
pub use crate::options::SqliteOptions;
use crate::order::{Forms, Order};

rivet_sdk::plugin! {
    name: "sqlite",
    schemes: ["sqlite"],
    source: SqliteDriver, options: include_str!("../options.schema.json"),
}

/// Opens [`Sqlite`] sources.
#[derive(Debug)]
pub struct SqliteDriver;

impl SourceDriver for SqliteDriver {
    type Options = SqliteOptions;
    type Source = Sqlite;
    const CAPABILITIES: &'static [&'static str] = &[
        capability::TABLES,
        capability::SPLIT_RANGE,
        capability::SPLIT_KEYSET,
        capability::INTERRUPT,
        capability::COUNT,
        capability::BOUNDS,
        capability::QUERY,
        capability::QUERY_RULES,
        capability::LIMITS,
    ];

    fn open(options: SqliteOptions, context: &Context) -> Result<Sqlite> {
        Ok(Sqlite {
            database: Database::open(&options, context)?,
            passes: FirstPasses::default(),
            forms: Forms::default(),
            limits: SessionPolicy::new(SessionPolicy::PLANNING.statement_timeout_ms, None),
        })
    }
}

/// One instance: one connection.
pub struct Sqlite {
    database: Database,
    passes: FirstPasses,
    forms: Forms,
    /// Of statements whose caller brings none.
    limits: SessionPolicy,
}

impl Sqlite {
    /// Does `work` under these limits.
    fn within<T>(&mut self, limits: &SessionPolicy, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.database.limit(limits)?;
        let outcome = work(self);
        self.database.limit(&self.limits)?;
        outcome
    }

    /// The request with the catalogue's spelling of its table, its shape and its columns.
    fn resolve(&mut self, request: &ExportRequest) -> Result<(ExportRequest, Shape, Vec<Column>)> {
        self.database.check()?;
        let shape = Shape::of(&self.database, &request.relation)?;
        let mut request = request.clone();
        request.relation = shape.relation.clone();
        let columns = columns::resolve(&self.database, &shape, &request, &mut self.passes)?;
        Ok((request, shape, columns))
    }
}

impl Source for Sqlite {
    fn identity(&mut self) -> Result<Identity> {
        let database = &self.database;
        let application: i64 = database.one("PRAGMA application_id")?;
        let journal: String = database.one("PRAGMA journal_mode")?;
        let encoding: String = database.one("PRAGMA encoding")?;
        let file = database.file.display().to_string();
        // SQLite gives a file no id of its own: where it lies and what it is for must do.
        let id = format!("sqlite:{application:08x}:{file}");
        Ok(Identity::new("SQLite", rusqlite::version(), id, file).with_notes(vec![
            Note::new("journal mode", journal),
            Note::new("size", format!("{} bytes", catalog::database_bytes(database)?)),
            Note::new("encoding", encoding),
        ]))
    }

    fn limit(&mut self, limits: &SessionPolicy) -> Result<()> {
        self.limits = *limits;
        self.database.limit(limits)
    }

    fn export(&mut self, request: &ExportRequest, sink: &mut dyn BatchSink) -> Result<ExportStats> {
        self.within(&request.session, |source| {
            let (request, shape, columns) = source.resolve(request)?;
            // What the order depends on is looked at where the rows are read.
            let _point = source.database.read_point()?;
            let order = Order::reading(&source.database, &shape, &request, &mut source.forms)?;
            read::export(&source.database, &shape, &columns, &request, &order, sink)
        })
    }

    fn query_scalar(&mut self, sql: &str) -> Result<Option<Scalar>> {
        let database = &self.database;
        database.check()?;
        let mut statement = database.prepare(database.query(sql)?)?;
        let rows = statement.query_map([], |row| row.get_ref(0).map(|value| [split::scalar(value)]));
        let rows = rows.map_err(|error| database.fault(error))?;
        // Two are enough to know that it is more than one.
        let rows: Vec<_> = rows.take(2).collect::<rusqlite::Result<_>>().map_err(|error| database.fault(error))?;
        let columns: Vec<&str> = statement.column_names().collect();
        let Some((_, value)) = one_value(&columns, rows)? else { return Ok(None) };
        value.map(Some).ok_or_else(|| Error::data("the query's text is not UTF-8"))
    }

    fn type_mappings(&mut self, request: &ExportRequest) -> Result<Vec<TypeMapping>> {
        // A column without a type is looked at cell by cell.
        let limits = self.limits.for_columns(&request.session);
        self.within(&limits, |source| source.resolve(request)?.2.iter().map(Column::mapping).collect())
    }

    fn tables(&mut self, filter: &TableFilter) -> Result<Vec<TableSummary>> {
        catalog::tables(&self.database, filter)
    }

    fn describe(&mut self, relation: &Relation) -> Result<Description> {
        catalog::describe(&self.database, relation)
    }

    fn split(&mut self, request: &SplitRequest) -> Result<Split> {
        self.within(&request.of.session, |source| {
            let (of, shape, _) = source.resolve(&request.of)?;
            let _point = source.database.read_point()?;
            let request = SplitRequest::new(of, request.by.clone(), request.into);
            split::split(&source.database, &shape, &request, &mut source.forms)
        })
    }

    fn bounds(&mut self, request: &BoundsRequest) -> Result<Bounds> {
        self.within(&request.of.session, |source| {
            let (of, shape, _) = source.resolve(&request.of)?;
            if let Some(unknown) = request.key.iter().find(|name| shape.column(name).is_none()) {
                let known = shape.columns.iter().map(|column| column.name.as_str());
                return Err(error::no_column(unknown, &shape.relation.to_string(), known));
            }
            let mut resolved = request.clone();
            resolved.of = of;
            let _point = source.database.read_point()?;
            let order = Order::planning(&source.database, &shape, &resolved.of, &resolved.key, &mut source.forms)?;
            bounds::bounds(&source.database, &resolved, &order)
        })
    }

    fn clock(&mut self) -> Result<Option<Scalar>> {
        bounds::clock(&self.database).map(Some)
    }

    fn count(&mut self, request: &ExportRequest) -> Result<u64> {
        let count: i64 = self.within(&request.session, |source| {
            let (request, shape, _) = source.resolve(request)?;
            let _point = source.database.read_point()?;
            let order = Order::reading(&source.database, &shape, &request, &mut source.forms)?;
            let rows = dialect::select(&[], &request, &order)?;
            let count = source.database.one(&format!("SELECT count(*) FROM ({rows})"))?;
            source.database.check()?;
            Ok(count)
        })?;
        u64::try_from(count).map_err(|error| Error::internal(error.to_string()))
    }

    fn interrupt(&self) -> Option<Box<dyn Interrupt>> {
        Some(Box::new(self.database.interrupt()))
    }
}
