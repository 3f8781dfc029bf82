//! `columns`, `exclude` and `rename` of an entry with `tables`: each holds for the tables that have the column.

use std::collections::HashSet;

use rivet_sdk::{Error, Result};

use super::diagnostic::{Position, nearest};
use super::export::ExportConfig;

/// What a table's columns are called.
pub type ColumnsOf<'a> = dyn FnMut(&ExportConfig) -> Result<Vec<String>> + 'a;

/// Takes from each of `exports` what names a column that its table does not have. What none of the tables has is
/// refused. A table that cannot be looked at keeps all, so that its own run says why.
pub(super) fn fit(template: &ExportConfig, exports: &mut [ExportConfig], columns_of: &mut ColumnsOf<'_>) -> Result<()> {
    let wanted: Vec<(&str, &str, Position)> = named(template).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let mut known: HashSet<String> = HashSet::new();
    let mut all_seen = true;
    for export in exports {
        match columns_of(export) {
            Ok(names) => {
                let has = |name: &str| names.iter().any(|column| column == name);
                export.columns.retain(|column| has(&column.name));
                export.exclude.retain(|column| has(&column.name));
                export.rename.retain(|column| has(&column.name));
                known.extend(names);
            }
            Err(error) => {
                log::debug!("{}: its columns are not known: {error}", export.name);
                all_seen = false;
            }
        }
    }
    match wanted.into_iter().find(|(_, name, _)| !known.contains(*name)).filter(|_| all_seen) {
        Some((key, name, at)) => {
            let error = Error::config(format!("`{key}` names a column `{name}` that none of the tables has"))
                .with_context("line", at.line.to_string())
                .with_context("export", template.name.clone());
            let mut names: Vec<&str> = known.iter().map(String::as_str).collect();
            names.sort_unstable();
            let hint = nearest(name, names.iter().copied());
            Err(error.with_hint(hint.unwrap_or_else(|| {
                names.truncate(20);
                format!("their columns: {}", names.join(", "))
            })))
        }
        None => Ok(()),
    }
}

/// The columns that an entry names.
pub fn named_columns(export: &ExportConfig) -> impl Iterator<Item = &str> {
    named(export).map(|(_, name, _)| name)
}

/// The columns that an entry names, and where.
fn named(export: &ExportConfig) -> impl Iterator<Item = (&'static str, &str, Position)> {
    let columns = export.columns.iter().map(|column| ("columns", column.name.as_str(), column.at));
    let exclude = export.exclude.iter().map(|column| ("exclude", column.name.as_str(), column.at));
    let rename = export.rename.iter().map(|column| ("rename", column.name.as_str(), column.at));
    columns.chain(exclude).chain(rename)
}
