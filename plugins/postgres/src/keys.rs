//! Which indexes a table has, and which of them a chunk's range can use.

use rivet_sdk::{Key, KeyColumn, Result};

use crate::catalog::{Table, proven_not_null, surprise, truth, words};
use crate::tree;
use crate::types::{Types, number};
use crate::wire::Wire;

/// The primary key's columns, for naming a row in an error.
pub(crate) fn primary_key(wire: &mut Wire, table: &Table) -> Result<Vec<String>> {
    let sql = format!(
        "SELECT a.attname FROM pg_catalog.pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) \
         WITH ORDINALITY AS k(number, position) JOIN pg_catalog.pg_attribute a \
         ON a.attrelid = i.indrelid AND a.attnum = k.number \
         WHERE i.indrelid = {} AND i.indisprimary AND k.position <= i.indnatts ORDER BY k.position",
        table.oid
    );
    Ok(wire.simple(&sql)?.rows.iter().filter_map(|row| row.first()).map(words).collect())
}

/// Indexes over plain columns, the primary key first. One with a column that the login may not read ends before it,
/// and tells rows apart no more.
pub(crate) fn keys(wire: &mut Wire, version: u32, table: &Table) -> Result<Vec<Key>> {
    let count = if version >= 110_000 { "i.indnkeyatts" } else { "i.indnatts" };
    let sql = format!(
        "SELECT ic.relname, i.indisprimary, i.indisunique AND i.indimmediate, a.attname, \
         pg_catalog.format_type(a.atttypid, a.atttypmod), a.atttypid, {not_null}, \
         pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT') \
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid \
         JOIN pg_catalog.pg_am am ON am.oid = ic.relam \
         CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, position) \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number \
         WHERE i.indrelid = {} AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indisvalid \
         AND am.amname = 'btree' AND k.position <= {count} \
         ORDER BY NOT i.indisprimary, NOT (i.indisunique AND i.indimmediate), ic.relname, k.position",
        table.oid,
        not_null = proven_not_null(version),
    );
    let rows = wire.simple(&sql)?.rows;
    let mut types = Types::default();
    let oids = rows.iter().map(|row| number(row.get(5).unwrap_or(&None))).collect::<Result<Vec<u32>>>()?;
    types.load(wire, version, oids)?;
    // An index of a parent by plain inheritance says nothing of the children's rows.
    let covers_all = table.class == 'p' || !table.has_children;
    let enforced = tree::enforces_not_null(wire, table)?;
    let mut keys: Vec<Key> = Vec::new();
    let mut cut_short = None;
    for row in &rows {
        let [index, primary, unique, column, source_type, oid, not_null, readable] = &row[..] else {
            return Err(surprise());
        };
        let name = words(index);
        if cut_short.as_ref() == Some(&name) {
            continue;
        }
        if !truth(readable) {
            if let Some(key) = keys.last_mut().filter(|key| key.name == name) {
                (key.primary, key.unique) = (false, false);
            }
            cut_short = Some(name);
            continue;
        }
        let column = KeyColumn::new(words(column), words(source_type))
            .with_nullable(!(enforced && truth(not_null)))
            .with_rangeable(types.base_name(number(oid)?).is_some_and(is_rangeable));
        match keys.last_mut() {
            Some(key) if key.name == name => key.columns.push(column),
            _ => keys.push(
                Key::new(name, vec![column]).with_primary(truth(primary)).with_unique(covers_all && truth(unique)),
            ),
        }
    }
    Ok(keys)
}

/// Whether ranges over the type are the first choice: its values have a distance, and statistics of it
/// say how many rows lie between two.
pub(crate) fn is_rangeable(name: &str) -> bool {
    matches!(name, "int2" | "int4" | "int8" | "numeric" | "date" | "timestamp" | "timestamptz" | "uuid")
}

/// Whether values of the type have a total order and cross as scalars.
pub(crate) fn is_ordered(name: &str) -> bool {
    is_rangeable(name)
        || matches!(
            name,
            "bool" | "oid" | "float4" | "float8" | "time" | "text" | "varchar" | "bpchar" | "name" | "citext" | "bytea"
        )
}
