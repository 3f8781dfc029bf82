//! The destination side of a plugin: objects in a store, written once and streamed.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Context, Result};

/// Opens destinations. The plugin's entry in [`crate::plugin!`].
pub trait DestinationDriver: 'static {
    /// What the user may configure; its JSON Schema is published in the plugin manifest.
    type Options: DeserializeOwned + JsonSchema;
    /// The instance a worker owns.
    type Destination: Destination;

    /// Makes ready to write. A run has an instance of its own for its manifest, and each worker two: one for parts, one
    /// for what is written beside them.
    ///
    /// # Errors
    /// `Config` for an option that is wrong, `Auth` for credentials that the store refuses, `NotFound` for a bucket or
    /// folder that is not there and is not made, `Permission`, `Connection`.
    fn open(options: Self::Options, context: &Context) -> Result<Self::Destination>;
}

/// A place for objects, owned by one worker. Keys are relative, `/`-separated, without `..`.
///
/// # Threads
/// An instance is asked one thing at a time, and may move between threads between two calls. Its [`ObjectWriter`]s are
/// used on the thread of the instance that made them, and the instance may be asked for more while one of them is open.
///
/// # Order of calls
/// [`DestinationDriver::open`], then any method, as often as it is wanted. [`Destination::create`], then
/// [`ObjectWriter::write`] any number of times (none for an empty object), then one of [`ObjectWriter::finish`] and
/// [`ObjectWriter::abort`]; dropping the writer aborts, too.
///
/// # Errors of every method
/// `Config` for a key that the store cannot have: the host asks `head` for its longest one before it reads a row.
/// `Permission`, `Auth`, `Connection`, `Throttled`, `Transient`, `Timeout` as the store answers, `ResourceExhausted` for
/// a full disk or a spent quota, `Cancelled` once [`Context::check`] fails. The store's word decides whether trying
/// again may help ([`crate::Error::with_retry`]). An object that is not there is None, never `NotFound`: that is for a
/// bucket or folder.
pub trait Destination: Send {
    /// Where keys are rooted, for people: `s3://bucket/prefix`.
    fn location(&self) -> String;

    /// Starts an object, which may be large. Nothing is visible under `key` until [`ObjectWriter::finish`], which
    /// replaces what may be there.
    fn create(&mut self, key: &str, options: &WriteOptions) -> Result<Box<dyn ObjectWriter>>;

    /// Writes a small object whole, only if `key` does not exist, atomically against other writers. False: somebody was
    /// first, which is no error. A store that cannot promise this answers `Unsupported`: runs are decided by it.
    fn put_if_absent(&mut self, key: &str, body: &[u8]) -> Result<bool>;

    /// Writes a small object whole, replacing what was there in one step.
    fn put(&mut self, key: &str, body: &[u8]) -> Result<Object>;

    /// The whole object; None where there is none.
    fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>>;

    /// `length` bytes from the byte `offset`, fewer at the object's end and none beyond it; None where there is no object.
    fn read_at(&mut self, key: &str, offset: u64, length: u64) -> Result<Option<Vec<u8>>>;

    /// The object without its bytes; None where there is none.
    fn head(&mut self, key: &str) -> Result<Option<Object>>;

    /// Every object whose key starts with `prefix`, at any depth, ordered by the bytes of the keys. Empty where there is
    /// none, also where there is no such folder.
    fn list(&mut self, prefix: &str) -> Result<Vec<Object>>;

    /// Removes the object. Removing what is not there succeeds.
    fn delete(&mut self, key: &str) -> Result<()>;

    /// Removes what writers that died left unfinished and invisible (temporary files, uploads never completed), and
    /// nothing that a living writer works on. How many.
    fn tidy(&mut self) -> Result<u64> {
        Ok(0)
    }
}

/// One object being written. Dropping it unfinished aborts it.
pub trait ObjectWriter: Send {
    /// Appends bytes. It may keep them until more have come, within [`Context::reserve`]. After an error the host aborts.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;
    /// Makes the object visible, whole and durable. [`Object::size_bytes`] is what the store has; `Integrity` where that,
    /// or a checksum of it, is not what was written. Nothing may be called after it.
    fn finish(&mut self) -> Result<Object>;
    /// Gives up; nothing stays behind. An error is logged, and [`Destination::tidy`] removes what stayed.
    fn abort(&mut self) -> Result<()>;
}

/// How to write an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WriteOptions {
    /// The media type; None leaves it to the store.
    #[serde(default)]
    pub content_type: Option<String>,
}

impl WriteOptions {
    /// Sets [`WriteOptions::content_type`].
    #[must_use]
    pub fn with_content_type(self, content_type: impl Into<Option<String>>) -> Self {
        let mut options = self;
        options.content_type = content_type.into();
        options
    }
}

/// An object that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Object {
    /// Its key, relative to the destination.
    pub key: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The store's tag for this version of it; None where the store has none.
    #[serde(default)]
    pub etag: Option<String>,
}

impl Object {
    /// An object of this size in bytes, without a tag.
    pub fn new(key: impl Into<String>, size_bytes: u64) -> Self {
        Self { key: key.into(), size_bytes, etag: None }
    }

    /// Sets [`Object::etag`].
    #[must_use]
    pub fn with_etag(self, etag: impl Into<Option<String>>) -> Self {
        Self { etag: etag.into(), ..self }
    }
}
