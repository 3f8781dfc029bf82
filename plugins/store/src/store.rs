//! The SDK's `Destination` over any store.

use std::sync::Arc;
use std::time::Duration;

use opendal_core::{ErrorKind, Metadata, Operator};
use rivet_sdk::{Context, Destination, Object, ObjectWriter, Result, WriteOptions};

use crate::digest::md5;
use crate::error::{ErrorMessages, Operation, Place};
use crate::key;
use crate::listing::ListApi;
use crate::options::{Secrets, TransferOptions};
use crate::pending::{Alive, MultipartApi};
use crate::runtime::wait;
use crate::wire::{Wire, noting_ambiguity};
use crate::writer::StoreWriter;

/// What a plugin makes of its options.
pub struct Setup {
    /// opendal's operator, rooted at the prefix.
    pub operator: Operator,
    /// The transport to the store.
    pub wire: Wire,
    /// What its errors are called and mean.
    pub messages: &'static ErrorMessages,
    /// `s3://bucket/`, `gs://bucket/`…, without the prefix.
    pub bucket_location: String,
    /// The bucket's or container's name.
    pub bucket: String,
    /// Empty, or ends with a slash.
    pub prefix: String,
    /// How bytes travel.
    pub transfer: TransferOptions,
    /// How objects are listed.
    pub objects: ListApi,
    /// How unfinished uploads are found, where the store keeps any.
    pub uploads: Option<MultipartApi>,
    /// What must not be printed.
    pub secrets: Secrets,
}

/// A prefix of a bucket.
pub struct Store {
    shared: Arc<Shared>,
}

/// What a store and its writers share.
pub(crate) struct Shared {
    pub operator: Operator,
    pub context: Context,
    pub transfer: TransferOptions,
    location: String,
    setup: Rest,
}

struct Rest {
    wire: Wire,
    messages: &'static ErrorMessages,
    bucket_location: String,
    bucket: String,
    prefix: String,
    objects: ListApi,
    uploads: Option<MultipartApi>,
    secrets: Secrets,
}

impl Store {
    /// A destination over `setup`.
    pub fn new(setup: Setup, context: &Context) -> Self {
        let Setup { operator, wire, messages, bucket_location, bucket, prefix, transfer, objects, uploads, secrets } =
            setup;
        let base = operator.base_context().with_http_transport(wire.transporter());
        let shared = Shared {
            operator: operator.with_context(base),
            context: context.clone(),
            transfer,
            location: format!("{bucket_location}{prefix}"),
            setup: Rest { wire, messages, bucket_location, bucket, prefix, objects, uploads, secrets },
        };
        Self { shared: Arc::new(shared) }
    }
}

impl Shared {
    /// Parts of uploads that are being sent.
    pub fn parts_under_way(&self) -> usize {
        self.setup.wire.parts_under_way()
    }

    /// The full address of `key`.
    pub fn address(&self, key: &str) -> String {
        format!("{}{key}", self.location)
    }

    pub fn error(&self, operation: Operation, key: &str, error: &opendal_core::Error) -> rivet_sdk::Error {
        let Rest { messages, bucket, secrets, .. } = &self.setup;
        Place { messages, bucket, location: &self.location, secrets }.error(operation, key, error)
    }

    /// Compares with the MD5 that the store's description of a new object holds. Google's comes
    /// there and nowhere else.
    pub fn same_md5(&self, key: &str, body: &[u8], metadata: &Metadata) -> Result<()> {
        match metadata.content_md5() {
            Some(theirs) if theirs != md5(body) => Err(rivet_sdk::Error::integrity(format!(
                "write {}: bytes were damaged on the way: the store's MD5 is {theirs}, ours {}",
                self.address(key),
                md5(body)
            ))
            .with_retry(rivet_sdk::Retry::Transient(None))),
            _ => Ok(()),
        }
    }

    pub fn object(&self, key: &str, size_bytes: u64, metadata: &Metadata) -> Object {
        Object::new(key, size_bytes).with_etag(metadata.etag().map(str::to_owned))
    }

