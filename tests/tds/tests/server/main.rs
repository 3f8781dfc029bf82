//! The TDS server as a client meets it. Each module holds one promise.

#![allow(clippy::unwrap_used, reason = "test code")]

mod contract;
mod login;
mod protocol;
mod support;
mod values;
