//! INSERT, UPDATE, DELETE.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use rusqlite::types::{Value, ValueRef};

use super::run::{Failure, Frame, Outcome, bind};
use super::state::Session;
use super::{rows, transaction};
use crate::catalogue::meta::{Column, Object, Table, same};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Body, Expr, From, Name, Query, Source};
use crate::sql::bind::{Binder, Bound, Scope, bind_parameters};
use crate::sql::parser::Parser;
use crate::sql::query::{default, is_default};
use crate::types::{Kind, Type, cast};

const INSERT: u16 = 0xc3;
const DELETE: u16 = 0xc4;
const UPDATE: u16 = 0xc5;

/// A table that a statement may change.
fn target(session: &mut Session, name: &Name, permission: &str, frame: &Frame) -> SqlResult<Table> {
    let env = session.env(&frame.variables)?;
    let binder = Binder::new(env.clone(), &session.engine);
    let (schema, table) = binder.located(name)?;
    match env.meta.object(schema.as_deref(), &table) {
        Some(object @ Object::Table(table)) => {
            binder.allowed(permission, &object)?;
            if env.meta.read_only {
                let message =
                    format!("Failed to update database \"{}\" because the database is read-only.", env.database.name);
                return Err(SqlError::new(3906, message));
            }
            Ok(table.clone())
        }
        Some(Object::View(_)) => Err(SqlError::unsupported("changes through a view")),
        None => Err(SqlError::invalid_object(name.join("."))),
    }
}

/// Runs a change as a whole or not at all.
fn atomically(session: &mut Session, change: impl FnOnce(&mut Session) -> Outcome<u64>) -> Outcome<u64> {
    transaction::enter(session, true, false)?;
    let alone = session.engine.sqlite.is_autocommit();
    session.engine.sqlite.execute_batch(if alone { "BEGIN IMMEDIATE" } else { "SAVEPOINT tds_change" })?;
    let outcome = change(session);
    let end = match (alone, outcome.is_ok()) {
        (true, true) => "COMMIT",
        (true, false) => "ROLLBACK",
        (false, true) => "RELEASE tds_change",
        (false, false) => "ROLLBACK TO tds_change; RELEASE tds_change",
    };
    // An interrupted statement may have rolled everything back already.
    if !session.engine.sqlite.is_autocommit() {
        session.engine.sqlite.execute_batch(end)?;
    }
    outcome
}

/// A rowversion: larger than all before.
fn next_version() -> [u8; 8] {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = cast::now();
    // Seconds since the year 2000 in the high part, so that restarts keep the order.
    let start = u64::try_from(now.days - 730_119).unwrap_or(0) * 86_400 + now.ticks / 10_000_000;
    let start = start << 20;
    let before = LAST.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(last.max(start) + 1));
    (before.unwrap_or(start).max(start) + 1).to_be_bytes()
}

