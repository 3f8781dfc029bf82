//! Reads rows into batches, in one statement and so in one read transaction.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rivet_sdk::arrow_array::RecordBatch;
use rivet_sdk::arrow_schema::SchemaRef;
use rivet_sdk::{
    BatchSink, ColumnStats, Error, ErrorKind, ExportRequest, ExportStats, OnUnrepresentable, Result, schema_of,
};
use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::catalog::{Shape, shown};
use crate::cell::{Cells, Misfit, described};
use crate::columns::Column;
use crate::database::Database;
use crate::dialect::select;
use crate::order::Order;

/// Exports `columns` of the rows that `request` selects, compared in `order`.
pub fn export(
    database: &Database,
    shape: &Shape,
    columns: &[Column],
    request: &ExportRequest,
    order: &Order,
    sink: &mut dyn BatchSink,
) -> Result<ExportStats> {
    let mappings = columns.iter().map(Column::mapping).collect::<Result<Vec<_>>>()?;
    let schema = schema_of(&mappings)?;
    let mut names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    names.extend(shape.locator.iter().cloned());
    let mut statement = database.prepare(&select(&names, request, order)?)?;
    sink.on_schema(Arc::clone(&schema))?;
    database.check()?;

    let started = Instant::now();
    let mut batch = Batch::new(shape, columns, request, schema)?;
    let mut outside = Duration::ZERO;
    let mut rows = statement.query([]).map_err(|error| database.fault(error))?;
    while let Some(row) = rows.next().map_err(|error| database.fault(error))? {
        batch.push(row)?;
        if batch.is_full() {
            database.check()?;
            let handed = Instant::now();
            sink.on_batch(batch.take()?)?;
            database.forgive(handed.elapsed());
            outside += handed.elapsed();
        }
    }
    drop(rows);
    let longest_statement = started.elapsed().saturating_sub(outside);
    database.check()?;
    if batch.rows > 0 {
        sink.on_batch(batch.take()?)?;
    }
    Ok(ExportStats::new(batch.total).with_columns(batch.stats()).with_longest_statement(longest_statement))
}

/// A batch being filled.
struct Batch<'a> {
    shape: &'a Shape,
    columns: &'a [Column],
    request: &'a ExportRequest,
    schema: SchemaRef,
    cells: Vec<Cells>,
    unrepresentable: Vec<u64>,
    rows: usize,
    bytes: usize,
    total: u64,
}

impl<'a> Batch<'a> {
    fn new(shape: &'a Shape, columns: &'a [Column], request: &'a ExportRequest, schema: SchemaRef) -> Result<Self> {
        let cells = columns.iter().map(|column| Cells::new(column.kind, column.lenient)).collect::<Result<_>>()?;
        let unrepresentable = vec![0; columns.len()];
        Ok(Self { shape, columns, request, schema, cells, unrepresentable, rows: 0, bytes: 0, total: 0 })
    }

    fn push(&mut self, row: &Row<'_>) -> Result<()> {
        self.total += 1;
        let parts = self.columns.iter().zip(&mut self.cells).zip(&mut self.unrepresentable);
        for (index, ((column, cells), unrepresentable)) in parts.enumerate() {
            let value = row.get_ref(index).map_err(|error| Error::internal(error.to_string()))?;
            let at = || place(row, self.shape, self.columns.len(), self.total);
            let length = match value {
                ValueRef::Null if column.nullable => {
                    cells.append_null();
                    self.bytes += 8;
                    continue;
                }
                ValueRef::Null => {
                    return Err(Error::integrity(format!("column `{}` is NOT NULL and holds NULL", column.name))
                        .with_hint("check the file with `PRAGMA integrity_check`")
                        .with_context("row", at()));
                }
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
                _ => 8,
            };
            if length as u64 > self.request.max_value_bytes {
                return Err(Error::new(
                    ErrorKind::Data,
                    format!(
                        "column `{}` holds a value of {length} bytes, more than the limit of {}",
                        column.name, self.request.max_value_bytes
                    ),
                )
                .with_hint("raise `max_value_mb`, or exclude the column")
                .with_context("row", at()));
            }
            match cells.append(value) {
                Ok(bytes) => self.bytes += bytes,
                Err(_) if self.request.on_unrepresentable == OnUnrepresentable::Null => {
                    cells.append_null();
                    *unrepresentable += 1;
                    self.bytes += 8;
                }
                Err(misfit) => return Err(refusal(column, value, misfit).with_context("row", at())),
            }
        }
        self.rows += 1;
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.rows >= self.request.batch.rows.max(1) || self.bytes >= self.request.batch.bytes.clamp(1, 1 << 30)
    }

    fn take(&mut self) -> Result<RecordBatch> {
        self.rows = 0;
        self.bytes = 0;
        let arrays = self.cells.iter_mut().map(Cells::finish).collect();
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), arrays)?)
    }

    fn stats(&self) -> Vec<ColumnStats> {
        let counted = self.columns.iter().zip(&self.unrepresentable).filter(|(_, count)| **count > 0);
        counted.map(|(column, count)| ColumnStats::new(column.name.clone()).with_unrepresentable(*count)).collect()
    }
}

fn refusal(column: &Column, value: ValueRef<'_>, misfit: Misfit) -> Error {
    let found = described(value, misfit);
    let needed = column.kind.data_type();
    Error::data(format!("column `{}` holds {found}, which is no {needed}", column.name))
        .with_hint(column.remedy(misfit == Misfit::Utf8))
        .with_context("column", column.name.clone())
}

/// What names the row: its rowid or key, or its number in the statement.
fn place(row: &Row<'_>, shape: &Shape, first: usize, number: u64) -> String {
    if shape.locator.is_empty() {
        return format!("number {number} of the statement");
    }
    let parts = shape
        .locator
        .iter()
        .enumerate()
        .filter_map(|(index, name)| Some(format!("{name} = {}", shown(row.get_ref(first + index).ok()?))));
    parts.collect::<Vec<_>>().join(", ")
}
