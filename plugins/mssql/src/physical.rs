//! Cuts a table without a key by where its rows lie, in a database in which nothing moves.
//!
//! A row's place is its file and page. No index leads to it, so every chunk reads the whole table and keeps its own.

use rivet_sdk::sql::{split, where_clause};
use rivet_sdk::{Condition, Error, ErrorKind, NativeSplit, Result, Slice, Split, SplitRequest};

use crate::catalog::{self, Table};
use crate::plan::Tail;
use crate::session::{ask, tolerate, whole};
use crate::wire::Wire;

/// The number of a row's place: its file's, and then its page's. The server writes both with the lowest byte first.
pub(crate) const PLACE: &str = "(CAST(SUBSTRING(%%physloc%%, 1, 1) AS bigint) \
     + CAST(SUBSTRING(%%physloc%%, 2, 1) AS bigint) * 256 \
     + CAST(SUBSTRING(%%physloc%%, 3, 1) AS bigint) * 65536 \
     + CAST(SUBSTRING(%%physloc%%, 4, 1) AS bigint) * 16777216 \
     + CAST(SUBSTRING(%%physloc%%, 5, 1) AS bigint) * 4294967296 \
     + CAST(SUBSTRING(%%physloc%%, 6, 1) AS bigint) * 1099511627776)";

/// Whether the table can be cut so.
pub(crate) fn possible(wire: &mut Wire, table: &Table, frozen: bool) -> Result<NativeSplit> {
    if table.is_view {
        return Ok(NativeSplit::Impossible("a view has no physical ranges".to_owned()));
    }
    if !frozen {
        return Ok(NativeSplit::Impossible(
            "rows move between pages while the database may change; in a READ_ONLY database or a database snapshot \
             they stay"
                .to_owned(),
        ));
    }
    let from = catalog::from(&rivet_sdk::Relation::Table(table.name.clone()), Some(table))?;
    match ask(wire, &format!("SELECT TOP (1) {PLACE} FROM {from}")) {
        Ok(_) => Ok(NativeSplit::Possible),
        // Columnstores and tables in memory have no pages of rows.
        Err(error) => {
            let why = format!("the server does not say where its rows lie: {}", error.message());
            tolerate(error).map(|()| NativeSplit::Impossible(why))
        }
    }
}

/// `PLACE` from one number to another, as a condition.
pub(crate) fn condition(from: Option<u64>, to: Option<u64>) -> Result<String> {
    let mut terms = Vec::new();
    for (place, sign) in [(from, ">="), (to, "<")] {
        let Some(place) = place else { continue };
        let place =
            i64::try_from(place).map_err(|_| Error::config(format!("{place} is not a place of a row in a table")))?;
        terms.push(format!("{PLACE} {sign} CAST({place} AS bigint)"));
    }
    Ok(terms.join(" AND "))
}

/// Slices of about equally many rows.
pub(crate) fn split(wire: &mut Wire, request: &SplitRequest, frozen: bool) -> Result<Split> {
    let of = &request.of;
    let source = Tail::new(wire, of)?;
    let possible = match &source.table {
        Some(table) => possible(wire, table, frozen)?,
        None => NativeSplit::Impossible("a query has no physical ranges".to_owned()),
    };
    if let NativeSplit::Impossible(why) = possible {
        let text = format!("{} cannot be cut by where its rows lie: {why}", of.relation);
        return Err(Error::new(ErrorKind::Unsupported, text));
    }
    let rows = crate::split::rows(wire, &source, of)?;
    let count = split::wanted(request.into, Some(rows));
    if count <= 1 || rows <= 1 {
        return Ok(split::whole(Some(rows), "not worth cutting"));
    }
    let size = rows.div_ceil(count).max(1);
    let sql = format!(
        "SELECT DISTINCT [rivet_place] FROM (SELECT {PLACE} AS [rivet_place], \
         ROW_NUMBER() OVER (ORDER BY {PLACE}) AS [rivet_n] FROM {}{}) AS [rivet_places] \
         WHERE [rivet_n] > 1 AND ([rivet_n] - 1) % {size} = 0 ORDER BY [rivet_place]",
        source.from,
        where_clause(&source.dialect, &of.conditions)?
    );
    let place = |row: Vec<rivet_sdk::Scalar>| row.first().and_then(whole).and_then(|place| u64::try_from(place).ok());
    let found = ask(wire, &sql)?.into_iter().map(place).collect::<Option<Vec<u64>>>();
    let found = found.ok_or_else(|| Error::internal("the server wrote a row's place that is no number"))?;
    let ends = found.iter().copied().map(Some).chain([None]);
    let starts = [None].into_iter().chain(found.iter().copied().map(Some));
    let slice = |(from, to)| Slice::new(Some(Condition::Native { from, to }), Some(size));
    let slices = starts.zip(ends).map(slice).collect();
    Ok(Split::new(slices, "one pass over the rows' pages; each chunk reads the whole table"))
}
