//! The SQLite driver over database files. Each module holds one promise.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod files;
mod instants;
mod slices;
mod types;
mod values;
