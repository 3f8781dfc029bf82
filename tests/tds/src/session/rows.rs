//! Rows, from SQLite to the wire.

use std::time::Duration;

use rusqlite::types::{Value, ValueRef};

use super::run::{Failure, Outcome};
use super::state::{SELECT, Session};
use super::transaction;
use crate::engine::Engine;
use crate::error::{SqlError, SqlResult};
use crate::faults::Kind as Fault;
use crate::sql::bind::{Bound, BoundQuery, Fill, bind_parameters};
use crate::tokens::{self, Column};
use crate::types::{Kind, MAX, Type, encode};

/// Fills the temporary tables of a statement.
pub fn fill(engine: &Engine, fills: &[Fill]) -> SqlResult<()> {
    for fill in fills {
        let (table, columns) = (&fill.table, fill.declarations.join(", "));
        engine
            .sqlite
            .execute_batch(&format!("DROP TABLE IF EXISTS temp.{table}; CREATE TEMP TABLE {table} ({columns})"))?;
        let marks = vec!["?"; fill.declarations.len()].join(", ");
        let mut insert = engine.sqlite.prepare(&format!("INSERT INTO temp.{table} VALUES ({marks})"))?;
        for row in &fill.rows {
            bind_parameters(&mut insert, row)?;
            insert.raw_execute()?;
        }
    }
    Ok(())
}

/// All rows of a query that stays inside.
pub fn collect(
    session: &mut Session,
    query: &BoundQuery,
    parameters: &[Value],
    fills: &[Fill],
) -> SqlResult<Vec<Vec<Value>>> {
    fill(&session.engine, fills)?;
    let mut statement = session.engine.sqlite.prepare(&query.sql)?;
    bind_parameters(&mut statement, parameters)?;
    let mut rows = statement.raw_query();
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push((0..query.columns.len()).map(|at| row.get(at)).collect::<Result<Vec<Value>, _>>()?);
    }
    Ok(all)
}

pub fn described(columns: &[Bound]) -> Vec<Column> {
    columns
        .iter()
        .map(|bound| Column {
            name: bound.name.clone().unwrap_or_default(),
            ty: bound.ty,
            nullable: bound.nullable,
            identity: bound.identity,
            plain: bound.table.is_some(),
            table: bound.table.clone().unwrap_or_default(),
        })
        .collect()
}

/// Trouble that was asked for, as far as it strikes this query.
struct Trouble {
    cut: Option<i64>,
    kill: Option<i64>,
    deadlock: Option<i64>,
    pause: Option<Duration>,
}

fn trouble(session: &mut Session) -> Outcome<Trouble> {
    let (shared, database, spid) = (session.shared.clone(), session.database.name.clone(), session.spid);
    let strike = |fault| shared.faults.strike(fault, &database, spid);
    if let Some(number) = strike(Fault::Error) {
        let number = i32::try_from(number).unwrap_or(50_000);
        return Err(SqlError::new(number, format!("Trouble {number} was asked for."))
            .class(if number == 1205 { 13 } else { 16 })
            .into());
    }
    if let Some(seconds) = strike(Fault::Block) {
        let asked = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let patience = u64::try_from(session.settings.lock_timeout).ok().map(Duration::from_millis);
        let patient = patience.is_none_or(|patience| patience >= asked);
        if let Some(signal) = session.signals.wait(patience.unwrap_or(asked).min(asked)) {
            return Err(Failure::Stop(signal));
        }
        if !patient {
            return Err(SqlError::new(1222, "Lock request time out period exceeded.").state(51).into());
        }
    }
    let pause =
        strike(Fault::Slow).and_then(|milliseconds| u64::try_from(milliseconds).ok()).map(Duration::from_millis);
    Ok(Trouble { cut: strike(Fault::Disconnect), kill: strike(Fault::Kill), deadlock: strike(Fault::Deadlock), pause })
}

