//! `tables`: globs, and the exports that their matches make.

use globset::{Glob, GlobSet, GlobSetBuilder};
use rivet_sdk::{Error, Relation, Result, TableName, TableSummary};

use super::diagnostic::{Diagnostic, nearest};
use super::export::ExportConfig;
use super::fields::{Fields, Named};
use super::overlap::{LeftOut, Overlap};
use super::template::{TABLE, is_export_name, is_file_name};
use crate::destination::DestinationKind;

/// An entry of `exports` with `tables`: an export for each match.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// What its exports have in common; the name still holds `{table}`, and so does the relation.
    pub template: ExportConfig,
    takes: Vec<Named<()>>,
    leaves_out: Vec<Named<()>>,
}

impl Family {
    /// Checks what can be checked before the tables are known.
    pub(super) fn new(fields: &Fields, template: ExportConfig, faults: &mut Vec<Diagnostic>) -> Self {
        if !template.name.contains(TABLE) {
            let message = format!("`{}` would be the name of every table's export", template.name);
            faults.push(fields.fault("name", message).with_hint("put `{table}` into it, e.g. `name: shop_{table}`"));
        }
        let destination = &template.destination;
        if destination.kind == DestinationKind::Stdout {
            faults.push(fields.fault("tables", "standard output takes one export").with_hint("write to a folder"));
        } else if !["{table}", "{export}", "{run_id}"].iter().any(|token| destination.template.contains(token)) {
            let message = "every table's export would have the same destination";
            let fault = Diagnostic::invalid(fields.at("destination"), &destination.block.path, message);
            faults.push(fault.with_hint("put `{table}` into its path"));
        }
        let (mut takes, mut leaves_out) = (Vec::new(), Vec::new());
        for (index, glob) in fields.texts("tables").iter().enumerate() {
            let (pattern, list) = match glob.name.strip_prefix('!') {
                Some(pattern) => (pattern, &mut leaves_out),
                None => (glob.name.as_str(), &mut takes),
            };
            if let Err(error) = Glob::new(pattern) {
                let fault =
                    Diagnostic::invalid(glob.at, format!("{}[{index}]", fields.key("tables")), error.to_string());
                faults.push(fault.with_hint("write 'sales.*' or 'order_*'"));
            }
            list.push(Named { name: pattern.to_owned(), ..glob.clone() });
        }
        if takes.is_empty() {
            faults.push(fields.fault("tables", "no glob takes a table").with_hint("write ['sales.*'], or ['*']"));
        }
        Self { template, takes, leaves_out }
    }

    /// Whether an export of this name may come from here.
    pub fn may_name(&self, name: &str) -> bool {
        let template = &self.template.name;
        let Some((first, rest)) = template.split_once(TABLE) else { return template == name };
        let last = rest.rsplit_once(TABLE).map_or(rest, |(_, last)| last);
        name.len() > first.len() + last.len() && name.starts_with(first) && name.ends_with(last)
    }

    /// The exports, in the order of their tables' names; and the tables that a pattern matches and whose rows are those
    /// of another export.
    pub fn exports(&self, listed: &[TableSummary]) -> Result<(Vec<ExportConfig>, Vec<LeftOut>)> {
        let wrong = |error: globset::Error| Error::config(error.to_string());
        let patterns = |globs: &[Named<()>]| globs.iter().map(|glob| glob.name.clone()).collect::<Vec<_>>();
        let but = Globs::new(&patterns(&self.leaves_out)).map_err(wrong)?;
        let mut found: Vec<&TableName> = Vec::new();
        let mut named: Vec<&TableName> = Vec::new();
        for glob in &self.takes {
            let takes = Globs::new(std::slice::from_ref(&glob.name)).map_err(wrong)?;
            let matches = listed.iter().filter(|table| takes.takes(table));
            let tables = matches.clone().filter(|table| is_stored(table) || is_spelled_out(&glob.name));
            let count = found.len();
            found.extend(tables.map(|table| &table.table).filter(|table| !but.is_match(table)));
            if is_spelled_out(&glob.name) {
                named.extend_from_slice(found.get(count..).unwrap_or_default());
            }
            if found.len() == count {
                let elsewhere = listed.iter().find(|table| takes.is_match(&table.table) && !takes.takes(table));
                return Err(self.at(glob, nothing(&glob.name, listed, matches.count(), elsewhere)));
            }
        }
        found.sort_by_key(|table| (&table.name, &table.schema));
        found.dedup();
        let left_out = Overlap::new(listed, &found, &named).take_out(&mut found);
        if let Some([first, second]) = found.windows(2).find(|pair| pair[0].name == pair[1].name) {
            let name = self.name(first);
            let error = Error::config(format!("{first} and {second} would both be the export `{name}`"));
            return Err(error.with_hint("let the globs name one schema, and write an entry for each schema"));
        }
        let exports = found.into_iter().map(|table| self.export(table)).collect::<Result<_>>()?;
        Ok((exports, left_out))
    }

