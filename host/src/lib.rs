//! rivet exports database tables to Parquet and CSV through plugins.
//!
//! The host reads a configuration, asks a source plugin what is there, makes a plan of disjoint
//! chunks, and lets N workers each take a chunk at a time. A worker owns its own instance of
//! the source and of the destination: it pulls rows as Arrow batches from the one, encodes
//! them, and streams the bytes to the other. Every chunk ends with a report; when all reports
//! are in, the commit writes the manifest, then `_SUCCESS`. Everything that knows a database
//! or an object store lives in a plugin; everything that decides lives here.
//!
//! The modules are declared in the order in which data flows through them.

#![forbid(unsafe_code)]

pub mod batch;
pub mod budget;
pub mod cli;
pub mod commit;
pub mod config;
pub mod crash;
#[cfg(test)]
mod damage;
pub mod destination;
mod files;
pub mod notify;
mod peak;
pub mod plan;
pub mod redact;
pub mod run;
pub mod seal;
pub mod session;
pub mod sink;
pub mod source;
pub mod state;
mod threads;
