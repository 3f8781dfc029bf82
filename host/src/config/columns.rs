//! Column overrides: types, exclusions and new names, checked against one another.

use std::collections::HashSet;

use rivet_sdk::WantedType;

use super::diagnostic::{Diagnostic, join, nearest};
use super::fields::{Fields, Named};

/// Reads `columns`; checks `exclude` and `rename` beside it.
pub fn read(export: &Fields, faults: &mut Vec<Diagnostic>) -> Vec<Named<WantedType>> {
    let excluded: HashSet<&str> = export.texts("exclude").iter().map(|column| column.name.as_str()).collect();
    let mut new_names = HashSet::new();
    for column in export.text_by_name("rename") {
        let key = join(&export.key("rename"), &column.name);
        if column.value.is_empty() {
            faults.push(Diagnostic::invalid(column.at, &key, "the new name is empty"));
        } else if !new_names.insert(&column.value) {
            faults.push(Diagnostic::invalid(column.at, &key, "another column is given this name already"));
        }
        faults.extend(contradiction(&excluded, column, key));
    }
    let mut wanted = Vec::new();
    for column in export.text_by_name("columns") {
        let key = join(&export.key("columns"), &column.name);
        match column.value.parse() {
            Ok(value) => wanted.push(Named { name: column.name.clone(), at: column.at, value }),
            Err(message) => {
                let hint = nearest(&column.value, WantedType::names());
                faults.push(Diagnostic::invalid(column.at, &key, message).with_hint_if(hint));
            }
        }
        faults.extend(contradiction(&excluded, column, key));
    }
    wanted
}

fn contradiction(excluded: &HashSet<&str>, column: &Named<String>, key: String) -> Option<Diagnostic> {
    excluded
        .contains(column.name.as_str())
        .then(|| Diagnostic::invalid(column.at, key, "the column is excluded too").with_hint("keep one of them"))
}
