//! What an export reads: a table, a query, or a file with a query.

use rivet_sdk::{Relation, TableName};

use super::diagnostic::{Diagnostic, Position};
use super::fields::Fields;
use super::template::TABLE;
use super::variables::{Unexpanded, Variables};

/// Reads `table`, `query` or `query_file`, exactly one of which must be there.
pub fn read(export: &Fields, variables: &Variables, faults: &mut Vec<Diagnostic>) -> Option<Relation> {
    let given: Vec<&str> =
        ["table", "query", "query_file", "tables"].into_iter().filter(|key| export.has(key)).collect();
    match given.as_slice() {
        [] => {
            let fault = Diagnostic::invalid(export.at, &export.path, "nothing to read");
            faults.push(fault.with_hint("add one of table, query, query_file and tables"));
            None
        }
        ["table"] => match export.text("table")?.parse() {
            Ok(name) => Some(Relation::Table(name)),
            Err(message) => {
                let hint = "write orders, public.orders or public.\"Order-Items\"";
                faults.push(export.fault("table", message).with_hint(hint));
                None
            }
        },
        ["query"] => query(export, "query", export.text("query")?.to_owned(), faults),
        ["query_file"] => {
            let file = variables.base_dir().join(export.text("query_file")?);
            match std::fs::read_to_string(&file) {
                Ok(text) => match variables.expand(without_mark(&text)) {
                    Ok(text) => query(export, "query_file", text, faults),
                    Err(error) => {
                        let (message, hint) = error.texts();
                        let place = place(without_mark(&text), &error);
                        let fault = Diagnostic::invalid(place, export.key("query_file"), message);
                        faults.push(Diagnostic { file: Some(file), ..fault.with_hint(hint) });
                        None
                    }
                },
                Err(error) => {
                    let message = format!("file `{}` cannot be read: {}", file.display(), error.kind());
                    let fault = export.fault("query_file", message);
                    faults.push(fault.with_hint("a relative path starts at the configuration's folder"));
                    None
                }
            }
        }
        // Stands for the matches: see [`super::tables`].
        ["tables"] => Some(Relation::Table(TableName::unqualified(TABLE))),
        [first, second, ..] => {
            let message = format!("`{first}` and `{second}` are both given");
            faults.push(export.fault(second, message).with_hint("keep one of table, query, query_file and tables"));
            None
        }
        [_] => None,
    }
}

fn query(export: &Fields, key: &str, text: String, faults: &mut Vec<Diagnostic>) -> Option<Relation> {
    if text.trim().trim_end_matches(';').trim().is_empty() {
        faults.push(export.fault(key, "the query is empty"));
        return None;
    }
    Some(Relation::Query(text))
}

/// Without the byte order mark that editors put first: databases' clients leave it out, too.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Where in a query file the variable stands that could not be expanded.
fn place(text: &str, error: &Unexpanded) -> Position {
    let needle = match error {
        Unexpanded::Unset(name) => format!("${{{name}}}"),
        Unexpanded::Malformed => "${".to_owned(),
    };
    let before = text.split(&needle).next().unwrap_or("");
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(line_start..).unwrap_or("").chars().count() + 1;
    Position { line: before.matches('\n').count() + 1, column }
}
