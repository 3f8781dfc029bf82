//! Cuts a relation into slices of about equal rows.
//!
//! Boundaries may be stale or skewed: that changes sizes and nothing else, because the first
//! slice has no lower bound and the last no upper one.

use rivet_sdk::sql::{self, Dialect, columns, split};
use rivet_sdk::{Bound, Condition, Error, ErrorKind, ExportRequest, Result, Scalar, Split, SplitBy, SplitRequest};

use crate::catalog::{self, SourceColumn};
use crate::dialect::Mysql;
use crate::estimate;
use crate::keys::is_ordered;
use crate::plan::{self, Setting};
use crate::types::Base;
use crate::wire::Wire;

/// Up to here rows are counted; the estimate of a larger table is good enough.
const COUNTED_ROWS: u64 = 500_000;
/// How many boundaries back a value counts as met before.
const SPELLINGS: usize = 16;

/// Slices of `request.of`.
pub(crate) fn split(wire: &mut Wire, setting: Setting, request: &SplitRequest) -> Result<Split> {
    match &request.by {
        SplitBy::Native => Err(Error::new(
            ErrorKind::Unsupported,
            format!("{} cannot be cut by physical ranges: MySQL has none", request.of.relation),
        )),
        SplitBy::Range { column } => ranges(wire, setting, request, std::slice::from_ref(column)),
        SplitBy::Keyset { key } => ranges(wire, setting, request, key),
        other => Err(Error::unsupported(format!("this version cannot cut by {other:?}"))),
    }
}

fn ranges(wire: &mut Wire, setting: Setting, request: &SplitRequest, key: &[String]) -> Result<Split> {
    let of = &request.of;
    let (table, available) = plan::look_up(wire, setting.server, &of.relation)?;
    let columns = columns::find_key(key, &available, &of.relation)?;
    if matches!(request.by, SplitBy::Keyset { .. }) {
        let keys = catalog::describe(wire, setting.server, &of.relation)?.keys;
        let needed = "keyset needs a full, visible unique index over NOT NULL columns in this order, none of them an \
                      enum or a set";
        split::prove(&keys, key, &of.relation, needed)?;
    }
    if let (SplitBy::Range { column }, [source]) = (&request.by, &columns[..])
        && !is_ordered(source.base())
    {
        let ordered = "numbers, dates and moments, texts and bytes work; without a key, `chunk_by: none`";
        return Err(split::no_order(column, &source.source_type, ordered));
    }
    let estimate = match &table {
        Some(table) if of.conditions.is_empty() && table.rows.is_some() => table.rows,
        _ => catalog::explained_rows(wire, &format!("SELECT 1 {}", sql::tail(&Mysql, of)?))?,
    };
    if split::wanted(request.into, estimate) <= 1 && estimate.is_some_and(|rows| rows > COUNTED_ROWS) {
        return Ok(split::whole(estimate, "not worth cutting"));
    }
    let indexed = match &table {
        Some(_) => is_indexed(wire, setting, of, key)?,
        None => false,
    };
    // Over an index of a large table, the optimiser's dives know where the rows are.
    let rows = estimate.filter(|rows| *rows > COUNTED_ROWS);
    let (bounds, rows, method) = match (rows, &columns[..]) {
        (Some(rows), [column]) if indexed && estimate::works_over(column.base()) => {
            let count = split::wanted(request.into, Some(rows));
            (estimate::boundaries(wire, of, column, count)?, Some(rows), "row estimates of the index")
        }
        (rows, _) => {
            let rows = match rows {
                Some(rows) => rows,
                None => counted(wire, of)?,
            };
            let count = split::wanted(request.into, Some(rows));
            let walker = Walker { of, key, columns: &columns };
            let step = rows.div_ceil(count.max(1)).max(1);
            let bounds = match (count, indexed) {
                (..=1, _) => Vec::new(),
                (_, true) => walker.seek(wire, step, count)?,
                (_, false) => walker.pass(wire, setting, rows, step, count)?,
            };
            let method = match (bounds.is_empty(), indexed) {
                (true, _) => "not worth cutting",
                (_, true) => "seeks along the index",
                (_, false) => "one pass over the key",
            };
            (bounds, Some(rows), method)
        }
    };
    Ok(split::even_slices(key, bounds, split::nullable(&columns), rows, method))
}

pub(crate) fn counted(wire: &mut Wire, of: &ExportRequest) -> Result<u64> {
    let rows = wire.query(&format!("SELECT COUNT(*) FROM (SELECT 1 {}) AS rivet_count", sql::tail(&Mysql, of)?))?;
    let count = rows.value().and_then(|count| count.parse().ok());
    count.ok_or_else(|| Error::internal("the server counted without a number"))
}

/// Whether an index begins with exactly these columns.
fn is_indexed(wire: &mut Wire, setting: Setting, of: &ExportRequest, key: &[String]) -> Result<bool> {
    let description = catalog::describe(wire, setting.server, &of.relation)?;
    Ok(description.keys.iter().any(|index| {
        index.columns.len() >= key.len() && index.columns.iter().zip(key).all(|(column, name)| column.name == *name)
    }))
}

/// Walks along a key and notes every so-manieth value.
struct Walker<'a> {
    of: &'a ExportRequest,
    key: &'a [String],
    columns: &'a [&'a SourceColumn],
}

