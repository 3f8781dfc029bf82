//! The values of expressions that stand alone.

use rusqlite::types::{Value, ValueRef};

use super::rows;
use super::run::{Frame, bind};
use super::state::Session;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::Expr;
use crate::sql::bind::{Bound, BoundQuery, Scope};
use crate::types::{Kind, Type, cast, encode};

/// The value of an expression that stands alone.
pub fn evaluate(session: &mut Session, expr: &Expr, frame: &Frame) -> SqlResult<(Type, Value)> {
    let (bound, parameters, fills, _) = bind(session, frame, |binder| binder.value(&Scope::default(), expr))?;
    let query = BoundQuery { sql: format!("SELECT {}", bound.sql), columns: vec![bound.clone()] };
    let rows = rows::collect(session, &query, &parameters, &fills)?;
    Ok((bound.ty, rows.into_iter().next().and_then(|row| row.into_iter().next()).unwrap_or(Value::Null)))
}

pub fn text_of(session: &mut Session, expr: &Expr, frame: &Frame) -> SqlResult<Option<String>> {
    let (ty, value) = evaluate(session, expr, frame)?;
    let text = Type::of_length(Kind::NVarChar, crate::types::MAX);
    match cast::cast(ValueRef::from(&value), &ty, &text, None)? {
        Value::Null => Ok(None),
        value => Ok(Some(encode::text(&text, ValueRef::from(&value))?.to_owned())),
    }
}

pub fn integer_of(session: &mut Session, expr: &Expr, frame: &Frame) -> SqlResult<i64> {
    let (ty, value) = evaluate(session, expr, frame)?;
    match cast::cast(ValueRef::from(&value), &ty, &Type::new(Kind::BigInt), None)? {
        Value::Integer(value) => Ok(value),
        _ => Err(SqlError::new(8114, "A number is missing.")),
    }
}

pub fn holds(session: &mut Session, condition: &Expr, frame: &Frame) -> SqlResult<bool> {
    let (sql, parameters, fills, _) = bind(session, frame, |binder| binder.condition(&Scope::default(), condition))?;
    let truth = Bound::new(String::new(), Type::new(Kind::Int));
    let query = BoundQuery { sql: format!("SELECT CASE WHEN {sql} THEN 1 ELSE 0 END"), columns: vec![truth] };
    let rows = rows::collect(session, &query, &parameters, &fills)?;
    Ok(rows.first().and_then(|row| row.first()) == Some(&Value::Integer(1)))
}
