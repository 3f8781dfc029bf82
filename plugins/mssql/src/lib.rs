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

use std::sync::Arc;

use rivet_sdk::network;
use rivet_sdk::{
    BatchSink, Bounds, BoundsRequest, Context, Description, Error, ErrorKind, ExportRequest, ExportStats, Identity,
    Interrupt, Relation, Result, Scalar, SessionPolicy, Snapshot, Source, SourceDriver, Split, SplitRequest,
    TableFilter, TableSummary, TypeMapping, capability,
};

use crate::options::Endpoint;
pub use crate::options::{Intent, MssqlOptions};
use crate::plan::{Plan, Tail};
use crate::session::{Session, Stopper, whole};

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
        let query = catalog::one_statement(sql)?;
        // The brackets keep it a SELECT; the list of one name keeps it one column.
        let sql = format!("SELECT TOP (2) [v] FROM (\n{query}\n) AS [rivet_query] ([v])");
        let mut rows = self.session.with(&self.session.limits(), |wire| session::ask(wire, &sql))?.into_iter();
        match (rows.next().and_then(|row| row.into_iter().next()), rows.next()) {
            (_, Some(_)) => Err(Error::new(
                ErrorKind::InvalidQuery,
                "the query returned more than one row where one value was expected",
            )),
            (value, None) => Ok(value),
        }
    }

    fn type_mappings(&mut self, request: &ExportRequest) -> Result<Vec<TypeMapping>> {
        let limits = self.session.limits().for_columns(&request.session);
        self.session
            .with(&limits, |wire| Plan::new(wire, request)?.of.mappings())
            .map_err(|error| error.late_for(&request.relation))
    }

    fn tables(&mut self, filter: &TableFilter) -> Result<Vec<TableSummary>> {
        self.session.with(&self.session.limits(), |wire| catalog::tables(wire, filter))
    }

    fn describe(&mut self, relation: &Relation) -> Result<Description> {
        let limits = self.session.limits();
        let frozen = self.session.database().frozen.is_some();
        let described = self.session.with(&limits, |wire| catalog::describe(wire, relation, frozen));
        let description = described.map_err(|error| error.late_for(relation))?;
        Ok(self.session.database().as_read(description))
    }

    fn split(&mut self, request: &SplitRequest) -> Result<Split> {
        let frozen = self.session.database().frozen.is_some();
        self.session
            .with(&request.of.session, |wire| split::split(wire, request, frozen))
            .map_err(|error| error.late_for(&request.of.relation))
    }

    fn bounds(&mut self, request: &BoundsRequest) -> Result<Bounds> {
        self.session
            .with(&request.of.session, |wire| bounds::bounds(wire, request))
            .map_err(|error| error.late_for(&request.of.relation))
    }

    fn clock(&mut self) -> Result<Option<Scalar>> {
        self.session.with(&self.session.limits(), bounds::clock).map(Some)
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
        let rows = self.session.with(&request.session, |wire| {
            let sql = Tail::new(wire, request)?.count(request)?;
            session::ask(wire, &sql)
        });
        let rows = rows.map_err(|error| error.late_for(&request.relation))?;
        let count = rows.first().and_then(|row| row.first()).and_then(whole);
        count
            .and_then(|count| u64::try_from(count).ok())
            .ok_or_else(|| Error::internal("the server counted without a number"))
    }

    fn pressure(&mut self) -> Result<Option<u64>> {
        const SQL: &str = "SELECT cntr_value FROM sys.dm_os_performance_counters \
             WHERE counter_name = N'Log Flush Waits/sec' AND instance_name = N'_Total'";
        match self.session.with(&self.session.limits(), |wire| session::ask(wire, SQL)) {
            // A counter of all flushes since the start, whatever its name says.
            Ok(rows) => {
                Ok(rows.first().and_then(|row| row.first()).and_then(whole).and_then(|count| u64::try_from(count).ok()))
            }
            Err(error) if error.kind() == ErrorKind::Permission => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn interrupt(&self) -> Option<Box<dyn Interrupt>> {
        Some(Box::new(Attention(self.session.stopper())))
    }
}

/// Stops by an attention on the session's own connection.
struct Attention(Arc<Stopper>);

impl Interrupt for Attention {
    fn interrupt(&self) -> Result<()> {
        self.0.stop()
    }
}
