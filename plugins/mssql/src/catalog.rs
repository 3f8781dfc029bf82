//! What is there: tables, their columns, keys and sizes. Every view asked shows an ordinary login
//! what it may read.

use rivet_sdk::sql;
use rivet_sdk::{
    Description, Error, ErrorKind, NativeSplit, Relation, Result, Scalar, TableFilter, TableName, TableSummary, nearest,
};

use crate::dialect::{Tsql, unicode};
use crate::error::{ServerMessage, confused};
use crate::keys;
use crate::physical;
use crate::rights;
use crate::session::{ask, tolerate, whole, words};
use crate::types::SourceColumn;
use crate::wire::Wire;

const PAGE_BYTES: u64 = 8192;
const ROWS_OF: &str = "(SELECT SUM(p.rows) FROM sys.partitions AS p WHERE p.object_id = $ AND p.index_id IN (0, 1))";
const PAGES_OF: &str = "(SELECT SUM(a.used_pages) FROM sys.partitions AS p JOIN sys.allocation_units AS a \
     ON a.container_id = p.partition_id WHERE p.object_id = $ AND p.index_id IN (0, 1))";

/// A table or view as the catalogue knows it.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub id: i128,
    pub name: TableName,
    pub is_view: bool,
}

impl Table {
    fn kind(&self) -> &'static str {
        if self.is_view { "view" } else { "table" }
    }
}

pub(crate) fn surprise() -> Error {
    confused("a catalogue view in an unexpected shape")
}

fn size(value: &Scalar) -> Option<u64> {
    whole(value).and_then(|value| u64::try_from(value).ok())
}

/// Finds a table by name; without a schema, as the server would.
pub(crate) fn table(wire: &mut Wire, name: &TableName) -> Result<Table> {
    let schema = match &name.schema {
        Some(schema) => format!("s.name = {}", unicode(schema)),
        None => {
            "s.name IN (SCHEMA_NAME(), N'dbo') ORDER BY CASE WHEN s.name = SCHEMA_NAME() THEN 0 ELSE 1 END".to_owned()
        }
    };
    let rows = ask(
        wire,
        &format!(
            "SELECT TOP (1) o.object_id, s.name, o.name, o.type FROM sys.objects AS o \
             JOIN sys.schemas AS s ON s.schema_id = o.schema_id \
             WHERE o.name = {} AND o.type IN ('U', 'V') AND {schema}",
            unicode(&name.name)
        ),
    )?;
    let Some(row) = rows.first() else { return Err(no_table(wire, name)?) };
    let [id, schema, found, class] = &row[..] else { return Err(surprise()) };
    Ok(Table {
        id: whole(id).ok_or_else(surprise)?,
        name: TableName::qualified(words(schema).ok_or_else(surprise)?, words(found).ok_or_else(surprise)?),
        is_view: words(class).is_some_and(|class| class.trim() == "V"),
    })
}

/// The catalogue hides what a login may not read: the server itself says which of the two it is.
fn no_table(wire: &mut Wire, name: &TableName) -> Result<Error> {
    let error = match wire.run(&format!("SELECT TOP (0) * FROM {}", sql::table(&Tsql::default(), name))) {
        Ok(_) => Error::not_found(format!("{name} is neither a table nor a view"))
            .with_hint("a synonym or a function can be read with `query: SELECT * FROM …`"),
        Err(error) => error,
    };
    if error.code() != Some("208") {
        return Ok(error);
    }
    let rows = ask(
        wire,
        "SELECT TOP (10000) s.name, o.name FROM sys.objects AS o JOIN sys.schemas AS s ON s.schema_id = o.schema_id \
         WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0",
    )?;
    let names: Vec<String> =
        rows.iter().map(|row| row.iter().filter_map(words).collect::<Vec<_>>().join(".")).collect();
    let wanted = format!("{}.{}", name.schema.as_deref().unwrap_or("dbo"), name.name);
    let error = Error::not_found(format!("the table {name} does not exist")).with_code("208");
    Ok(match nearest(&wanted, names.iter().map(String::as_str)) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error.with_hint("a table without any right on it looks the same: GRANT SELECT ON it TO the user"),
    })
}

