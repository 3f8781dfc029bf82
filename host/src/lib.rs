//! rivet exports database tables to Parquet and CSV through plugins.
//!
//! The host reads a configuration, asks a source plugin what is there, makes a plan of disjoint
//! chunks, and lets N workers each take a chunk at a time. A worker owns its own instance of
//! the source and of the destination: it pulls rows as Arrow batches from the one, encodes
//! them, and streams the bytes to the other. Every chunk ends with a report; when all reports
//! are in, the commit writes the manifest, then `_SUCCESS`. Everything that knows a database
//! or an object store lives in a plugin; everything that decides lives here.
//!
//! A module uses those above it only: `tests/tests/product/imports.rs` follows each name.

#![forbid(unsafe_code)]

// What everything else stands on.
pub mod crash;
#[cfg(test)]
mod damage;
mod files;
mod peak;
pub mod redact;
pub mod seal;
mod threads;

pub mod stop;

// What is asked for, and what is sealed of it.
pub mod destination;
pub mod notify;

pub mod plan;

pub mod config;

// Memory, and where rows and bytes pass.
pub mod budget;

pub mod batch;

pub mod sink;

pub mod source;

// One configuration with its plugins; plans made of it.
pub mod session;

pub mod planner;

// What outlives a run: at the destination, and in the state store.
pub mod commit;
pub mod state;

// A run, and the commands.
pub mod run;

pub mod cli;
