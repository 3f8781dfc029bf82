//! Tables made of other tables: partitions, and parents with their children.

use std::collections::HashMap;

use rivet_sdk::{Result, TableName};

use crate::catalog::{Table, surprise, truth, words};
use crate::types::number;
use crate::wire::Wire;

/// Whether the server itself keeps NULL out of the NOT NULL columns of all rows that the table shows. A child of plain
/// inheritance may have dropped the constraint for itself, and a foreign table's is a promise that nobody keeps.
pub(crate) fn enforces_not_null(wire: &mut Wire, table: &Table) -> Result<bool> {
    Ok(match table.class {
        'p' => !reaches_foreign_tables(wire, table)?,
        'r' => !table.has_children,
        _ => false,
    })
}

/// Whether some rows that the table shows are a foreign table's.
pub(crate) fn reaches_foreign_tables(wire: &mut Wire, table: &Table) -> Result<bool> {
    if table.class == 'f' {
        return Ok(true);
    }
    if !(table.class == 'p' || (table.class == 'r' && table.has_children)) {
        return Ok(false);
    }
    let sql = format!(
        "WITH RECURSIVE tree(oid) AS (SELECT {}::oid UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i \
         JOIN tree ON i.inhparent = tree.oid) \
         SELECT EXISTS (SELECT FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid WHERE c.relkind = 'f')",
        table.oid
    );
    Ok(wire.simple(&sql)?.rows.first().and_then(|row| row.first()).is_some_and(truth))
}

/// The tables that show a table's rows as theirs, by its number: those it is a partition of, or inherits from, and
/// theirs in turn.
pub(crate) fn within(wire: &mut Wire) -> Result<HashMap<u32, Vec<TableName>>> {
    let rows = wire.simple(
        "WITH RECURSIVE up(oid, parent) AS (SELECT inhrelid, inhparent FROM pg_catalog.pg_inherits \
         UNION SELECT up.oid, i.inhparent FROM up JOIN pg_catalog.pg_inherits i ON i.inhrelid = up.parent) \
         SELECT up.oid, n.nspname, c.relname FROM up JOIN pg_catalog.pg_class c ON c.oid = up.parent \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'f') ORDER BY up.oid, n.nspname, c.relname",
    )?;
    let mut within: HashMap<u32, Vec<TableName>> = HashMap::new();
    for row in &rows.rows {
        let [oid, schema, name] = &row[..] else { return Err(surprise()) };
        within.entry(number(oid)?).or_default().push(TableName::qualified(words(schema), words(name)));
    }
    Ok(within)
}
