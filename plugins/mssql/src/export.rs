//! The export: one SELECT, its rows decoded where they were received.

use std::time::Instant;

use rivet_sdk::arrow_array::{RecordBatch, RecordBatchOptions};
use rivet_sdk::arrow_schema::SchemaRef;
use rivet_sdk::sql::session::Session as _;
use rivet_sdk::{
    BatchSink, ColumnStats, Context, Error, ErrorKind, ExportRequest, ExportStats, Reservation, Result, Retry, log,
    schema_of,
};

use crate::decode::{Column, Fault, Tally};
use crate::error::confused;
use crate::meta::{Layout, ResultColumn};
use crate::plan::Plan;
use crate::session::Session;
use crate::types::SourceColumn;
use crate::wire::{Cell, Token, Wire, is_null};

/// Arrow's offsets are 32 bits wide; a batch stays well below.
const BATCH_BYTES: usize = 1 << 30;
/// Builders begin with room for this many rows, grow in the first batch, and are made as large
/// as the batch before from then on: a small table costs little.
const CAPACITY_ROWS: usize = 1 << 10;
/// A value in pieces that is longer than this takes its bytes from the host's budget.
const LARGE_BYTES: u64 = 1 << 20;
/// Rows between two looks at how large the batch has become.
const MEASURE_ROWS: usize = 64;

const LOCKING: &str = "the database reads under locks: rows that move while a statement reads may be missed or come \
     twice; ALTER DATABASE … SET ALLOW_SNAPSHOT_ISOLATION ON makes each statement one read point";

/// Reads the rows of `request` into `sink`.
pub(crate) fn run(
    session: &mut Session,
    context: &Context,
    request: &ExportRequest,
    sink: &mut dyn BatchSink,
) -> Result<ExportStats> {
    let facts = session.database();
    let warnings = if facts.one_read_point(request.relation.table().is_some()).is_none() {
        vec![LOCKING.to_owned()]
    } else {
        Vec::new()
    };
    session.reading_rows(request, |wire, request| {
        let plan = Plan::new(wire, request)?;
        let schema = schema_of(&plan.mappings()?)?;
        sink.on_schema(SchemaRef::clone(&schema))?;
        let sql = plan.select(request)?;
        log::debug!("{sql}");
        let started = Instant::now();
        wire.start(&sql)?;
        let mut failure = None;
        let mut batches: Option<Batches<'_>> = None;
        loop {
            match wire.token(&mut failure) {
                Ok(Token::Columns(columns)) if batches.is_none() => {
                    batches = Some(Batches::new(&plan, request, SchemaRef::clone(&schema), context, sink, columns)?);
                }
                Ok(Token::Columns(_)) => return Err(confused("a second result")),
                Ok(row @ (Token::Row | Token::SparseRow)) => {
                    let Some(batches) = &mut batches else { return Err(confused("a row before its columns")) };
                    batches.take(wire, matches!(row, Token::SparseRow))?;
                }
                Ok(Token::Done(true)) => break,
                Ok(Token::Done(false)) => {}
                // A server that goes away after an error has said why.
                Err(error) => return Err(failure.filter(|_| wire.is_broken()).unwrap_or(error)),
            }
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        let longest_statement = started.elapsed();
        let mut stats = batches.ok_or_else(|| confused("no result at all"))?.end()?;
        stats.longest_statement = longest_statement;
        stats.warnings = warnings;
        Ok(stats)
    })
}

/// Rows on their way into batches.
struct Batches<'a> {
    plan: &'a Plan,
    request: &'a ExportRequest,
    schema: SchemaRef,
    context: &'a Context,
    sink: &'a mut dyn BatchSink,
    columns: Vec<ResultColumn>,
    slots: Vec<Slot>,
    nulls: Vec<u8>,
    max_value_bytes: usize,
    limit_rows: usize,
    limit_bytes: usize,
    fixed_bytes: usize,
    /// Rows in the batch being built.
    rows: usize,
    measure_at: usize,
    /// For the large values of the row being read.
    large: Vec<Reservation>,
    total: u64,
}

struct Slot {
    builder: Column,
    tally: Tally,
    layout: Layout,
    nullable: bool,
}