    /// The object without its bytes; None where there is none.
    pub async fn look(&self, key: &str) -> opendal_core::Result<Option<Metadata>> {
        match self.operator.stat(key).await {
            Ok(metadata) if metadata.is_file() => Ok(Some(metadata)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Bytes of an object; None where there is none.
    pub async fn read(&self, key: &str, offset: u64, length: Option<u64>) -> opendal_core::Result<Option<Vec<u8>>> {
        let reading = self.operator.read_with(key);
        let read = match length {
            Some(length) => reading.range(offset..offset.saturating_add(length)).await,
            None => reading.await,
        };
        match read {
            Ok(buffer) => Ok(Some(buffer.to_vec())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Store {
    /// Refuses a key that cannot name an object below the prefix.
    fn check(&self, key: &str) -> Result<()> {
        key::check("key", &self.shared.setup.prefix, key)
    }
}

/// A media type for control objects, by name.
fn content_type(key: &str) -> &'static str {
    if key.ends_with(".json") || key.ends_with("_SUCCESS") { "application/json" } else { "application/octet-stream" }
}

impl Destination for Store {
    fn location(&self) -> String {
        self.shared.location.clone()
    }

    fn create(&mut self, key: &str, options: &WriteOptions) -> Result<Box<dyn ObjectWriter>> {
        self.check(key)?;
        Ok(Box::new(StoreWriter::new(Arc::clone(&self.shared), key, options)))
    }

    fn put_if_absent(&mut self, key: &str, body: &[u8]) -> Result<bool> {
        self.check(key)?;
        let shared = &self.shared;
        let put = shared.operator.write_with(key, body.to_vec()).content_type(content_type(key)).if_not_exists(true);
        let (put, ambiguous) = wait(&shared.context, noting_ambiguity(put.into_future()))?;
        match put {
            Ok(_) => Ok(true),
            // The response to an earlier try was lost: whoever finds the own body there has won.
            Err(error) if error.kind() == ErrorKind::ConditionNotMatch && ambiguous => {
                let found = wait(&shared.context, shared.read(key, 0, None))?;
                let found = found.map_err(|error| shared.error(Operation::Read, key, &error))?;
                Ok(found.as_deref() == Some(body))
            }
            Err(error) if error.kind() == ErrorKind::ConditionNotMatch => Ok(false),
            Err(error) => Err(shared.error(Operation::Write, key, &error)),
        }
    }

    fn put(&mut self, key: &str, body: &[u8]) -> Result<Object> {
        self.check(key)?;
        let shared = &self.shared;
        let put = shared.operator.write_with(key, body.to_vec()).content_type(content_type(key));
        let metadata = wait(&shared.context, put.into_future())?;
        let metadata = metadata.map_err(|error| shared.error(Operation::Write, key, &error))?;
        shared.same_md5(key, body, &metadata)?;
        Ok(shared.object(key, u64::try_from(body.len()).unwrap_or(u64::MAX), &metadata))
    }

    fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        self.check(key)?;
        let read = wait(&self.shared.context, self.shared.read(key, 0, None))?;
        read.map_err(|error| self.shared.error(Operation::Read, key, &error))
    }

    fn read_at(&mut self, key: &str, offset: u64, length: u64) -> Result<Option<Vec<u8>>> {
        self.check(key)?;
        let shared = &self.shared;
        let failed = |error| shared.error(Operation::Read, key, &error);
        // Stores refuse a range that begins at the end, and opendal one that ends beyond it.
        let Some(found) = wait(&shared.context, shared.look(key))?.map_err(failed)? else { return Ok(None) };
        let length = length.min(found.content_length().saturating_sub(offset));
        if length == 0 {
            return Ok(Some(Vec::new()));
        }
        wait(&shared.context, shared.read(key, offset, Some(length)))?.map_err(failed)
    }

    fn head(&mut self, key: &str) -> Result<Option<Object>> {
        self.check(key)?;
        let found = wait(&self.shared.context, self.shared.look(key))?;
        let found = found.map_err(|error| self.shared.error(Operation::Look, key, &error))?;
        Ok(found.map(|metadata| self.shared.object(key, metadata.content_length(), &metadata)))
    }

    fn list(&mut self, prefix: &str) -> Result<Vec<Object>> {
        let shared = &self.shared;
        let Rest { wire, prefix: root, objects, .. } = &shared.setup;
        let listed = wait(&shared.context, objects.list(&wire.transporter(), &format!("{root}{prefix}")))?;
        let listed = listed.map_err(|error| shared.error(Operation::List, prefix, &error))?;
        let below = listed.into_iter().filter_map(|(name, found)| Some((name.strip_prefix(root)?.to_owned(), found)));
        // A name that ends with a slash is a folder's, made by another program.
        let objects = below.filter(|(key, _)| key.starts_with(prefix) && !key.is_empty() && !key.ends_with('/'));
        Ok(objects.map(|(key, found)| Object::new(key, found.size).with_etag(found.etag)).collect())
    }

    fn delete(&mut self, key: &str) -> Result<()> {
        self.check(key)?;
        match wait(&self.shared.context, self.shared.operator.delete(key))? {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.shared.error(Operation::Delete, key, &error)),
            _ => Ok(()),
        }
    }

    fn tidy(&mut self) -> Result<u64> {
        let shared = &self.shared;
        let Rest { wire, bucket_location, prefix, uploads, .. } = &shared.setup;
        let Some(uploads) = uploads else { return Ok(0) };
        let transport = wire.transporter();
        let listed = wait(&shared.context, uploads.list(&transport, prefix))?;
        let listed = listed.map_err(|error| shared.error(Operation::ListUploads, "", &error))?;
        let age = Duration::from_secs(shared.transfer.abandoned_after_s);
        let mut aborted = 0;
        for upload in listed {
            let dead = upload.is_older_than(age) && !Alive::is(&format!("{bucket_location}{}", upload.key));
            if dead && upload.key.starts_with(prefix.as_str()) {
                let done = wait(&shared.context, uploads.abort(&transport, &upload))?;
                done.map_err(|error| shared.error(Operation::Abort, &upload.key, &error))?;
                aborted += 1;
            }
        }
        Ok(aborted)
    }
}
