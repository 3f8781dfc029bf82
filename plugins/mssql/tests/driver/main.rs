//! The SQL Server driver over a server. Each module holds one promise.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod judge;
mod logins;
mod server;
mod slices;
#[path = "../support/mod.rs"]
mod support;
mod types;
mod values;
