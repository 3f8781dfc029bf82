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

    /// Makes ready to write. Called in the worker's own thread, once per worker.
    fn open(options: Self::Options, context: &Context) -> Result<Self::Destination>;
}

/// A place for objects, owned by one worker. Keys are relative, `/`-separated, without `..`.
pub trait Destination: Send {
    /// Where keys are rooted, for people: `s3://bucket/prefix`.
    fn location(&self) -> String;

    /// Starts an object. Nothing is visible under `key` until [`ObjectWriter::finish`].
    fn create(&mut self, key: &str, options: &WriteOptions) -> Result<Box<dyn ObjectWriter>>;

    /// Writes a small object whole, only if `key` does not exist, atomically against other
    /// writers. False: somebody was first.
    fn put_if_absent(&mut self, key: &str, body: &[u8]) -> Result<bool>;

    /// Writes a small object whole, replacing what was there in one step.
    fn put(&mut self, key: &str, body: &[u8]) -> Result<Object>;

    /// The whole object; None where there is none.
    fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>>;

    /// `length` bytes from `offset`, fewer at the object's end; None where there is no object.
    fn read_at(&mut self, key: &str, offset: u64, length: u64) -> Result<Option<Vec<u8>>>;

    /// The object without its bytes; None where there is none.
    fn head(&mut self, key: &str) -> Result<Option<Object>>;

    /// Every object whose key starts with `prefix`, at any depth, ordered by key.
    fn list(&mut self, prefix: &str) -> Result<Vec<Object>>;

    /// Removes the object. Removing what is not there succeeds.
    fn delete(&mut self, key: &str) -> Result<()>;

    /// Removes what writers that died left unfinished and invisible (temporary files, uploads
    /// never completed), and nothing that a living writer works on. How many.
    fn tidy(&mut self) -> Result<u64> {
        Ok(0)
    }
}

/// One object being written. Dropping it unfinished aborts it.
pub trait ObjectWriter: Send {
    /// Appends bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;
    /// Makes the object visible, whole and durable.
    fn finish(&mut self) -> Result<Object>;
    /// Gives up; nothing stays behind.
    fn abort(&mut self) -> Result<()>;
}

/// How to write an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WriteOptions {
    /// A media type for stores that keep one.
    #[serde(default)]
    pub content_type: Option<String>,
}

impl WriteOptions {
    /// With a media type.
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
    /// Its size.
    pub size_bytes: u64,
    /// The store's tag for this version of it, where the store has one.
    #[serde(default)]
    pub etag: Option<String>,
}

impl Object {
    /// An object of this size.
    pub fn new(key: impl Into<String>, size_bytes: u64) -> Self {
        Self { key: key.into(), size_bytes, etag: None }
    }

    /// The store's tag.
    #[must_use]
    pub fn with_etag(self, etag: impl Into<Option<String>>) -> Self {
        Self { etag: etag.into(), ..self }
    }
}
