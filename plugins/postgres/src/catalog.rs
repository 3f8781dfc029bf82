//! What is there: tables, their columns, keys and sizes.

use rivet_sdk::sql::{columns, quote_text};
use rivet_sdk::{
    Description, Error, NativeSplit, OneReadPoint, Relation, Result, TableFilter, TableName, TableSummary, nearest,
    serde_json,
};

use crate::keys;
use crate::sizes;
use crate::tree;
use crate::types::number;
use crate::wire::Wire;

pub(crate) const BLOCK_BYTES: u64 = 8192;

/// A table as the catalogue knows it.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub oid: u32,
    pub name: TableName,
    /// pg_class.relkind.
    pub class: char,
    pub has_children: bool,
    /// Whether it is stored as a heap, whose rows have block numbers.
    pub heap: bool,
    /// Why the login cannot read it, whatever the columns.
    pub closed: Option<Closed>,
}

/// What keeps a login out of a table as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// No USAGE on its schema.
    Schema,
    /// Row security would hide rows from it.
    RowSecurity,
}

/// A column before it is known what becomes of it.
#[derive(Debug, Clone)]
pub(crate) struct SourceColumn {
    pub name: String,
    pub oid: u32,
    pub typmod: i32,
    pub source_type: String,
    pub not_null: bool,
    /// Whether the login has SELECT on it.
    pub readable: bool,
}

impl columns::SourceColumn for SourceColumn {
    const UNKNOWN_CODE: &'static str = "42703";
    const UNREADABLE_CODE: &'static str = "42501";

    fn name(&self) -> &str {
        &self.name
    }

    fn source_type(&self) -> &str {
        &self.source_type
    }

    fn is_not_null(&self) -> bool {
        self.not_null
    }

    fn is_readable(&self) -> bool {
        self.readable
    }
}

impl Table {
    /// `table`, `view` and so on, as [`TableSummary::kind`] has it.
    pub fn kind(&self) -> &'static str {
        kind_name(self.class)
    }
}

fn kind_name(class: char) -> &'static str {
    match class {
        'v' => "view",
        'm' => "materialized view",
        'p' => "partitioned table",
        'f' => "foreign table",
        _ => "table",
    }
}

fn letter(text: &Option<String>) -> char {
    text.as_deref().and_then(|text| text.chars().next()).unwrap_or('?')
}

pub(crate) fn truth(text: &Option<String>) -> bool {
    text.as_deref() == Some("t")
}

pub(crate) fn words(text: &Option<String>) -> String {
    text.clone().unwrap_or_default()
}

pub(crate) fn surprise() -> Error {
    Error::internal("the catalogue answered in an unexpected shape")
}

/// Finds a table by name; without a schema, as the search path would.
pub(crate) fn table(wire: &mut Wire, version: u32, name: &TableName) -> Result<Table> {
    let schema = match &name.schema {
        Some(schema) => format!("n.nspname = {}", quote_text(schema)),
        None => "pg_catalog.pg_table_is_visible(c.oid)".to_owned(),
    };
    let heap = if version >= 120_000 { "am.amname = 'heap'" } else { "TRUE" };
    let method = if version >= 120_000 { "LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam" } else { "" };
    let sql = format!(
        "SELECT c.oid, n.nspname, c.relkind, c.relhassubclass, {heap}, \
         pg_catalog.has_schema_privilege(n.oid, 'USAGE'), pg_catalog.row_security_active(c.oid) \
         FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace {method} \
         WHERE c.relname = {} AND {schema} AND c.relkind IN ('r', 'p', 'v', 'm', 'f') LIMIT 1",
        quote_text(&name.name)
    );
    let rows = wire.simple(&sql)?.rows;
    let Some(row) = rows.first() else { return Err(no_table(wire, name)?) };
    let [oid, schema, class, children, heap, usable, secured] = &row[..] else { return Err(surprise()) };
    let closed = match (truth(usable), truth(secured)) {
        (false, _) => Some(Closed::Schema),
        (true, true) => Some(Closed::RowSecurity),
        (true, false) => None,
    };
    Ok(Table {
        oid: number(oid)?,
        name: TableName::qualified(words(schema), name.name.clone()),
        class: letter(class),
        has_children: truth(children),
        heap: truth(heap),
        closed,
    })
}

fn no_table(wire: &mut Wire, name: &TableName) -> Result<Error> {
    let rows = wire
        .simple(
            "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n \
             ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') \
             AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') LIMIT 10000",
        )?
        .rows;
    let names: Vec<String> = rows.iter().map(|row| row.iter().map(words).collect::<Vec<_>>().join(".")).collect();
    let wanted = format!("{}.{}", name.schema.as_deref().unwrap_or("public"), name.name);
    let error = Error::not_found(format!("the table {name} does not exist")).with_code("42P01");
    Ok(match nearest(&wanted, names.iter().map(String::as_str)) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error.with_hint("names are matched exactly, upper and lower case included"),
    })
}

