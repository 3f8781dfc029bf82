//! From the source's columns to the file's: names, metadata columns, and what is counted on the way.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use rivet_sdk::{Error, Result};

use super::longest::longest_bytes;
use super::row_hash::row_hashes;
use crate::plan::{ColumnCounts, OutputSpec, PlannedColumn};

/// The name of the column `meta_columns.exported_at` adds.
pub const EXPORTED_AT: &str = "_rivet_exported_at";
/// The name of the column `meta_columns.row_hash` adds.
pub const ROW_HASH: &str = "_rivet_row_hash";

/// The file's schema for a plan's columns and output settings.
pub fn output_schema(columns: &[PlannedColumn], output: &OutputSpec) -> Result<SchemaRef> {
    let mut fields = Vec::with_capacity(columns.len() + 2);
    for column in columns {
        fields.push(column.mapping.to_field()?.with_name(&column.output_name));
    }
    if output.exported_at_us.is_some() {
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        fields.push(Field::new(EXPORTED_AT, utc, false));
    }
    if output.row_hash {
        fields.push(Field::new(ROW_HASH, DataType::Int64, false));
    }
    let mut names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Error::config(format!("two output columns are named `{}`", twice[0]))
            .with_hint("give one of them another name under `columns: {rename: ...}`"));
    }
    Ok(Schema::new(fields).into())
}

/// Turns the source's batches into the file's, and counts on the way.
pub(super) struct Adapter {
    schema: SchemaRef,
    source_columns: usize,
    exported_at_us: Option<i64>,
    row_hash: bool,
    counts: Vec<ColumnCounts>,
}

impl Adapter {
    pub(super) fn new(columns: &[PlannedColumn], output: &OutputSpec) -> Result<Self> {
        let schema = output_schema(columns, output)?;
        Ok(Self {
            counts: vec![ColumnCounts::default(); schema.fields().len()],
            schema,
            source_columns: columns.len(),
            exported_at_us: output.exported_at_us,
            row_hash: output.row_hash,
        })
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The same rows with the file's names and columns.
    pub(super) fn adapt(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        if batch.num_columns() != self.source_columns {
            return Err(Error::internal(format!(
                "a batch of {} columns reached a sink of {}",
                batch.num_columns(),
                self.source_columns
            )));
        }
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        for (counts, column) in self.counts.iter_mut().zip(&columns) {
            counts.nulls += u64::try_from(column.logical_null_count()).unwrap_or(u64::MAX);
            counts.longest_bytes = counts.longest_bytes.max(longest_bytes(column));
        }
        if let Some(instant) = self.exported_at_us {
            let constant = TimestampMicrosecondArray::from_value(instant, batch.num_rows()).with_timezone("UTC");
            columns.push(Arc::new(constant));
        }
        if self.row_hash {
            columns.push(Arc::new(row_hashes(batch)?));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| Error::protocol(format!("a batch contradicts the plan: {error}")))
    }

    /// NULLs and lengths by output name; every output column is there.
    pub(super) fn counts(&self) -> BTreeMap<String, ColumnCounts> {
        let names = self.schema.fields().iter().map(|field| field.name().clone());
        names.zip(self.counts.iter().cloned()).collect()
    }
}
