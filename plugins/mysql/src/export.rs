//! The export: one prepared SELECT, its binary rows decoded where they were received.

use std::time::Instant;

use rivet_sdk::arrow_array::{RecordBatch, RecordBatchOptions};
use rivet_sdk::arrow_schema::SchemaRef;
use rivet_sdk::cursor::Cursor;
use rivet_sdk::sql::Dialect;
use rivet_sdk::sql::session::Session as _;
use rivet_sdk::{
    BatchSink, ColumnStats, Context, Error, ErrorKind, ExportRequest, ExportStats, Reservation, Result, schema_of,
};

use crate::catalog;
use crate::decode::{Column, Fault, Tally};
use crate::dialect::Mysql;
use crate::error::confused;
use crate::kind::{Integer, Kind};
use crate::packet::{LengthEncoded as _, ResultColumn};
use crate::plan::{Plan, PlannedColumn, Setting};
use crate::session::Session;
use crate::wire::RowSink;

/// Arrow's offsets are 32 bits wide; a batch stays well below.
const BATCH_BYTES: usize = 1 << 30;
/// Builders begin with room for this many rows, grow in the first batch, and are made as large
/// as the batch before from then on: a small table costs little.
const CAPACITY_ROWS: usize = 1 << 10;

/// Reads the rows of `request` into `sink`.
pub(crate) fn run(
    session: &mut Session,
    setting: Setting,
    context: &Context,
    request: &ExportRequest,
    sink: &mut dyn BatchSink,
) -> Result<ExportStats> {
    session.reading_rows(request, |wire, request| {
        let plan = Plan::new(wire, setting, request)?;
        let schema = schema_of(&plan.mappings()?)?;
        sink.on_schema(SchemaRef::clone(&schema))?;
        context.check()?;
        let statement = catalog::select(wire, &plan.select(request)?)?;
        let widths: Vec<usize> = statement.columns.iter().map(ResultColumn::width).collect();
        let mut batches = Batches::new(&plan, request, schema, &widths, context, sink);
        let started = Instant::now();
        let same = |columns: &[ResultColumn]| as_prepared(&plan, &statement.columns, columns);
        let outcome = wire.execute(&statement, same, &mut batches);
        let longest_statement = started.elapsed();
        // Where rows are still on their way, the statement goes with what stops them.
        let closed = wire.close(&statement);
        outcome.and(closed)?;
        let mut stats = batches.end()?;
        stats.longest_statement = longest_statement;
        Ok(stats)
    })
}

/// The rows must be what the plan was made for: a table may be altered at any moment.
fn as_prepared(plan: &Plan, prepared: &[ResultColumn], found: &[ResultColumn]) -> Result<()> {
    let form = |column: &ResultColumn| (column.base(), column.width(), column.unsigned());
    for (column, (before, now)) in plan.columns.iter().zip(prepared.iter().zip(found)) {
        let natural = column.expression.sql == Mysql.name(column.name());
        if form(before) != form(now) || (natural && form(now) != form(&column.source.result)) {
            return Err(catalog::altered(column.name()));
        }
        // Nothing was altered, but the bytes are not what the column's type says.
        if !column.kind().reads(now) {
            return Err(Error::in_another_form(column.name(), &column.source.source_type, &now.type_name()));
        }
    }
    if prepared.len() != found.len() || plan.columns.len() != found.len() {
        return Err(confused(format!("{} columns where {} were expected", found.len(), plan.columns.len())));
    }
    Ok(())
}

/// Rows on their way into batches.
struct Batches<'a> {
    plan: &'a Plan,
    request: &'a ExportRequest,
    schema: SchemaRef,
    context: &'a Context,
    sink: &'a mut dyn BatchSink,
    slots: Vec<Slot>,
    max_value_bytes: usize,
    limit_rows: usize,
    limit_bytes: usize,
    fixed_bytes: usize,
    /// Rows in the batch being built.
    rows: usize,
    /// Bytes received for it, and at how many to measure it again.
    received: usize,
    measure_at: usize,
    /// For the row that is larger than the connection's buffer, and how many bytes of it.
    large: Vec<Reservation>,
    large_bytes: usize,
    /// Whether that row is still arriving.
    arriving: bool,
    total: u64,
}

