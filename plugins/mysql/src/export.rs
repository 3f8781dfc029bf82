//! The export: one prepared SELECT, its binary rows decoded where they were received.

use std::time::Instant;

use rivet_sdk::arrow_schema::SchemaRef;
use rivet_sdk::cursor::Cursor;
use rivet_sdk::sql::rows::{Fault, Rows};
use rivet_sdk::sql::session::Session as _;
use rivet_sdk::sql::wire::RowSink;
use rivet_sdk::{BatchSink, Context, Error, ExportRequest, ExportStats, Result, schema_of};

use crate::catalog;
use crate::decode::Column;
use crate::error::confused;
use crate::kind::{Integer, Kind};
use crate::packet::{LengthEncoded as _, ResultColumn};
use crate::plan::{self, Plan, Setting};
use crate::session::Session;

/// Reads the rows of `request` into `sink`.
pub(crate) fn run(
    session: &mut Session,
    setting: Setting,
    context: &Context,
    request: &ExportRequest,
    sink: &mut dyn BatchSink,
) -> Result<ExportStats> {
    session.reading_rows(request, |wire, request| {
        let plan = plan::plan(wire, setting, request)?;
        let schema = schema_of(&plan.mappings()?)?;
        sink.on_schema(SchemaRef::clone(&schema))?;
        context.check()?;
        let statement = catalog::select(wire, &plan::select(&plan, request)?)?;
        let widths: Vec<usize> = statement.columns.iter().map(ResultColumn::width).collect();
        let rows = Rows::new(&plan.columns, request, schema, context, sink, |column, capacity| {
            Ok(Column::new(column.kind(), capacity))
        })?;
        let mut binary = Binary { plan: &plan, rows, widths };
        let started = Instant::now();
        let same = |columns: &[ResultColumn]| as_prepared(&plan, &statement.columns, columns);
        let outcome = wire.execute(&statement, same, &mut binary);
        let longest_statement = started.elapsed();
        // Where rows are still on their way, the statement goes with what stops them.
        let closed = wire.close(&statement);
        outcome.and(closed)?;
        Ok(binary.rows.finish()?.with_longest_statement(longest_statement))
    })
}

/// The rows must be what the plan was made for: a table may be altered at any moment.
fn as_prepared(plan: &Plan, prepared: &[ResultColumn], found: &[ResultColumn]) -> Result<()> {
    let form = |column: &ResultColumn| (column.base(), column.width(), column.unsigned());
    for (column, (before, now)) in plan.columns.iter().zip(prepared.iter().zip(found)) {
        if form(before) != form(now) || (column.is_plain && form(now) != form(&column.source.result)) {
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

/// What arrives of the result.
struct Binary<'a> {
    plan: &'a Plan,
    rows: Rows<'a, Column>,
    /// Bytes of every value of each column; 0 where each says its own length.
    widths: Vec<usize>,
}

impl Binary<'_> {
    /// One row: a zero byte, a bit for each NULL, then the values that are not NULL.
    #[inline]
    fn take(&mut self, data: &[u8]) -> Result<()> {
        self.rows.begin(data.len())?;
        let Some((nulls, rest)) = data.get(1..).and_then(|rest| rest.split_at_checked(bitmap(self.widths.len())))
        else {
            return Err(confused("a short row"));
        };
        let mut rest = Cursor::new(rest);
        let largest = self.rows.max_value_bytes();
        for (index, (slot, width)) in self.rows.slots().iter_mut().zip(&self.widths).enumerate() {
            // The first two bits are not used.
            let bit = index + 2;
            let taken = if nulls.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1) {
                slot.push_null()
            } else {
                let value = if *width > 0 { rest.bytes(*width) } else { rest.sized() };
                let Ok(value) = value else { return Err(confused("a short value")) };
                let size = value.len();
                if size > largest { Err(Fault::TooLarge(size)) } else { slot.builder.push(value, &mut slot.tally) }
            };
            if let Err(fault) = taken {
                return Err(self.rows.refuse(index, fault, self.key_of(data)));
            }
        }
        if !rest.is_at_end() {
            return Err(confused("a row that is too long"));
        }
        self.rows.end_row(data.len())
    }

    /// The row's primary key, if all of it is exported and printable.
    fn key_of(&self, row: &[u8]) -> Option<String> {
        let values: Vec<_> = fields(row, &self.widths).collect();
        self.plan.key_of(|index, column| {
            let (_, value) = values.get(index)?;
            printable(column.kind(), (*value)?)
        })
    }
}

impl RowSink for Binary<'_> {
    #[inline]
    fn row(&mut self, row: &[u8]) -> Result<()> {
        self.take(row)
    }

    /// A value beyond the limit is refused before memory is spent on it.
    fn arriving(&mut self, have: &[u8], size: usize) -> Result<()> {
        // Of the values whose lengths are there.
        let mut announced = 0_usize;
        if have.first().is_none_or(|byte| *byte == 0) {
            for (index, (length, _)) in fields(have, &self.widths).enumerate() {
                if length > self.rows.max_value_bytes() {
                    return Err(self.rows.refuse(index, Fault::TooLarge(length), None));
                }
                announced = announced.saturating_add(length);
            }
        }
        self.rows.arriving(size.max(announced))
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
