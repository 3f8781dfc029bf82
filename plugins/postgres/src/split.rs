//! Cuts a relation into slices of about equal rows.
//!
//! Boundaries come from statistics or a sample, so they may be stale: that skews sizes and
//! nothing else, because the first slice has no lower bound and the last no upper one.

use rivet_sdk::sql::{self, Dialect, columns, quote_text, split};
use rivet_sdk::{
    Condition, Error, ErrorKind, ExportRequest, NativeSplit, Result, Scalar, Slice, Split, SplitBy, SplitRequest,
};

use crate::catalog::{self, SourceColumn, Table};
use crate::dialect::Postgres;
use crate::keys::{is_ordered, is_rangeable};
use crate::plan;
use crate::types::Types;
use crate::wire::Wire;

/// Rows sampled for each wanted slice, and in all.
const SAMPLE_PER_SLICE: u64 = 200;
const SAMPLE_ROWS: u64 = 1_000_000;

/// Slices of `request.of`.
pub(crate) fn split(wire: &mut Wire, version: u32, request: &SplitRequest) -> Result<Split> {
    match &request.by {
        SplitBy::Native => native(wire, version, request),
        SplitBy::Range { column } => ranges(wire, version, request, std::slice::from_ref(column)),
        SplitBy::Keyset { key } => ranges(wire, version, request, key),
        other => Err(Error::unsupported(format!("this version cannot cut by {other:?}"))),
    }
}

fn native(wire: &mut Wire, version: u32, request: &SplitRequest) -> Result<Split> {
    let description = catalog::describe(wire, version, &request.of.relation)?;
    if let NativeSplit::Impossible(reason) = description.native {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("{} cannot be cut by blocks: {reason}", request.of.relation),
        ));
    }
    let Some(name) = request.of.relation.table() else { return Err(Error::internal("blocks of a query")) };
    let table = catalog::table(wire, version, name)?;
    let blocks = catalog::blocks(wire, &table)?;
    let count = split::wanted(request.into, description.rows).min(blocks.max(1));
    let method = format!("{blocks} blocks");
    if count <= 1 {
        return Ok(split::whole(description.rows, method));
    }
    let edge = |index: u64| u64::try_from(u128::from(blocks) * u128::from(index) / u128::from(count)).ok();
    let slices = (0..count)
        .map(|index| {
            Slice::new(
                Some(Condition::Native {
                    from: edge(index).filter(|_| index > 0),
                    // Blocks added since belong to the last slice.
                    to: edge(index + 1).filter(|_| index + 1 < count),
                }),
                description.rows.map(|rows| rows / count),
            )
        })
        .collect();
    Ok(Split::new(slices, method))
}

fn ranges(wire: &mut Wire, version: u32, request: &SplitRequest, key: &[String]) -> Result<Split> {
    let of = &request.of;
    let (table, available) = plan::look_up(wire, version, &of.relation)?;
    let columns = columns::find_key(key, &available, &of.relation)?;
    if matches!(request.by, SplitBy::Keyset { .. }) {
        let keys = catalog::describe(wire, version, &of.relation)?.keys;
        let needed = "keyset needs a full unique index, valid and immediate, over NOT NULL columns in this order";
        split::prove(&keys, key, &of.relation, needed)?;
    }
    let mut types = Types::default();
    types.load(wire, version, columns.iter().map(|column| column.oid))?;
    let names: Vec<&str> = columns.iter().map(|column| types.base_name(column.oid).unwrap_or("nested")).collect();
    if let (SplitBy::Range { column }, [name]) = (&request.by, &names[..])
        && !is_ordered(name)
    {
        let ordered =
            "numbers, dates and moments, texts, bytea and uuid work; a unique key of any type works with keyset";
        return Err(split::no_order(column, name, ordered));
    }
    let rows = estimate(wire, of, table.as_ref())?;
    let count = split::wanted(request.into, rows);
    if count <= 1 {
        return Ok(split::whole(rows, "not worth cutting"));
    }
    let histogram = match (&table, &columns[..], &names[..]) {
        (Some(table), [column], [name]) if of.conditions.is_empty() && is_rangeable(name) => {
            from_statistics(wire, table, column, name, count)?
        }
        _ => None,
    };
    let (bounds, method) = match histogram {
        Some(found) => found,
        None => sampled(wire, of, table.as_ref(), &columns, count, rows)?,
    };
    let bounds = bounds
        .into_iter()
        .map(|values| values.into_iter().zip(&names).map(|(text, name)| scalar(name, text)).collect::<Result<Vec<_>>>())
        .collect::<Result<Vec<_>>>()?;
    Ok(split::even_slices(key, bounds, split::nullable(&columns), rows, method))
}

