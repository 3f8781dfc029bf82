//! The export: one SELECT, its rows decoded where they were received.

use std::time::Instant;

use rivet_sdk::arrow_schema::SchemaRef;
use rivet_sdk::sql::columns;
use rivet_sdk::sql::rows::{ColumnBuilder, Fault, Rows};
use rivet_sdk::sql::session::Session as _;
use rivet_sdk::sql::wire::Protocol as _;
use rivet_sdk::{BatchSink, Context, Error, ErrorKind, ExportRequest, ExportStats, Result, Retry, log, schema_of};

use crate::decode::Column;
use crate::error::confused;
use crate::kind::Kind;
use crate::meta::{Format, Layout, ResultColumn};
use crate::plan::Plan;
use crate::session::Session;
use crate::types::SourceColumn;
use crate::wire::{Cell, Token, Wire, is_null};

/// A value in pieces that is longer than this takes its bytes from the host's budget.
const LARGE_BYTES: usize = 1 << 20;

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
        let schema = schema_of(&plan.of.mappings()?)?;
        sink.on_schema(SchemaRef::clone(&schema))?;
        let sql = plan.select(request)?;
        log::debug!("{sql}");
        let started = Instant::now();
        wire.start(&sql)?;
        let mut failure = None;
        let mut cells: Option<Cells<'_>> = None;
        loop {
            match wire.token(&mut failure) {
                Ok(Token::Columns(found)) if cells.is_none() => {
                    cells = Some(Cells::new(&plan.of, request, SchemaRef::clone(&schema), context, sink, &found)?);
                }
                Ok(Token::Columns(_)) => return Err(confused("a second result")),
                Ok(row @ (Token::Row | Token::SparseRow)) => {
                    let Some(cells) = &mut cells else { return Err(confused("a row before its columns")) };
                    cells.take(wire, matches!(row, Token::SparseRow))?;
                }
                Ok(Token::Done(true)) => break,
                Ok(Token::Done(false)) => {}
                // A server that goes away after an error has said why.
                Err(error) => return Err(failure.filter(|_| wire.connection().is_broken()).unwrap_or(error)),
            }
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        let longest_statement = started.elapsed();
        let mut stats = cells.ok_or_else(|| confused("no result at all"))?.rows.finish()?;
        stats.longest_statement = longest_statement;
        stats.warnings = warnings;
        Ok(stats)
    })
}

/// What arrives of the result.
struct Cells<'a> {
    plan: &'a columns::Plan<SourceColumn, Kind>,
    rows: Rows<'a, Column>,
    layouts: Vec<Layout>,
    nulls: Vec<u8>,
}

impl<'a> Cells<'a> {
    fn new(
        plan: &'a columns::Plan<SourceColumn, Kind>,
        request: &ExportRequest,
        schema: SchemaRef,
        context: &'a Context,
        sink: &'a mut dyn BatchSink,
        found: &[ResultColumn],
    ) -> Result<Self> {
        if found.len() != plan.columns.len() {
            return Err(changed(format!("{} columns came where {} were planned", found.len(), plan.columns.len())));
        }
        let mut formats = found.iter().map(|column| column.format);
        let rows = Rows::new(&plan.columns, request, schema, context, sink, |planned, capacity| {
            let altered = || changed(format!("`{}` was planned as {}", planned.name(), planned.source.source_type));
            let fits = |format: &Format| !planned.is_plain || format.is_of(&planned.source);
            let format = formats.next().filter(fits).ok_or_else(altered)?;
            Column::new(planned.kind(), format, capacity).ok_or_else(altered)
        })?;
        let layouts = found.iter().map(|column| column.layout).collect();
        Ok(Self { plan, rows, layouts, nulls: Vec::with_capacity(found.len().div_ceil(8)) })
    }

    /// One row.
    #[inline]
    fn take(&mut self, wire: &mut Wire, sparse: bool) -> Result<()> {
        self.nulls.clear();
        if sparse {
            self.nulls.extend_from_slice(wire.bytes(self.layouts.len().div_ceil(8))?);
        }
        let largest = self.rows.max_value_bytes();
        let mut received = 0_usize;
        for index in 0..self.layouts.len() {
            let (Some(slot), Some(layout)) = (self.rows.slots().get_mut(index), self.layouts.get(index)) else { break };
            let cell = if sparse && is_null(&self.nulls, index) { Cell::Null } else { wire.cell(*layout)? };
            let taken = match cell {
                Cell::Null => slot.push_null(),
                Cell::Value(value) if value.len() > largest => Err(Fault::TooLargeSoFar(value.len())),
                Cell::Value(value) => {
                    received += value.len();
                    slot.builder.push(value, &mut slot.tally)
                }
                Cell::Pieces(length) => {
                    received += self.pieces(wire, index, length)?;
                    Ok(())
                }
            };
            if let Err(fault) = taken {
                return Err(self.refuse(index, fault));
            }
        }
        self.rows.end_row(received)
    }

    /// A value of any length, as it arrives. A large one takes its bytes from the host's budget until
    /// its batch is handed on, right after its row.
    fn pieces(&mut self, wire: &mut Wire, index: usize, length: Option<u64>) -> Result<usize> {
        // UTF-16 has at least as many bytes on the wire as half of what it becomes in UTF-8.
        let length = length.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        let largest = self.rows.max_value_bytes();
        if let Some(length) = length.filter(|length| *length / 2 > largest) {
            return Err(self.refuse(index, Fault::TooLargeSoFar(length / 2)));
        }
        let mut reserved = LARGE_BYTES;
        if let Some(length) = length.filter(|length| *length > LARGE_BYTES) {
            self.rows.reserve(length)?;
        }
        let mut size = 0;
        loop {
            let Some(slot) = self.rows.slots().get_mut(index) else { return Err(Error::internal("a column too many")) };
            let Some(piece) = wire.piece()? else { break };
            match slot.builder.push_piece(piece) {
                Ok(so_far) => size = so_far,
                Err(fault) => return Err(self.refuse(index, fault)),
            }
            if size > largest {
                return Err(self.refuse(index, Fault::TooLargeSoFar(size)));
            }
            if length.is_none() && size > reserved {
                // Its length was not said: as much again as has come is taken.
                self.rows.reserve(size)?;
                reserved = size * 2;
            }
        }
        let Some(slot) = self.rows.slots().get_mut(index) else { return Err(Error::internal("a column too many")) };
        if let Err(fault) = slot.builder.end_pieces(&mut slot.tally) {
            return Err(self.refuse(index, fault));
        }
        Ok(size)
    }

    #[cold]
    fn refuse(&mut self, index: usize, fault: Fault) -> Error {
        let column = self.plan.columns.get(index).filter(|_| matches!(fault, Fault::Unrepresentable(_)));
        let key = self.key_of_row(index);
        let error = self.rows.refuse(index, fault, key);
        match column {
            Some(column) => error.with_hint(remedy(column.name(), &column.source)),
            None => error,
        }
    }

    /// The primary key of the row being read, if all of it lies before the column that failed.
    fn key_of_row(&mut self, failed: usize) -> Option<String> {
        if self.plan.key.iter().any(|index| *index >= failed) {
            return None;
        }
        let slots = self.rows.slots();
        self.plan.key_of(|index, _| crate::decode::last_of(&slots.get_mut(index)?.builder.finish().ok()?))
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
