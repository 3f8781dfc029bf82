//! One part on its way to the destination: buffered, counted and checksummed as it streams.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rivet_sdk::{Destination, Error, Object, ObjectWriter, Result, WriteOptions};

use crate::crash::crash_point;

/// Bytes gathered before the destination sees them.
const BUFFER_BYTES: usize = 1 << 20;

/// A part being written. Dropping it unfinished aborts it: nothing becomes visible.
pub(super) struct PartFile {
    writer: Option<Box<dyn ObjectWriter>>,
    buffer: Vec<u8>,
    size_bytes: u64,
    crc32c: u32,
    failure: Failure,
}

/// The destination's own error, kept while an encoder passes a mere `io::Error` upwards.
#[derive(Clone, Default)]
pub(super) struct Failure(Arc<Mutex<Option<Error>>>);

impl Failure {
    /// The destination's error, if there was one, or else `other`.
    pub(super) fn or(&self, other: impl FnOnce() -> Error) -> Error {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_else(other)
    }

    fn set(&self, error: Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

/// What a finished part weighs.
pub(super) struct Finished {
    pub(super) object: Object,
    pub(super) size_bytes: u64,
    pub(super) crc32c: u32,
}

impl PartFile {
    pub(super) fn create(destination: &mut dyn Destination, key: &str, content_type: &str) -> Result<Self> {
        let options = WriteOptions::default().with_content_type(content_type.to_owned());
        let writer = destination.create(key, &options).map_err(|error| error.with_context("object", key))?;
        Ok(Self {
            writer: Some(writer),
            buffer: Vec::with_capacity(BUFFER_BYTES),
            size_bytes: 0,
            crc32c: 0,
            failure: Failure::default(),
        })
    }

    /// Where errors of the destination are kept.
    pub(super) fn failure(&self) -> Failure {
        self.failure.clone()
    }

    /// Bytes written so far.
    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Makes the part visible.
    pub(super) fn finish(mut self) -> Result<Finished> {
        self.send_buffer()?;
        let mut writer = self.writer.take().ok_or_else(already_failed)?;
        crash_point("part.finish");
        let object = writer.finish()?;
        if object.size_bytes != self.size_bytes {
            return Err(Error::integrity(format!(
                "{} bytes were sent, the destination reports {}",
                self.size_bytes, object.size_bytes
            )));
        }
        Ok(Finished { object, size_bytes: self.size_bytes, crc32c: self.crc32c })
    }

    fn send_buffer(&mut self) -> Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        let result = if buffer.is_empty() { Ok(()) } else { self.send(&buffer) };
        self.buffer = buffer;
        self.buffer.clear();
        result
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let writer = self.writer.as_mut().ok_or_else(already_failed)?;
        if let Err(error) = writer.write(bytes) {
            self.abort();
            return Err(error);
        }
        Ok(())
    }

    fn abort(&mut self) {
        if let Some(mut writer) = self.writer.take()
            && let Err(error) = writer.abort()
        {
            log::warn!("an abandoned part could not be aborted: {error}");
        }
    }
}

fn already_failed() -> Error {
    Error::internal("the part was written to after it failed")
}

impl io::Write for PartFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.crc32c = crc32c::crc32c_append(self.crc32c, bytes);
        self.size_bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let result = if self.buffer.len() + bytes.len() <= BUFFER_BYTES {
            self.buffer.extend_from_slice(bytes);
            Ok(())
        } else {
            self.send_buffer().and_then(|()| {
                if bytes.len() >= BUFFER_BYTES {
                    self.send(bytes)
                } else {
                    self.buffer.extend_from_slice(bytes);
                    Ok(())
                }
            })
        };
        result.map(|()| bytes.len()).map_err(|error| {
            let text = error.to_string();
            self.failure.set(error);
            io::Error::other(text)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        self.abort();
    }
}
