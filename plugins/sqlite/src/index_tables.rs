//! Virtual tables of full-text search that show another table's rows: an index over a table, and its vocabulary.

use rivet_sdk::TableName;

/// The table whose rows the virtual table of this CREATE statement shows; None where it has rows of its own.
pub fn shows(statement: &str) -> Option<TableName> {
    let (head, arguments) = statement.split_once('(')?;
    let arguments = arguments.trim_end().strip_suffix(')')?;
    let module = head.split_whitespace().last()?.to_ascii_lowercase();
    let name = match module.as_str() {
        "fts3" | "fts4" | "fts5" => arguments.split(',').find_map(content)?,
        "fts4aux" | "fts5vocab" => {
            // With two names before the kind, the first one is a database.
            let names: Vec<String> = arguments.split(',').map(unquoted).collect();
            match (module.as_str(), &names[..]) {
                ("fts5vocab", [name, _]) | ("fts5vocab", [_, name, _]) => name.clone(),
                ("fts4aux", [name]) | ("fts4aux", [_, name]) => name.clone(),
                _ => return None,
            }
        }
        _ => return None,
    };
    (!name.is_empty()).then(|| TableName::unqualified(name))
}

/// The value of `content=…`; an index without content has an empty one.
fn content(argument: &str) -> Option<String> {
    let (key, value) = argument.split_once('=')?;
    key.trim().eq_ignore_ascii_case("content").then(|| unquoted(value))
}

fn unquoted(text: &str) -> String {
    let text = text.trim();
    for (open, close) in [('\'', '\''), ('"', '"'), ('`', '`'), ('[', ']')] {
        let inner = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        if let Some(inner) = inner {
            return inner.replace(&format!("{close}{close}"), &close.to_string());
        }
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_over_a_table_shows_its_rows() {
        for (statement, expected) in [
            ("CREATE VIRTUAL TABLE i USING fts5(body, content='posts', content_rowid='id')", Some("posts")),
            ("CREATE VIRTUAL TABLE i USING fts5 (body, content = \"it\"\"s\" )", Some("it\"s")),
            ("CREATE VIRTUAL TABLE i USING fts4(content=posts, body)", Some("posts")),
            ("CREATE VIRTUAL TABLE i USING fts5(body, content='')", None),
            ("CREATE VIRTUAL TABLE i USING fts5(body)", None),
            ("CREATE VIRTUAL TABLE w USING fts5vocab(i, row)", Some("i")),
            ("CREATE VIRTUAL TABLE w USING fts5vocab('main', 'i', 'row')", Some("i")),
            ("CREATE VIRTUAL TABLE w USING fts4aux(i)", Some("i")),
            ("CREATE VIRTUAL TABLE r USING rtree(id, a, b)", None),
        ] {
            assert_eq!(shows(statement).map(|table| table.name), expected.map(str::to_owned), "{statement}");
        }
    }
}