/// Whether no row of the table itself has NULL in the column `a`. PostgreSQL 18 lets a
/// constraint be unvalidated, or not inherited.
pub(crate) fn proven_not_null(version: u32) -> &'static str {
    if version < 180_000 {
        return "a.attnotnull";
    }
    "a.attnotnull AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint n WHERE n.conrelid = a.attrelid \
     AND n.contype = 'n' AND a.attnum = ANY (n.conkey) AND (NOT n.convalidated OR n.connoinherit))"
}

/// The columns of a table, in order.
pub(crate) fn table_columns(wire: &mut Wire, version: u32, table: &Table) -> Result<Vec<SourceColumn>> {
    let sql = format!(
        "SELECT a.attname, a.atttypid, a.atttypmod, pg_catalog.format_type(a.atttypid, a.atttypmod), \
         {not_null}, pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT') FROM pg_catalog.pg_attribute a \
         WHERE a.attrelid = {} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        table.oid,
        not_null = proven_not_null(version),
    );
    let enforced = tree::enforces_not_null(wire, table)?;
    wire.simple(&sql)?
        .rows
        .iter()
        .map(|row| {
            let [name, oid, typmod, source_type, not_null, readable] = &row[..] else { return Err(surprise()) };
            Ok(SourceColumn {
                name: words(name),
                oid: number(oid)?,
                typmod: number(typmod)?,
                source_type: words(source_type),
                not_null: enforced && truth(not_null),
                readable: truth(readable),
            })
        })
        .collect()
}

/// The columns of a query, from the server's own description of it.
pub(crate) fn query_columns(wire: &mut Wire, sql: &str) -> Result<Vec<SourceColumn>> {
    let described = wire.describe(sql)?;
    if described.is_empty() {
        return Err(Error::new(rivet_sdk::ErrorKind::InvalidQuery, "the query returns no columns")
            .with_hint("`query` must be one SELECT"));
    }
    let pairs: Vec<String> =
        described.iter().map(|column| format!("pg_catalog.format_type({}, {})", column.oid, column.typmod)).collect();
    let names = wire.simple(&format!("SELECT {}", pairs.join(", ")))?;
    let names = names.rows.into_iter().next().unwrap_or_default();
    let mut columns: Vec<SourceColumn> = Vec::with_capacity(described.len());
    for (column, source_type) in described.into_iter().zip(names) {
        if columns.iter().any(|earlier| earlier.name == column.name) {
            return Err(Error::new(
                rivet_sdk::ErrorKind::InvalidQuery,
                format!("the query has two columns named `{}`", column.name),
            )
            .with_hint("give each column a name of its own with AS"));
        }
        columns.push(SourceColumn {
            name: column.name,
            oid: column.oid,
            typmod: column.typmod,
            source_type: source_type.unwrap_or_default(),
            not_null: false,
            // Whether the query may be run is the server's to say.
            readable: true,
        });
    }
    Ok(columns)
}

/// Tables and views, with the server's estimates.
pub(crate) fn tables(wire: &mut Wire, filter: &TableFilter) -> Result<Vec<TableSummary>> {
    let schema = match &filter.schema {
        Some(schema) => format!("n.nspname = {}", quote_text(schema)),
        None => "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'".to_owned(),
    };
    let within = tree::within(wire)?;
    let sql = format!(
        "SELECT n.nspname, c.relname, c.relkind, c.oid, \
         CASE WHEN c.relkind IN ('r', 'm') AND (c.reltuples > 0 OR c.relpages > 0) THEN c.reltuples::int8 END \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {schema} \
         ORDER BY n.nspname, c.relname"
    );
    let listed = wire.simple(&sql)?.rows;
    let sizes = sizes::of_all(wire, &schema)?;
    listed
        .iter()
        .map(|row| {
            let [schema, name, class, oid, rows] = &row[..] else { return Err(surprise()) };
            let oid = number(oid)?;
            let within = within.get(&oid).cloned().unwrap_or_default();
            let bytes = sizes.get(&oid).copied();
            Ok(TableSummary::new(TableName::qualified(words(schema), words(name)), kind_name(letter(class)))
                .with_rows(rows.as_deref().and_then(|rows| rows.parse().ok()))
                .with_bytes(bytes)
                .with_within(within))
        })
        .collect()
}

/// Keys and sizes of a relation.
pub(crate) fn describe(wire: &mut Wire, version: u32, relation: &Relation) -> Result<Description> {
    let name = match relation {
        Relation::Table(name) => name,
        Relation::Query(sql) => return describe_query(wire, version, relation, sql),
        other => return Err(Error::unsupported(format!("this version cannot read {other:?}"))),
    };
    let table = table(wire, version, name)?;
    let (rows, bytes) = size(wire, &table)?;
    let native = match (table.class, version) {
        (_, ..140_000) => NativeSplit::Impossible("block ranges need PostgreSQL 14".to_owned()),
        ('r', _) if table.has_children => NativeSplit::Impossible("the table has child tables".to_owned()),
        ('r', _) if !table.heap => NativeSplit::Impossible("the table is not stored as a heap".to_owned()),
        ('r', _) if !may_read_ctid(wire, &table)? => NativeSplit::Impossible(
            "the login may read columns of the table and not `ctid`; GRANT SELECT (ctid), or SELECT on the table, \
             lets it be cut"
                .to_owned(),
        ),
        ('r', _) => NativeSplit::Possible,
        ('p', _) => {
            NativeSplit::Impossible("the table is partitioned: each partition has blocks of its own".to_owned())
        }
        (class, _) => NativeSplit::Impossible(format!("a {} has no blocks", kind_name(class))),
    };
    let description = Description::new(Relation::Table(table.name.clone()), table.kind())
        .with_keys(keys::keys(wire, version, &table)?)
        .with_rows(rows)
        .with_bytes(bytes)
        .with_native(native);
    if tree::reaches_foreign_tables(wire, &table)? {
        // What is in the database is read at the snapshot, whatever reads it.
        let why = "its rows are a foreign table's, which are read when it suits the foreign server";
        return Ok(description.without_snapshot(OneReadPoint::None, why));
    }
    Ok(with_snapshot(version, description))
}

