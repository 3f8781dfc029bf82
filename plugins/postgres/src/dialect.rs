//! How PostgreSQL writes literals and physical ranges.

use rivet_sdk::sql::{Dialect, quote_text};
use rivet_sdk::{Error, Result, Scalar};

/// PostgreSQL's SQL. What is written here means the same whatever the login says of a query's own texts.
pub(crate) struct Postgres;

impl Dialect for Postgres {
    /// Numbers carry their type, because comparing across number types is exact. Everything
    /// else is left untyped: it takes the column's own type, and with it the column's own
    /// rules (char(n) padding, collation, enum order) and index.
    fn literal(&self, value: &Scalar) -> Result<String> {
        Ok(match value {
            Scalar::Null => "NULL".to_owned(),
            Scalar::Boolean(true) => "TRUE".to_owned(),
            Scalar::Boolean(false) => "FALSE".to_owned(),
            Scalar::Integer(value) => match i64::try_from(*value) {
                Ok(value) => format!("'{value}'::int8"),
                Err(_) => format!("'{value}'::numeric"),
            },
            Scalar::Decimal(digits) => format!("{}::numeric", checked(digits)?),
            Scalar::Float(digits) => format!("{}::float8", checked(digits)?),
            Scalar::Bytes(hex) => format!("{}::bytea", checked(&format!("\\x{hex}"))?),
            other => checked(&other.as_text())?,
        })
    }

    fn native(&self, from: Option<u64>, to: Option<u64>) -> Result<String> {
        let mut terms = Vec::new();
        for (block, sign) in [(from, ">="), (to, "<")] {
            let Some(block) = block else { continue };
            let block =
                u32::try_from(block).map_err(|_| Error::config(format!("{block} is not a block of a table")))?;
            terms.push(format!("ctid {sign} '({block},0)'::tid"));
        }
        Ok(terms.join(" AND "))
    }
}

fn checked(text: &str) -> Result<String> {
    if text.contains('\0') {
        return Err(Error::config("a bound holds a zero byte, which PostgreSQL's texts cannot"));
    }
    if text.contains('\\') {
        // Whether a backslash escapes in other texts is a setting of the session's.
        return Ok(format!(" E{}", quote_text(&text.replace('\\', "\\\\"))));
    }
    Ok(quote_text(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_carry_a_type_only_where_it_cannot_harm() {
        for (value, sql) in [
            (Scalar::Integer(i64::MIN.into()), "'-9223372036854775808'::int8"),
            (Scalar::Integer(u64::MAX.into()), "'18446744073709551615'::numeric"),
            (Scalar::Decimal("-1.50".into()), "'-1.50'::numeric"),
            (Scalar::Text("O'Neil\\".into()), " E'O''Neil\\\\'"),
            (Scalar::Date("infinity".into()), "'infinity'"),
            (Scalar::Bytes("00ff".into()), " E'\\\\x00ff'::bytea"),
        ] {
            assert_eq!(Postgres.literal(&value).unwrap(), sql);
        }
    }

    #[test]
    fn physical_ranges_are_half_open() {
        assert_eq!(Postgres.native(Some(1), Some(9)).unwrap(), "ctid >= '(1,0)'::tid AND ctid < '(9,0)'::tid");
        assert!(Postgres.native(Some(1 << 33), None).is_err());
    }
}
