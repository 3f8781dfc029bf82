//! PostgreSQL source for rivet.
//!
//! Rows come by binary `COPY` through a wire client of our own and are decoded in the buffer
//! they were received in, straight into Arrow. The same connection answers the planner's
//! questions, so that an instance is one connection:
//!
//! options → connect (tls, auth) → session (one verified read-only transaction a statement)
//! → plan (catalog, types, overrides) → export (decode) | split | snapshot | identity

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod auth;
mod bounds;
mod catalog;
mod chosen;
mod connect;
mod decode;
mod dialect;
mod error;
mod export;
mod identity;
mod keys;
mod kind;
mod message;
mod options;
mod overrides;
mod plan;
mod session;
mod sizes;
mod snapshot;
mod split;
mod stopper;
mod tree;
mod types;
mod wire;

use rivet_sdk::options::ServerOptions;
use rivet_sdk::sql;
use rivet_sdk::sql::session::{Session as _, one_value};
use rivet_sdk::{
    BatchSink, Bounds, BoundsRequest, Context, Description, ExportRequest, ExportStats, Identity, Interrupt, Relation,
    Result, Scalar, SessionPolicy, Snapshot, Source, SourceDriver, Split, SplitRequest, TableFilter, TableSummary,
    TypeMapping, capability,
};

use crate::options::Endpoint;
use crate::plan::Plan;
use crate::session::Session;

rivet_sdk::plugin! {
    name: "postgres",
    schemes: ["postgres", "postgresql"],
    source: PostgresDriver, options: include_str!("../options.schema.json"),
}

/// Opens connections to PostgreSQL.
#[derive(Debug)]
pub struct PostgresDriver;

impl SourceDriver for PostgresDriver {
    type Options = ServerOptions;
    type Source = Postgres;
    const CAPABILITIES: &'static [&'static str] = &[
        capability::TABLES,
        capability::SPLIT_RANGE,
        capability::SPLIT_KEYSET,
        capability::SPLIT_NATIVE,
        capability::SNAPSHOT,
        capability::SNAPSHOT_ALONE,
        capability::PRESSURE,
        capability::INTERRUPT,
        capability::COUNT,
        capability::BOUNDS,
        capability::QUERY,
        capability::QUERY_RULES,
        capability::LIMITS,
    ];

    fn open(options: ServerOptions, context: &Context) -> Result<Postgres> {
        context.check()?;
        Ok(Postgres { session: Session::open(Endpoint::new(options)?)?, context: context.clone() })
    }
}

/// One connection to PostgreSQL.
pub struct Postgres {
    session: Session,
    context: Context,
}

impl Source for Postgres {
    fn identity(&mut self) -> Result<Identity> {
        identity::identity(&mut self.session)
    }

    fn limit(&mut self, limits: &SessionPolicy) -> Result<()> {
        self.session.limit(limits);
        Ok(())
    }

    fn export(&mut self, request: &ExportRequest, sink: &mut dyn BatchSink) -> Result<ExportStats> {
        export::run(&mut self.session, &self.context, request, sink)
            .map_err(|error| error.with_relation(&request.relation))
    }

    fn query_scalar(&mut self, sql: &str) -> Result<Option<Scalar>> {
        let answer = self.session.query(&self.session.limits(), sql, |wire, sql| wire.query(sql, 2))?;
        let Some((column, text)) = one_value(&answer.columns, answer.rows)? else { return Ok(None) };
        text.map_or(Ok(Scalar::Null), |text| split::scalar(type_name(column.oid), text)).map(Some)
    }

    fn type_mappings(&mut self, request: &ExportRequest) -> Result<Vec<TypeMapping>> {
        let version = self.session.version();
        self.session.reading_columns(request, |wire, request| Plan::new(wire, version, request)?.of.mappings())
    }

    fn tables(&mut self, filter: &TableFilter) -> Result<Vec<TableSummary>> {
        self.session.planning(|wire| catalog::tables(wire, filter))
    }

    fn describe(&mut self, relation: &Relation) -> Result<Description> {
        let version = self.session.version();
        self.session.describing(relation, |wire, relation| catalog::describe(wire, version, relation))
    }

    fn split(&mut self, request: &SplitRequest) -> Result<Split> {
        let version = self.session.version();
        self.session.splitting(request, |wire, request| split::split(wire, version, request))
    }

    fn bounds(&mut self, request: &BoundsRequest) -> Result<Bounds> {
        let version = self.session.version();
        self.session.bounding(request, |wire, request| bounds::bounds(wire, version, request))
    }

    fn clock(&mut self) -> Result<Option<Scalar>> {
        self.session.planning(bounds::clock).map(Some)
    }

    fn snapshot(&mut self, _workers: u32) -> Result<Option<Snapshot>> {
        snapshot::hold(&mut self.session)
    }

    fn join(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.session.join(&snapshot.token)
    }

    fn release(&mut self) -> Result<()> {
        self.session.release();
        Ok(())
    }

    fn count(&mut self, request: &ExportRequest) -> Result<u64> {
        let answer = self.session.reading_rows(request, |wire, request| {
            wire.query(
                &format!("SELECT count(*) FROM (SELECT 1 {}) AS rivet_count", sql::tail(&dialect::Postgres, request)?),
                0,
            )
        })?;
        types::number(answer.rows.first().and_then(|row| row.first()).unwrap_or(&None))
    }

    fn pressure(&mut self) -> Result<Option<u64>> {
        let counter = if self.session.version() >= 170_000 {
            "num_requested FROM pg_catalog.pg_stat_checkpointer"
        } else {
            "checkpoints_req FROM pg_catalog.pg_stat_bgwriter"
        };
        let sql = format!("SELECT pg_catalog.pg_stat_clear_snapshot(); SELECT {counter}");
        let answer = self.session.planning(|wire| wire.simple(&sql))?;
        Ok(answer.rows.first().and_then(|row| row.first()?.as_deref()?.parse().ok()))
    }

    fn interrupt(&self) -> Option<Box<dyn Interrupt>> {
        Some(Box::new(self.session.stopper()))
    }
}

/// The name of a built-in type, whose number never changes.
pub(crate) fn type_name(oid: u32) -> &'static str {
    match oid {
        16 => "bool",
        17 => "bytea",
        20 | 21 | 23 | 26 | 28 | 29 => "int8",
        700 | 701 => "float8",
        1082 => "date",
        1083 => "time",
        1114 => "timestamp",
        1184 => "timestamptz",
        1700 => "numeric",
        2950 => "uuid",
        _ => "text",
    }
}
