//! How MySQL writes names and literals.

use std::fmt::Write;

use rivet_sdk::sql::Dialect;
use rivet_sdk::{Error, Result, Scalar};

/// MySQL's SQL, over a connection whose character set is utf8mb4. What is written here means the same under every
/// `sql_mode`, because a user's query runs under the login's.
pub(crate) struct Mysql;

impl Dialect for Mysql {
    fn name(&self, name: &str) -> String {
        format!("`{}`", name.replace('`', "``"))
    }

    /// Numbers are exact literals. Texts are the weakest operand of a comparison, so that the
    /// column's own type, character set and collation decide, and its index is used.
    fn literal(&self, value: &Scalar) -> Result<String> {
        Ok(match value {
            Scalar::Null => "NULL".to_owned(),
            Scalar::Boolean(value) => i32::from(*value).to_string(),
            Scalar::Integer(value) => value.to_string(),
            Scalar::Decimal(digits) | Scalar::Float(digits) => number(digits)?,
            Scalar::Bytes(hex) if hex.bytes().all(|byte| byte.is_ascii_hexdigit()) && hex.len() % 2 == 0 => {
                format!("X'{hex}'")
            }
            Scalar::Instant(text) => quoted(utc(text)?),
            Scalar::Date(text) | Scalar::Time(text) | Scalar::Timestamp(text) | Scalar::Text(text) => quoted(text),
            Scalar::Uuid(text) => quoted(text),
            other => return Err(Error::config(format!("`{other}` cannot be compared in MySQL"))),
        })
    }

    /// `IS NULL` would also find the date 0000-00-00 in a column that is NOT NULL.
    fn is_null(&self, column: &str) -> String {
        format!("{} <=> NULL", self.name(column))
    }

    /// It is understood, but an index is not used for ranges of it.
    fn row_values(&self) -> bool {
        false
    }
}

/// A text literal. A backslash escapes in some modes and not in others, and an empty text may be NULL: their bytes are
/// the same everywhere.
pub(crate) fn quoted(text: &str) -> String {
    if !text.is_empty() && !text.contains(['\\', '\0']) {
        return rivet_sdk::sql::quote_text(text);
    }
    let mut out = "_utf8mb4 X'".to_owned();
    for byte in text.bytes() {
        let _ = write!(out, "{byte:02X}");
    }
    out.push('\'');
    out
}

/// Digits as they stand; nothing else gets into a statement unquoted.
fn number(digits: &str) -> Result<String> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if plain && digits.parse::<f64>().is_ok_and(f64::is_finite) {
        // In brackets, so that a sign never meets an operator.
        return Ok(format!("({digits})"));
    }
    Err(Error::config(format!("`{digits}` is not a number")))
}

/// The session's time zone is UTC, and MariaDB reads no offsets.
fn utc(text: &str) -> Result<&str> {
    ["+00:00", "+00", "Z"]
        .iter()
        .find_map(|zone| text.strip_suffix(zone))
        .ok_or_else(|| Error::config(format!("the instant `{text}` is not written in UTC")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_exact_or_quoted() {
        for (value, sql) in [
            (Scalar::Integer(u64::MAX.into()), "18446744073709551615"),
            (Scalar::Decimal("-1.50".into()), "(-1.50)"),
            (Scalar::Float("1e-7".into()), "(1e-7)"),
            (Scalar::Text("O'Neil".into()), "'O''Neil'"),
            (Scalar::Text("'\\\0".into()), "_utf8mb4 X'275C00'"),
            (Scalar::Text(String::new()), "_utf8mb4 X''"),
            (Scalar::Instant("2024-02-29 12:00:00.5+00".into()), "'2024-02-29 12:00:00.5'"),
            (Scalar::Bytes("00ff".into()), "X'00ff'"),
        ] {
            assert_eq!(Mysql.literal(&value).unwrap(), sql);
        }
        assert_eq!(Mysql.name("a`b"), "`a``b`");
    }

    #[test]
    fn what_is_no_literal_is_refused() {
        for value in [
            Scalar::Decimal("1; DROP TABLE t".into()),
            Scalar::Float("inf".into()),
            Scalar::Bytes("0g".into()),
            Scalar::Instant("2024-02-29 12:00:00+02".into()),
        ] {
            assert!(Mysql.literal(&value).is_err(), "{value:?}");
        }
    }
}