impl<'a> Batches<'a> {
    fn new(
        plan: &'a Plan,
        request: &'a ExportRequest,
        schema: SchemaRef,
        context: &'a Context,
        sink: &'a mut dyn BatchSink,
        columns: Vec<ResultColumn>,
    ) -> Result<Self> {
        if columns.len() != plan.columns.len() {
            return Err(changed(format!("{} columns came where {} were planned", columns.len(), plan.columns.len())));
        }
        let limit_rows = request.batch.rows.max(1);
        let limit_bytes = request.batch.bytes.clamp(1, BATCH_BYTES);
        let fixed_bytes = plan.columns.iter().map(|column| column.kind().fixed_bytes()).sum::<usize>().max(1);
        let capacity = limit_rows.min(CAPACITY_ROWS).min(limit_bytes / fixed_bytes + 1);
        let mut slots = Vec::with_capacity(columns.len());
        for (planned, found) in plan.columns.iter().zip(&columns) {
            let altered = || changed(format!("`{}` was planned as {}", planned.name(), planned.source.source_type));
            if planned.is_plain && !found.format.is_of(&planned.source) {
                return Err(altered());
            }
            let builder = Column::new(planned.kind(), found.format, capacity).ok_or_else(altered)?;
            let tally = Tally { policy: request.on_unrepresentable, unrepresentable: 0, rounded: 0 };
            slots.push(Slot { builder, tally, layout: found.layout, nullable: planned.nullable });
        }
        Ok(Self {
            plan,
            request,
            schema,
            context,
            sink,
            nulls: Vec::with_capacity(columns.len().div_ceil(8)),
            columns,
            slots,
            max_value_bytes: usize::try_from(request.max_value_bytes).unwrap_or(usize::MAX),
            limit_rows,
            limit_bytes,
            fixed_bytes,
            rows: 0,
            measure_at: MEASURE_ROWS.min(limit_bytes / fixed_bytes / 8 + 1),
            large: Vec::new(),
            total: 0,
        })
    }

