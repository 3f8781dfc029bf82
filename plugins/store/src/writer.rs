//! An object on its way: parts of a multipart upload, a bounded number of them at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use opendal_core::{Buffer, ErrorKind, Metadata, Writer};
use rivet_sdk::{Error, Object, ObjectWriter, Reservation, Result, WriteOptions};

use crate::LOG;
use crate::error::{Operation, store_error};
use crate::parts;
use crate::pending::Alive;
use crate::runtime::{finish, wait};
use crate::store::Shared;
use crate::wire::noting_ambiguity;

/// Parts that opendal and this writer hold besides those on their way: one being filled, one
/// kept back until it is known whether another follows.
const HELD: usize = 2;
/// How long giving up may take.
const GIVING_UP: Duration = Duration::from_secs(30);
/// Bytes read back at once.
const PIECE: u64 = 8 << 20;

/// One object being written.
pub(crate) struct StoreWriter {
    shared: Arc<Shared>,
    key: String,
    content_type: Option<String>,
    writer: Option<Writer>,
    part: Vec<u8>,
    parts_sent: u64,
    written: u64,
    crc32c: Crc,
    /// The memory of all parts. It is given back before more is taken: a holder of nothing is
    /// always served, so that this cannot wait for those who wait for this.
    memory: Option<Reservation>,
    /// The bytes of an object that goes in one request, to hold the store's MD5 against.
    only_part: Option<Bytes>,
    /// Parts on their way at once: fewer than configured where memory is short.
    in_flight: usize,
    over: bool,
    _alive: Alive,
}

impl StoreWriter {
    pub fn new(shared: Arc<Shared>, key: &str, options: &WriteOptions) -> Self {
        let alive = Alive::new(shared.address(key));
        Self {
            shared,
            key: key.to_owned(),
            content_type: options.content_type.clone(),
            writer: None,
            part: Vec::new(),
            parts_sent: 0,
            written: 0,
            crc32c: Crc::new(CrcAlgorithm::Crc32Iscsi),
            memory: None,
            only_part: None,
            in_flight: 1,
            over: false,
            _alive: alive,
        }
    }

    fn part_size(&self) -> u64 {
        parts::size(self.shared.transfer.part_size(), self.parts_sent)
    }

    fn bytes_of(&self, parts: usize) -> u64 {
        self.part_size().saturating_mul(u64::try_from(parts).unwrap_or(u64::MAX))
    }

    fn reserve(&mut self, parts: usize) -> Result<()> {
        let bytes = self.bytes_of(parts);
        self.memory = None;
        self.memory = Some(self.shared.context.reserve(bytes)?);
        Ok(())
    }

    /// Memory for as many parts on their way as there is room for now; for one it is waited.
    fn reserve_for_flight(&mut self) -> Result<()> {
        for in_flight in (2..=self.shared.transfer.parts_in_flight).rev() {
            if let Some(memory) = self.shared.context.try_reserve(self.bytes_of(in_flight.saturating_add(HELD))) {
                (self.in_flight, self.memory) = (in_flight, Some(memory));
                return Ok(());
            }
        }
        self.reserve(HELD + 1)
    }

    fn still_open(&self) -> Result<()> {
        if self.over {
            return Err(Error::internal(format!("{} was written to after its end", self.key)));
        }
        Ok(())
    }

