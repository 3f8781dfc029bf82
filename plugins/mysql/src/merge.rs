//! MERGE tables, which show the rows of other tables as theirs. The catalogue does not say whose: the statement that
//! would make the table does.

use std::collections::HashMap;

use rivet_sdk::sql;
use rivet_sdk::{Result, TableName};

use crate::dialect::Mysql;
use crate::wire::Wire;

/// The tables that show a table's rows as theirs, by that table's name. `merged` are the MERGE tables there are.
pub(crate) fn within(wire: &mut Wire, merged: &[TableName]) -> Result<HashMap<TableName, Vec<TableName>>> {
    let mut within: HashMap<TableName, Vec<TableName>> = HashMap::new();
    for table in merged {
        let rows = match wire.query(&format!("SHOW CREATE TABLE {}", sql::table(&Mysql, table))) {
            Ok(rows) => rows,
            // What cannot be looked at cannot be exported either.
            Err(error) if !error.is_transient() => {
                rivet_sdk::log::debug!("the tables of {table} are not known: {error}");
                continue;
            }
            Err(error) => return Err(error),
        };
        let statement = rows.rows.first().and_then(|row| row.get(1)?.as_deref()).unwrap_or_default();
        for part in parts(statement, table.schema.as_deref().unwrap_or_default()) {
            within.entry(part).or_default().push(table.clone());
        }
    }
    Ok(within)
}

/// The names in the last `UNION=(…)` of a CREATE TABLE that the server itself has written. Without a database, they are
/// in that of the table.
fn parts(statement: &str, database: &str) -> Vec<TableName> {
    let Some((_, list)) = statement.rsplit_once(" UNION=(") else { return Vec::new() };
    let mut found = Vec::new();
    let mut names = Vec::new();
    let mut rest = list;
    while let Some(after) = rest.strip_prefix('`') {
        let Some((name, after)) = quoted(after) else { return Vec::new() };
        names.push(name);
        if let Some(after) = after.strip_prefix('.') {
            rest = after;
            continue;
        }
        match &names.split_off(0)[..] {
            [name] => found.push(TableName::qualified(database, name)),
            [schema, name] => found.push(TableName::qualified(schema, name)),
            _ => return Vec::new(),
        }
        rest = after.strip_prefix(',').unwrap_or_default();
    }
    found
}

/// A name up to its closing quote, where two of them stand for one; and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if character == '`' && characters.next_if(|(_, next)| *next == '`').is_none() {
            return Some((name, text.get(at + 1..)?));
        }
        name.push(character);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_those_of_the_last_union() {
        let statement =
            "CREATE TABLE `m` (\n `a` int COMMENT 'x UNION=(`no`)'\n) ENGINE=MRG_MyISAM UNION=(`o``ne`,`d.b`.`two`)";
        assert_eq!(parts(statement, "db"), [TableName::qualified("db", "o`ne"), TableName::qualified("d.b", "two")]);
        assert_eq!(parts("CREATE TABLE `m` (`a` int) ENGINE=MRG_MyISAM", "db"), []);
        assert_eq!(parts("CREATE TABLE `m` (`a` int) UNION=(`open", "db"), []);
    }
}
