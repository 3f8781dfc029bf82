//! Slices of a relation along a key: how many, from which boundaries, and whether the key is one.
//!
//! Where the boundaries come from is the driver's: statistics, a sample, one pass over the key. They may be stale: that
//! skews the slices' sizes and nothing else, because the first slice has no lower bound and the last no upper one.

use super::columns::SourceColumn;
use crate::{Bound, Condition, Error, ErrorKind, Key, Relation, Result, Scalar, Slice, Split, SplitInto};

/// No plan needs more slices.
pub const MAX_SLICES: u64 = 100_000;

/// How many slices are wanted of so many rows; None where nobody knows how many there are.
pub fn wanted(into: SplitInto, rows: Option<u64>) -> u64 {
    let count = match into {
        SplitInto::Count(count) => count,
        SplitInto::Rows(size) => rows.map_or(1, |rows| rows.div_ceil(size.max(1))),
    };
    count.clamp(1, MAX_SLICES)
}

/// The whole relation as one slice of about so many rows, because of `method`.
pub fn whole(rows: Option<u64>, method: impl Into<String>) -> Split {
    Split::new(vec![Slice::new(None, rows)], method)
}

/// The ranges between `bounds`: from the beginning, up to each bound without it, and to the end.
pub fn ranges(key: &[String], bounds: Vec<Vec<Scalar>>) -> Vec<Condition> {
    let mut ranges = Vec::with_capacity(bounds.len() + 1);
    let mut from = None;
    for to in bounds.into_iter().map(Some).chain([None]) {
        ranges.push(Condition::Range {
            key: key.to_vec(),
            from: from.take().map(Bound::inclusive),
            to: to.clone().map(Bound::exclusive),
        });
        from = to;
    }
    ranges
}

/// The slices between `bounds`, of about `each` rows, and one of the rows in which the column `nullable` is NULL.
/// There must be a bound.
pub fn slices(
    key: &[String],
    bounds: Vec<Vec<Scalar>>,
    nullable: Option<&str>,
    each: Option<u64>,
    method: impl Into<String>,
) -> Split {
    let mut slices: Vec<Slice> =
        ranges(key, bounds).into_iter().map(|condition| Slice::new(Some(condition), each)).collect();
    if let Some(column) = nullable {
        slices.push(Slice::new(Some(Condition::IsNull { column: column.to_owned() }), None));
    }
    Split::new(slices, method)
}

/// The same where `rows` lie evenly between the bounds; without bounds, the whole.
pub fn even_slices(
    key: &[String],
    bounds: Vec<Vec<Scalar>>,
    nullable: Option<&str>,
    rows: Option<u64>,
    method: impl Into<String>,
) -> Split {
    if bounds.is_empty() {
        return whole(rows, method);
    }
    let count = u64::try_from(bounds.len() + 1).unwrap_or(u64::MAX);
    slices(key, bounds, nullable, rows.map(|rows| rows / count), method)
}

/// The first of the columns in which NULL may occur: the one whose NULL rows need a slice of their own.
pub fn nullable<'a, S: SourceColumn>(columns: &[&'a S]) -> Option<&'a str> {
    columns.iter().find(|column| !column.is_not_null()).map(|column| column.name())
}

/// Adds a boundary, unless it is the one before: a value of many rows is one boundary.
pub fn add<T: PartialEq>(bounds: &mut Vec<T>, bound: T) {
    if bounds.last() != Some(&bound) {
        bounds.push(bound);
    }
}

/// Whether some of `keys` is exactly `key`, unique and without NULLs. Keyset slices are only right over such a one.
pub fn is_proven(keys: &[Key], key: &[String]) -> bool {
    keys.iter().any(|index| {
        index.unique
            && index.columns.iter().all(|column| !column.nullable)
            && index.columns.iter().map(|column| &column.name).eq(key)
    })
}

/// Refuses a key that is not proven. `needed` says what proves one in this database.
pub fn prove(keys: &[Key], key: &[String], relation: &Relation, needed: &str) -> Result<()> {
    if is_proven(keys, key) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unsupported, format!("({}) is not a unique key of {relation}", key.join(", ")))
        .with_hint(needed))
}

/// The error for ranges over a column whose type, `of`, has no order. `ordered` says which types have one.
pub fn no_order(column: &str, of: &str, ordered: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("`{column}` is a {of}, which has no order that ranges could follow"))
        .with_hint(ordered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_have_no_outer_bounds_and_nulls_have_their_own() {
        let key = ["a".to_owned()];
        let split = even_slices(&key, vec![vec![Scalar::Integer(5)]], Some("a"), Some(10), "test");
        let conditions: Vec<_> = split.slices.iter().map(|slice| slice.condition.clone().unwrap()).collect();
        assert!(matches!(&conditions[0], Condition::Range { from: None, to: Some(bound), .. } if !bound.inclusive));
        assert!(matches!(&conditions[1], Condition::Range { from: Some(bound), to: None, .. } if bound.inclusive));
        assert!(matches!(&conditions[2], Condition::IsNull { .. }));
        assert_eq!(split.slices.iter().map(|slice| slice.rows).collect::<Vec<_>>(), [Some(5), Some(5), None]);
        assert_eq!(even_slices(&key, Vec::new(), Some("a"), None, "").slices, [Slice::new(None, None)]);
    }
}
