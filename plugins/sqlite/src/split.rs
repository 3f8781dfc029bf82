//! Cuts a relation into slices of about as many rows each, in one ordered pass over the key.

use rivet_sdk::sql::{Dialect, split};
use rivet_sdk::{Condition, Error, Result, Scalar, Slice, Split, SplitBy, SplitInto, SplitRequest};
use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::catalog::{Shape, keys_of};
use crate::database::Database;
use crate::dialect::{Sqlite, from, hex};
use crate::error::no_column;
use crate::instant;
use crate::order::{Forms, Order};

/// Most keys kept while passing; beyond it every second one is dropped.
const KEPT: usize = 8192;

/// The slices of `request`.
pub fn split(database: &Database, shape: &Shape, request: &SplitRequest, forms: &mut Forms) -> Result<Split> {
    let key = key(database, shape, &request.by)?;
    let order = Order::planning(database, shape, &request.of, &key, forms)?;
    let nullable = key.iter().any(|name| shape.column(name).is_none_or(|column| !column.not_null));
    let sample = sample(database, request, &key, &order)?;
    database.check()?;
    let size = match request.into {
        SplitInto::Count(count) => sample.rows.div_ceil(count.max(1)),
        SplitInto::Rows(rows) => rows,
        // What is wanted is a wish: one slice is right, too.
        _ => u64::MAX,
    };
    let bounds = sample.bounds(size.max(1));
    let method = format!("one pass over {} keys in order", sample.rows);
    if bounds.is_empty() {
        return Ok(Split::new(vec![Slice::new(None, Some(sample.rows + sample.nulls))], method));
    }
    let ends = bounds.iter().map(|(row, _)| *row).chain([sample.rows]);
    let starts = [0].into_iter().chain(bounds.iter().map(|(row, _)| *row));
    let sizes: Vec<u64> = starts.zip(ends).map(|(start, end)| end.saturating_sub(start)).collect();
    let ranges = split::ranges(&key, bounds.into_iter().map(|(_, values)| values).collect());
    let mut slices: Vec<Slice> =
        ranges.into_iter().zip(sizes).map(|(range, size)| Slice::new(Some(range), Some(size))).collect();
    if nullable {
        // Only a single column may be nullable: `key` refuses the rest.
        let column = key.first().cloned().unwrap_or_default();
        slices.push(Slice::new(Some(Condition::IsNull { column }), Some(sample.nulls)));
    }
    Ok(Split::new(slices, method))
}

fn key(database: &Database, shape: &Shape, by: &SplitBy) -> Result<Vec<String>> {
    let columns = match by {
        SplitBy::Range { column } => vec![column.clone()],
        SplitBy::Keyset { key } => key.clone(),
        SplitBy::Native => return Err(Error::unsupported("SQLite has no physical ranges")),
        other => return Err(Error::unsupported(format!("this version cannot cut by {other:?}"))),
    };
    if let Some(unknown) = columns.iter().find(|name| shape.column(name).is_none()) {
        let known = shape.columns.iter().map(|column| column.name.as_str());
        return Err(no_column(unknown, &shape.relation.to_string(), known));
    }
    if matches!(by, SplitBy::Keyset { .. }) && !split::is_proven(&keys_of(database, shape)?, &columns) {
        let text = format!("`{}` is not a unique key over NOT NULL columns", columns.join(", "));
        return Err(Error::unsupported(text).with_hint("split by a primary key, or by a range"));
    }
    Ok(columns)
}

/// Keys met on the pass, `stride` rows apart.
struct Sample {
    keys: Vec<(u64, Vec<Scalar>)>,
    rows: u64,
    nulls: u64,
}

fn sample(database: &Database, request: &SplitRequest, key: &[String], order: &Order) -> Result<Sample> {
    let names = key.iter().map(|name| Sqlite.name(name)).collect::<Vec<_>>().join(", ");
    let filter = order.filter(&request.of.conditions)?;
    let sorted = order.order_by(key);
    let sql = format!("SELECT {names} FROM {}{filter}{sorted}", from(&request.of.relation));
    let mut statement = database.prepare(&sql)?;
    let mut rows = statement.query([]).map_err(|error| database.fault(error))?;
    let mut sample = Sample { keys: Vec::new(), rows: 0, nulls: 0 };
    let mut stride = 1_u64;
    while let Some(row) = rows.next().map_err(|error| database.fault(error))? {
        if matches!(row.get_ref(0), Ok(ValueRef::Null)) {
            sample.nulls += 1;
            continue;
        }
        // A key that cannot cross (text that is not UTF-8) is only no boundary.
        if sample.rows.is_multiple_of(stride)
            && let Some(values) = scalars(row, key.len())
        {
            let bounds = key.iter().zip(values).map(|(column, cell)| order.bound(std::slice::from_ref(column), cell));
            sample.keys.push((sample.rows, bounds.collect::<Result<_>>()?));
        }
        sample.rows += 1;
        if sample.keys.len() > KEPT {
            stride *= 2;
            sample.keys.retain(|(row, _)| row.is_multiple_of(stride));
        }
    }
    Ok(sample)
}

impl Sample {
    /// The first row of every slice but the first: at least `size` rows apart, no key twice.
    fn bounds(&self, size: u64) -> Vec<(u64, Vec<Scalar>)> {
        let mut bounds: Vec<(u64, Vec<Scalar>)> = Vec::new();
        let mut last = self.keys.first().map(|(_, values)| values);
        let mut next = size;
        let mut previous: Option<&Vec<Scalar>> = None;
        for (row, values) in &self.keys {
            let first_of_its_key = !previous.is_some_and(|previous| are_equal(previous, values));
            previous = Some(values);
            if *row >= next && first_of_its_key && !last.is_some_and(|last| are_equal(last, values)) {
                bounds.push((*row, values.clone()));
                last = Some(values);
                next = (row / size + 1).saturating_mul(size);
            }
        }
        bounds
    }
}

/// Whether two keys are one: the same instant may be written in two ways.
fn are_equal(one: &[Scalar], other: &[Scalar]) -> bool {
    let moment = |value: &Scalar| matches!(value, Scalar::Timestamp(_)).then(|| instant::of_scalar(value)).flatten();
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| match (moment(one), moment(other)) {
            (Some(one), Some(other)) => one == other,
            _ => one == other,
        })
}

fn scalars(row: &Row<'_>, count: usize) -> Option<Vec<Scalar>> {
    (0..count).map(|index| scalar(row.get_ref(index).ok()?).filter(|value| *value != Scalar::Null)).collect()
}

/// A cell as a scalar of its storage class; None for text that is not UTF-8.
pub fn scalar(value: ValueRef<'_>) -> Option<Scalar> {
    Some(match value {
        ValueRef::Null => Scalar::Null,
        ValueRef::Integer(value) => Scalar::Integer(value.into()),
        ValueRef::Real(value) => Scalar::Float(format!("{value:?}")),
        ValueRef::Text(bytes) => Scalar::Text(std::str::from_utf8(bytes).ok()?.to_owned()),
        ValueRef::Blob(bytes) => Scalar::Bytes(hex(bytes)),
    })
}
