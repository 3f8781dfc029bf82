//! What is read, and how its name is written.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is read: a table (or view), or a query.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Relation {
    /// A table, view or anything else that can stand after FROM by name.
    Table(TableName),
    /// One SELECT statement as the user wrote it, with whatever stands at its end.
    Query(String),
}

impl Relation {
    /// The table's name, unless this is a query.
    pub fn table(&self) -> Option<&TableName> {
        match self {
            Self::Table(name) => Some(name),
            Self::Query(_) => None,
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(name) => name.fmt(f),
            Self::Query(_) => f.write_str("(query)"),
        }
    }
}

/// A table's name as the catalogue spells it: exact case, no quotes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct TableName {
    /// The schema (PostgreSQL, SQL Server), database (MySQL) or attached name (SQLite).
    /// None means the session's default.
    pub schema: Option<String>,
    /// The table.
    pub name: String,
}

impl TableName {
    /// A name in `schema`, or in the session's default one.
    pub fn new(schema: Option<String>, name: impl Into<String>) -> Self {
        Self { schema, name: name.into() }
    }

    /// A name in the session's default schema.
    pub fn unqualified(name: impl Into<String>) -> Self {
        Self { schema: None, name: name.into() }
    }

    /// A name in `schema`.
    pub fn qualified(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: Some(schema.into()), name: name.into() }
    }
}

impl FromStr for TableName {
    type Err = String;

    /// Reads `orders`, `public.orders` and, where a name holds a dot, a space or a quote,
    /// `public."Order.Items"` with `""` for a quote. Names keep their case with or without
    /// quotes. Brackets and backticks are read like quotes.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text.trim();
        loop {
            let (part, after) = name_part(rest).ok_or_else(|| format!("`{text}` is not a table's name"))?;
            parts.push(part);
            match after.strip_prefix('.') {
                Some(more) => rest = more,
                None if after.is_empty() => break,
                None => return Err(format!("`{text}` is not a table's name")),
            }
        }
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next(), parts.next()) {
            (Some(name), None, None) => Ok(Self::unqualified(name)),
            (Some(schema), Some(name), None) => Ok(Self::qualified(schema, name)),
            _ => Err(format!("`{text}` has more parts than schema and table")),
        }
    }
}

/// The first part of a dotted name, and what follows it.
fn name_part(text: &str) -> Option<(String, &str)> {
    let close = match text.chars().next()? {
        quote @ ('"' | '`') => quote,
        '[' => ']',
        _ => {
            let (part, _) = text.split_once('.').unwrap_or((text, ""));
            let plain = !part.is_empty() && !part.contains(|c: char| "\"`[];".contains(c) || c.is_control());
            return plain.then(|| (part.to_owned(), text.get(part.len()..).unwrap_or("")));
        }
    };
    let mut part = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((index, character)) = characters.next() {
        if character != close {
            part.push(character);
        } else if characters.next_if(|(_, next)| *next == close).is_some() {
            part.push(close);
        } else {
            let after = text.get(index + close.len_utf8()..)?;
            return (!part.is_empty()).then_some((part, after));
        }
    }
    None
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_names_are_read_with_and_without_quotes() {
        let qualified = TableName::qualified;
        for (text, name) in [
            ("orders", TableName::unqualified("orders")),
            ("Public.Orders", qualified("Public", "Orders")),
            ("\"Order-Items\"", TableName::unqualified("Order-Items")),
            ("public.\"Order.Items\"", qualified("public", "Order.Items")),
            ("\"a\"\"b\".c", qualified("a\"b", "c")),
            ("[dbo].[My Table]", qualified("dbo", "My Table")),
            ("`shop`.`x``y`", qualified("shop", "x`y")),
            ("größe.zeilen", qualified("größe", "zeilen")),
            ("Order-Items", TableName::unqualified("Order-Items")),
        ] {
            assert_eq!(text.parse(), Ok(name), "{text}");
        }
    }

    #[test]
    fn what_is_no_table_name_is_refused() {
        for text in ["", ".", "a.", ".a", "a.b.c", "\"a", "\"\"", "\"a\"b", "a; DROP TABLE b", "a\"b"] {
            assert!(text.parse::<TableName>().is_err(), "{text}");
        }
    }
}
