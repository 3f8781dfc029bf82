//! The export: one `COPY … (FORMAT binary)`, its rows decoded where they were received.

use std::time::Instant;

use rivet_sdk::arrow_array::{RecordBatch, RecordBatchOptions};
use rivet_sdk::arrow_schema::SchemaRef;
use rivet_sdk::serde_json::{self, Value};
use rivet_sdk::sql::session::Session as _;
use rivet_sdk::{
    BatchSink, ColumnStats, Condition, Context, Error, ErrorKind, ExportRequest, ExportStats, Relation, Reservation,
    Result, schema_of,
};

use crate::decode::{Column, Fault, Tally};
use crate::error::confused;
use crate::kind::{Kind, TextForm};
use crate::plan::{Plan, PlannedColumn};
use crate::session::Session;
use crate::wire::{CopySink, Wire};

/// What a binary COPY begins with, before flags and the header's extension.
const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Arrow's offsets are 32 bits wide; a batch stays well below.
const BATCH_BYTES: usize = 1 << 30;
/// Builders begin with room for this many rows, grow in the first batch, and are made as large
/// as the batch before from then on: a small table costs little.
const CAPACITY_ROWS: usize = 1 << 10;

/// Reads the rows of `request` into `sink`.
pub(crate) fn run(
    session: &mut Session,
    context: &Context,
    request: &ExportRequest,
    sink: &mut dyn BatchSink,
) -> Result<ExportStats> {
    let version = session.version();
    session.reading_rows(request, |wire, request| {
        let plan = Plan::new(wire, version, request)?;
        let select = plan.select(request)?;
        plan.verify(wire, &select)?;
        let schema = schema_of(&plan.mappings()?)?;
        sink.on_schema(SchemaRef::clone(&schema))?;
        let sql = format!("COPY ({select}) TO STDOUT (FORMAT binary)");
        if reads_a_range(request) {
            prefer_an_index(wire, &plan.select(request)?)?;
        }
        let mut batches = Batches::new(&plan, request, schema, context, sink);
        let started = Instant::now();
        wire.copy_out(&sql, &mut batches)?;
        let longest_statement = started.elapsed();
        let mut stats = batches.end()?;
        stats.longest_statement = longest_statement;
        Ok(stats)
    })
}

fn reads_a_range(request: &ExportRequest) -> bool {
    let ranged = |condition: &Condition| matches!(condition, Condition::Range { from, to, .. } if from.is_some() || to.is_some());
    matches!(request.relation, Relation::Table(_)) && request.conditions.iter().any(ranged)
}

/// Has the key's index read where there is one that the condition can use.
///
/// A chunk of a fifth of a table looks to the server's planner like a reason to read all of it, once for each chunk.
/// Where no index leads to its rows, the same setting would have the table read by way of another index, row by row.
fn prefer_an_index(wire: &mut Wire, select: &str) -> Result<()> {
    wire.simple("SET LOCAL enable_seqscan = off")?;
    let explained = wire.simple(&format!("EXPLAIN (FORMAT JSON) {select}"))?;
    let text: String = explained.rows.iter().filter_map(|row| row.first()?.as_deref()).collect();
    let plan: Value = serde_json::from_str(&text).unwrap_or_default();
    let nodes = nodes(&plan);
    let leads_there = nodes.iter().any(|node| node.get("Index Cond").is_some());
    let reads_all = nodes.iter().any(|node| node.get("Node Type").is_some_and(|kind| kind == "Seq Scan"));
    if !leads_there || reads_all {
        wire.simple("SET LOCAL enable_seqscan TO DEFAULT")?;
    }
    Ok(())
}

/// Every node of an explained plan.
fn nodes(plan: &Value) -> Vec<&Value> {
    let mut open = vec![plan];
    let mut found = Vec::new();
    while let Some(next) = open.pop() {
        match next {
            Value::Array(items) => open.extend(items),
            Value::Object(entries) => {
                found.push(next);
                open.extend(entries.values());
            }
            _ => {}
        }
    }
    found
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
    /// For the row that is larger than the connection's buffer.
    large: Option<Reservation>,
    /// Whether that row is still arriving.
    arriving: bool,
    total: u64,
    started: bool,
    ended: bool,
}

