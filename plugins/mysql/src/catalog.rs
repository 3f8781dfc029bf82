//! What is there: tables, their columns, keys and sizes. All of it with SELECT alone.

use rivet_sdk::sql::{self, columns};
use rivet_sdk::{
    Description, Error, ErrorKind, NativeSplit, OneReadPoint, Relation, Result, Retry, TableFilter, TableName,
    TableSummary, nearest,
};

use crate::dialect::{Mysql, quoted};
use crate::keys;
use crate::merge;
use crate::packet::{ResultColumn, Rows};
use crate::rights;
use crate::server::Server;
use crate::types::Base;
use crate::wire::{Statement, Wire};

const SYSTEM: &str = "('information_schema', 'mysql', 'performance_schema', 'sys')";

/// A table as the catalogue knows it.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub name: TableName,
    /// `table`, `view` and so on, as [`TableSummary::kind`] has it.
    pub kind: &'static str,
    pub rows: Option<u64>,
    pub bytes: Option<u64>,
    pub one_read_point: OneReadPoint,
    pub no_snapshot: Option<String>,
}

/// A column before it is known what becomes of it.
#[derive(Debug, Clone)]
pub(crate) struct SourceColumn {
    pub name: String,
    pub result: ResultColumn,
    pub source_type: String,
    pub not_null: bool,
    /// The character set a text is stored in, where that is known.
    pub charset: Option<String>,
    /// The spatial reference system of a geometry, where that is known.
    pub srid: Option<u32>,
    /// Whether the login has SELECT on it.
    pub readable: bool,
}

impl columns::SourceColumn for SourceColumn {
    const UNKNOWN_CODE: &'static str = "1054";
    const UNREADABLE_CODE: &'static str = "1143";

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

impl SourceColumn {
    /// A column of which no more is known than what the server says of a result.
    fn of_result(result: ResultColumn) -> Self {
        Self {
            name: result.name.clone(),
            source_type: result.type_name(),
            not_null: false,
            charset: None,
            srid: None,
            readable: true,
            result,
        }
    }

    /// What the column holds.
    pub fn base(&self) -> Base {
        match self.result.base() {
            // A server that does not send MariaDB's words still has them in its catalogue.
            Base::Binary if self.source_type.starts_with("vector(") => Base::Vector,
            Base::Text | Base::Binary if self.source_type == "uuid" => Base::Uuid,
            base => base,
        }
    }
}

impl Rows {
    /// A value by its column's name, which servers write in either case.
    pub fn named<'a>(&self, row: &'a [Option<String>], name: &str) -> Option<&'a str> {
        let index = self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))?;
        row.get(index)?.as_deref()
    }
}

pub(crate) fn number(text: Option<&str>) -> Option<u64> {
    text.and_then(|text| text.parse().ok())
}

fn kind_of(table_type: &str, options: &str) -> &'static str {
    match table_type {
        "VIEW" | "SYSTEM VIEW" => "view",
        _ if options.contains("partitioned") => "partitioned table",
        _ => "table",
    }
}

/// Why rows of a storage engine without snapshots are not read at one point.
fn no_snapshot(engine: Option<&str>) -> Option<String> {
    let has_one = one_read_point(engine) == OneReadPoint::Snapshot;
    engine.filter(|_| !has_one).map(|engine| format!("the table's engine {engine} has no snapshots; InnoDB has"))
}

/// What a storage engine lets a transaction `WITH CONSISTENT SNAPSHOT`, or one statement, see.
fn one_read_point(engine: Option<&str>) -> OneReadPoint {
    match engine.map(str::to_ascii_lowercase).as_deref() {
        // None: a view, whose tables are mostly InnoDB's.
        None | Some("innodb" | "rocksdb" | "tokudb") => OneReadPoint::Snapshot,
        // A statement locks the table against writers, or sees it as it was when it began.
        Some("myisam" | "aria" | "memory" | "heap" | "mrg_myisam" | "csv" | "archive" | "sequence") => {
            OneReadPoint::Statement
        }
        // NDB reads the last committed version of each row; the others ask elsewhere.
        Some(_) => OneReadPoint::None,
    }
}

