//! SQL as SQLite reads it.

use rivet_sdk::sql::{self, Dialect, quote_text};
use rivet_sdk::{Error, ExportRequest, Relation, Result, Scalar};

use crate::order::Order;

/// SQLite's names and literals.
pub struct Sqlite;

impl Dialect for Sqlite {
    /// Backticks, not double quotes: SQLite takes an unknown name in double quotes for a text.
    fn name(&self, name: &str) -> String {
        format!("`{}`", name.replace('`', "``"))
    }

    fn literal(&self, value: &Scalar) -> Result<String> {
        Ok(match value {
            Scalar::Null => "NULL".into(),
            Scalar::Boolean(value) => i32::from(*value).to_string(),
            Scalar::Integer(value) => value.to_string(),
            Scalar::Decimal(text) | Scalar::Float(text) => number(text)?,
            // SQLite ends a literal at a NUL, though a stored text may hold one.
            Scalar::Text(text) if text.contains('\0') => format!("CAST(X'{}' AS TEXT)", hex(text.as_bytes())),
            Scalar::Bytes(text) if text.bytes().all(|byte| byte.is_ascii_hexdigit()) && text.len() % 2 == 0 => {
                format!("X'{text}'")
            }
            Scalar::Text(text)
            | Scalar::Date(text)
            | Scalar::Time(text)
            | Scalar::Timestamp(text)
            | Scalar::Instant(text)
            | Scalar::Uuid(text) => quote_text(text),
            other => return Err(Error::data(format!("`{other}` cannot be compared in SQLite"))),
        })
    }
}

fn number(text: &str) -> Result<String> {
    match text {
        "inf" => Ok("9e999".into()),
        "-inf" => Ok("-9e999".into()),
        finite if finite.parse::<f64>().is_ok_and(f64::is_finite) => Ok(finite.to_owned()),
        other => Err(Error::data(format!("`{other}` is not a number"))),
    }
}

/// Bytes as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The relation after FROM. A table is always the main database's.
pub fn from(relation: &Relation) -> String {
    match relation {
        Relation::Table(table) => format!("{}.{}", Sqlite.name("main"), Sqlite.name(&table.name)),
        query => sql::from(&Sqlite, query),
    }
}

/// `SELECT columns FROM … WHERE … ORDER BY … LIMIT …`; without columns, one row each to count.
pub fn select(columns: &[String], request: &ExportRequest, order: &Order) -> Result<String> {
    let list = match columns {
        [] => "1".to_owned(),
        some => some.iter().map(|name| Sqlite.name(name)).collect::<Vec<_>>().join(", "),
    };
    let limit = request.limit.map_or_else(String::new, |rows| format!(" LIMIT {}", rows.min(i64::MAX.unsigned_abs())));
    Ok(format!(
        "SELECT {list} FROM {}{}{}{limit}",
        from(&request.relation),
        order.filter(&request.conditions)?,
        order.order_by(&request.order_by),
    ))
}
