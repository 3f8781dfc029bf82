//! Sorts a chunk's rows into Hive folders, in one pass: a sink for each folder, fed by the rows
//! held back for it.
//!
//! What decides about a border is the rows and the plan, never time or free memory: rows are
//! looked at in cells of a fixed size; once those held back reach the plan's limit, the fullest
//! folder is written as a row group; once too many files are open, the one written longest ago
//! is finished, and a folder that comes again gets another file.

use std::collections::BTreeMap;
use std::rc::Rc;

use arrow_array::RecordBatch;
use arrow_select::take::take_record_batch;
use rivet_sdk::{Destination, Error, ErrorKind, Result};

use super::blocks::{BlockLimits, Blocks, LARGE_ROW_BYTES, byte_size};
use super::chunk::{ChunkSink, Parts, See, SinkSpec, Written};
use super::partition::{at_row, by_folder};
use crate::batch::Receiver;
use crate::budget::{MemoryReservation, Share};
use crate::plan::{OutputSpec, Part, PartitionSpec, PlannedColumn};

/// Rows are looked at in cells of this many.
const CELL_ROWS: usize = 4096;
const CELL_BYTES: usize = 1 << 20;

/// The sinks of one attempt's folders.
pub(super) struct Router<'a> {
    partition: &'a PartitionSpec,
    columns: &'a [PlannedColumn],
    output: &'a OutputSpec,
    part_when_empty: bool,
    share: Share,
    shared: Rc<Parts<'a>>,
    /// The partition column's position.
    index: usize,
    blocks: Blocks,
    folders: BTreeMap<String, Folder<'a>>,
    /// Bytes of rows held back in all folders.
    held_back: u64,
    memory: MemoryReservation,
    /// Rows sorted so far.
    sorted: u64,
    /// Counts writes, for "longest ago".
    clock: u64,
    done: Written,
    finished: bool,
}

#[derive(Default)]
struct Folder<'a> {
    rows: Vec<RecordBatch>,
    bytes: u64,
    sink: Option<ChunkSink<'a>>,
    written_at: u64,
    /// Rows of the chunk before the folder's first one.
    before: u64,
}

impl<'a> Router<'a> {
    pub(super) fn new(
        partition: &'a PartitionSpec,
        spec: SinkSpec<'a>,
        destination: &'a mut dyn Destination,
    ) -> Result<Self> {
        let SinkSpec { columns, output, part_when_empty, share, part_key, on_part } = spec;
        let index = columns.iter().position(|column| column.mapping.name == partition.column);
        let index = index.ok_or_else(|| Error::internal("the partition column is not in the plan"))?;
        let limits = BlockLimits {
            cell_rows: CELL_ROWS,
            cell_bytes: CELL_BYTES,
            block_cells: 1,
            block_bytes: CELL_BYTES,
            group_rows: None,
            large_row_bytes: LARGE_ROW_BYTES,
        };
        Ok(Self {
            partition,
            columns,
            output,
            part_when_empty,
            memory: share.record(0),
            share,
            shared: Parts::new(destination, part_key, on_part),
            index,
            blocks: Blocks::new(limits),
            folders: BTreeMap::new(),
            held_back: 0,
            sorted: 0,
            clock: 0,
            done: Written { parts: Vec::new(), rows: 0, columns: BTreeMap::new(), unique: BTreeMap::new() },
            finished: false,
        })
    }

    /// As [`ChunkSink::write_all`].
    pub(super) fn write_all(mut self, queue: &mut Receiver, see: &mut See<'_>) -> Result<Option<Written>> {
        for queued in queue.by_ref() {
            let instead = see(&queued.batch)?;
            self.blocks.push(instead.as_ref().unwrap_or(&queued.batch));
            self.route()?;
        }
        if queue.is_complete() { self.finish().map(Some) } else { Ok(None) }
    }

    fn finish(mut self) -> Result<Written> {
        self.blocks.end();
        self.route()?;
        while let Some((name, mut folder)) = self.folders.pop_first() {
            self.write(&name, &mut folder)?;
            self.close(&mut folder)?;
        }
        if self.done.parts.is_empty() && self.part_when_empty {
            // A file with the schema, in no folder: no row says which.
            let sink = self.sink("")?;
            self.take(sink.finish()?);
        }
        self.finished = true;
        let nothing = Written { parts: Vec::new(), rows: 0, columns: BTreeMap::new(), unique: BTreeMap::new() };
        Ok(std::mem::replace(&mut self.done, nothing))
    }