/// Fills in the database a name has none of.
fn qualified(wire: &mut Wire, name: &TableName) -> Result<TableName> {
    let schema = match &name.schema {
        Some(schema) => schema.clone(),
        None => match wire.query("SELECT DATABASE()")?.value() {
            Some(database) => database.to_owned(),
            None => {
                return Err(Error::not_found(format!("the table {name} does not exist: no database is selected"))
                    .with_hint("write `database.table`, or give the source a `database`"));
            }
        },
    };
    Ok(TableName::qualified(schema, name.name.clone()))
}

/// Finds a table by name.
pub(crate) fn table(wire: &mut Wire, name: &TableName) -> Result<Table> {
    let name = qualified(wire, name)?;
    let schema = name.schema.clone().unwrap_or_default();
    let rows = wire.query(&format!(
        "SELECT TABLE_NAME, TABLE_TYPE, TABLE_ROWS, DATA_LENGTH, CREATE_OPTIONS, ENGINE \
         FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        quoted(&schema),
        quoted(&name.name)
    ))?;
    // The catalogue may compare without regard to case; the server's files may not.
    let exact = rows.rows.iter().find(|row| rows.named(row, "TABLE_NAME") == Some(&name.name));
    let Some(row) = exact.or(rows.rows.first()) else { return Err(no_table(wire, &name)?) };
    let kind = kind_of(
        rows.named(row, "TABLE_TYPE").unwrap_or_default(),
        rows.named(row, "CREATE_OPTIONS").unwrap_or_default(),
    );
    let stored = kind != "view";
    Ok(Table {
        name,
        kind,
        rows: number(rows.named(row, "TABLE_ROWS")).filter(|_| stored),
        bytes: number(rows.named(row, "DATA_LENGTH")).filter(|_| stored),
        one_read_point: one_read_point(rows.named(row, "ENGINE")),
        no_snapshot: no_snapshot(rows.named(row, "ENGINE")),
    })
}

fn no_table(wire: &mut Wire, name: &TableName) -> Result<Error> {
    let rows = wire.query(&format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA NOT IN {SYSTEM} LIMIT 10000"
    ))?;
    let names: Vec<String> =
        rows.rows.iter().map(|row| row.iter().flatten().cloned().collect::<Vec<_>>().join(".")).collect();
    let error = Error::not_found(format!("the table {name} does not exist, or the user may not see it"));
    let error = error.with_code("1146");
    Ok(match nearest(&name.to_string(), names.iter().map(String::as_str)) {
        Some(near) => error.with_hint(format!("did you mean {near}? names are matched with upper and lower case")),
        None => error.with_hint("check the name, upper and lower case included, and that the user has SELECT on it"),
    })
}

