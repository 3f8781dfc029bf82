//! The parts of one attempt at one chunk, or of one folder of it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use rivet_sdk::{Destination, Error, Result};

use super::blocks::Blocks;
use super::csv::{CsvFormat, CsvPart};
use super::object::PartFile;
use super::parquet::{ParquetFormat, ParquetPart};
use super::schema::Adapter;
use crate::batch::Receiver;
use crate::budget::{MemoryReservation, Share};
use crate::plan::{ColumnCounts, Format, OutputSpec, Part, PlannedColumn, UniqueValues};

/// Looks at a batch; what is to be written instead of it, if anything.
pub type See<'a> = dyn FnMut(&RecordBatch) -> Result<Option<RecordBatch>> + 'a;
/// Names a part by its folder (empty, or ends with `/`) and its index in the chunk.
pub type PartKey<'a> = Box<dyn FnMut(&str, u32) -> String + 'a>;
/// Hears of a part.
pub type OnPart<'a> = Box<dyn FnMut(&Part) -> Result<()> + 'a>;

/// What a sink writes, and where it tells about it.
pub struct SinkSpec<'a> {
    /// The plan's columns.
    pub columns: &'a [PlannedColumn],
    /// The plan's output settings.
    pub output: &'a OutputSpec,
    /// Whether a chunk without rows writes a part that holds the schema only. A chunk of many
    /// doesn't; the only chunk of an export does, unless `skip_empty` is set.
    pub part_when_empty: bool,
    /// The encoder's share of the memory budget.
    pub share: Share,
    /// The key of the part with this index, counted from 0 in each chunk.
    pub part_key: PartKey<'a>,
    /// Called with each part once it is visible; an error ends the attempt.
    pub on_part: OnPart<'a>,
}

/// What a sink wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The parts, in order.
    pub parts: Vec<Part>,
    /// Rows in them.
    pub rows: u64,
    /// NULLs and lengths by output name; every output column is there.
    pub columns: BTreeMap<String, ColumnCounts>,
    /// Of each column that must be unique.
    pub unique: BTreeMap<String, UniqueValues>,
}

/// What all sinks of one attempt share: where parts go, how they are called, who hears of them.
pub(super) struct Parts<'a> {
    destination: RefCell<&'a mut dyn Destination>,
    part_key: RefCell<PartKey<'a>>,
    on_part: RefCell<OnPart<'a>>,
    /// Parts named so far.
    named: Cell<u32>,
}

impl<'a> Parts<'a> {
    /// For an attempt that has named no part yet.
    pub(super) fn new(destination: &'a mut dyn Destination, part_key: PartKey<'a>, on_part: OnPart<'a>) -> Rc<Self> {
        Rc::new(Self {
            destination: RefCell::new(destination),
            part_key: RefCell::new(part_key),
            on_part: RefCell::new(on_part),
            named: Cell::new(0),
        })
    }

    /// Removes a part that became visible.
    pub(super) fn remove(&self, key: &str) {
        if let Err(error) = self.destination.borrow_mut().delete(key) {
            log::warn!("part {key} of an abandoned attempt could not be removed: {error}");
        }
    }
}

/// Writes the parts of one attempt at one chunk, or those of one folder of it.
pub struct ChunkSink<'a> {
    output: &'a OutputSpec,
    part_when_empty: bool,
    shared: Rc<Parts<'a>>,
    /// Empty, or ends with `/`.
    folder: String,
    adapter: Adapter,
    encoder: Encoder,
    open_key: String,
    parts: Vec<Part>,
    memory: MemoryReservation,
    encoder_bytes: u64,
    finished: bool,
}

enum Encoder {
    Parquet { format: Box<ParquetFormat>, blocks: Blocks, part: Option<Box<ParquetPart>> },
    Csv { format: CsvFormat, part: Option<Box<CsvPart>> },
}

