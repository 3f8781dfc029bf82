//! Which indexes a table has, and which of them a chunk's range can use.

use rivet_sdk::{Key, KeyColumn, Result};

use crate::catalog::{Table, surprise};
use crate::rights;
use crate::session::{ask, whole, words};
use crate::types::{SourceColumn, is_ordered, is_rangeable};
use crate::wire::Wire;

/// The system type of every type of the CLR: hierarchyid, the spatial ones, and users' own.
const CLR: u8 = 240;

/// Indexes over the whole table, the primary key first. One with a column that the login may not read ends before it,
/// and tells rows apart no more.
pub(crate) fn keys(wire: &mut Wire, table: &Table) -> Result<Vec<Key>> {
    let rows = ask(
        wire,
        &format!(
            "SELECT i.index_id, i.name, CAST(i.is_primary_key AS int), CAST(i.is_unique AS int), c.name, \
             CASE WHEN t.name IS NULL THEN N'unknown' ELSE t.name END, \
             CAST(c.max_length AS int), CAST(c.precision AS int), CAST(c.scale AS int), CAST(c.is_nullable AS int) \
             FROM sys.indexes AS i \
             JOIN sys.index_columns AS ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id \
             JOIN sys.columns AS c ON c.object_id = ic.object_id AND c.column_id = ic.column_id \
             LEFT JOIN sys.types AS t ON t.user_type_id = \
             CASE WHEN c.system_type_id = {CLR} THEN c.user_type_id ELSE c.system_type_id END \
             WHERE i.object_id = {} AND i.type IN (1, 2) AND i.is_disabled = 0 AND i.is_hypothetical = 0 \
             AND i.has_filter = 0 AND ic.key_ordinal > 0 ORDER BY i.is_primary_key DESC, i.index_id, ic.key_ordinal",
            table.id
        ),
    )?;
    let hidden = rights::unreadable(wire, table)?;
    let mut keys: Vec<(i128, Key)> = Vec::new();
    // The key that ended at a member no bound can be written for, or that may not be read.
    let mut cut_short = None;
    for row in &rows {
        let [id, name, primary, unique, column, of, length, precision, scale, nullable] = &row[..] else {
            return Err(surprise());
        };
        let id = whole(id).ok_or_else(surprise)?;
        if keys.last().is_none_or(|(last, _)| *last != id) {
            let key = Key::new(words(name).unwrap_or_default(), Vec::new())
                .with_primary(whole(primary) == Some(1))
                .with_unique(whole(unique) == Some(1));
            keys.push((id, key));
        }
        let of = words(of).ok_or_else(surprise)?;
        let (base, _) = SourceColumn::base_of(&of);
        if cut_short == Some(id) {
            continue;
        }
        if let Some((_, key)) = keys.last_mut() {
            if !can_bound(&base) || words(column).is_some_and(|name| hidden.contains(&name)) {
                // What is left of it still cuts ranges; its rows are not told apart by it.
                (key.primary, key.unique) = (false, false);
                cut_short = Some(id);
                continue;
            }
            key.columns.push(
                KeyColumn::new(
                    words(column).ok_or_else(surprise)?,
                    declared(&of, whole(length), whole(precision), whole(scale)),
                )
                .with_nullable(whole(nullable) != Some(0))
                .with_rangeable(is_rangeable(&base)),
            );
        }
    }
    Ok(keys.into_iter().map(|(_, key)| key).filter(|key| !key.columns.is_empty()).collect())
}

/// Whether a value of the type, read as a scalar, can be written back and compared in the index's own order. Those of
/// hierarchyid and of other types of the CLR cannot, and a variant's order goes by families of types.
fn can_bound(base: &str) -> bool {
    is_ordered(base) || matches!(base, "bit" | "rowversion")
}

/// A type as a user would write it.
fn declared(of: &str, length: Option<i128>, precision: Option<i128>, scale: Option<i128>) -> String {
    let (length, precision, scale) = (length.unwrap_or(0), precision.unwrap_or(0), scale.unwrap_or(0));
    match of {
        "decimal" | "numeric" => format!("{of}({precision},{scale})"),
        "datetime2" | "datetimeoffset" | "time" => format!("{of}({scale})"),
        "char" | "varchar" | "binary" | "varbinary" if length >= 0 => format!("{of}({length})"),
        "nchar" | "nvarchar" if length >= 0 => format!("{of}({})", length / 2),
        "char" | "varchar" | "binary" | "varbinary" | "nchar" | "nvarchar" => format!("{of}(max)"),
        "timestamp" => "rowversion".to_owned(),
        of => of.to_owned(),
    }
}

/// The primary key's columns, for naming a row in an error.
pub(crate) fn primary_key(keys: &[Key]) -> Vec<String> {
    let primary = keys.iter().find(|key| key.primary);
    primary.map(|key| key.columns.iter().map(|column| column.name.clone()).collect()).unwrap_or_default()
}
