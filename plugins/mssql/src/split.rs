//! Cuts a relation along a key into slices of about equally many rows.
//!
//! Boundaries come from one ordered pass over the key, in the server's own order; with an index on
//! the key that is a scan of the index alone. Whatever is inserted later belongs to some slice,
//! because the first slice has no lower bound and the last no upper one.

use rivet_sdk::sql::{Dialect, columns, split, where_clause};
use rivet_sdk::{Error, ExportRequest, Key, Relation, Result, Scalar, Split, SplitBy, SplitRequest};

use crate::plan::Tail;
use crate::session::{ask, whole as number};
use crate::wire::Wire;
use crate::{catalog, keys, physical};

/// Slices of `request.of`.
pub(crate) fn split(wire: &mut Wire, request: &SplitRequest, frozen: bool) -> Result<Split> {
    match &request.by {
        SplitBy::Native => physical::split(wire, request, frozen),
        SplitBy::Range { column } => ranges(wire, request, std::slice::from_ref(column)),
        SplitBy::Keyset { key } => ranges(wire, request, key),
        other => Err(Error::unsupported(format!("this version cannot cut by {other:?}"))),
    }
}

/// The keys of what is read; a query has none.
fn keys_of(wire: &mut Wire, relation: &Relation) -> Result<Vec<Key>> {
    match relation {
        Relation::Table(name) => {
            let table = catalog::table(wire, name)?;
            keys::keys(wire, &table)
        }
        _ => Ok(Vec::new()),
    }
}

fn ranges(wire: &mut Wire, request: &SplitRequest, key: &[String]) -> Result<Split> {
    let of = &request.of;
    let source = Tail::new(wire, of)?;
    let columns = columns::find_key(key, &source.available, &of.relation)?;
    if matches!(request.by, SplitBy::Keyset { .. }) {
        let needed = "keyset needs a unique index without a filter, enabled, over NOT NULL columns in this order";
        split::prove(&keys_of(wire, &of.relation)?, key, &of.relation, needed)?;
    }
    if let (SplitBy::Range { column }, [of]) = (&request.by, &columns[..])
        && !of.is_ordered()
    {
        let ordered =
            "numbers, dates and moments, texts, bytes and uniqueidentifier work; without a key, `chunk_by: none`";
        return Err(split::no_order(column, &of.source_type, ordered));
    }
    let rows = rows(wire, &source, of)?;
    let count = split::wanted(request.into, Some(rows));
    if count <= 1 || rows <= 1 {
        return Ok(split::whole(Some(rows), "not worth cutting"));
    }
    let size = rows.div_ceil(count).max(1);
    let bounds = boundaries(wire, &source, of, key, size)?;
    if bounds.is_empty() {
        return Ok(split::whole(Some(rows), "one value, not to be cut"));
    }
    let method = format!("one pass over the key, a boundary every {size} rows");
    Ok(split::slices(key, bounds, split::nullable(&columns), Some(size), method))
}

/// How many rows the request has: estimated, or counted where nobody has an estimate.
pub(crate) fn rows(wire: &mut Wire, source: &Tail, of: &ExportRequest) -> Result<u64> {
    let estimate = match (&source.table, of.conditions.is_empty()) {
        (Some(table), true) => catalog::estimate(wire, table)?.0,
        _ => None,
    };
    // A relative of SQL Server may say 0 of every table, and an empty one is counted in no time.
    if let Some(rows) = estimate.filter(|rows| *rows > 0) {
        return Ok(rows);
    }
    let answer = ask(wire, &source.count(of)?)?;
    let count = answer.first().and_then(|row| row.first()).and_then(number);
    count
        .and_then(|count| u64::try_from(count).ok())
        .ok_or_else(|| Error::internal("the server counted without a number"))
}

/// The first key of every slice but the first.
fn boundaries(
    wire: &mut Wire,
    source: &Tail,
    of: &ExportRequest,
    key: &[String],
    size: u64,
) -> Result<Vec<Vec<Scalar>>> {
    let names: Vec<String> = key.iter().map(|column| source.dialect.name(column)).collect();
    let list = names.join(", ");
    // Texts in a code page are shown in Unicode, and written back in the column's own.
    let narrow = |name: &String| source.available.iter().any(|column| column.name == *name && column.is_narrow());
    let shown: Vec<String> = key
        .iter()
        .zip(&names)
        .enumerate()
        .map(|(index, (column, name))| match narrow(column) {
            true => format!("CAST({name} AS nvarchar(4000)) AS [rivet_{index}]"),
            false => name.clone(),
        })
        .collect();
    let shown = shown.join(", ");
    let not_null = names.iter().map(|name| format!("{name} IS NOT NULL")).collect::<Vec<_>>().join(" AND ");
    let conditions = where_clause(&source.dialect, &of.conditions)?;
    let joint = if conditions.is_empty() { " WHERE " } else { " AND " };
    let sql = format!(
        "SELECT {shown} FROM (SELECT {list}, ROW_NUMBER() OVER (ORDER BY {list}) AS [rivet_n] \
         FROM {}{conditions}{joint}{not_null}) AS [rivet_keys] \
         WHERE [rivet_n] > 1 AND ([rivet_n] - 1) % {size} = 0 ORDER BY [rivet_n]",
        source.from
    );
    let mut found: Vec<Vec<Scalar>> = Vec::new();
    ask(wire, &sql)?.into_iter().for_each(|values| split::add(&mut found, values));
    Ok(found)
}