impl<'a> ChunkSink<'a> {
    /// A sink for one attempt. Nothing is created before there are rows.
    pub fn new(spec: SinkSpec<'a>, destination: &'a mut dyn Destination) -> Result<Self> {
        let SinkSpec { columns, output, part_when_empty, share, part_key, on_part } = spec;
        let shared = Parts::new(destination, part_key, on_part);
        Self::in_folder(columns, output, part_when_empty, &share, shared, String::new())
    }

    /// One for a folder of an attempt's rows.
    pub(super) fn in_folder(
        columns: &'a [PlannedColumn],
        output: &'a OutputSpec,
        part_when_empty: bool,
        share: &Share,
        shared: Rc<Parts<'a>>,
        folder: String,
    ) -> Result<Self> {
        let adapter = Adapter::new(columns, output)?;
        let (schema, compression, most) = (adapter.schema(), output.compression, output.max_file_size_bytes);
        let encoder = match &output.format {
            Format::Parquet(parquet) => {
                let format = ParquetFormat::new(schema, parquet, compression, most)?;
                Encoder::Parquet { blocks: Blocks::new(format.limits()), format: Box::new(format), part: None }
            }
            Format::Csv(csv) => Encoder::Csv { format: CsvFormat::new(schema, csv, compression, most)?, part: None },
        };
        Ok(Self {
            output,
            part_when_empty,
            shared,
            folder,
            memory: share.record(0),
            adapter,
            encoder,
            open_key: String::new(),
            parts: Vec::new(),
            encoder_bytes: 0,
            finished: false,
        })
    }

    /// The schema of the parts.
    pub fn schema(&self) -> &SchemaRef {
        self.adapter.schema()
    }