    fn name(&self, table: &TableName) -> String {
        self.template.name.replace(TABLE, &table.name)
    }

    fn export(&self, table: &TableName) -> Result<ExportConfig> {
        let name = self.name(table);
        if !is_export_name(&name) || !is_file_name(&table.name) {
            let error = Error::config(format!("the table {table} cannot name an export: a path could not hold it"));
            return Err(error.with_hint(format!(
                "leave it out with '!{}', and give it an entry with `table` and a `name` of its own",
                table.name
            )));
        }
        Ok(ExportConfig { name, relation: Relation::Table(table.clone()), ..self.template.clone() })
    }

    fn at(&self, glob: &Named<()>, error: Error) -> Error {
        error.with_context("line", glob.at.line.to_string()).with_context("export", self.template.name.clone())
    }
}

/// Globs that name tables.
pub struct Globs {
    all: GlobSet,
    /// Those with a schema's part.
    with_schema: GlobSet,
}

impl Globs {
    /// Globs over `table` and `schema.table`.
    pub fn new(patterns: &[String]) -> Result<Self, globset::Error> {
        let (mut all, mut with_schema) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for pattern in patterns {
            let glob = Glob::new(pattern)?;
            if pattern.contains('.') {
                with_schema.add(glob.clone());
            }
            all.add(glob);
        }
        Ok(Self { all: all.build()?, with_schema: with_schema.build()? })
    }

    /// Whether the name matches, with or without its schema.
    pub fn is_match(&self, table: &TableName) -> bool {
        self.all.is_match(&table.name) || is_whole_match(&self.all, table)
    }

    /// Whether the table is meant: one in another database than the source's options name, only where its schema is
    /// named.
    pub fn takes(&self, table: &TableSummary) -> bool {
        if table.elsewhere { is_whole_match(&self.with_schema, &table.table) } else { self.is_match(&table.table) }
    }
}

fn is_whole_match(globs: &GlobSet, table: &TableName) -> bool {
    let with_schema = table.schema.as_ref().map(|schema| format!("{schema}.{}", table.name));
    with_schema.is_some_and(|name| globs.is_match(name)) || globs.is_match(table.to_string())
}

/// Whether its rows are its own: a view or a foreign table shows another's.
pub fn is_stored(table: &TableSummary) -> bool {
    !matches!(table.kind.as_str(), "view" | "foreign table")
}

/// Whether a pattern is one name.
pub fn is_spelled_out(glob: &str) -> bool {
    !glob.contains(['*', '?', '[', '{', '\\'])
}

fn nothing(glob: &str, listed: &[TableSummary], matches: usize, elsewhere: Option<&TableSummary>) -> Error {
    let error = Error::not_found(format!("no table matches `{glob}`"));
    if matches > 0 {
        return error.with_hint("what it matches is left out by a glob with `!`, or is a view: name each view in full");
    }
    if let Some(table) = elsewhere {
        return error.with_hint(format!(
            "globs without a database stay in the one that the source names: write `{}` to reach that table",
            table.table
        ));
    }
    let listed: Vec<&TableSummary> = listed.iter().filter(|table| glob.contains('.') || !table.elsewhere).collect();
    let names: Vec<String> = listed.iter().map(|table| table.table.to_string()).collect();
    let names = names.iter().map(String::as_str).chain(listed.iter().map(|table| table.table.name.as_str()));
    let plain = glob.replace(['*', '?'], "");
    let hint = nearest(glob, names.clone()).or_else(|| nearest(&plain, names));
    error.with_hint(hint.unwrap_or_else(|| match listed.len() {
        0 => "the login sees no table at all: check its rights".to_owned(),
        _ => "globs match `schema.table` or `table`; `rivet init --discover` shows what is there".to_owned(),
    }))
}