struct Slot {
    builder: Column,
    tally: Tally,
    nullable: bool,
}

impl<'a> Batches<'a> {
    fn new(
        plan: &'a Plan,
        request: &'a ExportRequest,
        schema: SchemaRef,
        context: &'a Context,
        sink: &'a mut dyn BatchSink,
    ) -> Self {
        let limit_rows = request.batch.rows.max(1);
        let limit_bytes = request.batch.bytes.clamp(1, BATCH_BYTES);
        let fixed_bytes = plan.columns.iter().map(|column| column.kind().fixed_bytes()).sum::<usize>().max(1);
        let capacity = limit_rows.min(CAPACITY_ROWS).min(limit_bytes / fixed_bytes + 1);
        let slot = |column: &PlannedColumn| Slot {
            builder: Column::new(column.kind(), capacity),
            tally: Tally { policy: request.on_unrepresentable, count: 0 },
            nullable: column.nullable,
        };
        Self {
            slots: plan.columns.iter().map(slot).collect(),
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
            large: None,
            arriving: false,
            total: 0,
            started: false,
            ended: false,
        }
    }

    /// One CopyData: whole rows, after the header in the first one.
    #[inline]
    fn take(&mut self, mut data: &[u8]) -> Result<()> {
        if !self.started {
            data = after_header(data).ok_or_else(|| confused("the header of the COPY"))?;
            self.started = true;
        }
        if self.large.is_some() && !self.arriving {
            self.flush()?;
        }
        while !data.is_empty() {
            data = self.row(data)?;
        }
        self.arriving = false;
        Ok(())
    }

    #[inline]
    fn row<'d>(&mut self, data: &'d [u8]) -> Result<&'d [u8]> {
        let Some((count, mut rest)) = data.split_first_chunk::<2>() else { return Err(confused("a short row")) };
        let count = i16::from_be_bytes(*count);
        if count == -1 {
            self.ended = true;
            return Ok(rest);
        }
        if usize::try_from(count) != Ok(self.slots.len()) {
            return Err(confused(format!("a row of {count} values where {} were expected", self.slots.len())));
        }
        if self.rows > 0 && data.len() > self.limit_bytes / 4 {
            self.flush()?;
        }
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let Some((length, after)) = rest.split_first_chunk::<4>() else { return Err(confused("a short row")) };
            let length = i32::from_be_bytes(*length);
            let Ok(length) = usize::try_from(length) else {
                if !slot.nullable {
                    return Err(self.unexpected_null(index, data));
                }
                slot.builder.push_null();
                rest = after;
                continue;
            };
            let Some((value, after)) = after.split_at_checked(length) else { return Err(confused("a short value")) };
            if length > self.max_value_bytes {
                return Err(too_large(self.plan, index, length, self.request.max_value_bytes));
            }
            if let Err(fault) = slot.builder.push(value, &mut slot.tally) {
                return Err(self.refuse(index, data, fault));
            }
            rest = after;
        }
        self.rows += 1;
        self.received += data.len() - rest.len();
        if self.rows >= self.limit_rows && self.large.is_none() {
            self.flush()?;
        } else if self.received >= self.measure_at && self.large.is_none() {
            self.measure()?;
        }
        Ok(rest)
    }

    /// Ends the batch if it is about as large as it may be.
    #[cold]
    fn measure(&mut self) -> Result<()> {
        let variable: usize = self.slots.iter().map(|slot| slot.builder.variable_bytes()).sum();
        let left = self.limit_bytes.saturating_sub(variable + self.rows * self.fixed_bytes);
        if left <= self.limit_bytes / 16 {
            return self.flush();
        }
        // A received byte becomes at most eight (a NULL of four bytes, a decimal of 32).
        self.measure_at = self.received + left / 8;
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
        self.large = None;
        Ok(())
    }

    fn end(mut self) -> Result<ExportStats> {
        if !self.ended {
            return Err(confused("the COPY ended without its trailer"));
        }
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
            Fault::Dimensions(count) => {
                Error::data(format!("column `{name}` ({of}) holds an array of {count} dimensions"))
                    .with_hint(format!("`columns: {{ {name}: json }}` keeps arrays of any shape"))
            }
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
        let values = fields(row.get(2..)?).take(self.slots.len()).collect::<Vec<_>>();
        let parts = self.plan.key.iter().map(|index| {
            let column = self.plan.columns.get(*index)?;
            let (_, value) = values.get(*index)?;
            Some(format!("{}={}", column.name(), printable(column.kind(), (*value)?)?))
        });
        let parts = parts.collect::<Option<Vec<_>>>()?;
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

impl CopySink for Batches<'_> {
    #[inline]
    fn data(&mut self, data: &[u8]) -> Result<()> {
        self.take(data)
    }

    /// A row that is larger than the buffer takes its bytes from the host's budget, once those
    /// before it are on their way. Its batch leaves when the buffer is small again: at the next row.
    fn arriving(&mut self, have: &[u8], size: usize) -> Result<()> {
        refuse_large(have, self.plan, self.request.max_value_bytes)?;
        if !self.arriving {
            self.flush()?;
            self.large = None;
            self.large = Some(self.context.reserve(u64::try_from(size).unwrap_or(u64::MAX))?);
            self.arriving = true;
        }
        Ok(())
    }
}