    /// The parts finished so far.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Encodes a batch of the source's schema. After an error the sink can only be dropped.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = self.adapter.adapt(batch)?;
        match &mut self.encoder {
            Encoder::Parquet { blocks, .. } => {
                blocks.push(&batch);
                self.encode_blocks()
            }
            Encoder::Csv { .. } => self.encode_text(&batch),
        }
    }

    /// Encodes everything a queue gives, or what `see` makes of it. None where the source did not
    /// deliver all of it: then nothing is left behind, and the source's own result says why.
    pub fn write_all(mut self, queue: &mut Receiver, see: &mut See<'_>) -> Result<Option<Written>> {
        for queued in queue.by_ref() {
            let instead = see(&queued.batch)?;
            self.write(instead.as_ref().unwrap_or(&queued.batch))?;
        }
        if queue.is_complete() { self.finish().map(Some) } else { Ok(None) }
    }

    /// Encodes what is left and ends the last part.
    pub fn finish(mut self) -> Result<Written> {
        if let Encoder::Parquet { blocks, .. } = &mut self.encoder {
            blocks.end();
            self.encode_blocks()?;
        }
        if self.parts.is_empty() && self.part_when_empty && !self.has_open_part() {
            self.open_part()?;
        }
        self.end_part()?;
        self.finished = true;
        Ok(Written {
            rows: self.parts.iter().map(|part| part.rows).sum(),
            parts: std::mem::take(&mut self.parts),
            columns: self.adapter.counts(),
            unique: BTreeMap::new(),
        })
    }

    /// Encodes what is left as a row group of its own, so that the open part takes next to no
    /// memory until more rows come.
    pub(super) fn end_group(&mut self) -> Result<()> {
        if let Encoder::Parquet { blocks, .. } = &mut self.encoder {
            blocks.end();
            self.encode_blocks()?;
        }
        if let Encoder::Parquet { part: Some(part), .. } = &mut self.encoder {
            part.end_open_group()?;
        }
        self.encoder_bytes = 0;
        self.memory.set(0);
        Ok(())
    }

    fn encode_blocks(&mut self) -> Result<()> {
        let most = self.output.max_file_size_bytes;
        loop {
            let Encoder::Parquet { format, blocks, part } = &mut self.encoder else {
                return Ok(());
            };
            let Some(block) = blocks.next() else {
                // Rows that wait here are no longer in the queue.
                let waiting = u64::try_from(blocks.pending_bytes()).unwrap_or(u64::MAX);
                self.memory.set(waiting + self.encoder_bytes);
                return Ok(());
            };
            let full = match part {
                Some(part) => part.finish_block(format, most)?,
                None => false,
            };
            if block.is_large
                && !full
                && let Some(part) = part
            {
                part.begin_group(format)?;
            }
            let waiting = u64::try_from(blocks.pending_bytes() + block.bytes).unwrap_or(u64::MAX);
            self.encoder_bytes = part.as_ref().map_or(0, |part| part.memory_bytes());
            self.memory.set(waiting + self.encoder_bytes);
            if full {
                self.end_part()?;
            }
            if !self.has_open_part() {
                self.open_part()?;
            }
            let Encoder::Parquet { format, part: Some(part), .. } = &mut self.encoder else { return Ok(()) };
            let is_large = block.is_large;
            part.start(format, block)?;
            // Large rows pass one after the other: nothing of it stays in memory.
            if is_large && part.finish_block(format, most)? {
                self.end_part()?;
            }
        }
    }

    fn encode_text(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut start = 0;
        while start < batch.num_rows() {
            if !self.has_open_part() {
                self.open_part()?;
            }
            let Encoder::Csv { format, part: Some(part) } = &mut self.encoder else {
                return Err(Error::internal("a part was opened and is not there"));
            };
            let rest = part.write(format, batch, start)?;
            self.memory.set(part.memory_bytes());
            match rest {
                Some(next) => {
                    self.end_part()?;
                    start = next;
                }
                None => return Ok(()),
            }
        }
        Ok(())
    }

    fn has_open_part(&self) -> bool {
        match &self.encoder {
            Encoder::Parquet { part, .. } => part.is_some(),
            Encoder::Csv { part, .. } => part.is_some(),
        }
    }

    fn open_part(&mut self) -> Result<()> {
        let index = self.shared.named.get();
        self.shared.named.set(index.checked_add(1).ok_or_else(|| Error::internal("too many parts in one chunk"))?);
        let key = (self.shared.part_key.borrow_mut())(&self.folder, index);
        self.open_key.clone_from(&key);
        let mut destination = self.shared.destination.borrow_mut();
        let destination = &mut **destination;
        match &mut self.encoder {
            Encoder::Parquet { format, part, .. } => {
                let file = PartFile::create(destination, &key, "application/vnd.apache.parquet")?;
                *part = Some(Box::new(ParquetPart::new(format, file)?));
            }
            Encoder::Csv { format, part } => {
                let file = PartFile::create(destination, &key, format.content_type())?;
                *part = Some(Box::new(CsvPart::new(format, file)?));
            }
        }
        Ok(())
    }

    fn end_part(&mut self) -> Result<()> {
        let (rows, finished) = match &mut self.encoder {
            Encoder::Parquet { part, .. } => match part.take() {
                Some(part) => (part.rows(), part.finish()),
                None => return Ok(()),
            },
            Encoder::Csv { format, part } => match part.take() {
                Some(part) => (part.rows(), part.finish(format)),
                None => return Ok(()),
            },
        };
        let finished = match finished {
            Ok(finished) => finished,
            Err(error) => {
                // It may have become visible all the same: its answer was lost, or is wrong.
                self.remove(&self.open_key.clone());
                return Err(error.with_context("object", self.open_key.as_str()));
            }
        };
        let part = Part {
            key: self.open_key.clone(),
            size_bytes: finished.size_bytes,
            rows,
            crc32c: format!("{:08x}", finished.crc32c),
            etag: finished.object.etag,
        };
        self.parts.push(part.clone());
        (self.shared.on_part.borrow_mut())(&part)
    }

    fn remove(&self, key: &str) {
        self.shared.remove(key);
    }
}

impl Drop for ChunkSink<'_> {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        for part in std::mem::take(&mut self.parts) {
            self.remove(&part.key);
        }
    }
}