    /// One row.
    #[inline]
    fn take(&mut self, wire: &mut Wire, sparse: bool) -> Result<()> {
        self.nulls.clear();
        if sparse {
            self.nulls.extend_from_slice(wire.bytes(self.columns.len().div_ceil(8))?);
        }
        let mut large = 0_usize;
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(index) else { break };
            let cell = if sparse && is_null(&self.nulls, index) { Cell::Null } else { wire.cell(slot.layout)? };
            let taken = match cell {
                Cell::Null if !slot.nullable => return Err(self.unexpected_null(index)),
                Cell::Null => {
                    slot.builder.push_null();
                    Ok(())
                }
                Cell::Value(value) if value.len() > self.max_value_bytes => {
                    let length = value.len();
                    return Err(self.too_large(index, length));
                }
                Cell::Value(value) => slot.builder.push(value, &mut slot.tally),
                Cell::Pieces(length) => {
                    let size = self.pieces(wire, index, length)?;
                    large = large.max(size);
                    Ok(())
                }
            };
            if let Err(fault) = taken {
                return Err(self.refuse(index, fault));
            }
        }
        self.rows += 1;
        if self.rows >= self.limit_rows || !self.large.is_empty() {
            self.flush()?;
        } else if self.rows >= self.measure_at || large > self.limit_bytes / 16 {
            self.measure()?;
        }
        Ok(())
    }

    /// A value of any length, as it arrives. A large one takes its bytes from the host's budget until
    /// its batch is handed on, right after its row.
    fn pieces(&mut self, wire: &mut Wire, index: usize, length: Option<u64>) -> Result<usize> {
        // UTF-16 has at least as many bytes on the wire as half of what it becomes in UTF-8.
        let limit = u64::try_from(self.max_value_bytes).unwrap_or(u64::MAX);
        if let Some(length) = length
            && length / 2 > limit
        {
            return Err(self.too_large(index, usize::try_from(length / 2).unwrap_or(usize::MAX)));
        }
        let mut reserved = LARGE_BYTES;
        if let Some(length) = length.filter(|length| *length > LARGE_BYTES) {
            self.large.push(self.context.reserve(length)?);
        }
        let mut size = 0;
        loop {
            let Some(slot) = self.slots.get_mut(index) else { return Err(Error::internal("a column too many")) };
            let Some(piece) = wire.piece()? else { break };
            match slot.builder.push_piece(piece) {
                Ok(so_far) => size = so_far,
                Err(fault) => return Err(self.refuse(index, fault)),
            }
            if size > self.max_value_bytes {
                return Err(self.too_large(index, size));
            }
            let now = u64::try_from(size).unwrap_or(u64::MAX);
            if length.is_none() && now > reserved {
                // Its length was not said: as much again as has come is taken.
                self.large.push(self.context.reserve(now)?);
                reserved = now * 2;
            }
        }
        let Some(slot) = self.slots.get_mut(index) else { return Err(Error::internal("a column too many")) };
        if let Err(fault) = slot.builder.end_pieces(&mut slot.tally) {
            return Err(self.refuse(index, fault));
        }
        Ok(size)
    }

    /// Ends the batch if it is about as large as it may be.
    #[cold]
    fn measure(&mut self) -> Result<()> {
        let variable: usize = self.slots.iter().map(|slot| slot.builder.variable_bytes()).sum();
        let bytes = variable + self.rows * self.fixed_bytes;
        let each = (bytes / self.rows.max(1)).max(1);
        let left = self.limit_bytes.saturating_sub(bytes);
        if left <= self.limit_bytes / 16 {
            return self.flush();
        }
        self.measure_at = self.rows + (left / each / 4).clamp(1, 4096);
        Ok(())
    }

    #[cold]
    fn flush(&mut self) -> Result<()> {
        self.context.check()?;
        let mut arrays = Vec::with_capacity(self.slots.len());
        for (slot, column) in self.slots.iter_mut().zip(&self.plan.columns) {
            arrays.push(slot.builder.finish().map_err(|error| error.with_context("column", column.name()))?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(SchemaRef::clone(&self.schema), arrays, &options)?;
        self.total += u64::try_from(self.rows).unwrap_or(0);
        self.rows = 0;
        self.measure_at = MEASURE_ROWS.min(self.limit_bytes / self.fixed_bytes / 8 + 1);
        self.sink.on_batch(batch)?;
        self.large.clear();
        Ok(())
    }

    fn end(mut self) -> Result<ExportStats> {
        if self.rows > 0 {
            self.flush()?;
        }
        let counted = |slot: &&Slot| slot.tally.unrepresentable > 0 || slot.tally.rounded > 0;
        let columns = self.slots.iter().zip(&self.plan.columns).filter(|(slot, _)| counted(slot));
        let columns = columns
            .map(|(slot, column)| {
                ColumnStats::new(column.name())
                    .with_unrepresentable(slot.tally.unrepresentable)
                    .with_rounded(slot.tally.rounded)
            })
            .collect();
        Ok(ExportStats::new(self.total).with_columns(columns))
    }

    /// The error for a value: its column, its row and what to do.
    #[cold]
    fn refuse(&mut self, index: usize, fault: Fault) -> Error {
        let Some(column) = self.plan.columns.get(index) else { return Error::internal("a column too many") };
        let name = column.name();
        let of = &column.source.source_type;
        let error = match fault {
            Fault::Malformed => Error::in_another_form(name, of, "bytes that are no value of the type"),
            Fault::Unrepresentable(what) => {
                Error::data(format!("column `{name}` ({of}) holds {what}, which its Arrow type cannot hold"))
                    .with_hint(remedy(name, &column.source))
            }
            Fault::DoesNotFit(what) => Error::data(format!("column `{name}` ({of}): {what}"))
                .with_hint(format!("give `{name}` a wider type under `columns:`, or text")),
            Fault::Full => Error::data(format!("the texts of column `{name}` in one batch exceed 2 GiB"))
                .with_hint("make batches smaller"),
        };
        self.at_row(index, error.with_context("column", name))
    }

    /// NULL where the catalogue says that there is none: a table that lies elsewhere promises what nobody keeps.
    #[cold]
    fn unexpected_null(&mut self, index: usize) -> Error {
        let name = self.plan.columns.get(index).map_or("?", |column| column.name());
        self.at_row(index, Error::unexpected_null(name))
    }

    fn at_row(&mut self, index: usize, error: Error) -> Error {
        let ordinal = self.total + u64::try_from(self.rows).unwrap_or(0) + 1;
        let error = error.with_context("row", ordinal.to_string());
        match self.key_of_row(index) {
            Some(key) => error.with_context("key", key),
            None => error,
        }
    }

    /// The primary key of the row being read, if all of it lies before the column that failed.
    fn key_of_row(&mut self, failed: usize) -> Option<String> {
        if self.plan.key.is_empty() || self.plan.key.iter().any(|index| *index >= failed) {
            return None;
        }
        let mut parts = Vec::new();
        for index in &self.plan.key {
            let array = self.slots.get_mut(*index)?.builder.finish().ok()?;
            let name = self.plan.columns.get(*index)?.name();
            parts.push(format!("{name}={}", crate::decode::last_of(&array)?));
        }
        Some(parts.join(", "))
    }

    #[cold]
    fn too_large(&self, index: usize, length: usize) -> Error {
        let name = self.plan.columns.get(index).map_or("?", |column| column.name());
        Error::new(
            ErrorKind::Data,
            format!(
                "a value of column `{name}` has {length} bytes or more, beyond the limit of {}",
                self.request.max_value_bytes
            ),
        )
        .with_context("column", name)
        .with_hint(format!("raise `max_value_mb`, or leave the column out: `exclude: [{name}]`"))
    }
}

fn remedy(name: &str, of: &SourceColumn) -> String {
    if of.base == "sql_variant" {
        return format!(
            "`query: SELECT …, CAST({name} AS nvarchar(4000)) AS {name} …` lets the server convert it; \
             `on_unrepresentable: null` drops such values and counts them"
        );
    }
    if of.is_text() {
        return format!(
            "`on_unrepresentable: null` drops such values and counts them; `exclude: [{name}]` drops the column"
        );
    }
    format!("`columns: {{ {name}: text }}` keeps such values; `on_unrepresentable: null` drops them")
}

fn changed(what: String) -> Error {
    Error::new(ErrorKind::Conflict, format!("the table changed while it was read: {what}"))
        .with_retry(Retry::Permanent)
        .with_hint("plan the export again")
}