/// The columns of a table, in order: what `SELECT *` gives.
pub(crate) fn table_columns(wire: &mut Wire, server: Server, table: &Table) -> Result<Vec<SourceColumn>> {
    let from = sql::table(&Mysql, &table.name);
    let all = match described(wire, &format!("SELECT * FROM {from}")) {
        Err(error) if error.kind() != ErrorKind::Permission => return Err(error),
        all => all,
    };
    let srid = if server.is_mysql_since(80_003) { "SRS_ID" } else { "NULL" };
    let rows = wire.query(&format!(
        "SELECT COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, CHARACTER_SET_NAME, {srid} AS SRS_ID, PRIVILEGES, EXTRA \
         FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        quoted(table.name.schema.as_deref().unwrap_or_default()),
        quoted(&table.name.name)
    ))?;
    let (results, hidden) = match all {
        Ok(all) => (all, Vec::new()),
        Err(refused) => rights::columns(wire, table, &rows, refused)?,
    };
    // The two looks are not one: the table may be dropped or altered between them.
    if rows.rows.is_empty() {
        return Err(no_table(wire, &table.name)?);
    }
    let mut columns = Vec::with_capacity(results.len() + hidden.len());
    for result in results {
        let Some(row) = rows.rows.iter().find(|row| rows.named(row, "COLUMN_NAME") == Some(&result.name)) else {
            return Err(altered(&result.name));
        };
        let fact = |name: &str| rows.named(row, name);
        let mut column = SourceColumn {
            source_type: fact("COLUMN_TYPE").map_or_else(|| result.type_name(), str::to_owned),
            // A view promises nothing that its tables enforce.
            not_null: table.kind != "view" && fact("IS_NULLABLE") == Some("NO"),
            charset: fact("CHARACTER_SET_NAME").map(str::to_owned),
            srid: number(fact("SRS_ID")).and_then(|srid| u32::try_from(srid).ok()),
            readable: true,
            name: result.name.clone(),
            result,
        };
        if column.source_type.starts_with("longtext") && column.base() == Base::Json {
            column.source_type = "json".to_owned();
        }
        if column.base() == Base::Geometry && column.srid.is_none() {
            column.srid = first_srid(wire, &from, &column.name)?;
        }
        columns.push(column);
    }
    columns
        .extend(hidden.into_iter().map(|result| SourceColumn { readable: false, ..SourceColumn::of_result(result) }));
    Ok(columns)
}

/// A table was altered between two looks at it.
pub(crate) fn altered(column: &str) -> Error {
    Error::new(ErrorKind::Transient, format!("column `{column}` changed while the export began"))
        .with_retry(Retry::Transient(None))
        .with_hint("the table was altered; the next attempt sees it as it is now")
}

/// The SRID of a geometry column that declares none: that of the first value there is.
fn first_srid(wire: &mut Wire, from: &str, column: &str) -> Result<Option<u32>> {
    use rivet_sdk::sql::Dialect;
    let name = Mysql.name(column);
    let rows = wire.query(&format!("SELECT ST_SRID({name}) FROM {from} WHERE {name} IS NOT NULL LIMIT 1"))?;
    Ok(rows.value().and_then(|srid| srid.parse().ok()))
}

/// The columns of a query, from the server's own description of it.
pub(crate) fn query_columns(wire: &mut Wire, relation: &Relation) -> Result<Vec<SourceColumn>> {
    // Through the same derived table as the export: the server may see other types without it.
    let results = described(wire, &format!("SELECT * FROM {}", sql::from(&Mysql, relation)))?;
    Ok(results.into_iter().map(SourceColumn::of_result).collect())
}

/// The columns a SELECT would return, without running it.
pub(crate) fn described(wire: &mut Wire, sql: &str) -> Result<Vec<ResultColumn>> {
    let statement = select(wire, sql)?;
    wire.close(&statement)?;
    Ok(statement.columns)
}

/// Prepares one SELECT, a user's too.
pub(crate) fn select(wire: &mut Wire, sql: &str) -> Result<Statement> {
    let statement = wire.prepare(sql)?;
    let wrong = match (statement.columns.is_empty(), statement.parameters) {
        (true, _) => "the query returns no columns",
        (_, 1..) => "the query has a `?` that stands for a value",
        _ => return Ok(statement),
    };
    wire.close(&statement)?;
    Err(Error::new(ErrorKind::InvalidQuery, wrong).with_hint("`query` must be one SELECT, complete as it stands"))
}