    fn route(&mut self) -> Result<()> {
        while let Some(block) = self.blocks.next() {
            for batch in block.cells.iter().flatten() {
                self.sort(batch)?;
            }
            while self.held_back > self.partition.buffer_bytes {
                let fullest = self.folders.iter().max_by_key(|(_, folder)| folder.bytes);
                let Some(name) = fullest.map(|(name, _)| name.clone()) else { break };
                let Some(mut folder) = self.folders.remove(&name) else { break };
                let written = self.write(&name, &mut folder);
                self.folders.insert(name, folder);
                written?;
                self.close_oldest()?;
            }
            self.memory.set(self.held_back);
        }
        Ok(())
    }

    fn sort(&mut self, batch: &RecordBatch) -> Result<()> {
        let column = batch.columns().get(self.index).ok_or_else(|| Error::internal("a batch without its columns"))?;
        let folders = by_folder(column, self.partition, self.sorted)
            .map_err(|error| error.with_context("column", self.partition.column.clone()))?;
        let alone = folders.len() == 1;
        for (name, rows) in folders {
            let before = self.sorted + rows.values().first().copied().map_or(0, u64::from);
            let rows = if alone {
                batch.clone()
            } else {
                take_record_batch(batch, &rows)
                    .map_err(|error| Error::internal(format!("rows of a folder: {error}")))?
            };
            let bytes: usize = rows.columns().iter().map(|column| byte_size(column, 0, rows.num_rows())).sum();
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            let folder = self.folders.entry(name).or_insert_with(|| Folder { before, ..Folder::default() });
            folder.bytes += bytes;
            folder.rows.push(rows);
            self.held_back += bytes;
        }
        self.sorted += u64::try_from(batch.num_rows()).unwrap_or(0);
        Ok(())
    }

    /// Writes the rows held back for a folder.
    fn write(&mut self, name: &str, folder: &mut Folder<'a>) -> Result<()> {
        if folder.rows.is_empty() {
            return Ok(());
        }
        let sink = match &mut folder.sink {
            Some(sink) => sink,
            None => folder.sink.insert(self.sink(name)?),
        };
        let written = std::mem::take(&mut folder.rows).iter().try_for_each(|rows| sink.write(rows));
        let before = folder.before;
        written.and_then(|()| sink.end_group()).map_err(|error| self.misnamed(error, before))?;
        self.held_back = self.held_back.saturating_sub(std::mem::take(&mut folder.bytes));
        self.clock += 1;
        folder.written_at = self.clock;
        Ok(())
    }

    /// Only a name that the destination does not take is a fault of the configuration here: a value made it, and the
    /// row that it stands in is told.
    fn misnamed(&self, error: Error, before: u64) -> Error {
        if error.kind() != ErrorKind::Config {
            return error;
        }
        let column = &self.partition.column;
        let error = Error::data(format!("a value of `{column}` makes a folder's name wrong: {}", error.message()))
            .with_hint(format!("partition by another column, or export a query in which `{column}` is shorter"))
            .with_context("column", column.clone());
        at_row(error, before)
    }

    fn sink(&self, name: &str) -> Result<ChunkSink<'a>> {
        let folder = if name.is_empty() { String::new() } else { format!("{name}{}", self.partition.suffix) };
        let empty = name.is_empty();
        ChunkSink::in_folder(self.columns, self.output, empty, &self.share, Rc::clone(&self.shared), folder)
    }

    fn close_oldest(&mut self) -> Result<()> {
        let most = usize::try_from(self.partition.max_open.max(1)).unwrap_or(usize::MAX);
        while self.folders.values().filter(|folder| folder.sink.is_some()).count() > most {
            let open = self.folders.iter().filter(|(_, folder)| folder.sink.is_some());
            let oldest = open.min_by_key(|(_, folder)| folder.written_at).map(|(name, _)| name.clone());
            let folder = oldest.and_then(|name| self.folders.get_mut(&name));
            let Some(sink) = folder.and_then(|folder| folder.sink.take()) else { return Ok(()) };
            self.take(sink.finish()?);
        }
        Ok(())
    }

    fn close(&mut self, folder: &mut Folder<'a>) -> Result<()> {
        if let Some(sink) = folder.sink.take() {
            self.take(sink.finish()?);
        }
        Ok(())
    }

    fn take(&mut self, written: Written) {
        self.done.rows += written.rows;
        self.done.parts.extend(written.parts);
        for (name, counts) in written.columns {
            self.done.columns.entry(name).or_default().add(&counts);
        }
    }
}

impl Drop for Router<'_> {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let gone = |part: Part| self.shared.remove(&part.key);
        std::mem::take(&mut self.done.parts).into_iter().for_each(gone);
    }
}
