//! The pages of docs/reference/types: what a driver answers for a column of each type, written
//! down, and compared with what it answers now.

use std::collections::BTreeSet;
use std::path::Path;

use rivet_sdk::{ColumnRequest, ErrorKind, ExportRequest, Fidelity, Source, TypeMapping, WantedType};

const BEGIN: &str = "<!-- types -->\n";
const END: &str = "<!-- /types -->";

/// What becomes of a column of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeRow(String);

/// Asks the driver about one column of `request`'s relation, which was declared as `declared`: its
/// natural type, and every other that `columns:` may ask for.
pub fn type_row(source: &mut dyn Source, declared: &str, request: &ExportRequest, column: &str) -> TypeRow {
    let mut ask = |wanted: Option<WantedType>| {
        let columns = vec![ColumnRequest::new(column, wanted)];
        let mut request = request.clone();
        request.columns = columns;
        request.columns_complete = true;
        source.type_mappings(&request).map(|mut mappings| mappings.remove(0))
    };
    let natural = ask(None).unwrap_or_else(|error| panic!("{declared}: {error:?}"));
    let mut others = Vec::new();
    // Names of one type stand beside each other in the list; the first is the one to write.
    let mut met = BTreeSet::new();
    let decimal = WantedType::Decimal(38, 10);
    let names = WantedType::names().filter_map(|name| Some((name, name.parse().ok()?)));
    for (name, wanted) in names.chain([("decimal(p,s)", decimal)]) {
        if !met.insert(format!("{wanted:?}")) {
            continue;
        }
        match ask(Some(wanted)) {
            Ok(mapping) if mapping.field == natural.field => {}
            Ok(mapping) if mapping.fidelity == Fidelity::Lossy => others.push(format!("{name} (lossy)")),
            Ok(_) => others.push(name.to_owned()),
            Err(error) => {
                let refused = [ErrorKind::UnsupportedType, ErrorKind::Config].contains(&error.kind());
                assert!(refused, "{declared} as {name}: {error:?}");
            }
        }
    }
    let others = if others.is_empty() { "–".to_owned() } else { others.join(", ") };
    TypeRow(format!("| `{declared}` | `{}` | {} | {others} |", arrow(&natural), natural.fidelity.as_str()))
}

fn arrow(mapping: &TypeMapping) -> String {
    let field = mapping.to_field().unwrap();
    let extension = field.metadata().get("ARROW:extension:name").map(|name| format!(" ({name})"));
    format!("{}{}", field.data_type(), extension.unwrap_or_default())
}

/// Compares the page at `path` with what the products answered, or writes it under `RIVET_BLESS`.
/// `products`: every one the page is about; where more than one, a column says whose a row is.
pub fn check_types_page(path: impl AsRef<Path>, products: &[&str], found: &[(&str, Vec<TypeRow>)]) {
    let path = path.as_ref();
    let name = path.display();
    let page = std::fs::read_to_string(path).unwrap();
    let (head, rest) = page.split_once(BEGIN).unwrap();
    let (written, tail) = rest.split_once(END).unwrap();
    if found.len() < products.len() {
        // A server is missing here: what the others say must stand in the page.
        for (product, rows) in found {
            for TypeRow(row) in rows {
                let stands = [format!("{row} {product} |"), format!("{row} all |")];
                assert!(stands.iter().any(|row| written.contains(row)), "{name} lacks {row} for {product}");
            }
        }
        return;
    }
    let several = products.len() > 1;
    let mut table = String::from("| type | Arrow | fidelity | `columns:` also takes |");
    table.push_str(if several { " on |\n|---|---|---|---|---|\n" } else { "\n|---|---|---|---|\n" });
    let mut done: Vec<&TypeRow> = Vec::new();
    for (_, rows) in found {
        for row in rows {
            if done.contains(&row) {
                continue;
            }
            done.push(row);
            table.push_str(&row.0);
            if several {
                let on: Vec<&str> =
                    found.iter().filter(|(_, rows)| rows.contains(row)).map(|(product, _)| *product).collect();
                let on = if on.len() == products.len() { "all".to_owned() } else { on.join(", ") };
                table.push_str(&format!(" {on} |"));
            }
            table.push('\n');
        }
    }
    if std::env::var_os("RIVET_BLESS").is_some() {
        std::fs::write(path, format!("{head}{BEGIN}{table}{END}{tail}")).unwrap();
    } else {
        assert_eq!(written, table, "{name} is stale; run the test with RIVET_BLESS=1");
    }
}
