//! What a login may: take a snapshot's lock, and read some columns of a table and not others.

use rivet_sdk::sql::wire::Protocol as _;
use rivet_sdk::sql::{self, Dialect};
use rivet_sdk::{Description, Error, ErrorKind, OneReadPoint, Result};

use crate::catalog::{Table, described};
use crate::dialect::Mysql;
use crate::packet::{ResultColumn, Rows};
use crate::server::Server;
use crate::wire::Wire;

/// What the login and its active roles may do, as the server writes it.
pub(crate) fn grants(wire: &mut Wire, server: Server) -> Result<Vec<String>> {
    let mut sql = "SHOW GRANTS".to_owned();
    if server.is_mysql_since(80_000) {
        // Quoted as they stand in a statement; a server of MariaDB's shows those of the active role by itself.
        let roles = wire.query("SELECT CURRENT_ROLE()")?.value().unwrap_or("NONE").to_owned();
        if roles != "NONE" {
            sql = format!("SHOW GRANTS FOR CURRENT_USER() USING {roles}");
        }
    }
    let rows = wire.query(&sql)?;
    Ok(rows.rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
}

/// The rights to the server as a whole, in capitals.
pub(crate) fn global(grants: &[String]) -> Vec<String> {
    let mut words = Vec::new();
    for grant in grants.iter().filter(|grant| grant.contains(" ON *.* TO ")) {
        let list = grant.trim_start_matches("GRANT ").split(" ON *.*").next().unwrap_or_default();
        words.extend(list.split(',').map(|word| word.trim().to_ascii_uppercase()));
    }
    words
}

/// Whether these are enough for the lock under which all workers begin.
pub(crate) fn may_lock(global: &[String]) -> bool {
    global.iter().any(|word| matches!(word.as_str(), "ALL PRIVILEGES" | "RELOAD" | "FLUSH_TABLES"))
}

/// Says of a relation what this login can have of it.
pub(crate) fn as_allowed(wire: &mut Wire, server: Server, description: Description) -> Result<Description> {
    if description.one_read_point != OneReadPoint::Snapshot || may_lock(&global(&grants(wire, server)?)) {
        return Ok(description);
    }
    Ok(description.without_snapshot(
        OneReadPoint::Statement,
        "the login lacks RELOAD, for the short lock under which all workers begin at one point; \
         GRANT RELOAD ON *.* lets it",
    ))
}

/// The columns that may be read, in order, and those that may not. `rows` is what the catalogue shows of the table's
/// columns, and `refused` what the server said to `SELECT *`.
///
/// The catalogue hides a column without a right on it, and `SELECT` says of one that is not there what it says of one
/// that may not be read. What a client asks for to complete names as they are typed lists them all: without it,
/// nobody could tell that a column is missing.
pub(crate) fn columns(
    wire: &mut Wire,
    table: &Table,
    rows: &Rows,
    refused: Error,
) -> Result<(Vec<ResultColumn>, Vec<ResultColumn>)> {
    let granted = |row: &[Option<String>]| {
        let rights = rows.named(row, "PRIVILEGES").unwrap_or_default();
        rights.split(',').any(|right| right.trim().eq_ignore_ascii_case("select"))
    };
    // `SELECT *` would leave those out, too.
    let invisible = |row: &[Option<String>]| {
        rows.named(row, "EXTRA").unwrap_or_default().to_ascii_uppercase().contains("INVISIBLE")
    };
    let named = |wanted: &dyn Fn(&[Option<String>]) -> bool| -> Vec<&str> {
        rows.rows.iter().filter(|row| wanted(row)).filter_map(|row| rows.named(row, "COLUMN_NAME")).collect()
    };
    let readable = named(&|row| granted(row) && !invisible(row));
    if readable.is_empty() {
        return Err(refused);
    }
    let unseen = named(&invisible);
    let list = all(wire, table)?;
    let hidden =
        list.into_iter().filter(|column| !readable.contains(&&*column.name) && !unseen.contains(&&*column.name));
    let hidden: Vec<ResultColumn> = hidden.collect();
    if hidden.is_empty() {
        return Err(refused);
    }
    let names: Vec<String> = readable.iter().map(|name| Mysql.name(name)).collect();
    let from = sql::table(&Mysql, &table.name);
    Ok((described(wire, &format!("SELECT {} FROM {from}", names.join(", ")))?, hidden))
}

/// Every column of the table. The server looks for it in the session's database alone.
fn all(wire: &mut Wire, table: &Table) -> Result<Vec<ResultColumn>> {
    let database = wire.query("SELECT DATABASE()")?.value().map(str::to_owned);
    let Some(database) = database else {
        return Err(untold(table).with_hint("give the source a `database`: without one, the server does not say which"));
    };
    let schema = table.name.schema.clone().unwrap_or_default();
    let moved = schema != database;
    if moved {
        wire.query(&format!("USE {}", Mysql.name(&schema)))?;
    }
    let list = wire.field_list(&table.name.name);
    if moved && !wire.connection().is_broken() {
        wire.query(&format!("USE {}", Mysql.name(&database)))?;
    }
    match list {
        Err(error) if !wire.connection().is_broken() && !error.is_transient() => Err(untold(table).with_source(&error)),
        list => list,
    }
}

fn untold(table: &Table) -> Error {
    let name = &table.name;
    Error::new(
        ErrorKind::Permission,
        format!("the login may not read every column of {name}, and the server does not say which"),
    )
    .with_code("1142")
    .with_hint(format!("grant the user SELECT on the table, or write what may be read: `query: SELECT … FROM {name}`"))
}
