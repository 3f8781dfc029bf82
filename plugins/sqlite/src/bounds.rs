//! The ends of a key, and the clock.

use rivet_sdk::sql::{self, key_expressions};
use rivet_sdk::{Bounds, BoundsRequest, Error, Result, Scalar};

use crate::database::Database;
use crate::dialect::{self, Sqlite, from};
use crate::order::Order;
use crate::split;

/// One seek each, where the key has an index and is compared as it is stored.
pub fn bounds(database: &Database, request: &BoundsRequest, order: &Order) -> Result<Bounds> {
    let least = end(database, request, order, "ASC")?;
    let greatest = end(database, request, order, "DESC")?;
    let mut without = request.of.clone();
    without.conditions.push(sql::without_key(request));
    let nulls: i64 = database.one(&format!("SELECT count(*) FROM ({})", dialect::select(&[], &without, order)?))?;
    database.check()?;
    let nulls = u64::try_from(nulls).map_err(|error| Error::internal(error.to_string()))?;
    Ok(Bounds::new(least, greatest, nulls))
}

fn end(database: &Database, request: &BoundsRequest, order: &Order, direction: &str) -> Result<Option<Vec<Scalar>>> {
    let key = key_expressions(&Sqlite, request)?;
    let compared = match request.coalesced {
        true => vec![order.coalesced(&request.key)?],
        false => request.key.iter().map(|column| order.key(column)).collect(),
    };
    let sorted: Vec<String> = compared.iter().map(|key| format!("{key} {direction}")).collect();
    let filter = order.filter(&request.of.conditions)?;
    let there: Vec<String> = key.iter().map(|key| format!("{key} IS NOT NULL")).collect();
    let sql = format!(
        "SELECT {} FROM {}{filter}{}{} ORDER BY {} LIMIT 1",
        key.join(", "),
        from(&request.of.relation),
        if filter.is_empty() { " WHERE " } else { " AND " },
        there.join(" AND "),
        sorted.join(", "),
    );
    let mut statement = database.prepare(&sql)?;
    let mut rows = statement.query([]).map_err(|error| database.fault(error))?;
    let Some(row) = rows.next().map_err(|error| database.fault(error))? else { return Ok(None) };
    (0..key.len())
        .map(|index| {
            let cell = row.get_ref(index).map_err(|error| database.fault(error))?;
            let cell = split::scalar(cell).ok_or_else(|| {
                Error::data(format!(
                    "the {} key is text that is not UTF-8",
                    if direction == "ASC" { "least" } else { "greatest" }
                ))
            })?;
            let among =
                if request.coalesced { &request.key[..] } else { request.key.get(index..=index).unwrap_or(&[]) };
            order.bound(among, cell)
        })
        .collect::<Result<Vec<_>>>()
        .map(Some)
}

/// The machine's clock, as SQLite reads it: to the millisecond.
pub fn clock(database: &Database) -> Result<Scalar> {
    database.one("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now') || '+00'").map(Scalar::Instant)
}
