//! The Parquet encoder: one part, row group after row group, columns in parallel.
//!
//! Rows come in [`Block`]s. Each top-level column of a block is one task for the process's
//! encoder threads, which append it to that column's own writer; pages are compressed as they
//! fill. While they work, the next block is read. When the row group is full its columns are
//! closed, again in parallel, and streamed to the destination one after the other.
//!
//! What decides about a border (of a cell, a row group, a part) is the rows and the settings,
//! never time, memory or the number of threads.

mod column;
mod declared;
mod dictionary;
mod properties;

use std::sync::Arc;

use arrow_schema::SchemaRef;
use parquet::arrow::ArrowSchemaConverter;
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;
use rivet_sdk::{Error, ErrorKind, Result};

use self::column::{Column, encoding};
use self::dictionary::MAX_GROUP_ROWS;
use self::properties::{CELL_ROWS, Settings};
use super::blocks::{Block, BlockLimits, LARGE_ROW_BYTES};
use super::object::{Failure, Finished, PartFile};
use super::pool::{Pool, Running};
use crate::plan::{Compression, ParquetSpec, RowGroups};

/// Bytes given to a column writer at once, about.
const CELL_BYTES: usize = 1 << 20;
/// Cells of a block.
const BLOCK_CELLS: usize = 16;
const BLOCK_ROWS: usize = CELL_ROWS * BLOCK_CELLS;
/// Bytes of a block, about.
const BLOCK_BYTES: usize = 8 << 20;

/// What all parts of a chunk have in common.
pub(super) struct ParquetFormat {
    pub(super) schema: SchemaRef,
    parquet_schema: SchemaDescriptor,
    settings: Arc<Settings>,
    group_bytes: u64,
    limits: BlockLimits,
}

impl ParquetFormat {
    pub(super) fn new(
        schema: &SchemaRef,
        spec: &ParquetSpec,
        compression: Compression,
        max_file_size_bytes: Option<u64>,
    ) -> Result<Self> {
        let declared = declared::schema(schema);
        let parquet_schema =
            ArrowSchemaConverter::new().with_coerce_types(true).convert(&declared).map_err(unsupported)?;
        let (group_rows, group_bytes) = match spec.row_groups {
            RowGroups::Rows(rows) => (Some(rows.max(1)), u64::MAX),
            RowGroups::Bytes(bytes) => (None, u64::try_from(bytes).unwrap_or(u64::MAX).max(1)),
        };
        // Borders are looked at after each block: small limits want small blocks.
        let smallest = group_bytes.min(max_file_size_bytes.unwrap_or(u64::MAX));
        let eighth = usize::try_from(smallest / 8).unwrap_or(usize::MAX).max(1);
        let limits = BlockLimits {
            cell_rows: CELL_ROWS,
            cell_bytes: CELL_BYTES.min(eighth),
            block_cells: BLOCK_CELLS,
            block_bytes: BLOCK_BYTES.min(eighth),
            group_rows,
            // Where groups are to be large, larger rows may share one.
            large_row_bytes: usize::try_from(group_bytes / 4)
                .unwrap_or(usize::MAX)
                .clamp(LARGE_ROW_BYTES, 4 * LARGE_ROW_BYTES),
        };
        let settings = Arc::new(Settings::new(&declared, &parquet_schema, spec, compression, group_bytes)?);
        Ok(Self { schema: Arc::clone(schema), parquet_schema, settings, group_bytes, limits })
    }

    /// How rows are to be cut.
    pub(super) fn limits(&self) -> BlockLimits {
        self.limits
    }
}

/// One part being written.
pub(super) struct ParquetPart {
    file: SerializedFileWriter<PartFile>,
    failure: Failure,
    columns: Vec<Column>,
    running: Option<Running<Column>>,
    group_rows: usize,
    group_ends: bool,
    rows: u64,
    largest_block: u64,
    encoded_before: u64,
}

impl ParquetPart {
    pub(super) fn new(format: &ParquetFormat, file: PartFile) -> Result<Self> {
        let failure = file.failure();
        let file = SerializedFileWriter::new(
            file,
            format.parquet_schema.root_schema_ptr(),
            Arc::new(format.settings.file_properties()),
        )
        .map_err(|error| failure.or(|| encoding(error)))?;
        Ok(Self {
            file,
            failure,
            columns: Vec::new(),
            running: None,
            group_rows: 0,
            group_ends: false,
            rows: 0,
            largest_block: 0,
            encoded_before: 0,
        })
    }

