//! Which indexes a table has, and which of them a chunk's range can use.

use rivet_sdk::{Key, KeyColumn, Result};

use crate::catalog::{SourceColumn, Table, number};
use crate::dialect::quoted;
use crate::packet::Rows;
use crate::types::Base;
use crate::wire::Wire;

/// The primary key's columns, for naming a row in an error.
pub(crate) fn primary_key(wire: &mut Wire, table: &Table) -> Result<Vec<String>> {
    let rows = statistics(wire, table)?;
    let primary = rows.rows.iter().filter(|row| rows.named(row, "INDEX_NAME") == Some("PRIMARY"));
    Ok(primary.filter_map(|row| rows.named(row, "COLUMN_NAME")).map(str::to_owned).collect())
}

fn statistics(wire: &mut Wire, table: &Table) -> Result<Rows> {
    // Newer servers have columns that older ones do not know.
    wire.query(&format!(
        "SELECT * FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} \
         ORDER BY INDEX_NAME <> 'PRIMARY', NON_UNIQUE, INDEX_NAME, SEQ_IN_INDEX",
        quoted(table.name.schema.as_deref().unwrap_or_default()),
        quoted(&table.name.name)
    ))
}

/// Indexes over whole plain columns, the primary key first. One with a column that the login may not read ends before
/// it, and tells rows apart no more.
pub(crate) fn keys(wire: &mut Wire, table: &Table, columns: &[SourceColumn]) -> Result<Vec<Key>> {
    let rows = statistics(wire, table)?;
    // A server may leave out the parts of an index that the login may not read: then it looks shorter than it is.
    let hidden = || columns.iter().filter(|column| !column.readable);
    let shows_primary = !hidden().any(|column| column.result.is_in_primary_key());
    let shows_all = !hidden().any(|column| column.result.is_in_a_key());
    let mut keys: Vec<(Key, bool)> = Vec::new();
    let mut cut_short = None;
    for row in &rows.rows {
        let fact = |name: &str| rows.named(row, name);
        let name = fact("INDEX_NAME").unwrap_or_default().to_owned();
        if cut_short.as_ref() == Some(&name) {
            continue;
        }
        let is_first = keys.last().is_none_or(|(key, _)| key.name != name);
        let place = keys.last().map_or(0, |(key, _)| if is_first { 0 } else { key.columns.len() });
        let follows = number(fact("SEQ_IN_INDEX")) == u64::try_from(place + 1).ok();
        let unreadable = fact("COLUMN_NAME").is_some_and(|name| hidden().any(|column| column.name == name));
        if unreadable || (!shows_all && !follows) {
            if let Some((key, _)) = keys.last_mut().filter(|_| !is_first) {
                (key.primary, key.unique) = (false, false);
            }
            cut_short = Some(name);
            continue;
        }
        // A part of an expression has no column; a prefix says nothing of the whole text.
        let column = fact("COLUMN_NAME").and_then(|name| columns.iter().find(|column| column.name == name));
        let usable = fact("SUB_PART").is_none()
            && fact("EXPRESSION").is_none()
            && fact("INDEX_TYPE") == Some("BTREE")
            && fact("IS_VISIBLE") != Some("NO")
            && fact("IGNORED") != Some("YES")
            && column.is_some_and(|column| is_ordered(column.base()));
        let part = column.map(|column| {
            KeyColumn::new(column.name.clone(), column.source_type.clone())
                .with_nullable(!column.not_null)
                .with_rangeable(is_rangeable(column.base()))
        });
        match keys.last_mut().filter(|(key, _)| key.name == name) {
            Some((key, all)) => {
                key.columns.extend(part);
                *all &= usable;
            }
            None => {
                let primary = name == "PRIMARY" && shows_primary;
                let unique = fact("NON_UNIQUE") == Some("0") && (primary || shows_all);
                keys.push((
                    Key::new(name, part.into_iter().collect()).with_primary(primary).with_unique(unique),
                    usable,
                ));
            }
        }
    }
    Ok(keys.into_iter().filter_map(|(key, usable)| usable.then_some(key)).collect())
}

/// Whether a literal of the column's text compares in the order of the column's index: an enum
/// sorts by its number, and compares by its text.
pub(crate) fn is_ordered(base: Base) -> bool {
    !matches!(base, Base::Choice | Base::Geometry | Base::Json | Base::Vector | Base::Bit | Base::Null)
}

/// Whether ranges over the type are the first choice: its values have a distance.
pub(crate) fn is_rangeable(base: Base) -> bool {
    matches!(
        base,
        Base::Integer(_)
            | Base::Year
            | Base::Decimal
            | Base::Float
            | Base::Double
            | Base::Date
            | Base::DateTime
            | Base::Timestamp
    )
}
