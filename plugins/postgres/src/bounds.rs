//! The ends of a key, and the server's clock.

use rivet_sdk::sql::{self, columns, key_expressions};
use rivet_sdk::{Bounds, BoundsRequest, Error, Result, Scalar};

use crate::dialect::Postgres;
use crate::plan;
use crate::split::scalar;
use crate::types;
use crate::wire::Wire;

/// Two seeks of the key's index, where there is one; rows without a key are counted only where
/// there can be some.
pub(crate) fn bounds(wire: &mut Wire, version: u32, request: &BoundsRequest) -> Result<Bounds> {
    let (_, available) = plan::look_up(wire, version, &request.of.relation)?;
    let key = columns::find_key(&request.key, &available, &request.of.relation)?;
    let may_lack = columns::may_lack(request, &key);
    let least = end(wire, request, "ASC")?;
    let greatest = if least.is_some() { end(wire, request, "DESC")? } else { None };
    let nulls = if may_lack { without_key(wire, request)? } else { 0 };
    Ok(Bounds::new(least, greatest, nulls))
}

fn end(wire: &mut Wire, request: &BoundsRequest, direction: &str) -> Result<Option<Vec<Scalar>>> {
    let key = key_expressions(&Postgres, request)?;
    let order: Vec<String> = key.iter().map(|key| format!("{key} {direction}")).collect();
    let sql = format!(
        "SELECT {} FROM {}{} ORDER BY {} LIMIT 1",
        key.join(", "),
        sql::from(&Postgres, &request.of.relation),
        sql::with_key(&Postgres, request)?,
        order.join(", "),
    );
    let answer = wire.query(&sql, 0)?;
    let Some(row) = answer.rows.into_iter().next() else { return Ok(None) };
    let missing = || Error::internal("the server gave a key without a value");
    row.into_iter()
        .zip(&answer.columns)
        .map(|(text, column)| scalar(crate::type_name(column.oid), text.ok_or_else(missing)?))
        .collect::<Result<Vec<_>>>()
        .map(Some)
}

fn without_key(wire: &mut Wire, request: &BoundsRequest) -> Result<u64> {
    let mut of = request.of.clone();
    of.limit = None;
    of.order_by = Vec::new();
    of.conditions.push(sql::without_key(request));
    let answer = wire.query(&format!("SELECT count(*) {}", sql::tail(&Postgres, &of)?), 0)?;
    types::number(answer.rows.first().and_then(|row| row.first()).unwrap_or(&None))
}

/// The server's clock, to the microsecond.
pub(crate) fn clock(wire: &mut Wire) -> Result<Scalar> {
    let answer = wire.simple("SELECT pg_catalog.clock_timestamp()")?;
    match answer.rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten() {
        Some(text) => Ok(Scalar::Instant(text)),
        None => Err(Error::internal("the server has no clock")),
    }
}
