//! The ends of a key, and the clock.

use rivet_sdk::sql::{self, key_expressions};
use rivet_sdk::{Bounds, BoundsRequest, Error, Result, Scalar};

use crate::database::Database;
use crate::dialect::{self, Sqlite, from};
use crate::split;

/// One seek each, where the key has an index.
pub fn bounds(database: &Database, request: &BoundsRequest) -> Result<Bounds> {
    let limits = database.limited(&request.of.session)?;
    let least = end(database, request, "ASC")?;
    let greatest = end(database, request, "DESC")?;
    let mut without = request.of.clone();
    without.conditions.push(sql::without_key(request));
    let nulls: i64 = database.one(&format!("SELECT count(*) FROM ({})", dialect::select(&[], &without)?))?;
    drop(limits);
    let nulls = u64::try_from(nulls).map_err(|error| Error::internal(error.to_string()))?;
    Ok(Bounds::new(least, greatest, nulls))
}

fn end(database: &Database, request: &BoundsRequest, direction: &str) -> Result<Option<Vec<Scalar>>> {
    let key = key_expressions(&Sqlite, request)?;
    let order: Vec<String> = key.iter().map(|key| format!("{key} {direction}")).collect();
    let sql = format!(
        "SELECT {} FROM {}{} ORDER BY {} LIMIT 1",
        key.join(", "),
        from(&request.of.relation),
        sql::with_key(&Sqlite, request)?,
        order.join(", "),
    );
    let mut statement = database.prepare(&sql)?;
    let mut rows = statement.query([]).map_err(|error| database.fault(error))?;
    let Some(row) = rows.next().map_err(|error| database.fault(error))? else { return Ok(None) };
    (0..key.len())
        .map(|index| {
            let cell = row.get_ref(index).map_err(|error| database.fault(error))?;
            split::scalar(cell).ok_or_else(|| {
                Error::data(format!(
                    "the {} key is text that is not UTF-8",
                    if direction == "ASC" { "least" } else { "greatest" }
                ))
            })
        })
        .collect::<Result<Vec<_>>>()
        .map(Some)
}

/// The machine's clock, as SQLite reads it: to the millisecond.
pub fn clock(database: &Database) -> Result<Scalar> {
    database.one("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now') || '+00'").map(Scalar::Instant)
}