fn estimate(wire: &mut Wire, of: &ExportRequest, table: Option<&Table>) -> Result<Option<u64>> {
    if let Some(table) = table
        && of.conditions.is_empty()
    {
        let (rows, _) = catalog::size(wire, table)?;
        if rows.is_some() {
            return Ok(rows);
        }
    }
    Ok(catalog::explain(wire, &format!("SELECT 1 {}", sql::tail(&Postgres, of)?))?.0)
}

type Boundaries = (Vec<Vec<String>>, String);

/// Boundaries from pg_stats; None where it has too few bounds for `count` slices.
fn from_statistics(
    wire: &mut Wire,
    table: &Table,
    column: &SourceColumn,
    name: &str,
    count: u64,
) -> Result<Option<Boundaries>> {
    let inherited = table.class == 'p' || table.has_children;
    // Between two bounds lie equally many rows; common values have their own share.
    let sql = format!(
        "WITH stats AS (SELECT histogram_bounds::text::pg_catalog.{name}[] AS bounds, \
         most_common_vals::text::pg_catalog.{name}[] AS common, most_common_freqs AS shares, \
         coalesce(null_frac, 0)::float8 AS nulls FROM pg_catalog.pg_stats \
         WHERE schemaname = {schema} AND tablename = {table} AND attname = {column} AND inherited = {inherited}), \
         points AS (SELECT unnest(bounds) AS point, NULL::float8 AS share FROM stats \
         UNION ALL SELECT unnest(common), unnest(shares)::float8 FROM stats) \
         SELECT p.point::text AS bound, p.share, (SELECT nulls FROM stats) FROM points AS p \
         ORDER BY p.point, p.share NULLS FIRST",
        schema = quote_text(table.name.schema.as_deref().unwrap_or_default()),
        table = quote_text(&table.name.name),
        column = quote_text(&column.name),
    );
    let rows = wire.simple(&sql)?.rows;
    let points: Vec<(String, Option<f64>)> = rows
        .iter()
        .filter_map(|row| Some((row.first()?.clone()?, row.get(1)?.as_deref().and_then(|share| share.parse().ok()))))
        .collect();
    let nulls: f64 = rows.first().and_then(|row| row.get(2)?.as_deref()?.parse().ok()).unwrap_or(0.0);
    let bounds = points.iter().filter(|(_, share)| share.is_none()).count();
    let common = points.len() - bounds;
    if u64::try_from(bounds + common).unwrap_or(0) < count.saturating_mul(2) {
        return Ok(None);
    }
    let found = cut(&points, nulls, count).into_iter().map(|point| vec![point]).collect();
    Ok(Some((found, format!("histogram of {bounds} bounds and {common} common values"))))
}

/// Points before which about 1/count, 2/count … of the rows lie.
fn cut(points: &[(String, Option<f64>)], nulls: f64, count: u64) -> Vec<String> {
    let buckets = points.iter().filter(|(_, share)| share.is_none()).count().saturating_sub(1);
    let common: f64 = points.iter().filter_map(|(_, share)| *share).sum();
    let total = (1.0 - nulls).max(common).max(f64::MIN_POSITIVE);
    let buckets = f64::from(u32::try_from(buckets).unwrap_or(u32::MAX));
    let bucket = if buckets > 0.0 { (total - common).max(0.0) / buckets } else { 0.0 };
    let slice = total / f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let mut found: Vec<String> = Vec::new();
    let mut before = 0.0;
    let mut next = slice;
    let mut first = true;
    for (point, share) in points {
        if share.is_none() && !std::mem::take(&mut first) {
            before += bucket;
        }
        // A hair's breadth of tolerance, for sums of shares.
        if before + slice * 1e-6 >= next {
            if found.last() != Some(point) {
                found.push(point.clone());
            }
            while next <= before + slice * 1e-6 {
                next += slice;
            }
        }
        before += share.unwrap_or(0.0);
    }
    found.truncate(usize::try_from(count.saturating_sub(1)).unwrap_or(usize::MAX));
    found
}