/// The columns of a relation, as the server describes the result of selecting all of it.
pub(crate) fn columns(wire: &mut Wire, relation: &Relation) -> Result<(Option<Table>, Vec<SourceColumn>)> {
    match relation {
        Relation::Table(name) => {
            let table = table(wire, name)?;
            let from = sql::table(&Tsql::default(), &table.name);
            // A view's columns may be NULL whatever is derived for them.
            let columns = match described(wire, &format!("SELECT * FROM {from}"), !table.is_view) {
                // The description of what may not be read has numbers of its own.
                Err(refused) if matches!(refused.kind(), ErrorKind::Permission | ErrorKind::InvalidQuery) => {
                    rights::readable_columns(wire, &table, &from, refused)?
                }
                columns => columns?,
            };
            Ok((Some(table), columns))
        }
        Relation::Query(text) => {
            let statement = format!("SELECT * FROM {}", derived(text));
            Ok((None, described(wire, &statement, false)?))
        }
        other => Err(Error::unsupported(format!("this version cannot read {other:?}"))),
    }
}

/// The facts of a described column, by the names they have in both forms of the description.
const FACTS: [&str; 10] = [
    "name",
    "is_hidden",
    "is_nullable",
    "system_type_name",
    "user_type_name",
    "max_length",
    "precision",
    "scale",
    "collation_name",
    "column_ordinal",
];

pub(crate) fn described(wire: &mut Wire, statement: &str, trust_not_null: bool) -> Result<Vec<SourceColumn>> {
    let sql = format!(
        "SELECT {}, CAST(COLLATIONPROPERTY(collation_name, 'CodePage') AS int), error_number, error_message \
         FROM sys.dm_exec_describe_first_result_set({}, NULL, 0) ORDER BY column_ordinal",
        FACTS.join(", "),
        unicode(statement)
    );
    let rows = match ask(wire, &sql) {
        // The function is missing in some relatives of SQL Server, the procedure is older.
        Err(error) => {
            tolerate(error)?;
            by_procedure(wire, statement)?
        }
        Ok(rows) => rows,
    };
    let mut columns = Vec::with_capacity(rows.len());
    for row in &rows {
        let [name, hidden, nullable, system, user, length, precision, scale, collation, _, page, number, message] =
            &row[..]
        else {
            return Err(surprise());
        };
        if let Some(number) = whole(number) {
            let message = words(message).unwrap_or_default();
            let number = i32::try_from(number).unwrap_or(0);
            return Err(ServerMessage { number, class: 16, message }.into_error());
        }
        if whole(hidden) == Some(1) {
            continue;
        }
        let source_type = words(system).or_else(|| words(user)).unwrap_or_else(|| "unknown".to_owned());
        let (base, is_max) = SourceColumn::base_of(&source_type);
        let small = |value: &Scalar| whole(value).and_then(|value| u8::try_from(value).ok()).unwrap_or(0);
        columns.push(SourceColumn {
            name: words(name).unwrap_or_default(),
            source_type: if base == "rowversion" { base.clone() } else { source_type },
            is_max: is_max || whole(length) == Some(-1),
            base,
            precision: small(precision),
            scale: small(scale),
            collation: words(collation),
            code_page: whole(page),
            not_null: trust_not_null && whole(nullable) == Some(0),
            readable: true,
        });
    }
    if columns.is_empty() {
        return Err(Error::new(rivet_sdk::ErrorKind::InvalidQuery, "the query returns no columns")
            .with_hint("`query` must be one SELECT"));
    }
    Ok(columns)
}

/// The same rows from `sp_describe_first_result_set`, which reports a wrong statement as an error.
pub(crate) fn by_procedure(wire: &mut Wire, statement: &str) -> Result<Vec<Vec<Scalar>>> {
    let answer = wire.run(&format!("EXEC sp_describe_first_result_set {}, NULL, 0", unicode(statement)))?;
    let places: Vec<Option<usize>> =
        FACTS.iter().map(|fact| answer.columns.iter().position(|column| column.name == *fact)).collect();
    let mut pages: Vec<(String, Scalar)> = Vec::new();
    let mut rows = Vec::with_capacity(answer.rows.len());
    for row in &answer.rows {
        let mut facts: Vec<Scalar> =
            places.iter().map(|place| place.and_then(|at| row.get(at)).cloned().unwrap_or(Scalar::Null)).collect();
        let collation = facts.get(8).and_then(words);
        let page = match &collation {
            None => Scalar::Null,
            Some(name) => match pages.iter().find(|(known, _)| known == name) {
                Some((_, page)) => page.clone(),
                None => {
                    let sql = format!("SELECT CAST(COLLATIONPROPERTY({}, 'CodePage') AS int)", unicode(name));
                    let page = ask(wire, &sql)?.into_iter().flatten().next().unwrap_or(Scalar::Null);
                    pages.push((name.clone(), page.clone()));
                    page
                }
            },
        };
        facts.extend([page, Scalar::Null, Scalar::Null]);
        rows.push(facts);
    }
    Ok(rows)
}

