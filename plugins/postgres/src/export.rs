//! The export: one `COPY … (FORMAT binary)`, its rows decoded where they were received.

use std::time::Instant;

use rivet_sdk::arrow_schema::SchemaRef;
use rivet_sdk::serde_json::{self, Value};
use rivet_sdk::sql::columns;
use rivet_sdk::sql::rows::{Fault, Rows};
use rivet_sdk::sql::session::Session as _;
use rivet_sdk::sql::wire::RowSink;
use rivet_sdk::{BatchSink, Condition, Context, ExportRequest, ExportStats, Relation, Result, schema_of};

use crate::catalog::SourceColumn;
use crate::decode::Column;
use crate::error::confused;
use crate::kind::{Kind, TextForm};
use crate::plan::Plan;
use crate::session::Session;
use crate::wire::Wire;

/// What a binary COPY begins with, before flags and the header's extension.
const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
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
        let schema = schema_of(&plan.of.mappings()?)?;
        sink.on_schema(SchemaRef::clone(&schema))?;
        let sql = format!("COPY ({select}) TO STDOUT (FORMAT binary)");
        if reads_a_range(request) {
            prefer_an_index(wire, &plan.select(request)?)?;
        }
        let rows = Rows::new(&plan.of.columns, request, schema, context, sink, |column, capacity| {
            Ok(Column::new(column.kind(), capacity))
        })?;
        let mut copy = Copy { plan: &plan.of, rows, started: false, ended: false };
        let started = Instant::now();
        wire.copy_out(&sql, &mut copy)?;
        let longest_statement = started.elapsed();
        Ok(copy.end()?.with_longest_statement(longest_statement))
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

/// What arrives of the COPY.
struct Copy<'a> {
    plan: &'a columns::Plan<SourceColumn, Kind>,
    rows: Rows<'a, Column>,
    started: bool,
    ended: bool,
}

impl Copy<'_> {
    /// One CopyData: whole rows, after the header in the first one. A function of its own: inside the loop over
    /// messages, the loop over values has too few registers.
    #[inline(never)]
    fn take(&mut self, mut data: &[u8]) -> Result<()> {
        if !self.started {
            data = after_header(data).ok_or_else(|| confused("the header of the COPY"))?;
            self.started = true;
        }
        self.rows.begin(data.len())?;
        while !data.is_empty() {
            data = self.row(data)?;
        }
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
        if usize::try_from(count) != Ok(self.rows.width()) {
            return Err(confused(format!("a row of {count} values where {} were expected", self.rows.width())));
        }
        let largest = self.rows.max_value_bytes();
        for (index, slot) in self.rows.slots().iter_mut().enumerate() {
            let Some((length, after)) = rest.split_first_chunk::<4>() else { return Err(confused("a short row")) };
            let taken = match usize::try_from(i32::from_be_bytes(*length)) {
                Err(_) => {
                    rest = after;
                    slot.push_null()
                }
                Ok(length) => {
                    let Some((value, after)) = after.split_at_checked(length) else {
                        return Err(confused("a short value"));
                    };
                    rest = after;
                    if length > largest {
                        Err(Fault::TooLarge(length))
                    } else {
                        slot.builder.push(value, &mut slot.tally)
                    }
                }
            };
            if let Err(fault) = taken {
                return Err(self.rows.refuse(index, fault, self.key_of(data)));
            }
        }
        self.rows.end_row(data.len() - rest.len())?;
        Ok(rest)
    }

    fn end(self) -> Result<ExportStats> {
        if self.ended { self.rows.finish() } else { Err(confused("the COPY ended without its trailer")) }
    }

    /// The row's primary key, if all of it is exported and printable.
    fn key_of(&self, row: &[u8]) -> Option<String> {
        let values = fields(row.get(2..)?).take(self.rows.width()).collect::<Vec<_>>();
        self.plan.key_of(|index, column| {
            let (_, value) = values.get(index)?;
            printable(column.kind(), (*value)?)
        })
    }
}

impl RowSink for Copy<'_> {
    #[inline]
    fn row(&mut self, data: &[u8]) -> Result<()> {
        self.take(data)
    }

    /// A value beyond the limit is refused before memory is spent on it.
    fn arriving(&mut self, have: &[u8], size: usize) -> Result<()> {
        let row = if have.starts_with(SIGNATURE) { after_header(have).unwrap_or_default() } else { have };
        for (index, (length, _)) in fields(row.get(2..).unwrap_or_default()).take(self.rows.width()).enumerate() {
            if let Some(length) = usize::try_from(length).ok().filter(|length| *length > self.rows.max_value_bytes()) {
                return Err(self.rows.refuse(index, Fault::TooLarge(length), None));
            }
        }
        self.rows.arriving(size)
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