    /// Rows written.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Starts to encode a block. Rows of the block must fit the row group: ask
    /// [`ParquetPart::finish_block`] first.
    pub(super) fn start(&mut self, format: &ParquetFormat, block: Block) -> Result<()> {
        if self.columns.is_empty() {
            self.columns = (0..format.schema.fields().len())
                .map(|index| Column::new(index, &format.schema, Arc::clone(&format.settings)))
                .collect();
        }
        debug_assert!(self.running.is_none(), "the last block was not finished");
        self.group_rows += block.rows;
        self.group_ends = block.ends_group;
        self.rows += u64::try_from(block.rows).unwrap_or(u64::MAX);
        // The costliest columns first, so that no thread is left with one at the end.
        let mut columns = std::mem::take(&mut self.columns);
        columns.sort_by_key(|column| std::cmp::Reverse(column.cost()));
        let block = Arc::new(block);
        self.running = Some(Pool::shared().run(columns.into_iter().map(|mut column| {
            let block = Arc::clone(&block);
            let task: Box<dyn FnOnce() -> Result<Column> + Send> = Box::new(move || {
                column.append(&block)?;
                Ok(column)
            });
            task
        })));
        Ok(())
    }

    /// Waits for the last block, ends the row group where it is full, and tells whether the
    /// part has reached `max_file_size_bytes`.
    pub(super) fn finish_block(&mut self, format: &ParquetFormat, max_file_size_bytes: Option<u64>) -> Result<bool> {
        let Some(running) = self.running.take() else {
            return Ok(false);
        };
        self.columns = running.wait()?;
        let group_bytes: u64 = self.columns.iter().map(Column::encoded_bytes).sum();
        let encoded = self.file_bytes() + group_bytes;
        self.largest_block = self.largest_block.max(encoded.saturating_sub(self.encoded_before));
        self.encoded_before = encoded;
        if self.group_ends || group_bytes >= format.group_bytes || self.group_rows > MAX_GROUP_ROWS - BLOCK_ROWS {
            self.end_group()?;
        }
        Ok(max_file_size_bytes.is_some_and(|most| encoded + self.largest_block + self.footer_bytes() > most))
    }

    /// About what the footer takes: the schema, and each column of each row group.
    fn footer_bytes(&self) -> u64 {
        let columns = self.file.schema_descr().num_columns();
        let groups = self.file.flushed_row_groups().len() + 1;
        u64::try_from(2048 + 400 * columns * groups).unwrap_or(u64::MAX)
    }

    /// Bytes of memory the open row group takes.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.columns.iter().map(Column::memory_bytes).sum()
    }

    fn file_bytes(&self) -> u64 {
        u64::try_from(self.file.bytes_written()).unwrap_or(u64::MAX)
    }

    fn end_group(&mut self) -> Result<()> {
        let columns = std::mem::take(&mut self.columns);
        if self.group_rows == 0 {
            return Ok(());
        }
        self.group_rows = 0;
        let mut closed = Pool::shared()
            .run(columns.into_iter().map(|column| {
                let task: Box<dyn FnOnce() -> Result<_> + Send> = Box::new(move || column.close());
                task
            }))
            .wait()?;
        closed.sort_by_key(|(index, _)| *index);
        let failure = &self.failure;
        let failed = |error| failure.or(|| encoding(error));
        let mut group = self.file.next_row_group().map_err(failed)?;
        for (_, chunks) in closed {
            for chunk in chunks {
                chunk.append_to_row_group(&mut group).map_err(failed)?;
            }
        }
        group.close().map_err(failed)?;
        self.encoded_before = self.encoded_before.min(self.file_bytes());
        Ok(())
    }

    /// Ends the row group that is being written, unless its rows are counted.
    pub(super) fn begin_group(&mut self, format: &ParquetFormat) -> Result<()> {
        if format.limits.group_rows.is_none() { self.end_group() } else { Ok(()) }
    }

    /// Ends the row group that is being written, full or not.
    pub(super) fn end_open_group(&mut self) -> Result<()> {
        if let Some(running) = self.running.take() {
            self.columns = running.wait()?;
        }
        self.end_group()
    }

    /// Ends the last row group and the file.
    pub(super) fn finish(mut self) -> Result<Finished> {
        self.end_open_group()?;
        let failure = self.failure.clone();
        let file = self.file.into_inner().map_err(|error| failure.or(|| encoding(error)))?;
        file.finish()
    }
}

fn unsupported(error: ParquetError) -> Error {
    Error::new(ErrorKind::UnsupportedType, format!("a column has no Parquet form: {error}"))
}