/// Boundaries from a sample of the rows, or from all of them where nothing can be sampled.
fn sampled(
    wire: &mut Wire,
    of: &ExportRequest,
    table: Option<&Table>,
    key: &[&SourceColumn],
    count: u64,
    rows: Option<u64>,
) -> Result<Boundaries> {
    let target = (count.saturating_mul(SAMPLE_PER_SLICE)).clamp(10_000, SAMPLE_ROWS);
    let can_sample = table.is_some_and(|table| matches!(table.class, 'r' | 'p' | 'm'));
    let part = rows.filter(|rows| can_sample && of.limit.is_none() && *rows > target.saturating_mul(2));
    let (sample, method) = match part {
        Some(rows) => {
            let thousandths = u128::from(target) * 100_000 / u128::from(rows.max(1));
            let percent = format!("{}.{:03}", thousandths / 1000, (thousandths % 1000).max(1));
            (format!(" TABLESAMPLE SYSTEM ({percent}) REPEATABLE (1)"), format!("sample of {percent} %"))
        }
        None => (String::new(), "one pass over the key".to_owned()),
    };
    let names: Vec<String> = key.iter().map(|column| Postgres.name(&column.name)).collect();
    let texts: Vec<String> = (0..key.len()).map(|index| format!("k{index}::text")).collect();
    let aliased: Vec<String> = names.iter().enumerate().map(|(index, name)| format!("{name} AS k{index}")).collect();
    let order: Vec<String> = (0..key.len()).map(|index| format!("k{index}")).collect();
    let relation = sql::from(&Postgres, &of.relation);
    let conditions = sql::where_clause(&Postgres, &of.conditions)?;
    let not_null: Vec<String> = names.iter().map(|name| format!("{name} IS NOT NULL")).collect();
    let joint = if conditions.is_empty() { " WHERE " } else { " AND " };
    let order = order.join(", ");
    let sql = format!(
        "SELECT {texts} FROM (SELECT {order}, row_number() OVER (ORDER BY {order}) - 1 AS n, count(*) OVER () AS c \
         FROM (SELECT {aliased} FROM {relation}{sample}{conditions}{joint}{not_null}) AS rivet_keys) AS rivet_sample \
         WHERE n > 0 AND n * {count} / c <> (n - 1) * {count} / c ORDER BY n",
        texts = texts.join(", "),
        aliased = aliased.join(", "),
        not_null = not_null.join(" AND "),
    );
    let mut found: Vec<Vec<String>> = Vec::new();
    for row in wire.query(&sql, 0)?.rows {
        let values = row.into_iter().collect::<Option<Vec<String>>>();
        if let Some(values) = values {
            split::add(&mut found, values);
        }
    }
    Ok((found, method))
}

/// A text of the server as a typed bound.
pub(crate) fn scalar(name: &str, text: String) -> Result<Scalar> {
    Ok(match name {
        "bool" => Scalar::Boolean(text.starts_with('t')),
        "int2" | "int4" | "int8" | "oid" | "xid" | "cid" => Scalar::Integer(
            text.parse().map_err(|_| Error::internal(format!("the server wrote `{text}` for an integer")))?,
        ),
        "numeric" => Scalar::Decimal(text),
        "float4" | "float8" => Scalar::Float(text),
        "date" => Scalar::Date(text),
        "time" => Scalar::Time(text),
        "timestamp" => Scalar::Timestamp(text),
        "timestamptz" => Scalar::Instant(text),
        "uuid" => Scalar::Uuid(text),
        "bytea" => Scalar::Bytes(text.strip_prefix("\\x").unwrap_or(&text).to_owned()),
        _ => Scalar::Text(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(bounds: &[(&str, Option<f64>)]) -> Vec<(String, Option<f64>)> {
        bounds.iter().map(|(point, share)| ((*point).to_owned(), *share)).collect()
    }

    #[test]
    fn a_histogram_is_cut_into_equal_parts() {
        let histogram = points(&[("0", None), ("10", None), ("20", None), ("1000", None), ("5000", None)]);
        assert_eq!(cut(&histogram, 0.0, 4), ["10", "20", "1000"]);
        assert_eq!(cut(&histogram, 0.5, 2), ["20"]);
    }

    #[test]
    fn a_common_value_counts_as_many_rows_as_it_has() {
        let skewed = points(&[("1", Some(0.8)), ("2", None), ("3", None), ("4", None)]);
        assert_eq!(cut(&skewed, 0.0, 2), ["2"]);
    }
}
