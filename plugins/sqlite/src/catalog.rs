//! What the database says of its tables: names, columns, keys, sizes.

use rivet_sdk::{
    Description, Error, Key, KeyColumn, NativeSplit, OneReadPoint, Relation, Result, TableFilter, TableName,
    TableSummary, nearest,
};

use crate::database::Database;
use crate::dialect::{from, hex};
use crate::index_tables;
use crate::types::Kind;

/// A relation as the catalogue has it.
#[derive(Debug, Clone)]
pub struct Shape {
    /// With the table's name as the catalogue spells it.
    pub relation: Relation,
    /// `table`, `view`, `virtual table`, `shadow table` or `query`.
    pub kind: String,
    /// In order.
    pub columns: Vec<SourceColumn>,
    /// What names a row in an error: the rowid, the primary key, or nothing.
    pub locator: Vec<String>,
}

/// A column as the catalogue has it.
#[derive(Debug, Clone)]
pub struct SourceColumn {
    /// Its name.
    pub name: String,
    /// Its declared type; empty where there is none.
    pub declared: String,
    /// SQLite enforces that it is not NULL.
    pub not_null: bool,
    /// The rowid under another name: always an integer.
    pub is_rowid: bool,
    /// Position in the primary key, from 1.
    pub primary: u32,
}