impl Walker<'_> {
    /// From each boundary `step` rows on, along the index.
    fn seek(&self, wire: &mut Wire, step: u64, count: u64) -> Result<Vec<Vec<Scalar>>> {
        let mut found: Vec<Vec<Scalar>> = Vec::new();
        // Twice the count: an estimate that was too low must not make slices without end.
        while u64::try_from(found.len()).unwrap_or(u64::MAX) < count.saturating_mul(2) {
            let from = found.last().cloned().map(Bound::inclusive);
            let next = match self.next(wire, from, step)? {
                // More than `step` rows have this value, maybe in several spellings that the collation takes
                // for one: on to the next value.
                Some(next) if found.iter().rev().take(SPELLINGS).any(|one| *one == next) => {
                    self.next(wire, Some(Bound::exclusive(next)), 0)?
                }
                next => next,
            };
            match next {
                Some(next) if Some(&next) != found.last() => found.push(next),
                _ => break,
            }
        }
        Ok(found)
    }

    fn next(&self, wire: &mut Wire, from: Option<Bound>, offset: u64) -> Result<Option<Vec<Scalar>>> {
        let mut conditions = self.of.conditions.clone();
        conditions.push(Condition::Range { key: self.key.to_vec(), from, to: None });
        let sql = format!(
            "SELECT {} FROM {}{}{} LIMIT 1 OFFSET {offset}",
            self.list(),
            sql::from(&Mysql, &self.of.relation),
            self.not_null(&conditions)?,
            sql::order_by(&Mysql, self.key),
        );
        let rows = wire.query(&sql)?;
        rows.rows.into_iter().next().map(|row| self.scalars(row)).transpose()
    }

    /// All boundaries in one statement, for what has no index.
    fn pass(&self, wire: &mut Wire, setting: Setting, rows: u64, step: u64, count: u64) -> Result<Vec<Vec<Scalar>>> {
        let server = setting.server;
        if !server.is_mysql_since(80_002) && !server.is_mariadb_since(100_200) {
            return self.seek(wire, step, count);
        }
        let names: Vec<String> = self.key.iter().map(|name| Mysql.name(name)).collect();
        let aliases: Vec<String> = (0..names.len()).map(|index| format!("k{index}")).collect();
        let list: Vec<String> = names.iter().zip(&aliases).map(|(name, alias)| format!("{name} AS {alias}")).collect();
        let shown: Vec<String> =
            aliases.iter().zip(self.columns).map(|(alias, column)| shown(alias, column.base())).collect();
        let sql = format!(
            "SELECT {shown} FROM (SELECT {list}, ROW_NUMBER() OVER (ORDER BY {names}) - 1 AS rivet_n FROM {from}{conditions}) \
             AS rivet_keys WHERE rivet_n > 0 AND FLOOR(rivet_n * {count} / {rows}) <> FLOOR((rivet_n - 1) * {count} / {rows}) \
             ORDER BY rivet_n",
            shown = shown.join(", "),
            list = list.join(", "),
            names = names.join(", "),
            from = sql::from(&Mysql, &self.of.relation),
            conditions = self.not_null(&self.of.conditions)?,
        );
        let mut found: Vec<Vec<Scalar>> = Vec::new();
        for row in wire.query(&sql)?.rows {
            split::add(&mut found, self.scalars(row)?);
        }
        Ok(found)
    }

    /// The key's columns as boundaries read them.
    fn list(&self) -> String {
        let list = self.columns.iter().map(|column| shown(&Mysql.name(&column.name), column.base()));
        list.collect::<Vec<_>>().join(", ")
    }

    /// The conditions, and that no part of the key is NULL.
    fn not_null(&self, conditions: &[Condition]) -> Result<String> {
        let clause = sql::where_clause(&Mysql, conditions)?;
        let nullable = self.columns.iter().filter(|column| !column.not_null);
        let terms: Vec<String> = nullable.map(|column| format!("{} IS NOT NULL", Mysql.name(&column.name))).collect();
        Ok(match (clause.is_empty(), terms.is_empty()) {
            (_, true) => clause,
            (true, false) => format!(" WHERE {}", terms.join(" AND ")),
            (false, false) => format!("{clause} AND {}", terms.join(" AND ")),
        })
    }

    fn scalars(&self, row: Vec<Option<String>>) -> Result<Vec<Scalar>> {
        row.into_iter()
            .zip(self.columns)
            .map(|(text, column)| {
                let text = text.ok_or_else(|| Error::internal("a key that is NOT NULL holds NULL"))?;
                scalar(column.base(), text)
            })
            .collect()
    }
}

/// The expression whose text loses nothing of a key's value.
pub(crate) fn shown(name: &str, base: Base) -> String {
    match base {
        Base::Binary => format!("HEX({name})"),
        // A float prints fewer digits than it has; a double prints them all.
        Base::Float => format!("{name} + 0e0"),
        _ => name.to_owned(),
    }
}

/// A text of the server as a typed value.
pub(crate) fn scalar(base: Base, text: String) -> Result<Scalar> {
    Ok(match base {
        Base::Integer(_) | Base::Year => Scalar::Integer(
            text.parse().map_err(|_| Error::internal(format!("the server wrote `{text}` for an integer")))?,
        ),
        Base::Decimal => Scalar::Decimal(text),
        Base::Float | Base::Double => Scalar::Float(text),
        Base::Date => Scalar::Date(text),
        Base::Time => Scalar::Time(text),
        Base::DateTime => Scalar::Timestamp(text),
        // The session's time zone is UTC, verified.
        Base::Timestamp => Scalar::Instant(format!("{text}+00")),
        Base::Uuid => Scalar::Uuid(text),
        Base::Binary => Scalar::Bytes(text.to_ascii_lowercase()),
        Base::Null => Scalar::Null,
        Base::Text | Base::Choice | Base::Json | Base::Bit | Base::Geometry | Base::Vector => Scalar::Text(text),
    })
}
