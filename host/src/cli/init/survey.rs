//! What tables there are, how large, and with which keys and columns.

use rivet_sdk::{
    Error, ErrorKind, ExportRequest, Key, Relation, Result, Source, TableFilter, TableName, TableSummary, TypeMapping,
};
use serde_json::{Value, json};

use super::super::arguments::InitArguments;
use crate::config::{self, Globs, LeftOut, Overlap};

/// Which tables the user wants.
pub struct Wanted {
    tables: Vec<TableName>,
    schema: Option<String>,
    include: Option<Globs>,
    /// Those of `include` that are one name each.
    named: Globs,
    exclude: Globs,
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
    /// Columns that the login may not read.
    pub unreadable: Vec<String>,
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
            "unreadable": self.unreadable,
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

    fn takes(&self, one: &TableSummary) -> bool {
        let is_wanted = match &self.include {
            Some(include) => include.takes(one),
            None if self.tables.is_empty() => !one.elsewhere,
            None => self.tables.iter().any(|wanted| is(wanted, one)),
        };
        is_wanted && !self.exclude.is_match(&one.table)
    }

    /// Whether the user has written this table's own name.
    fn names(&self, table: &TableName) -> bool {
        !self.tables.is_empty() || self.named.is_match(table)
    }

    /// Whether views count: only what was asked for by name.
    fn is_explicit(&self) -> bool {
        !self.tables.is_empty() || self.include.is_some()
    }
}

/// Whether a name means the table.
fn is(wanted: &TableName, one: &TableSummary) -> bool {
    let is_there = if wanted.schema.is_some() { wanted.schema == one.table.schema } else { !one.elsewhere };
    wanted.name == one.table.name && is_there
}

fn globs(patterns: &[String]) -> Result<Globs> {
    let wrong = |error: globset::Error| Error::config(error.to_string()).with_hint("write 'sales.*' or 'order_*'");
    Globs::new(patterns).map_err(wrong)
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
        if !listed.iter().any(|summary| is(table, summary)) {
            // In another database than the one that the source names.
            if let Some(one) = listed.iter().find(|one| one.elsewhere && one.table.name == table.name) {
                let hint = format!("did you mean {}?", one.table);
                return Err(Error::not_found(format!("no table `{table}`")).with_hint(hint));
            }
            let names: Vec<String> = listed.iter().map(|summary| summary.table.to_string()).collect();
            let here = listed.iter().filter(|summary| !summary.elsewhere);
            let bare = here.map(|summary| summary.table.name.as_str());
            let hint = config::nearest(&table.to_string(), names.iter().map(String::as_str).chain(bare));
            return Err(Error::not_found(format!("no table `{table}`"))
                .with_hint(hint.unwrap_or_else(|| "`--discover` shows what is there".to_owned())));
        }
    }
    let mut survey = Survey { tables: Vec::new(), left_out: Vec::new(), parts: Vec::new() };
    let mut chosen: Vec<&TableName> = Vec::new();
    for summary in listed.iter().filter(|summary| wanted.takes(summary)) {
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
        let mut request = ExportRequest::whole(description.relation.clone());
        let columns = source.type_mappings(&request).or_else(|error| {
            // What the source names of a table that the login may read otherwise can be left out.
            request.exclude = unreadable(&error);
            if request.exclude.is_empty() { Err(error) } else { source.type_mappings(&request) }
        })?;
        Ok((description, columns, request.exclude))
    });
    let (rows, bytes) = (summary.rows, summary.bytes);
    let mut surveyed = Surveyed {
        table: summary.table,
        kind: summary.kind,
        rows,
        bytes,
        keys: Vec::new(),
        columns: Vec::new(),
        unreadable: Vec::new(),
        error: None,
    };
    match looked {
        Ok((description, columns, unreadable)) => {
            surveyed.unreadable = unreadable;
            surveyed.rows = description.rows.or(rows);
            surveyed.bytes = description.bytes.or(bytes);
            surveyed.keys = description.keys;
            surveyed.columns = columns;
        }
        Err(error) => surveyed.error = Some(error),
    }
    surveyed
}

/// The columns that a login may not read, as [`Error::unreadable_columns`] says them.
fn unreadable(error: &Error) -> Vec<String> {
    let columns = error.context().iter().filter(|(name, _)| error.kind() == ErrorKind::Permission && name == "column");
    columns.map(|(_, column)| column.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_see_names_with_and_without_their_schema() {
        let globs = globs(&["sales.*".to_owned(), "tmp_*".to_owned()]).unwrap();
        assert!(globs.is_match(&TableName::qualified("sales", "orders")));
        assert!(globs.is_match(&TableName::qualified("public", "tmp_1")));
        assert!(!globs.is_match(&TableName::qualified("public", "orders")));
    }
}