/// Whether several sessions can read what is in this database at one point.
fn with_snapshot(version: u32, description: Description) -> Description {
    if version >= 100_000 {
        return description.with_one_read_point(OneReadPoint::Snapshot);
    }
    description.without_snapshot(OneReadPoint::Statement, "snapshots are shared from PostgreSQL 10 on")
}

fn describe_query(wire: &mut Wire, version: u32, relation: &Relation, sql: &str) -> Result<Description> {
    let (rows, bytes) = explain(wire, sql)?;
    let description = Description::new(relation.clone(), "query")
        .with_rows(rows)
        .with_bytes(bytes)
        .with_native(NativeSplit::Impossible("a query has no blocks".to_owned()));
    Ok(with_snapshot(version, description))
}

/// The planner's estimate of a statement's rows and bytes.
pub(crate) fn explain(wire: &mut Wire, sql: &str) -> Result<(Option<u64>, Option<u64>)> {
    let plan = wire.query(&format!("EXPLAIN (FORMAT JSON) {sql}"), 0)?;
    let text = plan.rows.iter().filter_map(|row| row.first()?.as_deref()).collect::<Vec<_>>().join("\n");
    let plan: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let estimate = |name: &str| plan.pointer(&format!("/0/Plan/{name}")).and_then(serde_json::Value::as_u64);
    let rows = estimate("Plan Rows");
    Ok((rows, rows.zip(estimate("Plan Width")).map(|(rows, width)| rows.saturating_mul(width))))
}

/// Estimated rows, and bytes with TOAST, of a table and everything below it.
pub(crate) fn size(wire: &mut Wire, table: &Table) -> Result<(Option<u64>, Option<u64>)> {
    if table.class == 'v' || table.class == 'f' {
        return Ok((None, None));
    }
    let sql = format!(
        "WITH RECURSIVE tree(oid) AS (SELECT {}::oid UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i \
         JOIN tree ON i.inhparent = tree.oid) \
         SELECT c.reltuples::float8::numeric, c.relpages, pg_catalog.pg_relation_size(c.oid), pg_catalog.pg_table_size(c.oid) \
         FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid WHERE c.relkind IN ('r', 'm')",
        table.oid
    );
    let mut rows = Some(0_u64);
    let mut bytes = 0_u64;
    for row in wire.simple(&sql)?.rows {
        let [tuples, pages, heap, all] = &row[..] else { return Err(surprise()) };
        // reltuples is -1, or 0 over 0 pages, where nobody has looked yet.
        let tuples: i64 = words(tuples).split('.').next().and_then(|whole| whole.parse().ok()).unwrap_or(-1);
        let (pages, heap): (u64, u64) = (number(pages)?, number(heap)?);
        let blocks = heap.div_ceil(BLOCK_BYTES);
        let estimate = match u64::try_from(tuples) {
            _ if blocks == 0 => Some(0),
            Ok(tuples) if pages > 0 => Some(scale(tuples, blocks, pages)),
            _ => None,
        };
        rows = rows.zip(estimate).map(|(sum, estimate)| sum.saturating_add(estimate));
        bytes = bytes.saturating_add(number(all)?);
    }
    Ok((rows, Some(bytes)))
}

/// Rows grown (or shrunk) with the table since they were counted.
fn scale(tuples: u64, blocks: u64, pages: u64) -> u64 {
    let scaled = u128::from(tuples) * u128::from(blocks) / u128::from(pages.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// Whether the login may read where rows are stored: a right on the table, or on this system column.
fn may_read_ctid(wire: &mut Wire, table: &Table) -> Result<bool> {
    let sql = format!("SELECT pg_catalog.has_column_privilege({}::oid, 'ctid', 'SELECT')", table.oid);
    Ok(wire.simple(&sql)?.rows.first().and_then(|row| row.first()).is_some_and(truth))
}

/// Blocks of a plain table.
pub(crate) fn blocks(wire: &mut Wire, table: &Table) -> Result<u64> {
    let rows = wire.simple(&format!("SELECT pg_catalog.pg_relation_size({}::oid)", table.oid))?;
    let bytes: u64 = number(rows.rows.first().and_then(|row| row.first()).unwrap_or(&None))?;
    Ok(bytes.div_ceil(BLOCK_BYTES))
}