struct Slot {
    builder: Column,
    tally: Tally,
    /// Bytes of every value; 0 where each says its own length.
    width: usize,
    nullable: bool,
}

impl<'a> Batches<'a> {
    fn new(
        plan: &'a Plan,
        request: &'a ExportRequest,
        schema: SchemaRef,
        widths: &[usize],
        context: &'a Context,
        sink: &'a mut dyn BatchSink,
    ) -> Self {
        let limit_rows = request.batch.rows.max(1);
        let limit_bytes = request.batch.bytes.clamp(1, BATCH_BYTES);
        let fixed_bytes = plan.columns.iter().map(|column| column.kind().fixed_bytes()).sum::<usize>().max(1);
        let capacity = limit_rows.min(CAPACITY_ROWS).min(limit_bytes / fixed_bytes + 1);
        let slot = |(column, width): (&PlannedColumn, &usize)| Slot {
            builder: Column::new(column.kind(), capacity),
            tally: Tally { policy: request.on_unrepresentable, count: 0 },
            width: *width,
            nullable: column.nullable,
        };
        Self {
            slots: plan.columns.iter().zip(widths).map(slot).collect(),
            plan,
            request,
            schema,
            context,
            sink,
            max_value_bytes: usize::try_from(request.max_value_bytes).unwrap_or(usize::MAX),
            limit_rows,
            limit_bytes,
            fixed_bytes,
            rows: 0,
            received: 0,
            measure_at: limit_bytes / 8,
            large: Vec::new(),
            large_bytes: 0,
            arriving: false,
            total: 0,
        }
    }

