//! A test server that speaks TDS 7.4 as SQL Server does, with SQLite behind it.
//!
//! From the socket inwards: [`server`] listens, [`tls`] and [`packet`] carry, [`login`] and
//! [`request`] understand what clients say, [`session`] works through it, [`sql`] turns T-SQL into
//! SQLite's, [`catalogue`] keeps what was declared, [`types`] knows every type's storage and wire
//! form, and [`tokens`] answers. What it does not understand it refuses: an answer is right or an error.

#![forbid(unsafe_code)]
#![allow(missing_docs, clippy::missing_errors_doc, reason = "a test fixture, read by those who change it")]

pub mod catalogue;
pub mod engine;
pub mod error;
pub mod faults;
pub mod login;
pub mod packet;
pub mod request;
pub mod server;
pub mod session;
pub mod signals;
pub mod sql;
pub mod tls;
pub mod tokens;
pub mod types;
pub mod wire;

pub use login::Encryption;
pub use server::{Config, Server};
