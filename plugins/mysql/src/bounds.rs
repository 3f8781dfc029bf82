//! The ends of a key, and the server's clock.

use rivet_sdk::sql::{self, columns, key_expressions};
use rivet_sdk::{Bounds, BoundsRequest, Error, ErrorKind, Result, Scalar};

use crate::catalog::SourceColumn;
use crate::dialect::Mysql;
use crate::keys::is_ordered;
use crate::plan::{self, Setting};
use crate::split::{counted, scalar, shown};
use crate::types::Base;
use crate::wire::Wire;

/// Two seeks of the key's index, where there is one; rows without a key are counted only where
/// there can be some.
pub(crate) fn bounds(wire: &mut Wire, setting: Setting, request: &BoundsRequest) -> Result<Bounds> {
    let (_, available) = plan::look_up(wire, setting.server, &request.of.relation)?;
    let columns = columns::find_key(&request.key, &available, &request.of.relation)?;
    for column in &columns {
        if !is_ordered(column.base()) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("`{}` is {}, which compares in another order than it sorts", column.name, column.source_type),
            )
            .with_hint("name a number, a date or timestamp, a text or a uuid"));
        }
    }
    let bases =
        if request.coalesced { vec![common(&columns)?] } else { columns.iter().map(|column| column.base()).collect() };
    let least = end(wire, request, &bases, "ASC")?;
    let greatest = if least.is_some() { end(wire, request, &bases, "DESC")? } else { None };
    let nulls = if columns::may_lack(request, &columns) { without_key(wire, request)? } else { 0 };
    Ok(Bounds::new(least, greatest, nulls))
}

fn end(wire: &mut Wire, request: &BoundsRequest, bases: &[Base], direction: &str) -> Result<Option<Vec<Scalar>>> {
    let key = key_expressions(&Mysql, request)?;
    let list: Vec<String> = key.iter().zip(bases).map(|(key, base)| shown(key, *base)).collect();
    let order: Vec<String> = key.iter().map(|key| format!("{key} {direction}")).collect();
    let sql = format!(
        "SELECT {} FROM {}{} ORDER BY {} LIMIT 1",
        list.join(", "),
        sql::from(&Mysql, &request.of.relation),
        sql::with_key(&Mysql, request)?,
        order.join(", "),
    );
    let Some(row) = wire.query(&sql)?.rows.into_iter().next() else { return Ok(None) };
    let missing = || Error::internal("the server gave a key without a value");
    row.into_iter()
        .zip(bases)
        .map(|(text, base)| scalar(*base, text.ok_or_else(missing)?))
        .collect::<Result<Vec<_>>>()
        .map(Some)
}

/// What COALESCE makes of its columns. Of kinds that do not mix it makes text, which has another
/// order than any of them.
fn common(columns: &[&SourceColumn]) -> Result<Base> {
    let bases: Vec<Base> = columns.iter().map(|column| column.base()).collect();
    let all = |test: fn(Base) -> bool| bases.iter().all(|base| test(*base));
    let Some(first) = bases.first().copied() else { return Err(Error::internal("a key without columns")) };
    if bases.iter().all(|base| *base == first) {
        return Ok(first);
    }
    if all(|base| matches!(base, Base::Integer(_) | Base::Year | Base::Decimal)) {
        return Ok(Base::Decimal);
    }
    // Shown as doubles, because a float prints fewer digits than it has.
    if all(|base| matches!(base, Base::Integer(_) | Base::Year | Base::Decimal | Base::Float | Base::Double)) {
        return Ok(Base::Float);
    }
    if all(|base| matches!(base, Base::Date | Base::DateTime | Base::Timestamp)) {
        return Ok(Base::DateTime);
    }
    let list: Vec<String> =
        columns.iter().map(|column| format!("`{}` ({})", column.name, column.source_type)).collect();
    Err(Error::new(ErrorKind::Unsupported, format!("{} have no order in common", list.join(" and ")))
        .with_hint("name a fallback of the cursor's own type"))
}

fn without_key(wire: &mut Wire, request: &BoundsRequest) -> Result<u64> {
    let mut of = request.of.clone();
    of.limit = None;
    of.order_by = Vec::new();
    of.conditions.push(sql::without_key(request));
    counted(wire, &of)
}

/// The server's clock, to the microsecond.
pub(crate) fn clock(wire: &mut Wire) -> Result<Scalar> {
    let answer = wire.query("SELECT UTC_TIMESTAMP(6)")?;
    match answer.value() {
        Some(text) => Ok(Scalar::Instant(format!("{text}+00"))),
        None => Err(Error::internal("the server has no clock")),
    }
}