/// Sends a query's columns and rows.
pub fn stream(session: &mut Session, query: &BoundQuery, parameters: &[Value], fills: &[Fill], reads: bool) -> Outcome {
    transaction::enter(session, false, reads)?;
    let trouble =
        if reads { trouble(session)? } else { Trouble { cut: None, kill: None, deadlock: None, pause: None } };
    fill(&session.engine, fills)?;
    session.tokens();
    let limit = u64::try_from(session.settings.row_count).ok().filter(|limit| *limit > 0);
    let cut = usize::try_from(session.settings.text_size)
        .ok()
        .filter(|size| *size > 0 && *size < i32::MAX.unsigned_abs() as usize);
    let (engine, out, signals) = (&session.engine, &mut session.out, &session.signals);
    let mut statement = engine.sqlite.prepare(&query.sql)?;
    bind_parameters(&mut statement, parameters)?;
    let mut rows = statement.raw_query();
    // The first row is computed before anything is said: an error then comes instead of columns.
    let mut row = rows.next()?;
    let columns = described(&query.columns);
    tokens::columns(out.buffer(), &columns);
    let mut count: u64 = 0;
    while let Some(current) = row {
        if let Some(signal) = signals.raised() {
            return Err(Failure::Stop(signal));
        }
        let strikes =
            |after: Option<i64>| after.is_some_and(|after| u64::try_from(after).is_ok_and(|after| count >= after));
        if strikes(trouble.cut) {
            return Err(Failure::Cut);
        }
        if strikes(trouble.kill) {
            return Err(Failure::Stop(crate::signals::Signal::Killed));
        }
        if strikes(trouble.deadlock) {
            let message = "Transaction was deadlocked on lock resources with another process and has been chosen as the deadlock victim. Rerun the transaction.";
            return Err(SqlError::new(1205, message).class(13).state(51).into());
        }
        write_row(out.buffer(), &columns, current, cut)?;
        out.flow()?;
        count += 1;
        if limit == Some(count) {
            break;
        }
        if let Some(pause) = trouble.pause {
            out.push()?;
            if let Some(signal) = signals.wait(pause) {
                return Err(Failure::Stop(signal));
            }
        }
        row = rows.next()?;
    }
    drop(rows);
    drop(statement);
    session.done_rows(SELECT, count);
    Ok(())
}

fn write_row(into: &mut Vec<u8>, columns: &[Column], row: &rusqlite::Row<'_>, cut: Option<usize>) -> SqlResult<()> {
    let mut values = Vec::with_capacity(columns.len());
    for at in 0..columns.len() {
        values.push(row.get_ref(at)?);
    }
    let start = into.len();
    let outcome = write_values(into, columns, &values, cut);
    if outcome.is_err() {
        // Half a row must not be sent.
        into.truncate(start);
    }
    outcome
}

fn write_values(into: &mut Vec<u8>, columns: &[Column], values: &[ValueRef<'_>], cut: Option<usize>) -> SqlResult<()> {
    let is_null = |value: &ValueRef<'_>| matches!(value, ValueRef::Null);
    let saved: usize = columns
        .iter()
        .zip(values)
        .filter(|(_, value)| is_null(value))
        .map(|(column, _)| encode::null_size(&column.ty))
        .sum();
    let bitmap = columns.len().div_ceil(8);
    // NBCROW where it is the shorter one.
    let compressed = saved > bitmap;
    if compressed {
        into.push(0xd2);
        let start = into.len();
        into.resize(start + bitmap, 0);
        for (at, value) in values.iter().enumerate() {
            if is_null(value) {
                into[start + at / 8] |= 1 << (at % 8);
            }
        }
    } else {
        into.push(0xd1);
    }
    for (column, value) in columns.iter().zip(values) {
        if is_null(value) {
            if !column.nullable {
                return Err(SqlError::new(
                    50_000,
                    format!("column `{}` is NULL but said it never is: a defect of the test server", column.name),
                ));
            }
            if !compressed {
                encode::null(into, &column.ty);
            }
            continue;
        }
        match cut.filter(|_| is_long(&column.ty)) {
            Some(cut) => shortened(into, column, *value, cut)?,
            None => encode::value(into, &column.ty, column.nullable, *value)?,
        }
    }
    Ok(())
}

fn is_long(ty: &Type) -> bool {
    ty.length == MAX && (ty.is_text() || ty.is_binary()) || matches!(ty.kind, Kind::Text | Kind::NText | Kind::Image)
}

/// A long value under SET TEXTSIZE.
fn shortened(into: &mut Vec<u8>, column: &Column, value: ValueRef<'_>, cut: usize) -> SqlResult<()> {
    let mut bytes = encode::bytes(&column.ty, value)?;
    let cut = if column.ty.is_national() { cut / 2 * 2 } else { cut };
    if bytes.len() <= cut {
        return encode::value(into, &column.ty, column.nullable, value);
    }
    bytes.truncate(cut);
    let value = if column.ty.is_national() {
        crate::types::decode::national(&bytes)
    } else if column.ty.is_text() {
        Value::Text(column.ty.collation.decode(&bytes))
    } else {
        Value::Blob(bytes)
    };
    encode::value(into, &column.ty, column.nullable, ValueRef::from(&value))
}
