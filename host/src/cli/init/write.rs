//! The configuration that `rivet init` writes: one export a table, its choices explained.

use std::collections::BTreeSet;

use rivet_sdk::{Fidelity, Key, Result, TableName};

use super::super::print::{bytes, thousands};
use super::survey::{Survey, Surveyed};
use crate::config::tree::Value;

/// A table this large is read in chunks by several workers.
const LARGE_ROWS: u64 = 1_000_000;
const LARGE_BYTES: u64 = 1 << 30;

/// Names by which tables often know when a row was changed.
const CHANGED_AT: [&str; 6] = ["updated_at", "modified_at", "changed_at", "last_modified", "updated", "modified"];

/// Where the exports go.
#[derive(Debug, Clone, Copy)]
pub enum Store<'a> {
    Local,
    S3(&'a str),
    Gcs(&'a str),
    Azure(&'a str),
}

/// All that the file says.
pub struct Draft<'a> {
    /// The source plugin.
    pub plugin: &'a str,
    /// Which database it is.
    pub about: String,
    /// The lines of `source` below its type.
    pub source: Vec<String>,
    /// The tables.
    pub survey: &'a Survey,
    /// Where they go.
    pub store: Store<'a>,
}

impl Draft<'_> {
    pub fn to_yaml(&self) -> Result<String> {
        let mut out = format!(
            "# {}. Written by `rivet init`; every key is explained in docs/reference/config.md.\n\
             # rivet doctor    tries the login and the destinations\n\
             # rivet check     shows how each export is read\n\
             # rivet run       exports\n\nsource:\n  type: {}\n",
            one_line(&self.about),
            scalar(self.plugin)
        );
        for line in &self.source {
            out.push_str(&format!("  {line}\n"));
        }
        out.push_str("  # environment: production   # gentle on the server, and encryption is required\n\nexports:\n");
        let mut names = BTreeSet::new();
        for table in &self.survey.tables {
            match &table.error {
                Some(error) => {
                    let text = format!("{} is left out: {error}", table.table);
                    out.push_str(&format!("  # {}\n\n", one_line(&text)));
                }
                None => self.export(table, &mut names, &mut out),
            }
        }
        for name in &self.survey.left_out {
            out.push_str(&format!("  # Left out, not a table: {}\n", one_line(name)));
        }
        for part in &self.survey.parts {
            let text = format!("Left out, its rows are those of {}: {}", part.within, part.table);
            out.push_str(&format!("  # {}\n", one_line(&text)));
        }
        Ok(format!("{}\n", out.trim_end()))
    }

    fn export(&self, table: &Surveyed, names: &mut BTreeSet<String>, out: &mut String) {
        let name = export_name(&table.table, names);
        out.push_str(&format!("  # {}\n", one_line(&facts(table))));
        out.push_str(&format!("  - name: {}\n    table: {}\n", scalar(&name), scalar(&table_text(&table.table))));
        let mut line = |text: &str| out.push_str(&format!("    {text}\n"));
        let is_large =
            table.rows.is_some_and(|rows| rows >= LARGE_ROWS) || table.bytes.is_some_and(|size| size >= LARGE_BYTES);
        match (is_large, range_column(&table.keys)) {
            (true, Some(column)) => {
                line("mode: chunked");
                line(&format!("chunk_column: {}", scalar(column)));
                line("chunk_size_memory_mb: 256   # about; each chunk is one statement and one file or more");
                line("parallel: 4                 # workers, each with its own connection");
            }
            (true, None) => {
                line("mode: full   # large, and without a key that ranges can use");
                line("# chunk_column: COLUMN   # an indexed number, date or timestamp");
            }
            (false, Some(_)) => {
                line("mode: full");
                line("# parallel: 4   # once it is large: chunks are cut by its key");
            }
            (false, None) => line("mode: full"),
        }
        if let Some(column) = table.columns.iter().find(|column| CHANGED_AT.contains(&column.name.as_str())) {
            line("# Instead, only rows that changed since the last run:");
            line("# mode: incremental");
            line(&format!("# cursor_column: {}", one_line(&scalar(&column.name))));
        }
        if !table.unreadable.is_empty() {
            let columns: Vec<String> = table.unreadable.iter().map(|column| scalar(column)).collect();
            line(&one_line(&format!("exclude: [{}]   # the login may not read them", columns.join(", "))));
        }
        line("format: parquet");
        line("compression: zstd   # or snappy, gzip, lz4, none");
        for (column, wanted, why) in table.columns.iter().filter_map(better_type) {
            line(&one_line(&format!("# columns: {{{}: {wanted}}}   # {why}", scalar(column))));
        }
        for text in self.destination(&name) {
            line(&text);
        }
        out.push('\n');
    }

    fn destination(&self, name: &str) -> Vec<String> {
        let block = |kind: &str, keys: &[(&str, &str)]| {
            let keys: Vec<String> = keys.iter().map(|(key, value)| format!("  {key}: {}", scalar(value))).collect();
            let mut lines = vec!["destination:".to_owned(), format!("  type: {kind}")];
            lines.extend(keys);
            lines
        };
        let folder = format!("{name}/");
        match self.store {
            Store::Local => block("local", &[("path", &format!("export/{name}"))]),
            Store::S3(bucket) => {
                let mut lines = block("s3", &[("bucket", bucket), ("prefix", &folder)]);
                lines.push(
                    "  # access_key_env: AWS_ACCESS_KEY_ID   # where the environment's own login will not do".into(),
                );
                lines.push("  # secret_key_env: AWS_SECRET_ACCESS_KEY".into());
                lines
            }
            Store::Gcs(bucket) => {
                let mut lines = block("gcs", &[("bucket", bucket), ("prefix", &folder)]);
                lines.push("  # credentials_file: key.json   # where the environment's own login will not do".into());
                lines
            }
            Store::Azure(container) => {
                let mut lines = block("azure", &[("bucket", container), ("prefix", &folder)]);
                lines.push("  account_name_env: AZURE_STORAGE_ACCOUNT_NAME".into());
                lines.push("  account_key_env: AZURE_STORAGE_ACCOUNT_KEY".into());
                lines
            }
        }
    }
}

