//! One top-level column of a row group: its leaves' writers, and what they cost.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema, SchemaRef};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;
use rivet_sdk::{Error, Result};

use super::declared;
use super::dictionary::{Choice, Sample, choose};
use super::properties::Settings;
use crate::sink::blocks::{Block, Cell, byte_size};

/// A value of a large row that is larger gets no statistics.
const LARGE_VALUE_BYTES: usize = 1 << 20;

/// A column being encoded. Moves between threads, a block at a time.
pub(super) struct Column {
    index: usize,
    field: Arc<Field>,
    settings: Arc<Settings>,
    leaves: Vec<ArrowColumnWriter>,
    cost: Duration,
}

impl Column {
    pub(super) fn new(index: usize, schema: &SchemaRef, settings: Arc<Settings>) -> Self {
        Self { index, field: Arc::clone(&schema.fields()[index]), settings, leaves: Vec::new(), cost: Duration::ZERO }
    }

    /// How long this column has taken so far.
    pub(super) fn cost(&self) -> Duration {
        self.cost
    }

    /// About how large it is once encoded.
    pub(super) fn encoded_bytes(&self) -> u64 {
        self.leaves.iter().map(|leaf| leaf.get_estimated_total_bytes() as u64).sum()
    }

    /// What it takes in memory now.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.leaves.iter().map(|leaf| leaf.memory_size() as u64).sum()
    }

    /// Encodes this column of a block.
    pub(super) fn append(&mut self, block: &Block) -> Result<()> {
        let started = Instant::now();
        if self.leaves.is_empty() {
            self.leaves = self.open(block)?;
        }
        for cell in &block.cells {
            let array = gather(cell, self.index)?;
            let leaves = compute_leaves(&self.field, &array).map_err(encoding)?;
            for (writer, leaf) in self.leaves.iter_mut().zip(&leaves) {
                writer.write(leaf).map_err(encoding)?;
            }
        }
        self.cost += started.elapsed();
        Ok(())
    }

    /// Ends the column: its position, and its leaves' chunks in order.
    pub(super) fn close(self) -> Result<(usize, Vec<ArrowColumnChunk>)> {
        let chunks = self.leaves.into_iter().map(|leaf| leaf.close().map_err(encoding)).collect::<Result<_>>()?;
        Ok((self.index, chunks))
    }

    /// Writers for this column's leaves, with encodings chosen from the row group's first block.
    ///
    /// The file's own writer has one set of properties for all row groups, so each column's
    /// writers come from a file writer of their own that writes nothing.
    fn open(&self, block: &Block) -> Result<Vec<ArrowColumnWriter>> {
        let schema = Arc::new(Schema::new(vec![declared::field(&self.field)]));
        let parquet_schema = ArrowSchemaConverter::new().with_coerce_types(true).convert(&schema).map_err(encoding)?;
        let leaves = parquet_schema.num_columns();
        let is_large = self.is_large(block);
        let choices = if is_large { vec![Choice::default(); leaves] } else { self.choices(block, leaves)? };
        let paths = parquet_schema.columns().iter().map(|leaf| leaf.path().clone());
        let properties = self.settings.column_properties(self.field.name(), paths.zip(choices), !is_large);
        let nowhere = SerializedFileWriter::new(io::sink(), parquet_schema.root_schema_ptr(), Arc::new(properties))
            .map_err(encoding)?;
        ArrowRowGroupWriterFactory::new(&nowhere, schema).create_column_writers(0).map_err(encoding)
    }

    /// Whether the one value of a block is worth no statistics: the writer would copy it twice for
    /// them, and once more for a dictionary.
    fn is_large(&self, block: &Block) -> bool {
        let column = |batch: &RecordBatch| byte_size(batch.column(self.index), 0, batch.num_rows());
        block.is_large && block.cells.iter().flatten().map(column).sum::<usize>() > LARGE_VALUE_BYTES
    }

    fn choices(&self, block: &Block, leaves: usize) -> Result<Vec<Choice>> {
        if let Some(dictionary) = self.settings.dictionary {
            return Ok(vec![Choice { dictionary, encoding: None }; leaves]);
        }
        let (first, second) = match block.cells.as_slice() {
            [] => return Ok(vec![Choice::default(); leaves]),
            [only] => {
                let rows = gather(only, self.index)?;
                let half = rows.len() / 2;
                (rows.slice(0, half), rows.slice(half, rows.len() - half))
            }
            [first, .., last] => (gather(first, self.index)?, gather(last, self.index)?),
        };
        let sample = Sample { rows: block.rows, bytes: block.bytes, group_bytes: self.settings.group_bytes };
        choose(&sample, &first, &second, leaves)
    }
}

/// The column's values of a cell in one array; copied only where a cell spans batches.
fn gather(cell: &Cell, index: usize) -> Result<ArrayRef> {
    match cell.as_slice() {
        [only] => Ok(Arc::clone(only.column(index))),
        several => {
            let pieces: Vec<&dyn Array> = several.iter().map(|batch| batch.column(index).as_ref()).collect();
            Ok(arrow_select::concat::concat(&pieces)?)
        }
    }
}

/// What the encoder's own failure is: a fault here, never the user's.
pub(super) fn encoding(error: ParquetError) -> Error {
    Error::internal(format!("Parquet encoder: {error}"))
}