fn version(binder: &Binder<'_>) -> String {
    binder.engine.functions.call(Arc::new(|_: &[ValueRef<'_>]| Ok(Value::Blob(next_version().to_vec()))), true, &[])
}

/// A value on its way into a column.
fn stored(binder: &Binder<'_>, value: &Bound, column: &Column) -> String {
    if value.untyped {
        return "NULL".to_owned();
    }
    let (from, to) = (value.ty, column.ty);
    let assigned = move |values: &[ValueRef<'_>]| cast::assign(values[0], &from, &to);
    binder.engine.functions.call(Arc::new(assigned), false, &[&value.sql])
}

pub fn insert(session: &mut Session, name: &Name, columns: &[String], source: &Source, frame: &Frame) -> Outcome {
    let table = target(session, name, "INSERT", frame)?;
    let explicit = session.settings.identity_insert == Some(table.id);
    let mut targets: Vec<Column> = Vec::new();
    if columns.is_empty() {
        let given =
            table.columns.iter().filter(|column| (column.identity.is_none() || explicit) && column.computed.is_none());
        targets.extend(given.cloned());
    }
    for name in columns {
        let column = table.column(name).ok_or_else(|| SqlError::invalid_column(name))?;
        targets.push(column.clone());
    }
    if let Some(identity) = targets.iter().find(|column| column.identity.is_some() && !explicit) {
        let _ = identity;
        let message = format!(
            "Cannot insert explicit value for identity column in table '{}' when IDENTITY_INSERT is set to OFF.",
            table.name
        );
        return Err(SqlError::new(544, message).into());
    }
    let identity = next_identity(session, &table)?;
    let rows = match source {
        Source::Defaults => vec![Vec::new()],
        Source::Query(query) => match &query.body {
            Body::Values(rows) if query.with.is_empty() && query.order.is_empty() => rows.clone(),
            _ => {
                let change = |session: &mut Session| insert_query(session, &table, &targets, query, &identity, frame);
                let count = atomically(session, change)?;
                session.done_rows(INSERT, count);
                return Ok(());
            }
        },
    };
    if matches!(source, Source::Defaults) {
        targets.clear();
    }
    let count = atomically(session, |session| {
        for row in &rows {
            if row.len() != targets.len() {
                let message = "Column name or number of supplied values does not match table definition.";
                return Err(SqlError::new(213, message).into());
            }
            insert_row(session, &table, &targets, row, &identity, frame)?;
        }
        Ok(u64::try_from(rows.len()).unwrap_or(0))
    })?;
    session.done_rows(INSERT, count);
    Ok(())
}

/// The next value of the identity column, if there is one.
fn next_identity(session: &Session, table: &Table) -> SqlResult<Arc<AtomicI64>> {
    let Some((column, (seed, step))) = table.columns.iter().find_map(|column| column.identity.map(|of| (column, of)))
    else {
        return Ok(Arc::new(AtomicI64::new(0)));
    };
    let extreme = if step < 0 { "MIN" } else { "MAX" };
    let sql = format!("SELECT {extreme}(CAST({} AS INTEGER)) FROM {}", column.stored(), table.stored());
    let last: Option<i64> = session.engine.sqlite.query_row(&sql, [], |row| row.get(0))?;
    Ok(Arc::new(AtomicI64::new(last.map_or(seed, |last| last + step))))
}

/// What a column gets that nobody names.
fn unnamed(binder: &mut Binder<'_>, column: &Column, identity: &Arc<AtomicI64>) -> SqlResult<String> {
    if let Some((_, step)) = column.identity {
        let (identity, to) = (identity.clone(), column.ty);
        let next = move |_: &[ValueRef<'_>]| {
            let value = identity.fetch_add(step, Ordering::SeqCst);
            cast::assign(ValueRef::Integer(value), &Type::new(Kind::BigInt), &to)
        };
        return Ok(binder.engine.functions.call(Arc::new(next), true, &[]));
    }
    if column.ty.kind == Kind::RowVersion {
        return Ok(version(binder));
    }
    match &column.default {
        Some(text) => {
            let expr = Parser::new(text)?.expression()?;
            let value = binder.value(&Scope::default(), &expr)?;
            Ok(stored(binder, &value, column))
        }
        None => Ok("NULL".to_owned()),
    }
}

fn insert_row(
    session: &mut Session,
    table: &Table,
    targets: &[Column],
    row: &[Expr],
    identity: &Arc<AtomicI64>,
    frame: &Frame,
) -> Outcome {
    let (values, parameters, fills, _) = bind(session, frame, |binder| {
        let mut values = Vec::new();
        for column in &table.columns {
            let given = targets.iter().position(|target| target.id == column.id).map(|at| row[at].clone());
            let sql = match given.unwrap_or_else(default) {
                value if is_default(&value) => unnamed(binder, column, identity)?,
                _ if column.ty.kind == Kind::RowVersion => {
                    return Err(SqlError::new(273, "Cannot insert an explicit value into a timestamp column."));
                }
                value => {
                    let bound = binder.value(&Scope::default(), &value)?;
                    stored(binder, &bound, column)
                }
            };
            values.push(sql);
        }
        Ok(values)
    })?;
    rows::fill(&session.engine, &fills)?;
    let sql = format!("INSERT INTO {} VALUES ({})", table.stored(), values.join(", "));
    let mut statement = session.engine.sqlite.prepare(&sql)?;
    bind_parameters(&mut statement, &parameters)?;
    statement.raw_execute().map_err(|error| constraint(error, table))?;
    Ok(())
}

fn insert_query(
    session: &mut Session,
    table: &Table,
    targets: &[Column],
    query: &Query,
    identity: &Arc<AtomicI64>,
    frame: &Frame,
) -> Outcome<u64> {
    let (sql, parameters, fills, _) = bind(session, frame, |binder| {
        let bound = binder.query(&Scope::default(), query)?;
        if bound.columns.len() != targets.len() {
            let number = if bound.columns.len() < targets.len() { 120 } else { 121 };
            return Err(SqlError::new(
                number,
                "The select list for the INSERT statement does not match the insert list.",
            )
            .class(15));
        }
        let mut values = Vec::new();
        for column in &table.columns {
            let given = targets.iter().position(|target| target.id == column.id);
            values.push(match given {
                Some(_) if column.ty.kind == Kind::RowVersion => {
                    return Err(SqlError::new(273, "Cannot insert an explicit value into a timestamp column."));
                }
                Some(at) => stored(binder, &Bound { sql: format!("q.k{at}"), ..bound.columns[at].clone() }, column),
                None => unnamed(binder, column, identity)?,
            });
        }
        Ok(format!("INSERT INTO {} SELECT {} FROM ({}) AS q", table.stored(), values.join(", "), bound.sql))
    })?;
    rows::fill(&session.engine, &fills)?;
    run_change(session, &sql, &parameters, table)
}

fn run_change(session: &mut Session, sql: &str, parameters: &[Value], table: &Table) -> Outcome<u64> {
    let mut statement = session.engine.sqlite.prepare(sql)?;
    bind_parameters(&mut statement, parameters)?;
    let count = statement.raw_execute().map_err(|error| constraint(error, table))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// A broken constraint, in the table's own names.
fn constraint(error: rusqlite::Error, table: &Table) -> Failure {
    let text = error.to_string();
    let mut error = SqlError::from(error);
    if error.number == 515
        && let Some(column) =
            table.columns.iter().find(|column| text.ends_with(&format!("{}.{}", table.stored(), column.stored())))
    {
        let (name, table) = (&column.name, &table.name);
        error.message =
            format!("Cannot insert the value NULL into column '{name}', table '{table}'; column does not allow nulls.");
    }
    if error.number == 2627 {
        error.message = format!(
            "Violation of a UNIQUE or PRIMARY KEY constraint. Cannot insert duplicate key in object '{}'.",
            table.name
        );
    }
    error.into()
}

/// The table itself, in a FROM that says nothing more.
fn simple(from: &[From], name: &Name) -> SqlResult<()> {
    match from {
        [] => Ok(()),
        [From::Table { name: again, alias: None }]
            if again.last().zip(name.last()).is_some_and(|(a, b)| same(a, b)) =>
        {
            Ok(())
        }
        _ => Err(SqlError::unsupported("UPDATE or DELETE with another FROM")),
    }
}

fn shown(table: &Table, schema: &str) -> Vec<String> {
    vec![schema.to_owned(), table.name.clone()]
}

pub fn update(
    session: &mut Session,
    name: &Name,
    sets: &[(String, Expr)],
    from: &[From],
    filter: Option<&Expr>,
    frame: &Frame,
) -> Outcome {
    simple(from, name)?;
    let table = target(session, name, "UPDATE", frame)?;
    let count = atomically(session, |session| {
        let (sql, parameters, fills, _) = bind(session, frame, |binder| {
            let mut scope = Scope::default();
            let schema = binder.env.meta.schema_name(table.schema).to_owned();
            let source = binder.target(&mut scope, shown(&table, &schema), &table);
            let mut assignments = Vec::new();
            for (name, value) in sets {
                let column = table.column(name).ok_or_else(|| SqlError::invalid_column(name))?;
                if column.identity.is_some() {
                    return Err(SqlError::new(8102, format!("Cannot update identity column '{name}'.")));
                }
                let value = if is_default(value) { Expr::Null } else { value.clone() };
                let bound = binder.value(&scope, &value)?;
                assignments.push(format!("{} = {}", column.stored(), stored(binder, &bound, column)));
            }
            for column in table.columns.iter().filter(|column| column.ty.kind == Kind::RowVersion) {
                assignments.push(format!("{} = {}", column.stored(), version(binder)));
            }
            let filter = match filter {
                Some(filter) => format!(" WHERE {}", binder.condition(&scope, filter)?),
                None => String::new(),
            };
            Ok(format!("UPDATE {source} SET {}{filter}", assignments.join(", ")))
        })?;
        rows::fill(&session.engine, &fills)?;
        run_change(session, &sql, &parameters, &table)
    })?;
    session.done_rows(UPDATE, count);
    Ok(())
}

pub fn delete(session: &mut Session, name: &Name, from: &[From], filter: Option<&Expr>, frame: &Frame) -> Outcome {
    simple(from, name)?;
    let table = target(session, name, "DELETE", frame)?;
    let count = atomically(session, |session| {
        let (sql, parameters, fills, _) = bind(session, frame, |binder| {
            let mut scope = Scope::default();
            let schema = binder.env.meta.schema_name(table.schema).to_owned();
            let source = binder.target(&mut scope, shown(&table, &schema), &table);
            let filter = match filter {
                Some(filter) => format!(" WHERE {}", binder.condition(&scope, filter)?),
                None => String::new(),
            };
            Ok(format!("DELETE FROM {source}{filter}"))
        })?;
        rows::fill(&session.engine, &fills)?;
        run_change(session, &sql, &parameters, &table)
    })?;
    session.done_rows(DELETE, count);
    Ok(())
}

pub fn truncate(session: &mut Session, name: &Name, frame: &Frame) -> Outcome {
    let table = target(session, name, "ALTER", frame)?;
    atomically(session, |session| {
        session.engine.sqlite.execute(&format!("DELETE FROM {}", table.stored()), [])?;
        Ok(0)
    })?;
    session.done(0, 0, 0);
    Ok(())
}
