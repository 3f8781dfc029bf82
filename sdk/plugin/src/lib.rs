//! What authors of rivet plugins use.
//!
//! A plugin implements [`SourceDriver`] and [`Source`], or [`DestinationDriver`] and
//! [`Destination`], in safe Rust, and ends with one [`plugin!`] line. Everything that crosses
//! the boundary to the host is handled here: panics are caught, errors, logs and batches are
//! carried over, secrets are taken out of messages.

#![deny(missing_docs)]

pub mod buffers;
mod context;
pub mod cursor;
mod description;
mod destination;
mod error;
mod ffi;
#[doc(hidden)]
pub mod glue;
pub mod lexer;
mod mapping;
mod nearest;
#[cfg(feature = "network")]
pub mod network;
pub mod options;
pub mod parameters;
mod plugin;
mod request;
mod scalar;
mod secret;
mod source;
mod split;
pub mod sql;
#[cfg(feature = "network")]
pub mod tls;
mod wanted;

pub use context::{Context, HostServices, Reservation};
pub use description::{
    Description, Identity, Key, KeyColumn, NativeSplit, Note, OneReadPoint, TableFilter, TableSummary,
};
pub use destination::{Destination, DestinationDriver, Object, ObjectWriter, WriteOptions};
pub use error::{Error, ErrorKind, Result, Retry};
pub use mapping::{FIDELITY_KEY, Fidelity, FieldSpec, SOURCE_TYPE_KEY, TypeMapping, schema_of};
pub use nearest::nearest;
pub use request::{
    BatchLimits, Bound, ColumnRequest, Condition, ExportRequest, OnUnrepresentable, Relation, SessionPolicy, TableName,
};
pub use scalar::Scalar;
pub use secret::{Secret, redact, secret_texts};
pub use source::{
    BatchSink, Bounds, BoundsRequest, ColumnStats, ExportStats, Interrupt, SNAPSHOT_LOST, Snapshot, Source,
    SourceDriver, capability,
};
pub use split::{Slice, Split, SplitBy, SplitInto, SplitRequest};
pub use wanted::WantedType;

#[cfg(feature = "network")]
pub use rustls;
pub use {arrow_array, arrow_buffer, arrow_data, arrow_schema, log, schemars, serde, serde_json};

/// The version of this SDK, as plugins built with it report it.
pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");