/// Tables and views, with the server's estimates.
pub(crate) fn tables(wire: &mut Wire, filter: &TableFilter) -> Result<Vec<TableSummary>> {
    let schema = filter.schema.as_ref().map(|schema| format!(" AND s.name = {}", unicode(schema))).unwrap_or_default();
    let rows = with_estimates(wire, "o.object_id", |estimates| {
        format!(
            "SELECT s.name, o.name, o.type, {estimates} FROM sys.objects AS o \
             JOIN sys.schemas AS s ON s.schema_id = o.schema_id \
             WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0{schema} ORDER BY s.name, o.name"
        )
    })?;
    rows.iter()
        .map(|row| {
            let [schema, name, class, rows, pages] = &row[..] else { return Err(surprise()) };
            let is_view = words(class).is_some_and(|class| class.trim() == "V");
            Ok(TableSummary::new(
                TableName::qualified(words(schema).ok_or_else(surprise)?, words(name).ok_or_else(surprise)?),
                if is_view { "view" } else { "table" },
            )
            .with_rows(size(rows))
            .with_bytes(size(pages).map(|pages| pages * PAGE_BYTES)))
        })
        .collect()
}

/// The rows of a statement with the estimated rows and pages of `object` in it, as many of these as the server has.
fn with_estimates(wire: &mut Wire, object: &str, sql: impl Fn(&str) -> String) -> Result<Vec<Vec<Scalar>>> {
    let (rows, pages) = (ROWS_OF.replace('$', object), PAGES_OF.replace('$', object));
    for estimates in [format!("{rows}, {pages}"), format!("{rows}, NULL")] {
        match ask(wire, &sql(&estimates)) {
            Ok(rows) => return Ok(rows),
            Err(error) => tolerate(error)?,
        }
    }
    ask(wire, &sql("NULL, NULL"))
}

/// Estimated rows and bytes of a table.
pub(crate) fn estimate(wire: &mut Wire, table: &Table) -> Result<(Option<u64>, Option<u64>)> {
    if table.is_view {
        return Ok((None, None));
    }
    let rows = with_estimates(wire, &table.id.to_string(), |estimates| format!("SELECT {estimates}"))?;
    let [rows, pages] = &rows.first().ok_or_else(surprise)?[..] else { return Err(surprise()) };
    Ok((size(rows), size(pages).map(|pages| pages * PAGE_BYTES)))
}

/// Keys and sizes of a relation; what reads at one point is for the session to say.
pub(crate) fn describe(wire: &mut Wire, relation: &Relation, frozen: bool) -> Result<Description> {
    let Relation::Table(name) = relation else {
        // Whether the query is one at all is for the planner to know early.
        columns(wire, relation)?;
        let native = NativeSplit::Impossible("a query has no physical ranges".to_owned());
        return Ok(Description::new(relation.clone(), "query").with_native(native));
    };
    let table = table(wire, name)?;
    let native = physical::possible(wire, &table, frozen)?;
    let (mut rows, mut bytes) = estimate(wire, &table)?;
    if rows == Some(0) && !is_empty(wire, &table)? {
        // Nobody has counted: the bytes are as little worth.
        (rows, bytes) = (None, bytes.filter(|bytes| *bytes > 0));
    }
    Ok(Description::new(Relation::Table(table.name.clone()), table.kind())
        .with_keys(keys::keys(wire, &table)?)
        .with_rows(rows)
        .with_bytes(bytes)
        .with_native(native))
}

/// Whether a table of which the server says so has no row.
fn is_empty(wire: &mut Wire, table: &Table) -> Result<bool> {
    let from = sql::table(&Tsql::default(), &table.name);
    match ask(wire, &format!("SELECT TOP (1) 1 FROM {from}")) {
        Ok(rows) => Ok(rows.is_empty()),
        // One that is locked, or that the login may not read: the estimate is not known.
        Err(error) if error.kind() == ErrorKind::Timeout => Ok(false),
        Err(error) => tolerate(error).map(|()| false),
    }
}

/// A user's query, which is one statement, as it stands after FROM. What stands in brackets there can only read.
fn derived(text: &str) -> String {
    sql::from(&Tsql::default(), &Relation::Query(text.to_owned()))
}

/// The dialect over a relation's columns, and the relation as it stands after FROM.
pub(crate) fn from(relation: &Relation, table: Option<&Table>) -> Result<String> {
    match (relation, table) {
        (_, Some(table)) => Ok(sql::table(&Tsql::default(), &table.name)),
        (Relation::Query(text), None) => Ok(derived(text)),
        (Relation::Table(name), None) => Ok(sql::table(&Tsql::default(), name)),
        (other, None) => Err(Error::unsupported(format!("this version cannot read {other:?}"))),
    }
}