/// A value for an error message.
fn printable(kind: &Kind, value: &[u8]) -> Option<String> {
    Some(match (kind, value.len()) {
        (Kind::Int16, _) => i16::from_be_bytes(value.try_into().ok()?).to_string(),
        (Kind::Int32, _) => i32::from_be_bytes(value.try_into().ok()?).to_string(),
        (Kind::Int64, _) => i64::from_be_bytes(value.try_into().ok()?).to_string(),
        (Kind::UInt32, _) => u32::from_be_bytes(value.try_into().ok()?).to_string(),
        (Kind::Text(TextForm::Plain), ..200) => std::str::from_utf8(value).ok()?.to_owned(),
        (Kind::Uuid, 16) => {
            let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
            let part = |range| hex.get(range).unwrap_or_default();
            format!("{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32))
        }
        _ => return None,
    })
}

/// The announced length of each value, and its bytes as far as they are there.
fn fields(mut rest: &[u8]) -> impl Iterator<Item = (i32, Option<&[u8]>)> {
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = i32::from_be_bytes(*length);
        let Ok(size) = usize::try_from(length) else {
            rest = after;
            return Some((length, None));
        };
        let value = after.get(..size);
        rest = after.get(size..).unwrap_or_default();
        Some((length, value))
    })
}

fn after_header(data: &[u8]) -> Option<&[u8]> {
    let rest = data.strip_prefix(SIGNATURE)?;
    let (_flags, rest) = rest.split_first_chunk::<4>()?;
    let (extension, rest) = rest.split_first_chunk::<4>()?;
    rest.get(usize::try_from(i32::from_be_bytes(*extension)).ok()?..)
}

/// Looks at the beginning of a row that has not arrived whole: a value beyond the limit is
/// refused before memory is spent on it.
fn refuse_large(have: &[u8], plan: &Plan, limit: u64) -> Result<()> {
    let row = if have.starts_with(SIGNATURE) { after_header(have).unwrap_or_default() } else { have };
    for (index, (length, _)) in fields(row.get(2..).unwrap_or_default()).take(plan.columns.len()).enumerate() {
        let length = usize::try_from(length).unwrap_or(0);
        if u64::try_from(length).unwrap_or(u64::MAX) > limit {
            return Err(too_large(plan, index, length, limit));
        }
    }
    Ok(())
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