    fn append(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            if self.memory.is_none() {
                self.reserve(1)?;
            }
            let size = usize::try_from(self.part_size()).unwrap_or(usize::MAX);
            let take = bytes.len().min(size.saturating_sub(self.part.len()));
            let (now, later) = bytes.split_at_checked(take).unwrap_or((bytes, &[]));
            self.part.extend_from_slice(now);
            bytes = later;
            if self.part.len() >= size {
                self.send_part()?;
            }
        }
        Ok(())
    }

    fn send_part(&mut self) -> Result<()> {
        let before = self.part_size();
        let full = u64::try_from(self.part.len()).is_ok_and(|size| size >= before);
        if self.writer.is_none() && full {
            self.reserve_for_flight()?;
        }
        let part = Bytes::from(std::mem::take(&mut self.part));
        self.only_part = (self.parts_sent == 0).then(|| part.clone());
        let shared = Arc::clone(&self.shared);
        let failed = |error: opendal_core::Error| shared.error(Operation::Write, &self.key, &error);
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                let opened = open(&shared, &self.key, self.content_type.as_deref(), self.in_flight);
                none.insert(wait(&shared.context, opened)?.map_err(failed)?)
            }
        };
        wait(&shared.context, writer.write(Buffer::from(part)))?.map_err(failed)?;
        self.parts_sent += 1;
        if self.part_size() != before {
            self.reserve(self.in_flight.saturating_add(HELD))?;
        }
        Ok(())
    }

    fn complete(&mut self) -> Result<Metadata> {
        if !self.part.is_empty() || self.writer.is_none() {
            self.send_part()?;
        }
        let shared = Arc::clone(&self.shared);
        let writer = self.writer.as_mut().ok_or_else(|| Error::internal("the object has no writer"))?;
        let (closed, ambiguous) = wait(&shared.context, noting_ambiguity(writer.close()))?;
        let error = match closed {
            Ok(metadata) => {
                let whole = self.only_part.take();
                return whole.map_or(Ok(()), |whole| shared.same_md5(&self.key, &whole, &metadata)).map(|()| metadata);
            }
            Err(error) => error,
        };
        // It may be there all the same: its response was lost, and the repetition found the
        // upload gone.
        if (ambiguous || store_error(&error).is_some_and(|store_error| store_error.ambiguous))
            && let Some(metadata) = self.found_whole().unwrap_or_else(|look| {
                log::warn!(target: LOG, "whether {} is whole could not be seen: {look}", shared.address(&self.key));
                None
            })
        {
            log::info!(target: LOG, "{}: the answer to its completion was lost; read back, it is whole", shared.address(&self.key));
            return Ok(metadata);
        }
        Err(shared.error(Operation::Write, &self.key, &error))
    }

    /// The object, if it is there and what was written.
    fn found_whole(&self) -> Result<Option<Metadata>> {
        let shared = &self.shared;
        let failed = |error| shared.error(Operation::Read, &self.key, &error);
        let Some(found) = wait(&shared.context, shared.look(&self.key))?.map_err(failed)? else { return Ok(None) };
        if found.content_length() != self.written {
            return Ok(None);
        }
        let mut crc32c = Crc::new(CrcAlgorithm::Crc32Iscsi);
        let mut offset = 0;
        while offset < self.written {
            let length = PIECE.min(self.written - offset);
            let read = wait(&shared.context, shared.read(&self.key, offset, Some(length)))?.map_err(failed)?;
            let Some(bytes) = read.filter(|bytes| !bytes.is_empty()) else { return Ok(None) };
            crc32c.update(&bytes);
            offset += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        }
        Ok((crc32c.finalize() == self.crc32c.finalize()).then_some(found))
    }

    fn give_up(&mut self) -> Result<()> {
        self.over = true;
        self.part = Vec::new();
        let Some(mut writer) = self.writer.take() else { return Ok(()) };
        let shared = Arc::clone(&self.shared);
        let giving_up = async {
            // A part that arrives after the abort may stay for ever: let those under way end.
            let start = Instant::now();
            while shared.parts_under_way() > 0 && start.elapsed() < GIVING_UP / 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            aborted(writer.abort().await)
        };
        // Its clock belongs to the runtime.
        let aborted = finish(async { tokio::time::timeout(GIVING_UP, giving_up).await });
        self.memory = None;
        match aborted? {
            Ok(result) => result.map_err(|error| shared.error(Operation::Abort, &self.key, &error)),
            Err(_) => Err(Error::new(
                rivet_sdk::ErrorKind::Timeout,
                format!("abort the upload of {}: the store did not answer in time", shared.address(&self.key)),
            )
            .with_hint("`rivet clean` aborts it later")),
        }
    }
}

async fn open(
    shared: &Shared,
    key: &str,
    content_type: Option<&str>,
    in_flight: usize,
) -> opendal_core::Result<Writer> {
    let mut opening = shared.operator.writer_with(key).concurrent(in_flight);
    if let Some(content_type) = content_type {
        opening = opening.content_type(content_type);
    }
    opening.await
}

/// An upload that is gone is aborted.
fn aborted(result: opendal_core::Result<()>) -> opendal_core::Result<()> {
    match result {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl ObjectWriter for StoreWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.still_open()?;
        self.crc32c.update(bytes);
        self.written += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.append(bytes)
    }

    fn finish(&mut self) -> Result<Object> {
        self.still_open()?;
        let metadata = self.complete()?;
        self.over = true;
        self.writer = None;
        self.memory = None;
        Ok(self.shared.object(&self.key, self.written, &metadata))
    }

    fn abort(&mut self) -> Result<()> {
        if self.over { Ok(()) } else { self.give_up() }
    }
}

impl Drop for StoreWriter {
    fn drop(&mut self) {
        if !self.over
            && let Err(error) = self.give_up()
        {
            log::warn!(target: LOG, "{error}");
        }
    }
}
