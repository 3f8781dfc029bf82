//! What authors of rivet plugins use.
//!
//! A plugin implements [`SourceDriver`] and [`Source`], or [`DestinationDriver`] and
//! [`Destination`], in safe Rust, and ends with one [`plugin!`] line. Everything that crosses
//! the boundary to the host is handled here: panics are caught, errors, logs and batches are
//! carried over, secrets are taken out of messages.
//!
//! A destination that keeps its objects in memory:
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::{Arc, Mutex};
//!
//! use rivet_sdk::schemars::JsonSchema;
//! use rivet_sdk::serde::Deserialize;
//! use rivet_sdk::{Context, Destination, DestinationDriver, Object, ObjectWriter, Result, WriteOptions};
//!
//! rivet_sdk::plugin! {
//!     name: "memory",
//!     schemes: [],
//!     // In a crate: include_str!("../options.schema.json"), which the conformance suite writes.
//!     destination: MemoryDriver, options: r#"{"type": "object", "properties": {"name": {"type": "string"}}}"#,
//! }
//!
//! /// What the user configures: `destination: {type: memory, name: mine}`.
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(crate = "rivet_sdk::serde", deny_unknown_fields)]
//! #[schemars(crate = "rivet_sdk::schemars")]
//! pub struct MemoryOptions {
//!     name: String,
//! }
//!
//! pub struct MemoryDriver;
//!
//! impl DestinationDriver for MemoryDriver {
//!     type Options = MemoryOptions;
//!     type Destination = Memory;
//!
//!     fn open(options: MemoryOptions, _: &Context) -> Result<Memory> {
//!         Ok(Memory { name: options.name, objects: Objects::default() })
//!     }
//! }
//!
//! type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;
//!
//! pub struct Memory {
//!     name: String,
//!     objects: Objects,
//! }
//!
//! fn object(key: &str, body: &[u8]) -> Object {
//!     Object::new(key, body.len() as u64)
//! }
//!
//! impl Destination for Memory {
//!     fn location(&self) -> String {
//!         format!("memory:{}", self.name)
//!     }
//!     fn create(&mut self, key: &str, _: &WriteOptions) -> Result<Box<dyn ObjectWriter>> {
//!         Ok(Box::new(Writer { key: key.to_owned(), body: Vec::new(), objects: self.objects.clone() }))
//!     }
//!     fn put_if_absent(&mut self, key: &str, body: &[u8]) -> Result<bool> {
//!         let mut objects = self.objects.lock().unwrap();
//!         let is_absent = !objects.contains_key(key);
//!         objects.entry(key.to_owned()).or_insert_with(|| body.to_vec());
//!         Ok(is_absent)
//!     }
//!     fn put(&mut self, key: &str, body: &[u8]) -> Result<Object> {
//!         self.objects.lock().unwrap().insert(key.to_owned(), body.to_vec());
//!         Ok(object(key, body))
//!     }
//!     fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
//!         Ok(self.objects.lock().unwrap().get(key).cloned())
//!     }
//!     fn read_at(&mut self, key: &str, offset: u64, length: u64) -> Result<Option<Vec<u8>>> {
//!         let body = self.get(key)?;
//!         Ok(body.map(|body| body.into_iter().skip(offset as usize).take(length as usize).collect()))
//!     }
//!     fn head(&mut self, key: &str) -> Result<Option<Object>> {
//!         Ok(self.get(key)?.map(|body| object(key, &body)))
//!     }
//!     fn list(&mut self, prefix: &str) -> Result<Vec<Object>> {
//!         let objects = self.objects.lock().unwrap();
//!         let found = objects.iter().filter(|(key, _)| key.starts_with(prefix));
//!         Ok(found.map(|(key, body)| object(key, body)).collect())
//!     }
//!     fn delete(&mut self, key: &str) -> Result<()> {
//!         self.objects.lock().unwrap().remove(key);
//!         Ok(())
//!     }
//! }
//!
//! struct Writer {
//!     key: String,
//!     body: Vec<u8>,
//!     objects: Objects,
//! }
//!
//! impl ObjectWriter for Writer {
//!     fn write(&mut self, bytes: &[u8]) -> Result<()> {
//!         self.body.extend_from_slice(bytes);
//!         Ok(())
//!     }
//!     /// Only now can anybody see the object.
//!     fn finish(&mut self) -> Result<Object> {
//!         let body = std::mem::take(&mut self.body);
//!         let object = object(&self.key, &body);
//!         self.objects.lock().unwrap().insert(self.key.clone(), body);
//!         Ok(object)
//!     }
//!     fn abort(&mut self) -> Result<()> {
//!         self.body.clear();
//!         Ok(())
//!     }
//! }
//!
//! let mut memory = MemoryDriver::open(MemoryOptions { name: "mine".into() }, &Context::detached())?;
//! let mut writer = memory.create("numbers/part-0.csv", &WriteOptions::default())?;
//! writer.write(b"id\n1\n")?;
//! assert_eq!(memory.get("numbers/part-0.csv")?, None);
//! writer.finish()?;
//! assert_eq!(memory.get("numbers/part-0.csv")?.as_deref(), Some(&b"id\n1\n"[..]));
//! # rivet_sdk::Result::Ok(())
//! ```

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
