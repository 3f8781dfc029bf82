//! Boundaries of large tables without reading them: the optimiser estimates the rows of a range
//! by two dives into the index, and a range that holds too many is halved.

use rivet_sdk::sql::{self, Dialect};
use rivet_sdk::{Error, ExportRequest, Relation, Result, Scalar};

use crate::catalog::{SourceColumn, explained_rows};
use crate::dialect::Mysql;
use crate::split::scalar;
use crate::types::Base;
use crate::wire::Wire;

/// Ranges are halved until each holds at most this share of a slice.
const PIECES_PER_SLICE: u64 = 4;
/// No domain can be halved more often.
const DEPTH: u32 = 64;

/// Whether the type's values lie on a line of integers that can be halved.
pub(crate) fn works_over(base: Base) -> bool {
    matches!(base, Base::Integer(_) | Base::Year | Base::Date | Base::DateTime | Base::Timestamp)
}

/// Values before which about 1/count, 2/count … of the rows lie.
pub(crate) fn boundaries(
    wire: &mut Wire,
    of: &ExportRequest,
    column: &SourceColumn,
    count: u64,
) -> Result<Vec<Vec<Scalar>>> {
    if count <= 1 {
        return Ok(Vec::new());
    }
    let line = Line { of, name: Mysql.name(&column.name), base: column.base() };
    let Some((low, high)) = line.ends(wire)? else { return Ok(Vec::new()) };
    // Of the key's range as a whole: rows that a condition leaves out are in the dives' estimates.
    let rows = line.rows(wire, low, high.saturating_add(1))?;
    let most = (rows / count / PIECES_PER_SLICE).max(1);
    let mut pieces = Vec::new();
    // Depth first, the lower half first: pieces come out in order.
    let mut open = vec![(low, high.saturating_add(1), 0)];
    while let Some((from, to, depth)) = open.pop() {
        let held = line.rows(wire, from, to)?;
        let middle = from + (to - from) / 2;
        if held > most && middle > from && depth < DEPTH {
            open.push((middle, to, depth + 1));
            open.push((from, middle, depth + 1));
        } else {
            pieces.push((from, held));
        }
    }
    let found = cut(&pieces, count);
    found.into_iter().map(|point| line.value(wire, point).map(|value| vec![value])).collect()
}

/// The beginnings of the pieces at which a new slice begins.
fn cut(pieces: &[(i128, u64)], count: u64) -> Vec<i128> {
    let total: u128 = pieces.iter().map(|(_, rows)| u128::from(*rows)).sum();
    let mut found = Vec::new();
    let mut before: u128 = 0;
    let mut next = 1_u128;
    for (from, rows) in pieces {
        if next < u128::from(count) && before > 0 && before * u128::from(count) >= next * total {
            found.push(*from);
            while before * u128::from(count) >= next * total {
                next += 1;
            }
        }
        before += u128::from(*rows);
    }
    found
}

/// A key's values as integers: themselves, days, or microseconds.
struct Line<'a> {
    of: &'a ExportRequest,
    name: String,
    base: Base,
}

impl Line<'_> {
    /// The least and the greatest value; by two seeks where there is no condition.
    fn ends(&self, wire: &mut Wire) -> Result<Option<(i128, i128)>> {
        let number = match self.base {
            Base::Date => "TO_DAYS",
            Base::DateTime | Base::Timestamp => "TIMESTAMPDIFF(MICROSECOND, '0001-01-01', ",
            _ => "",
        };
        let place = |value: &str| match self.base {
            Base::DateTime | Base::Timestamp => format!("{number}{value})"),
            _ => format!("{number}({value})"),
        };
        let sql = format!(
            "SELECT {}, {} FROM {}{}",
            place(&format!("MIN({})", self.name)),
            place(&format!("MAX({})", self.name)),
            sql::from(&Mysql, &self.of.relation),
            sql::where_clause(&Mysql, &self.of.conditions)?,
        );
        let row = wire.query(&sql)?.rows.into_iter().next().unwrap_or_default();
        let mut ends = row.into_iter().map(|text| text.and_then(|text| text.parse::<i128>().ok()));
        Ok(match (ends.next().flatten(), ends.next().flatten()) {
            (Some(low), Some(high)) if low < high => Some((low, high)),
            // Nothing to halve, or a zero date at the end of the line.
            _ => None,
        })
    }

    /// The literal of a place on the line.
    fn literal(&self, place: i128) -> String {
        match self.base {
            Base::Date => format!("FROM_DAYS({place})"),
            Base::DateTime | Base::Timestamp => {
                format!("TIMESTAMPADD(MICROSECOND, {place}, CAST('0001-01-01 00:00:00.000000' AS DATETIME(6)))")
            }
            _ => place.to_string(),
        }
    }

    fn rows(&self, wire: &mut Wire, from: i128, to: i128) -> Result<u64> {
        let Relation::Table(table) = &self.of.relation else { return Err(Error::internal("dives into a query")) };
        let sql = format!(
            "SELECT {name} FROM {} WHERE {name} >= {} AND {name} < {}",
            sql::table(&Mysql, table),
            self.literal(from),
            self.literal(to),
            name = self.name,
        );
        Ok(explained_rows(wire, &sql)?.unwrap_or(0))
    }

    /// A place as the value that a condition compares with.
    fn value(&self, wire: &mut Wire, place: i128) -> Result<Scalar> {
        if matches!(self.base, Base::Integer(_) | Base::Year) {
            return Ok(Scalar::Integer(place));
        }
        let rows = wire.query(&format!("SELECT {}", self.literal(place)))?;
        let text = rows.value().ok_or_else(|| Error::internal("a boundary between two dates is no date"))?;
        scalar(self.base, text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_gathered_into_slices_of_equal_rows() {
        let pieces: Vec<(i128, u64)> = (0..16).map(|index| (index * 10, 5)).collect();
        assert_eq!(cut(&pieces, 4), [40, 80, 120]);
        assert_eq!(cut(&[(0, 100), (10, 1), (20, 1)], 4), [10]);
        assert!(cut(&[], 4).is_empty() && cut(&[(0, 5)], 4).is_empty());
    }
}