/// The column whose ranges make good chunks: of the primary key, else of a unique one.
fn range_column(keys: &[Key]) -> Option<&str> {
    let mut keys: Vec<&Key> = keys.iter().collect();
    keys.sort_by_key(|key| (!key.primary, !key.unique, key.columns.len()));
    keys.into_iter()
        .filter_map(|key| key.columns.first())
        .find(|column| column.rangeable)
        .map(|column| column.name.as_str())
}

fn facts(table: &Surveyed) -> String {
    let mut facts = vec![table.kind.clone()];
    facts.extend(table.rows.map(|rows| format!("about {} rows", thousands(rows))));
    facts.extend(table.bytes.map(bytes));
    if table.kind == "table" && table.rows.is_none() && table.bytes.is_none() {
        facts.push("size not known".to_owned());
    }
    match table.keys.iter().find(|key| key.primary) {
        Some(key) => {
            let columns: Vec<&str> = key.columns.iter().map(|column| column.name.as_str()).collect();
            facts.push(format!("primary key {}", columns.join(", ")));
        }
        None => facts.push("no primary key".to_owned()),
    }
    facts.join(", ")
}

/// A type that the user may want instead, and why.
fn better_type(column: &rivet_sdk::TypeMapping) -> Option<(&str, &'static str, &'static str)> {
    let kind = column.source_type.to_ascii_lowercase();
    match column.fidelity {
        Fidelity::Text if ["numeric", "decimal"].contains(&kind.as_str()) => {
            Some((&column.name, "\"decimal(38,10)\"", "numeric without a precision is exact text otherwise"))
        }
        Fidelity::Rounded => Some((&column.name, "timestamp_ns", "digits below microseconds are lost otherwise")),
        _ => None,
    }
}

/// A name that is unique and can stand in a path.
fn export_name(table: &TableName, names: &mut BTreeSet<String>) -> String {
    let safe = |text: &str| {
        let text: String =
            text.chars().take(80).map(|c| if c.is_control() || "/\\{}=".contains(c) { '_' } else { c }).collect();
        if text.starts_with('.') || text.trim() != text { format!("_{}", text.trim()) } else { text }
    };
    let bare = safe(&table.name);
    let qualified = table.schema.iter().map(|schema| format!("{}_{bare}", safe(schema)));
    let numbered = (2..).map(|number| format!("{bare}_{number}"));
    let mut candidates = std::iter::once(bare.clone()).chain(qualified).chain(numbered);
    let name = candidates.find(|name| !names.contains(name)).unwrap_or(bare.clone());
    names.insert(name.clone());
    name
}

/// A table's name such that a configuration reads it back.
fn table_text(table: &TableName) -> String {
    let part = |text: &String| {
        let odd = |c: char| "\"`[];.".contains(c) || c.is_control() || c.is_whitespace();
        if text.contains(odd) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.clone() }
    };
    table.schema.iter().chain([&table.name]).map(part).collect::<Vec<_>>().join(".")
}

/// A text as a YAML scalar in which `${` has no meaning.
pub fn scalar(text: &str) -> String {
    let text = text.replace("${", "$${");
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c))
        && matches!(Value::plain(&text), Value::Text { .. });
    if plain { text } else { serde_json::Value::from(text).to_string() }
}

/// A text that cannot end the comment it stands in.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || ['\u{2028}', '\u{2029}'].contains(&c) { ' ' } else { c }).collect()
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
