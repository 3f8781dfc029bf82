//! The product as users meet it: the real `rivet` binary, real databases, independent readers.
//!
//! Each file in `tests/tests/product/` holds one promise. It arranges with this library:
//!
//! * [`mssql`]: a database of its own on SQL Server, or on the project's own TDS server;
//! * [`postgres`]: a database of its own on the server that `make test` starts;
//! * [`standby`]: a PostgreSQL primary of its own, and a standby that lags behind it;
//! * [`stores`]: a prefix of its own in each object store, and [`faults`] on the way to it, or a
//!   [`cloud`] that plays who gives credentials and, with [`signatures`], a store that asks for them;
//! * [`impostors`]: what listens where a database or a store should;
//! * [`mysql`]: a database of its own on the MariaDB and on the MySQL that it starts;
//! * [`sqlite`]: a database file in a temporary folder;
//! * [`damage`]: to a text that rivet wrote, as its unit tests do it;
//! * [`drivers`]: one of each of these databases behind one trait;
//! * [`queries`]: texts of queries, and what the database's client library gets for each;
//! * [`rivet`]: the binary, its configuration, its exit code and output, and its death;
//! * [`readers`]: what landed, as DuckDB and pyarrow read it, and how to compare it.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::missing_panics_doc,
    reason = "test code: a panic is a verdict"
)]

pub mod cloud;
#[path = "../../host/src/damage.rs"]
pub mod damage;
pub mod drivers;
pub mod faults;
pub mod impostors;
pub mod mssql;
pub mod mysql;
pub mod postgres;
pub mod queries;
pub mod readers;
pub mod rivet;
pub mod signatures;
pub mod sqlite;
pub mod standby;
pub mod stores;

/// Whether this is a slow suite (`make test-slow`): what tries many things tries all of them.
pub fn slow() -> bool {
    std::env::var_os("RIVET_TEST_SLOW").is_some()
}

/// How often a run is killed: `RIVET_TEST_KILLS`, or else so many times `usually` and in a slow suite.
pub fn kills(usually: u32, slowly: u32) -> u32 {
    let wanted = std::env::var("RIVET_TEST_KILLS").map(|text| text.parse().unwrap());
    wanted.unwrap_or(if slow() { slowly } else { usually })
}

/// An environment variable that the runner sets.
pub fn from_runner(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run `make test`, or `tests/run` with a test's name"))
}