/// Tables and views, with the server's estimates. Where the session has a database, those of others are said to be
/// elsewhere.
pub(crate) fn tables(wire: &mut Wire, filter: &TableFilter) -> Result<Vec<TableSummary>> {
    let database = wire.query("SELECT DATABASE()")?.value().map(str::to_owned);
    let schema = match &filter.schema {
        Some(schema) => format!("TABLE_SCHEMA = {}", quoted(schema)),
        None => format!("TABLE_SCHEMA NOT IN {SYSTEM}"),
    };
    let rows = wire.query(&format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, TABLE_ROWS, DATA_LENGTH, CREATE_OPTIONS, ENGINE \
         FROM information_schema.TABLES WHERE {schema} AND TABLE_TYPE <> 'SEQUENCE' ORDER BY TABLE_SCHEMA, TABLE_NAME"
    ))?;
    let table = |row: &Vec<Option<String>>| {
        let fact = |name: &str| rows.named(row, name).unwrap_or_default();
        TableName::qualified(fact("TABLE_SCHEMA"), fact("TABLE_NAME"))
    };
    let is_merged = |row: &&Vec<Option<String>>| {
        rows.named(row, "ENGINE").is_some_and(|engine| engine.eq_ignore_ascii_case("MRG_MyISAM"))
    };
    let merged: Vec<TableName> = rows.rows.iter().filter(is_merged).map(table).collect();
    let mut within = merge::within(wire, &merged)?;
    let summary = |row: &Vec<Option<String>>| {
        let fact = |name: &str| rows.named(row, name);
        let kind = kind_of(fact("TABLE_TYPE").unwrap_or_default(), fact("CREATE_OPTIONS").unwrap_or_default());
        let table = table(row);
        let within = within.remove(&table).unwrap_or_default();
        TableSummary::new(table, kind)
            .with_rows(number(fact("TABLE_ROWS")).filter(|_| kind != "view"))
            .with_bytes(number(fact("DATA_LENGTH")).filter(|_| kind != "view"))
            .with_within(within)
    };
    let mut tables: Vec<TableSummary> = rows.rows.iter().map(summary).collect();
    // A server that ignores case spells the database as it likes.
    let exact = tables.iter().any(|one| one.table.schema == database);
    let is_here = |schema: &str, database: &str| match exact {
        true => schema == database,
        false => schema.eq_ignore_ascii_case(database),
    };
    if let (None, Some(database)) = (&filter.schema, &database) {
        for one in &mut tables {
            one.elsewhere = one.table.schema.as_ref().is_some_and(|schema| !is_here(schema, database));
        }
    }
    Ok(tables)
}

/// Keys and sizes of a relation.
pub(crate) fn describe(wire: &mut Wire, server: Server, relation: &Relation) -> Result<Description> {
    let name = match relation {
        Relation::Table(name) => name,
        Relation::Query(sql) => {
            return Ok(Description::new(relation.clone(), "query")
                .with_rows(explained_rows(wire, sql)?)
                .with_native(NativeSplit::Impossible("a query has no physical ranges".to_owned()))
                .with_one_read_point(OneReadPoint::Snapshot));
        }
        other => return Err(Error::unsupported(format!("this version cannot read {other:?}"))),
    };
    let table = table(wire, name)?;
    let columns = table_columns(wire, server, &table)?;
    let description = Description::new(Relation::Table(table.name.clone()), table.kind)
        .with_keys(keys::keys(wire, &table, &columns)?)
        .with_rows(table.rows)
        .with_bytes(table.bytes)
        .with_native(NativeSplit::Impossible("MySQL has no physical ranges".to_owned()))
        .with_one_read_point(table.one_read_point);
    Ok(match table.no_snapshot {
        Some(why) => description.without_snapshot(table.one_read_point, why),
        None => description,
    })
}

/// The optimiser's estimate of a statement's rows: those of its first table, or derived table.
pub(crate) fn explained_rows(wire: &mut Wire, sql: &str) -> Result<Option<u64>> {
    let rows = match wire.query(&format!("EXPLAIN FORMAT=TRADITIONAL {sql}")) {
        Ok(rows) => rows,
        // To look into a view takes SHOW VIEW, and rights on the tables below it.
        Err(error) if error.kind() == ErrorKind::Permission => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(rows.rows.first().and_then(|row| number(rows.named(row, "rows"))))
}
