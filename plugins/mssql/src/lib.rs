//! SQL Server source for rivet.
//!
//! Rows come through a TDS client of our own and are decoded in the buffer they were received in,
//! straight into Arrow. The same connection answers the planner's questions, so that an instance is
//! one connection:
//!
//! options → connect (link, tls, login) → session (settings made and verified) → plan (catalog,
//! types, overrides) → export (wire, meta, decode) | split | identity

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod address;
mod bounds;
mod catalog;
mod collation;
mod connect;
mod decode;
mod dialect;
mod error;
mod export;
mod facts;
mod identity;
mod keys;
mod kind;
mod link;
mod login;
mod meta;
mod options;
mod overrides;
mod packet;
mod parameters;
mod physical;
mod plan;
mod rights;
mod session;
mod split;
mod stream;
mod types;
mod value;
mod wire;

use rivet_sdk::network;
use rivet_sdk::sql::session::{Session as _, one_value};
use rivet_sdk::{
    BatchSink, Bounds, BoundsRequest, Context, Description, Error, ErrorKind, ExportRequest, ExportStats, Identity,
    Interrupt, Relation, Result, Scalar, SessionPolicy, Snapshot, Source, SourceDriver, Split, SplitRequest,
    TableFilter, TableSummary, TypeMapping, capability,
};

use crate::options::Endpoint;
pub use crate::options::{Intent, MssqlOptions};
use crate::plan::{Plan, Tail};
use crate::session::{Session, whole};

rivet_sdk::plugin! {
    name: "mssql",
    schemes: ["mssql", "sqlserver"],
    source: MssqlDriver, options: include_str!("../options.schema.json"),
}

/// Opens connections to SQL Server.
#[derive(Debug)]
pub struct MssqlDriver;

impl SourceDriver for MssqlDriver {
    type Options = MssqlOptions;
    type Source = Mssql;
    /// SQL Server cannot give one read point to several sessions, unless the database cannot change. A single chunk
    /// reads at one where the database allows SNAPSHOT isolation.
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

    fn open(options: MssqlOptions, context: &Context) -> Result<Mssql> {
        context.check()?;
        let endpoint = Endpoint::new(options)?;
        let place = endpoint.display();
        let session =
            Session::open(endpoint).map_err(|error| network::while_connecting(error, &place, "a SQL Server"))?;
        Ok(Mssql { session, context: context.clone() })
    }
}

/// One connection to SQL Server.
pub struct Mssql {
    session: Session,
    context: Context,
}

impl Source for Mssql {
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
        let rows = self.session.query(&self.session.limits(), sql, |wire, query| {
            // The brackets keep it a SELECT; the list of one name keeps it one column.
            session::ask(wire, &format!("SELECT TOP (2) [v] FROM (\n{query}\n) AS [rivet_query] ([v])"))
        })?;
        Ok(one_value(&["v"], rows)?.map(|(_, value)| value))
    }

    fn type_mappings(&mut self, request: &ExportRequest) -> Result<Vec<TypeMapping>> {
        self.session.reading_columns(request, |wire, request| Plan::new(wire, request)?.of.mappings())
    }

    fn tables(&mut self, filter: &TableFilter) -> Result<Vec<TableSummary>> {
        self.session.planning(|wire| catalog::tables(wire, filter))
    }

    fn describe(&mut self, relation: &Relation) -> Result<Description> {
        let frozen = self.session.database().frozen.is_some();
        let description =
            self.session.describing(relation, |wire, relation| catalog::describe(wire, relation, frozen))?;
        Ok(self.session.database().as_read(description))
    }

    fn split(&mut self, request: &SplitRequest) -> Result<Split> {
        let frozen = self.session.database().frozen.is_some();
        self.session.splitting(request, |wire, request| split::split(wire, request, frozen))
    }

    fn bounds(&mut self, request: &BoundsRequest) -> Result<Bounds> {
        self.session.bounding(request, bounds::bounds)
    }

    fn clock(&mut self) -> Result<Option<Scalar>> {
        self.session.planning(bounds::clock).map(Some)
    }

    fn snapshot(&mut self, _workers: u32) -> Result<Option<Snapshot>> {
        self.session.snapshot()
    }

    fn join(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.session.join(&snapshot.token)
    }

    fn release(&mut self) -> Result<()> {
        self.session.release();
        Ok(())
    }

    fn count(&mut self, request: &ExportRequest) -> Result<u64> {
        let rows = self.session.reading_rows(request, |wire, request| {
            let sql = Tail::new(wire, request)?.count(request)?;
            session::ask(wire, &sql)
        })?;
        let count = rows.first().and_then(|row| row.first()).and_then(whole);
        count
            .and_then(|count| u64::try_from(count).ok())
            .ok_or_else(|| Error::internal("the server counted without a number"))
    }

    fn pressure(&mut self) -> Result<Option<u64>> {
        const SQL: &str = "SELECT cntr_value FROM sys.dm_os_performance_counters \
             WHERE counter_name = N'Log Flush Waits/sec' AND instance_name = N'_Total'";
        match self.session.planning(|wire| session::ask(wire, SQL)) {
            // A counter of all flushes since the start, whatever its name says.
            Ok(rows) => {
                Ok(rows.first().and_then(|row| row.first()).and_then(whole).and_then(|count| u64::try_from(count).ok()))
            }
            Err(error) if error.kind() == ErrorKind::Permission => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn interrupt(&self) -> Option<Box<dyn Interrupt>> {
        Some(Box::new(self.session.stopper()))
    }
}
