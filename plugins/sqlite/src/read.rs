//! Reads rows into batches, in one statement and so in one read transaction.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rivet_sdk::arrow_array::RecordBatch;
use rivet_sdk::arrow_schema::SchemaRef;
use rivet_sdk::sql::columns::Target;
use rivet_sdk::sql::rows::{ColumnBuilder, Rows};
use rivet_sdk::{BatchSink, Error, ExportRequest, ExportStats, Result, schema_of};
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
    let outside = Cell::new(Duration::ZERO);
    let mut handing = Handing { database, sink, outside: &outside };
    let mut batches = Rows::new(columns, request, schema, database.context(), &mut handing, |column, _| {
        Cells::new(column.kind, column.lenient)
    })?;
    let mut rows = statement.query([]).map_err(|error| database.fault(error))?;
    while let Some(row) = rows.next().map_err(|error| database.fault(error))? {
        push(&mut batches, row, shape, columns)?;
    }
    drop(rows);
    let longest_statement = started.elapsed().saturating_sub(outside.get());
    database.check()?;
    Ok(batches.finish()?.with_longest_statement(longest_statement))
}

/// Hands batches on. How long that takes is no part of the statement's time.
struct Handing<'a> {
    database: &'a Database,
    sink: &'a mut dyn BatchSink,
    outside: &'a Cell<Duration>,
}

impl BatchSink for Handing<'_> {
    fn on_schema(&mut self, schema: SchemaRef) -> Result<()> {
        self.sink.on_schema(schema)
    }

    fn on_batch(&mut self, batch: RecordBatch) -> Result<()> {
        self.database.check()?;
        let handed = Instant::now();
        self.sink.on_batch(batch)?;
        self.database.forgive(handed.elapsed());
        self.outside.set(self.outside.get() + handed.elapsed());
        Ok(())
    }
}

fn push(rows: &mut Rows<'_, Cells>, row: &Row<'_>, shape: &Shape, columns: &[Column]) -> Result<()> {
    let (number, largest) = (rows.number(), rows.max_value_bytes());
    let at = || place(row, shape, columns.len(), number);
    let mut received = 0;
    for (index, (slot, column)) in rows.slots().iter_mut().zip(columns).enumerate() {
        let value = row.get_ref(index).map_err(|error| Error::internal(error.to_string()))?;
        let length = match value {
            ValueRef::Null => {
                slot.push_null().map_err(|_| unexpected_null(column).with_context("row", at()))?;
                continue;
            }
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
            _ => 8,
        };
        if length > largest {
            return Err(too_large(column, length, largest).with_context("row", at()));
        }
        if let Err(misfit) = slot.builder.append(value) {
            let refused = slot.tally.unrepresentable(|| described(value, misfit));
            refused.map_err(|_| refusal(column, value, misfit).with_context("row", at()))?;
            slot.builder.push_null();
        }
        received += length;
    }
    rows.end_row(received)
}

fn unexpected_null(column: &Column) -> Error {
    Error::integrity(format!("column `{}` is NOT NULL and holds NULL", column.name))
        .with_hint("check the file with `PRAGMA integrity_check`")
}

fn too_large(column: &Column, length: usize, limit: usize) -> Error {
    let text = format!("column `{}` holds a value of {length} bytes, more than the limit of {limit}", column.name);
    Error::data(text).with_hint("raise `max_value_mb`, or exclude the column")
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