impl Shape {
    /// Reads what there is to know of `relation`.
    pub fn of(database: &Database, relation: &Relation) -> Result<Self> {
        let table = match relation {
            Relation::Table(table) => table,
            Relation::Query(sql) => {
                let sql = database.query(sql).map_err(|error| with_near_table(database, error))?;
                let relation = Relation::Query(sql.to_owned());
                let columns = statement_columns(database, &relation)?;
                return Ok(Self { relation, kind: "query".into(), columns, locator: Vec::new() });
            }
            other => return Err(Error::unsupported(format!("this version cannot read {other:?}"))),
        };
        let (name, kind, without_rowid) = find(database, table)?;
        let relation = Relation::Table(TableName::unqualified(name.clone()));
        let mut columns = statement_columns(database, &relation)?;
        // (name, NOT NULL, position in the primary key)
        let facts: Vec<(String, bool, u32)> =
            database.all("SELECT name, \"notnull\", pk FROM pragma_table_xinfo(?1, 'main')", &[&name], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        for column in &mut columns {
            if let Some((_, not_null, primary)) = facts.iter().find(|(fact, ..)| *fact == column.name) {
                column.primary = *primary;
                column.not_null = kind == "table" && (*not_null || (without_rowid && *primary > 0));
            }
        }
        if kind == "table" && !without_rowid {
            mark_rowid(database, &name, &mut columns)?;
        }
        let locator = locator(&kind, without_rowid, &columns);
        Ok(Self { relation, kind, columns, locator })
    }

    /// A column by its exact name.
    pub fn column(&self, name: &str) -> Option<&SourceColumn> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// Names and declared types of the columns, as a statement has them. Works for everything.
fn statement_columns(database: &Database, relation: &Relation) -> Result<Vec<SourceColumn>> {
    let sql = format!("SELECT * FROM {}", from(relation));
    let statement = database.prepare(&sql).map_err(|error| with_near_table(database, error))?;
    let columns: Vec<SourceColumn> = statement
        .columns()
        .map(|column| SourceColumn {
            name: column.name().to_owned(),
            declared: column.decl_type().unwrap_or_default().to_owned(),
            not_null: false,
            is_rowid: false,
            primary: 0,
        })
        .collect();
    for (index, column) in columns.iter().enumerate() {
        if columns.iter().take(index).any(|other| other.name.eq_ignore_ascii_case(&column.name)) {
            return Err(Error::config(format!("{relation} has two columns named `{}`", column.name))
                .with_hint("give one of them another name with AS"));
        }
    }
    Ok(columns)
}

/// The table in the main database: its exact name, kind, and whether it is WITHOUT ROWID.
fn find(database: &Database, table: &TableName) -> Result<(String, String, bool)> {
    if let Some(schema) = table.schema.as_deref().filter(|schema| !schema.eq_ignore_ascii_case("main")) {
        return Err(Error::not_found(format!("no schema `{schema}`")).with_hint("SQLite tables are in `main`"));
    }
    let all: Vec<(String, String, bool)> =
        database.all("SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main'", &[], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    let exact = all.iter().find(|(name, ..)| *name == table.name);
    let found = exact.or_else(|| all.iter().find(|(name, ..)| name.eq_ignore_ascii_case(&table.name)));
    match found {
        Some((name, kind, without_rowid)) => Ok((name.clone(), kind_name(kind), *without_rowid)),
        None => {
            let error = Error::not_found(format!("no table `{table}`"));
            Err(match nearest(&table.name, all.iter().map(|(name, ..)| name.as_str())) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error.with_hint(
                    "`rivet init --discover` lists what is there; a relative path starts at the working directory",
                ),
            })
        }
    }
}

fn kind_name(kind: &str) -> String {
    match kind {
        "virtual" | "shadow" => format!("{kind} table"),
        plain => plain.to_owned(),
    }
}

/// A query's missing table gets the nearest name too.
fn with_near_table(database: &Database, error: Error) -> Error {
    let Some(missing) = error.message().strip_prefix("no such table: ").map(str::to_owned) else { return error };
    let names = database.all("SELECT name FROM pragma_table_list WHERE schema = 'main'", &[], |row| row.get(0));
    let names: Vec<String> = names.unwrap_or_default();
    match nearest(missing.trim_start_matches("main."), names.iter().map(String::as_str)) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error,
    }
}

/// A lone INTEGER PRIMARY KEY is the rowid, unless it has an index (`INTEGER PRIMARY KEY DESC`).
fn mark_rowid(database: &Database, table: &str, columns: &mut [SourceColumn]) -> Result<()> {
    let mut primary = columns.iter_mut().filter(|column| column.primary > 0);
    let (Some(column), None) = (primary.next(), primary.next()) else { return Ok(()) };
    if column.declared.eq_ignore_ascii_case("INTEGER") {
        let sql = "SELECT origin FROM pragma_index_list(?1, 'main') WHERE origin = 'pk'";
        let indexed: Vec<String> = database.all(sql, &[table], |row| row.get(0))?;
        column.is_rowid = indexed.is_empty();
        column.not_null |= column.is_rowid;
    }
    Ok(())
}

fn locator(kind: &str, without_rowid: bool, columns: &[SourceColumn]) -> Vec<String> {
    if kind != "table" {
        return Vec::new();
    }
    if without_rowid {
        let mut key: Vec<_> = columns.iter().filter(|column| column.primary > 0).collect();
        key.sort_by_key(|column| column.primary);
        return key.into_iter().map(|column| column.name.clone()).collect();
    }
    if let Some(column) = columns.iter().find(|column| column.is_rowid) {
        return vec![column.name.clone()];
    }
    let hidden = |name: &&str| columns.iter().all(|column| !column.name.eq_ignore_ascii_case(name));
    ["rowid", "_rowid_", "oid"].into_iter().find(hidden).map(str::to_owned).into_iter().collect()
}

/// Tables and views of the main database; SQLite's own are left out.
pub fn tables(database: &Database, filter: &TableFilter) -> Result<Vec<TableSummary>> {
    if filter.schema.as_deref().is_some_and(|schema| !schema.eq_ignore_ascii_case("main")) {
        return Ok(Vec::new());
    }
    let sql = "SELECT l.name, l.type, s.sql FROM pragma_table_list AS l \
               LEFT JOIN main.sqlite_schema AS s ON s.type = 'table' AND s.name = l.name WHERE l.schema = 'main' \
               AND l.type <> 'shadow' AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY l.name";
    let found: Vec<(String, String, Option<String>)> =
        database.all(sql, &[], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    // Names are compared without regard to case, and told as the catalogue spells them.
    let spelled = |shown: TableName| {
        let exact = found.iter().find(|(name, ..)| name.eq_ignore_ascii_case(&shown.name));
        exact.map_or(shown, |(name, ..)| TableName::unqualified(name.clone()))
    };
    let summaries = found.iter().map(|(name, kind, statement)| {
        let shown = statement.as_deref().filter(|_| kind == "virtual").and_then(index_tables::shows).map(spelled);
        TableSummary::new(TableName::unqualified(name.clone()), kind_name(kind))
            .with_rows(analyzed_rows(database, name))
            .with_within(shown.into_iter().collect())
    });
    Ok(summaries.collect())
}

/// Rows as the last ANALYZE counted them.
pub fn analyzed_rows(database: &Database, table: &str) -> Option<u64> {
    let sql = "SELECT stat FROM main.sqlite_stat1 WHERE tbl = ?1 AND stat IS NOT NULL";
    let stats: Vec<String> = database.all(sql, &[table], |row| row.get(0)).ok()?;
    stats.iter().filter_map(|stat| stat.split(' ').next()?.parse().ok()).max()
}

/// Keys and sizes of a relation.
pub fn describe(database: &Database, relation: &Relation) -> Result<Description> {
    let shape = Shape::of(database, relation)?;
    let (mut rows, mut bytes, mut keys) = (None, None, Vec::new());
    if let (Some(table), "table") = (shape.relation.table(), shape.kind.as_str()) {
        rows = analyzed_rows(database, &table.name).or_else(|| rowid_span(database, &shape));
        bytes = table_bytes(database, &table.name);
        keys = keys_of(database, &shape)?;
    }
    let native = NativeSplit::Impossible("SQLite has no physical ranges that stay put between statements".into());
    // A query is told as the user wrote it.
    let relation = if relation.table().is_some() { shape.relation } else { relation.clone() };
    Ok(Description::new(relation, shape.kind)
        .with_keys(keys)
        .with_rows(rows)
        .with_bytes(bytes)
        .with_native(native)
        .without_snapshot(
            OneReadPoint::Statement,
            "SQLite has none that several connections share, and another process may write between two statements",
        ))
}

/// An upper bound that costs two seeks: the span of the rowids.
fn rowid_span(database: &Database, shape: &Shape) -> Option<u64> {
    let [key] = &shape.locator[..] else { return None };
    let rowid = shape.column(key).is_none_or(|column| column.is_rowid);
    if !rowid {
        return None;
    }
    let column = rivet_sdk::sql::Dialect::name(&crate::dialect::Sqlite, key);
    let end = |function: &str| {
        database.one::<Option<i64>>(&format!("SELECT {function}({column}) FROM {}", from(&shape.relation))).ok()
    };
    match (end("min")?, end("max")?) {
        (Some(first), Some(last)) => u64::try_from(i128::from(last) - i128::from(first) + 1).ok(),
        _ => Some(0),
    }
}

/// Pages of the table's own tree, from the `dbstat` table; it reads the tree's inner pages only
/// in aggregate mode, so files over a gigabyte are not asked.
fn table_bytes(database: &Database, table: &str) -> Option<u64> {
    let size = database_bytes(database).ok()?;
    if size > 1 << 30 {
        return None;
    }
    let sql = "SELECT pgsize FROM dbstat('main', 1) WHERE name = ?1";
    let found: Vec<i64> = database.all(sql, &[table], |row| row.get(0)).ok()?;
    found.first().and_then(|bytes| u64::try_from(*bytes).ok())
}

/// The file's size as SQLite counts it.
pub fn database_bytes(database: &Database) -> Result<u64> {
    let pages: i64 = database.one("PRAGMA page_count")?;
    let page: i64 = database.one("PRAGMA page_size")?;
    Ok(u64::try_from(pages.saturating_mul(page)).unwrap_or_default())
}

/// The rowid's column, then every full index over plain columns; the primary key first.
pub fn keys_of(database: &Database, shape: &Shape) -> Result<Vec<Key>> {
    let mut keys = Vec::new();
    let Some(TableName { name: table, .. }) = shape.relation.table().filter(|_| shape.kind == "table") else {
        return Ok(keys);
    };
    if let Some(column) = shape.columns.iter().find(|column| column.is_rowid) {
        keys.push(Key::new("rowid", vec![key_column(column)]).with_primary(true).with_unique(true));
    }
    let indexes: Vec<(String, bool, String)> = database.all(
        "SELECT name, \"unique\", origin FROM pragma_index_list(?1, 'main') WHERE NOT partial ORDER BY origin <> 'pk', seq",
        &[table],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    for (name, unique, origin) in indexes {
        let parts: Vec<(Option<String>, Option<String>)> = database.all(
            "SELECT name, coll FROM pragma_index_xinfo(?1, 'main') WHERE key ORDER BY seqno",
            &[&name],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let mut columns = Vec::new();
        let mut same_order = true;
        for (column, collation) in &parts {
            let Some(column) = column.as_deref().and_then(|name| shape.column(name)) else { break };
            let own = database.collation(table, &column.name).unwrap_or_else(|| "BINARY".into());
            same_order &= collation.as_deref().is_none_or(|used| used.eq_ignore_ascii_case(&own));
            columns.push(key_column(column));
        }
        // An expression in it, or an order that comparisons do not have: no range can use it.
        if columns.len() == parts.len() && same_order && !columns.is_empty() {
            keys.push(Key::new(name, columns).with_primary(origin == "pk").with_unique(unique));
        }
    }
    Ok(keys)
}

fn key_column(column: &SourceColumn) -> KeyColumn {
    KeyColumn::new(column.name.clone(), source_type(&column.declared))
        .with_nullable(!column.not_null)
        // Nobody is to meet two forms of time in a column that he did not name: no cut by one is made of itself.
        .with_rangeable(!Kind::is_of_instants(&column.declared))
}

/// The declared type, as reports show it.
pub fn source_type(declared: &str) -> String {
    if declared.is_empty() { "untyped".into() } else { declared.to_owned() }
}

/// A value that names a row in an error.
pub fn shown(value: rusqlite::types::ValueRef<'_>) -> String {
    use rusqlite::types::ValueRef;
    match value {
        ValueRef::Null => "NULL".into(),
        ValueRef::Integer(value) => value.to_string(),
        ValueRef::Real(value) => format!("{value:?}"),
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Blob(bytes) => format!("X'{}'", hex(bytes)),
    }
}
