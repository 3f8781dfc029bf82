//! What every test here needs: a connection, a schema of its own, and rows as text.

#![allow(dead_code, unused_imports)]

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rivet_plugin_postgres::{Postgres, PostgresDriver};
use rivet_sdk::options::ServerOptions;
use rivet_sdk::{Context, ExportRequest, Relation, Result, SourceDriver, TableName};
pub use rivet_testkit::{Keep, export, export_meanwhile};

/// The server under test. `make test` sets it.
pub fn url() -> String {
    std::env::var("RIVET_TEST_POSTGRES_URL")
        .expect("RIVET_TEST_POSTGRES_URL is not set: `make test` starts a PostgreSQL server and sets it")
}

/// The same server for `psql`, where [`url`] leads through a pooler.
pub fn direct_url() -> String {
    std::env::var("RIVET_TEST_POSTGRES_DIRECT_URL").unwrap_or_else(|_| url())
}

/// False where the tests run through a pooler.
pub fn psql_is_direct() -> bool {
    direct_url() == url()
}

pub fn open() -> Postgres {
    open_url(&url()).unwrap()
}

pub fn open_url(url: &str) -> Result<Postgres> {
    PostgresDriver::open(ServerOptions::from_url(url), &Context::detached())
}

/// Runs SQL as a user would, beside the driver (which only reads). Gives unaligned rows.
pub fn psql(sql: &str) -> String {
    let output = Command::new("psql")
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &direct_url(), "-c", sql])
        .env("PGOPTIONS", "-c timezone=UTC -c intervalstyle=iso_8601 -c datestyle=ISO")
        .output()
        .expect("psql must be installed");
    assert!(output.status.success(), "{sql}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end_matches('\n').to_owned()
}

/// A schema that is dropped with its guard.
pub struct Schema(pub String);

impl Schema {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        psql(&format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}"));
        Self(name)
    }

    /// Runs SQL with this schema first in the path.
    pub fn run(&self, sql: &str) -> String {
        psql(&format!("SET search_path = {}, public; {sql}", self.0))
    }

    pub fn table(&self, name: &str) -> Relation {
        Relation::Table(TableName::qualified(&self.0, name))
    }

    pub fn request(&self, name: &str) -> ExportRequest {
        ExportRequest::whole(self.table(name))
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            psql(&format!("SET client_min_messages = warning; DROP SCHEMA {} CASCADE", self.0));
        }
    }
}
