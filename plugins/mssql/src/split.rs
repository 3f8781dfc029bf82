//! Cuts a relation along a key into slices of about equally many rows.
//!
//! Boundaries come from one ordered pass over the key, in the server's own order; with an index on
//! the key that is a scan of the index alone. Whatever is inserted later belongs to some slice,
//! because the first slice has no lower bound and the last no upper one.

use rivet_sdk::sql::{Dialect, where_clause};
use rivet_sdk::{
    Bound, Condition, Error, ErrorKind, ExportRequest, Relation, Result, Scalar, Slice, Split, SplitBy, SplitInto,
    SplitRequest,
};

use crate::plan::{Tail, find};
use crate::session::{ask, whole as number};
use crate::wire::Wire;
use crate::{catalog, keys, physical, rights};

/// No plan needs more.
const MAX_SLICES: u64 = 100_000;

/// Slices of `request.of`.
pub(crate) fn split(wire: &mut Wire, request: &SplitRequest, frozen: bool) -> Result<Split> {
    match &request.by {
        SplitBy::Native => physical::split(wire, request, frozen),
        SplitBy::Range { column } => ranges(wire, request, std::slice::from_ref(column)),
        SplitBy::Keyset { key } => ranges(wire, request, key),
        other => Err(Error::unsupported(format!("this version cannot cut by {other:?}"))),
    }
}

/// Keyset slices are only right over a proven unique key without NULLs.
fn prove_key(wire: &mut Wire, of: &ExportRequest, key: &[String]) -> Result<()> {
    let keys = match &of.relation {
        Relation::Table(name) => {
            let table = catalog::table(wire, name)?;
            keys::keys(wire, &table)?
        }
        _ => Vec::new(),
    };
    let proven = keys.iter().any(|index| {
        index.unique
            && index.columns.iter().all(|column| !column.nullable)
            && index.columns.iter().map(|column| &column.name).eq(key)
    });
    if proven {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unsupported, format!("({}) is not a unique key of {}", key.join(", "), of.relation))
        .with_hint("keyset needs a unique index without a filter, enabled, over NOT NULL columns in this order"))
}

fn ranges(wire: &mut Wire, request: &SplitRequest, key: &[String]) -> Result<Split> {
    let of = &request.of;
    let source = Tail::new(wire, of)?;
    let columns = key.iter().map(|name| find(name, &source.available, of)).collect::<Result<Vec<_>>>()?;
    rights::may_read(&of.relation, columns.iter().copied())?;
    if matches!(request.by, SplitBy::Keyset { .. }) {
        prove_key(wire, of, key)?;
    }
    if let (SplitBy::Range { column }, [of]) = (&request.by, &columns[..])
        && !of.is_ordered()
    {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("`{column}` is a {}, which has no order that ranges could follow", of.source_type),
        )
        .with_hint(
            "numbers, dates and moments, texts, bytes and uniqueidentifier work; without a key, `chunk_by: none`",
        ));
    }
    let rows = rows(wire, &source, of)?;
    let count = wanted(request.into, rows);
    if count <= 1 || rows <= 1 {
        return Ok(Split::new(vec![Slice::new(None, Some(rows))], "not worth cutting"));
    }
    let size = rows.div_ceil(count).max(1);
    let bounds = boundaries(wire, &source, of, key, size)?;
    let nullable = columns.iter().find(|column| !column.not_null).map(|column| column.name.as_str());
    Ok(slices(key, bounds, nullable, size, rows))
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

pub(crate) fn wanted(into: SplitInto, rows: u64) -> u64 {
    match into {
        SplitInto::Count(count) => count,
        SplitInto::Rows(size) => rows.div_ceil(size.max(1)),
        // What is wanted is a wish: one slice is right, too.
        _ => 1,
    }
    .clamp(1, MAX_SLICES)
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
    let narrow = |name: &String| find(name, &source.available, of).is_ok_and(|column| column.is_narrow());
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
    for values in ask(wire, &sql)? {
        // A value of many rows is one boundary.
        if found.last() != Some(&values) {
            found.push(values);
        }
    }
    Ok(found)
}

fn slices(key: &[String], bounds: Vec<Vec<Scalar>>, nullable: Option<&str>, size: u64, rows: u64) -> Split {
    if bounds.is_empty() {
        return Split::new(vec![Slice::new(None, Some(rows))], "one value, not to be cut");
    }
    let method = format!("one pass over the key, a boundary every {size} rows");
    let mut slices = Vec::with_capacity(bounds.len() + 2);
    let mut from = None;
    for to in bounds.into_iter().map(Some).chain([None]) {
        let condition = Condition::Range {
            key: key.to_vec(),
            from: from.take().map(Bound::inclusive),
            to: to.clone().map(Bound::exclusive),
        };
        slices.push(Slice::new(Some(condition), Some(size)));
        from = to;
    }
    if let Some(column) = nullable {
        slices.push(Slice::new(Some(Condition::IsNull { column: column.to_owned() }), None));
    }
    Split::new(slices, method)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_have_no_outer_bounds_and_nulls_have_their_own() {
        let key = ["a".to_owned()];
        let split = slices(&key, vec![vec![Scalar::Integer(5)]], Some("a"), 5, 10);
        let conditions: Vec<_> = split.slices.iter().map(|slice| slice.condition.clone().unwrap()).collect();
        assert!(matches!(&conditions[0], Condition::Range { from: None, to: Some(bound), .. } if !bound.inclusive));
        assert!(matches!(&conditions[1], Condition::Range { from: Some(bound), to: None, .. } if bound.inclusive));
        assert!(matches!(&conditions[2], Condition::IsNull { .. }));
        assert_eq!(slices_of_none().slices, [Slice::new(None, Some(10))]);
    }

    fn slices_of_none() -> Split {
        slices(&["a".to_owned()], Vec::new(), Some("a"), 5, 10)
    }
}
