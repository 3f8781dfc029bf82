//! A table of which the login may read some columns and not others.

use rivet_sdk::sql::{self, Dialect};
use rivet_sdk::{Error, Result};

use crate::catalog::{Table, described, surprise};
use crate::dialect::{Tsql, unicode};
use crate::session::{ask, tolerate, whole, words};
use crate::types::SourceColumn;
use crate::wire::Wire;

/// The columns of a table of which the login may read some, those it may not at the end.
pub(crate) fn readable_columns(
    wire: &mut Wire,
    table: &Table,
    from: &str,
    refused: Error,
) -> Result<Vec<SourceColumn>> {
    let listed = |hidden: &str| {
        format!(
            "SELECT c.name, CAST(HAS_PERMS_BY_NAME({}, 'OBJECT', 'SELECT', c.name, 'COLUMN') AS int) \
             FROM sys.columns AS c WHERE c.object_id = {}{hidden} ORDER BY c.column_id",
            unicode(from),
            table.id
        )
    };
    // Columns that `SELECT *` leaves out are newer than the view.
    let rows = match ask(wire, &listed(" AND c.is_hidden = 0")) {
        Err(error) => {
            tolerate(error)?;
            ask(wire, &listed(""))?
        }
        Ok(rows) => rows,
    };
    let (mut readable, mut others) = (Vec::new(), Vec::new());
    for row in &rows {
        let [name, may] = &row[..] else { return Err(surprise()) };
        let list = if whole(may) == Some(1) { &mut readable } else { &mut others };
        list.push(words(name).ok_or_else(surprise)?);
    }
    if readable.is_empty() || others.is_empty() {
        return Err(refused);
    }
    let names: Vec<String> = readable.iter().map(|name| Tsql::default().name(name)).collect();
    let mut columns = described(wire, &format!("SELECT {} FROM {from}", names.join(", ")), !table.is_view)?;
    columns.extend(others.into_iter().map(SourceColumn::unreadable));
    Ok(columns)
}

/// The names of those that it may not read; none where the server does not tell.
pub(crate) fn unreadable(wire: &mut Wire, table: &Table) -> Result<Vec<String>> {
    let sql = format!(
        "SELECT c.name FROM sys.columns AS c WHERE c.object_id = {} \
         AND HAS_PERMS_BY_NAME({}, 'OBJECT', 'SELECT', c.name, 'COLUMN') = 0",
        table.id,
        unicode(&sql::table(&Tsql::default(), &table.name))
    );
    match ask(wire, &sql) {
        Ok(rows) => Ok(rows.iter().filter_map(|row| row.first().and_then(words)).collect()),
        Err(error) => tolerate(error).map(|()| Vec::new()),
    }
}
