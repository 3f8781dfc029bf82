//! What tables there are, how large, and with which keys and columns.

use globset::GlobSet;
use rivet_sdk::{
    Error, ErrorKind, ExportRequest, Key, Relation, Result, Source, TableFilter, TableName, TableSummary, TypeMapping,
};
use serde_json::{Value, json};

use super::super::arguments::InitArguments;
use crate::config::{self, LeftOut, Overlap};

/// Which tables the user wants.
pub struct Wanted {
    tables: Vec<TableName>,
    schema: Option<String>,
    include: Option<GlobSet>,
    /// Those of `include` that are one name each.
    named: GlobSet,
    exclude: GlobSet,
}

/// What was found.
pub struct Survey {
    /// Tables to export.
    pub tables: Vec<Surveyed>,
    /// Views and foreign tables that nobody asked for by name.
    pub left_out: Vec<String>,
    /// Tables whose rows another one shows as its own: partitions, children.
    pub parts: Vec<LeftOut>,
}

impl Survey {
    /// All that is not among `tables`, for `--discover`.
    pub fn names_left_out(&self) -> Vec<String> {
        let parts = self.parts.iter().map(|part| part.table.to_string());
        self.left_out.iter().cloned().chain(parts).collect()
    }
}

/// One table.
pub struct Surveyed {
    /// Its name.
    pub table: TableName,
    /// `table`, `view`…
    pub kind: String,
    /// Estimated rows.
    pub rows: Option<u64>,
    /// Estimated bytes.
    pub bytes: Option<u64>,
    /// Its keys.
    pub keys: Vec<Key>,
    /// Its columns.
    pub columns: Vec<TypeMapping>,
    /// Why it could not be looked at.
    pub error: Option<Error>,
}

impl Surveyed {
    /// For `--discover`.
    pub fn to_json(&self) -> Value {
        json!({
            "schema": self.table.schema,
            "name": self.table.name,
            "kind": self.kind,
            "rows": self.rows,
            "bytes": self.bytes,
            "keys": self.keys,
            "columns": self.columns.iter().map(|column| json!({
                "name": column.name, "source_type": column.source_type, "nullable": column.field.nullable,
                "fidelity": column.fidelity.as_str(),
            })).collect::<Vec<_>>(),
            "error": self.error.as_ref().map(ToString::to_string),
        })
    }
}

impl Wanted {
    pub fn new(arguments: &InitArguments) -> Result<Self> {
        let tables = arguments.table.iter().map(|name| name.parse().map_err(Error::config)).collect::<Result<_>>()?;
        let include = if arguments.include.is_empty() { None } else { Some(globs(&arguments.include)?) };
        let named: Vec<String> =
            arguments.include.iter().filter(|glob| config::is_spelled_out(glob)).cloned().collect();
        let (named, exclude) = (globs(&named)?, globs(&arguments.exclude)?);
        Ok(Self { tables, schema: arguments.schema.clone(), include, named, exclude })
    }

    fn takes(&self, table: &TableName) -> bool {
        let is = |wanted: &TableName| {
            wanted.name == table.name && (wanted.schema.is_none() || wanted.schema == table.schema)
        };
        (self.tables.is_empty() || self.tables.iter().any(is))
            && self.include.as_ref().is_none_or(|include| config::is_match(include, table))
            && !config::is_match(&self.exclude, table)
    }

    /// Whether the user has written this table's own name.
    fn names(&self, table: &TableName) -> bool {
        !self.tables.is_empty() || config::is_match(&self.named, table)
    }

    /// Whether views count: only what was asked for by name.
    fn is_explicit(&self) -> bool {
        !self.tables.is_empty() || self.include.is_some()
    }
}

fn globs(patterns: &[String]) -> Result<GlobSet> {
    let wrong = |error: globset::Error| Error::config(error.to_string()).with_hint("write 'sales.*' or 'order_*'");
    config::glob_set(patterns).map_err(wrong)
}

/// Looks at every wanted table.
pub fn survey(source: &mut dyn Source, wanted: &Wanted) -> Result<Survey> {
    let listed = match source.tables(&TableFilter::in_schema(wanted.schema.clone())) {
        // A source that lists nothing may still know tables by name.
        Err(error) if error.kind() == ErrorKind::Unsupported && !wanted.tables.is_empty() => {
            let named = |table: &TableName| TableSummary::new(table.clone(), "table");
            wanted.tables.iter().map(named).collect()
        }
        other => other?,
    };
    for table in &wanted.tables {
        let none = GlobSet::empty;
        let one = Wanted { tables: vec![table.clone()], schema: None, include: None, named: none(), exclude: none() };
        if !listed.iter().any(|summary| one.takes(&summary.table)) {
            let names: Vec<String> = listed.iter().map(|summary| summary.table.to_string()).collect();
            let bare = listed.iter().map(|summary| summary.table.name.as_str());
            let hint = config::nearest(&table.to_string(), names.iter().map(String::as_str).chain(bare));
            return Err(Error::not_found(format!("no table `{table}`"))
                .with_hint(hint.unwrap_or_else(|| "`--discover` shows what is there".to_owned())));
        }
    }
    let mut survey = Survey { tables: Vec::new(), left_out: Vec::new(), parts: Vec::new() };
    let mut chosen: Vec<&TableName> = Vec::new();
    for summary in listed.iter().filter(|summary| wanted.takes(&summary.table)) {
        if config::is_stored(summary) || wanted.is_explicit() {
            chosen.push(&summary.table);
        } else {
            survey.left_out.push(summary.table.to_string());
        }
    }
    let named: Vec<&TableName> = chosen.iter().copied().filter(|table| wanted.names(table)).collect();
    survey.parts = Overlap::new(&listed, &chosen.clone(), &named).take_out(&mut chosen);
    for summary in listed.iter().filter(|summary| chosen.contains(&&summary.table)) {
        survey.tables.push(look(source, summary.clone()));
    }
    if survey.tables.iter().all(|table| table.error.is_some()) {
        let why = survey.tables.iter().find_map(|table| table.error.clone());
        return Err(why.unwrap_or_else(|| {
            Error::not_found("no table is there to export, or the login may not see any")
                .with_hint("check --schema, --include and --exclude, and what the login may read")
        }));
    }
    Ok(survey)
}

/// A table that cannot be looked at does not stop the others.
fn look(source: &mut dyn Source, summary: TableSummary) -> Surveyed {
    let relation = Relation::Table(summary.table.clone());
    let looked = source.describe(&relation).and_then(|description| {
        let columns = source.type_mappings(&ExportRequest::whole(description.relation.clone()))?;
        Ok((description, columns))
    });
    let (rows, bytes) = (summary.rows, summary.bytes);
    let mut surveyed = Surveyed {
        table: summary.table,
        kind: summary.kind,
        rows,
        bytes,
        keys: Vec::new(),
        columns: Vec::new(),
        error: None,
    };
    match looked {
        Ok((description, columns)) => {
            surveyed.rows = description.rows.or(rows);
            surveyed.bytes = description.bytes.or(bytes);
            surveyed.keys = description.keys;
            surveyed.columns = columns;
        }
        Err(error) => surveyed.error = Some(error),
    }
    surveyed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_see_names_with_and_without_their_schema() {
        let globs = globs(&["sales.*".to_owned(), "tmp_*".to_owned()]).unwrap();
        assert!(config::is_match(&globs, &TableName::qualified("sales", "orders")));
        assert!(config::is_match(&globs, &TableName::qualified("public", "tmp_1")));
        assert!(!config::is_match(&globs, &TableName::qualified("public", "orders")));
    }
}
