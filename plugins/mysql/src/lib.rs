//! MySQL and MariaDB source for rivet.
//!
//! Rows come by prepared statements in the binary protocol through a wire client of our own,
//! and are decoded in the buffer they were received in, straight into Arrow. The same
//! connection answers the planner's questions, so that an instance is one connection:
//!
//! options → connect (tls, auth) → session (verified read-only transactions)
//! → plan (catalog, types, overrides) → export (decode) | split | snapshot | identity

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod auth;
mod bounds;
mod catalog;
mod compress;
mod connect;
mod decode;
mod dialect;
mod error;
mod estimate;
mod export;
mod identity;
mod keys;
mod kind;
mod merge;
mod options;
mod overrides;
mod packet;
mod parameters;
mod plan;
mod rights;
mod server;
mod session;
mod snapshot;
mod split;
mod stopper;
mod types;
mod url;
mod wire;

use rivet_sdk::network;
use rivet_sdk::sql::session::{Session as _, one_value};
use rivet_sdk::{
    BatchSink, Bounds, BoundsRequest, Context, Description, ExportRequest, ExportStats, Identity, Interrupt, Relation,
    Result, Scalar, SessionPolicy, Snapshot, Source, SourceDriver, Split, SplitRequest, TableFilter, TableSummary,
    TypeMapping, capability,
};

use crate::options::Endpoint;
pub use crate::options::{Compression, MysqlOptions};
use crate::plan::Setting;
use crate::session::Session;

rivet_sdk::plugin! {
    name: "mysql",
    schemes: ["mysql", "mariadb"],
    source: MysqlDriver, options: include_str!("../options.schema.json"),
}

/// Opens connections to MySQL and MariaDB.
#[derive(Debug)]
pub struct MysqlDriver;

impl SourceDriver for MysqlDriver {
    type Options = MysqlOptions;
    type Source = Mysql;
    const CAPABILITIES: &'static [&'static str] = &[
        capability::TABLES,
        capability::SPLIT_RANGE,
        capability::SPLIT_KEYSET,
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

    fn open(options: MysqlOptions, context: &Context) -> Result<Mysql> {
        context.check()?;
        let endpoint = Endpoint::new(options)?;
        let place = endpoint.display();
        let session = Session::open(endpoint)
            .map_err(|error| network::while_connecting(error, &place, "a MySQL or MariaDB server"))?;
        Ok(Mysql { session, context: context.clone() })
    }
}

/// One connection to MySQL or MariaDB.
pub struct Mysql {
    session: Session,
    context: Context,
}

impl Mysql {
    fn setting(&self) -> Setting {
        Setting { server: self.session.server(), tinyint1_as_boolean: self.session.endpoint().tinyint1_as_boolean }
    }
}

impl Source for Mysql {
    fn identity(&mut self) -> Result<Identity> {
        identity::identity(&mut self.session)
    }

    fn limit(&mut self, limits: &SessionPolicy) -> Result<()> {
        self.session.limit(limits);
        Ok(())
    }

    fn export(&mut self, request: &ExportRequest, sink: &mut dyn BatchSink) -> Result<ExportStats> {
        let setting = self.setting();
        export::run(&mut self.session, setting, &self.context, request, sink)
            .map_err(|error| error.with_relation(&request.relation))
    }

    fn query_scalar(&mut self, sql: &str) -> Result<Option<Scalar>> {
        let answer = self.session.query(&self.session.limits(), sql, |wire, sql| wire.query_one(sql))?;
        let Some((column, text)) = one_value(&answer.columns, answer.rows)? else { return Ok(None) };
        text.map_or(Ok(Scalar::Null), |text| split::scalar(column.base(), text)).map(Some)
    }

    fn type_mappings(&mut self, request: &ExportRequest) -> Result<Vec<TypeMapping>> {
        let setting = self.setting();
        self.session.reading_columns(request, |wire, request| plan::plan(wire, setting, request)?.mappings())
    }

    fn tables(&mut self, filter: &TableFilter) -> Result<Vec<TableSummary>> {
        self.session.planning(|wire| catalog::tables(wire, filter))
    }

    fn describe(&mut self, relation: &Relation) -> Result<Description> {
        let server = self.session.server();
        self.session.describing(relation, |wire, relation| {
            let description = catalog::describe(wire, server, relation)?;
            rights::as_allowed(wire, server, description)
        })
    }

    fn split(&mut self, request: &SplitRequest) -> Result<Split> {
        let setting = self.setting();
        self.session.splitting(request, |wire, request| split::split(wire, setting, request))
    }

    fn bounds(&mut self, request: &BoundsRequest) -> Result<Bounds> {
        let setting = self.setting();
        self.session.bounding(request, |wire, request| bounds::bounds(wire, setting, request))
    }

    fn clock(&mut self) -> Result<Option<Scalar>> {
        self.session.planning(bounds::clock).map(Some)
    }

    fn snapshot(&mut self, workers: u32) -> Result<Option<Snapshot>> {
        let held = if workers == 0 { Some(self.session.hold_alone()?) } else { self.session.hold()? };
        Ok(held.map(|held| Snapshot::new(held.token, held.read_point)))
    }

    fn join(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.session.join(&snapshot.token)
    }

    fn release(&mut self) -> Result<()> {
        self.session.release()
    }

    fn count(&mut self, request: &ExportRequest) -> Result<u64> {
        self.session.reading_rows(request, split::counted)
    }

    fn pressure(&mut self) -> Result<Option<u64>> {
        let sql = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Innodb_log_waits', 'Innodb_buffer_pool_wait_free')";
        let answer = self.session.planning(|wire| wire.query(sql))?;
        let counters = answer.rows.iter().filter_map(|row| row.get(1)?.as_deref()?.parse::<u64>().ok());
        Ok(counters.fold(None, |sum, counter| Some(sum.unwrap_or(0_u64).saturating_add(counter))))
    }

    fn interrupt(&self) -> Option<Box<dyn Interrupt>> {
        Some(Box::new(self.session.stopper()))
    }
}
