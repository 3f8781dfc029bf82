//! The MySQL driver over real servers. Each module holds one promise.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod compression;
mod hostile_server;
mod judge;
mod logins;
mod server;
mod slices;
mod snapshots;
#[path = "../support/mod.rs"]
mod support;
mod traps;
mod types;
mod values;