    /// One row: a zero byte, a bit for each NULL, then the values that are not NULL.
    #[inline]
    fn take(&mut self, data: &[u8]) -> Result<()> {
        if self.is_held() {
            self.flush()?;
        }
        if self.rows > 0 && data.len() > self.limit_bytes / 4 {
            self.flush()?;
        }
        let Some((nulls, rest)) = data.get(1..).and_then(|rest| rest.split_at_checked(bitmap(self.slots.len()))) else {
            return Err(confused("a short row"));
        };
        let mut rest = Cursor::new(rest);
        for (index, slot) in self.slots.iter_mut().enumerate() {
            // The first two bits are not used.
            let bit = index + 2;
            if nulls.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1) {
                if !slot.nullable {
                    return Err(self.unexpected_null(index, data));
                }
                slot.builder.push_null();
                continue;
            }
            let value = if slot.width > 0 { rest.bytes(slot.width) } else { rest.sized() };
            let Ok(value) = value else { return Err(confused("a short value")) };
            if value.len() > self.max_value_bytes {
                return Err(too_large(self.plan, index, value.len(), self.request.max_value_bytes));
            }
            if let Err(fault) = slot.builder.push(value, &mut slot.tally) {
                return Err(self.refuse(index, data, fault));
            }
        }
        if !rest.is_at_end() {
            return Err(confused("a row that is too long"));
        }
        self.rows += 1;
        self.received += data.len();
        if !self.large.is_empty() {
            self.arriving = false;
        } else if self.rows >= self.limit_rows {
            self.flush()?;
        } else if self.received >= self.measure_at {
            self.measure()?;
        }
        Ok(())
    }

    /// Whether a large row is here whole, and the buffer it came in is small again.
    #[inline]
    fn is_held(&self) -> bool {
        !self.large.is_empty() && !self.arriving
    }

    /// Ends the batch if it is about as large as it may be.
    #[cold]
    fn measure(&mut self) -> Result<()> {
        let variable: usize = self.slots.iter().map(|slot| slot.builder.variable_bytes()).sum();
        let left = self.limit_bytes.saturating_sub(variable + self.rows * self.fixed_bytes);
        if left <= self.limit_bytes / 16 {
            return self.flush();
        }
        // A received byte becomes at most 128: a NULL of one bit, a decimal of sixteen bytes.
        let row = self.received / self.rows.max(1);
        let growth = (self.fixed_bytes / row.max(1)).max(1) + 1;
        self.measure_at = self.received + left / growth;
        Ok(())
    }

    #[cold]
    fn flush(&mut self) -> Result<()> {
        self.context.check()?;
        if self.rows == 0 {
            return Ok(());
        }
        let mut arrays = Vec::with_capacity(self.slots.len());
        for (slot, column) in self.slots.iter_mut().zip(&self.plan.columns) {
            arrays.push(slot.builder.finish().map_err(|error| error.with_context("column", column.name()))?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(SchemaRef::clone(&self.schema), arrays, &options)?;
        self.total += u64::try_from(self.rows).unwrap_or(0);
        self.rows = 0;
        self.received = 0;
        self.measure_at = self.limit_bytes / 8;
        self.sink.on_batch(batch)?;
        self.large.clear();
        self.large_bytes = 0;
        Ok(())
    }

    fn end(mut self) -> Result<ExportStats> {
        if self.rows > 0 {
            self.flush()?;
        }
        let columns = self.slots.iter().zip(&self.plan.columns).filter(|(slot, _)| slot.tally.count > 0);
        let columns = columns
            .map(|(slot, column)| ColumnStats::new(column.name()).with_unrepresentable(slot.tally.count))
            .collect();
        Ok(ExportStats::new(self.total).with_columns(columns))
    }

    /// The error for a value: its column, its row and what to do.
    #[cold]
    fn refuse(&self, index: usize, row: &[u8], fault: Fault) -> Error {
        let Some(column) = self.plan.columns.get(index) else { return Error::internal("a column too many") };
        let name = column.name();
        let of = &column.source.source_type;
        let error = match fault {
            Fault::Malformed => Error::in_another_form(name, of, "bytes that are no value of the type"),
            Fault::Unrepresentable(what) => {
                Error::data(format!("column `{name}` ({of}) holds {what}, which its Arrow type cannot hold")).with_hint(
                    format!("`columns: {{ {name}: text }}` keeps such values; `on_unrepresentable: null` drops them"),
                )
            }
            Fault::DoesNotFit(what) => Error::data(format!("column `{name}` ({of}): {what}"))
                .with_hint(format!("give `{name}` a wider type under `columns:`, or text")),
            Fault::Full => Error::data(format!("the texts of column `{name}` in one batch exceed 2 GiB"))
                .with_hint("make batches smaller"),
        };
        self.at_row(error.with_context("column", name), row)
    }

    /// NULL where the catalogue says that there is none.
    #[cold]
    fn unexpected_null(&self, index: usize, row: &[u8]) -> Error {
        let name = self.plan.columns.get(index).map_or("?", |column| column.name());
        self.at_row(Error::unexpected_null(name), row)
    }

    fn at_row(&self, error: Error, row: &[u8]) -> Error {
        let ordinal = self.total + u64::try_from(self.rows).unwrap_or(0) + 1;
        let error = error.with_context("row", ordinal.to_string());
        match self.key_of(row) {
            Some(key) => error.with_context("key", key),
            None => error,
        }
    }

    /// The row's primary key, if all of it is exported and printable.
    fn key_of(&self, row: &[u8]) -> Option<String> {
        let widths: Vec<usize> = self.slots.iter().map(|slot| slot.width).collect();
        let values: Vec<_> = fields(row, &widths).collect();
        let parts = self.plan.key.iter().map(|index| {
            let column = self.plan.columns.get(*index)?;
            let (_, value) = values.get(*index)?;
            Some(format!("{}={}", column.name(), printable(column.kind(), (*value)?)?))
        });
        let parts = parts.collect::<Option<Vec<_>>>()?;
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

impl RowSink for Batches<'_> {
    #[inline]
    fn row(&mut self, row: &[u8]) -> Result<()> {
        self.take(row)
    }

    /// A row that is larger than the buffer takes its bytes from the host's budget, once those
    /// before it are on their way. Its batch leaves when the buffer is small again: at the next row.
    fn arriving(&mut self, have: &[u8], size: usize) -> Result<()> {
        let widths: Vec<usize> = self.slots.iter().map(|slot| slot.width).collect();
        let announced = refuse_large(have, self.plan, &widths, self.request.max_value_bytes)?;
        if !self.arriving {
            self.flush()?;
            self.arriving = true;
        }
        let size = size.max(announced);
        if size > self.large_bytes {
            let more = size - self.large_bytes;
            self.large.push(self.context.reserve(u64::try_from(more).unwrap_or(u64::MAX))?);
            self.large_bytes = size;
        }
        Ok(())
    }
}

/// Bytes of the NULL bits of a row.
fn bitmap(columns: usize) -> usize {
    (columns + 9) / 8
}

/// A value for an error message.
fn printable(kind: &Kind, value: &[u8]) -> Option<String> {
    Some(match (kind, value.len()) {
        (Kind::Int(Integer::I8, _), _) => i8::from_le_bytes(value.try_into().ok()?).to_string(),
        (Kind::Int(Integer::U8, _), _) => u8::from_le_bytes(value.try_into().ok()?).to_string(),
        (Kind::Int(Integer::I16, _), _) => i16::from_le_bytes(value.try_into().ok()?).to_string(),
        (Kind::Int(Integer::U16, _), _) => u16::from_le_bytes(value.try_into().ok()?).to_string(),
        (Kind::Int(Integer::I32, _), _) => i32::from_le_bytes(value.try_into().ok()?).to_string(),
        (Kind::Int(Integer::U32, _), _) => u32::from_le_bytes(value.try_into().ok()?).to_string(),
        (Kind::Int(Integer::I64, _), _) => i64::from_le_bytes(value.try_into().ok()?).to_string(),
        (Kind::UInt64, _) => u64::from_le_bytes(value.try_into().ok()?).to_string(),
        (Kind::Text | Kind::Decimal128(..) | Kind::Uuid { text: true }, ..200) => {
            std::str::from_utf8(value).ok()?.to_owned()
        }
        _ => return None,
    })
}

/// The announced length of each value, and its bytes as far as they are there; NULL has none.
fn fields<'a>(row: &'a [u8], widths: &'a [usize]) -> impl Iterator<Item = (usize, Option<&'a [u8]>)> {
    let (nulls, rest) = row.get(1..).and_then(|rest| rest.split_at_checked(bitmap(widths.len()))).unwrap_or_default();
    let mut rest = Cursor::new(rest);
    widths.iter().enumerate().map_while(move |(index, width)| {
        let bit = index + 2;
        if nulls.get(bit / 8)? >> (bit % 8) & 1 == 1 {
            return Some((0, None));
        }
        let length = if *width > 0 { *width } else { usize::try_from(rest.length().ok()?).ok()? };
        let value = rest.bytes(length).ok();
        if value.is_none() {
            rest = Cursor::new(&[]);
        }
        Some((length, value))
    })
}

/// Looks at the beginning of a row that has not arrived whole: a value beyond the limit is
/// refused before memory is spent on it. The bytes of the values whose lengths are there.
fn refuse_large(have: &[u8], plan: &Plan, widths: &[usize], limit: u64) -> Result<usize> {
    if have.first().is_some_and(|byte| *byte != 0) {
        return Ok(0);
    }
    let mut announced = 0_usize;
    for (index, (length, _)) in fields(have, widths).enumerate() {
        if u64::try_from(length).unwrap_or(u64::MAX) > limit {
            return Err(too_large(plan, index, length, limit));
        }
        announced = announced.saturating_add(length);
    }
    Ok(announced)
}

#[cold]
fn too_large(plan: &Plan, index: usize, length: usize, limit: u64) -> Error {
    let name = plan.columns.get(index).map_or("?", |column| column.name());
    Error::new(
        ErrorKind::Data,
        format!("a value of column `{name}` has {length} bytes, more than the limit of {limit}"),
    )
    .with_context("column", name)
    .with_hint(format!("raise `max_value_mb`, or leave the column out: `exclude: [{name}]`"))
}
