//! The ends of a key, and the server's clock.

use rivet_sdk::sql::{self, columns, key_expressions};
use rivet_sdk::{Bounds, BoundsRequest, Error, ErrorKind, Result, Scalar};

use crate::plan::Tail;
use crate::session::{ask, whole};
use crate::types::{SourceColumn, wide};
use crate::wire::Wire;

/// Two seeks of the key's index, where there is one; rows without a key are counted only where
/// there can be some.
pub(crate) fn bounds(wire: &mut Wire, request: &BoundsRequest) -> Result<Bounds> {
    let source = Tail::new(wire, &request.of)?;
    let columns = columns::find_key(&request.key, &source.available, &request.of.relation)?;
    for column in &columns {
        if !column.is_ordered() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("`{}` is {}, which has no order to find its ends in", column.name, column.source_type),
            )
            .with_hint("name a number, a date or moment, a text or a uniqueidentifier"));
        }
    }
    let least = end(wire, &source, request, &columns, "ASC")?;
    let greatest = if least.is_some() { end(wire, &source, request, &columns, "DESC")? } else { None };
    let nulls = if columns::may_lack(request, &columns) { without_key(wire, &source, request)? } else { 0 };
    Ok(Bounds::new(least, greatest, nulls))
}

fn end(
    wire: &mut Wire,
    source: &Tail,
    request: &BoundsRequest,
    columns: &[&SourceColumn],
    direction: &str,
) -> Result<Option<Vec<Scalar>>> {
    let key = key_expressions(&source.dialect, request)?;
    let list: Vec<String> = if request.coalesced {
        key.iter().map(|key| format!("{} AS [rivet_0]", shown(key, columns))).collect()
    } else {
        let each = key.iter().zip(columns).map(|(key, column)| shown(key, std::slice::from_ref(column)));
        each.enumerate().map(|(index, shown)| format!("{shown} AS [rivet_{index}]")).collect()
    };
    let order: Vec<String> = key.iter().map(|key| format!("{key} {direction}")).collect();
    let sql = format!(
        "SELECT TOP (1) {} FROM {}{} ORDER BY {}",
        list.join(", "),
        source.from,
        sql::with_key(&source.dialect, request)?,
        order.join(", "),
    );
    Ok(ask(wire, &sql)?.into_iter().next())
}

/// The expression whose value loses nothing: texts in a code page are shown in Unicode, and the
/// few digits of a real as those of the float it equals.
fn shown(key: &str, columns: &[&SourceColumn]) -> String {
    if columns.iter().all(|column| column.is_narrow()) {
        let short = columns.iter().all(|column| wide(column) == "nvarchar(4000)");
        return format!("CAST({key} AS {})", if short { "nvarchar(4000)" } else { "nvarchar(max)" });
    }
    if columns.iter().any(|column| column.base == "real") {
        return format!("CAST({key} AS float)");
    }
    key.to_owned()
}

fn without_key(wire: &mut Wire, source: &Tail, request: &BoundsRequest) -> Result<u64> {
    let mut of = request.of.clone();
    of.limit = None;
    of.order_by = Vec::new();
    of.conditions.push(sql::without_key(request));
    let rows = ask(wire, &source.count(&of)?)?;
    let count = rows.first().and_then(|row| row.first()).and_then(whole);
    count
        .and_then(|count| u64::try_from(count).ok())
        .ok_or_else(|| Error::internal("the server counted without a number"))
}

/// The server's clock, with its offset.
pub(crate) fn clock(wire: &mut Wire) -> Result<Scalar> {
    match ask(wire, "SELECT SYSDATETIMEOFFSET()")?.into_iter().next().and_then(|row| row.into_iter().next()) {
        Some(instant @ Scalar::Instant(_)) => Ok(instant),
        _ => Err(Error::internal("the server has no clock")),
    }
}
