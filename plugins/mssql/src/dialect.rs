//! How SQL Server writes names and literals.

use std::collections::HashMap;

use rivet_sdk::sql::{Dialect, quote_text};
use rivet_sdk::{Error, Result, Scalar};

use crate::physical;
use crate::types::SourceColumn;

/// T-SQL. It knows the columns that are compared, because a literal of another type than the
/// column's makes the server convert the column: the order may change, and the index is lost.
#[derive(Debug, Default)]
pub(crate) struct Tsql {
    columns: HashMap<String, SourceColumn>,
}

impl Tsql {
    /// The dialect over these columns.
    pub fn over(columns: &[SourceColumn]) -> Self {
        Self { columns: columns.iter().map(|column| (column.name.clone(), column.clone())).collect() }
    }
}

impl Dialect for Tsql {
    fn name(&self, name: &str) -> String {
        format!("[{}]", name.replace(']', "]]"))
    }

    fn literal(&self, value: &Scalar) -> Result<String> {
        literal(value, None)
    }

    fn literal_for(&self, column: &str, value: &Scalar) -> Result<String> {
        literal(value, self.columns.get(column))
    }

    /// COALESCE has the highest of its columns' types.
    fn literal_for_coalesced(&self, columns: &[String], value: &Scalar) -> Result<String> {
        let columns: Vec<&SourceColumn> = columns.iter().filter_map(|name| self.columns.get(name)).collect();
        let of = |base: &str| columns.iter().find(|column| column.base == base).copied();
        let type_of = |column: &SourceColumn| (column.source_type.clone(), column.collation.clone());
        let highest = match &columns[..] {
            [first, rest @ ..] if rest.iter().all(|column| type_of(column) == type_of(first)) => Some(*first),
            _ => ["datetimeoffset", "datetime2", "datetime", "smalldatetime"].into_iter().find_map(of),
        };
        let narrow = columns.first().copied().filter(|_| columns.iter().all(|column| column.is_narrow()));
        literal(value, highest.or(narrow))
    }

    fn row_values(&self) -> bool {
        false
    }

    fn native(&self, from: Option<u64>, to: Option<u64>) -> Result<String> {
        physical::condition(from, to)
    }
}

/// A Unicode text.
pub(crate) fn unicode(text: &str) -> String {
    format!("N{}", quote_text(text))
}

/// The literal, in a form that no session setting changes: neither DATEFORMAT nor language nor
/// collation.
fn literal(value: &Scalar, column: Option<&SourceColumn>) -> Result<String> {
    let base = column.map_or("", |column| column.base.as_str());
    Ok(match value {
        Scalar::Null => "NULL".to_owned(),
        Scalar::Boolean(value) => format!("CAST({} AS bit)", u8::from(*value)),
        Scalar::Integer(value) => match (i32::try_from(*value), i64::try_from(*value)) {
            (Ok(value), _) => value.to_string(),
            (_, Ok(value)) => format!("CAST({value} AS bigint)"),
            _ => format!("CAST('{value}' AS decimal(38,0))"),
        },
        Scalar::Decimal(digits) => {
            let number = plain_number(digits)?;
            let fraction = number.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            match (base, column) {
                ("decimal", Some(column)) if fraction <= usize::from(column.scale) => {
                    format!(
                        "CAST('{number}' AS decimal({},{}))",
                        column.precision.max(column.scale).max(1),
                        column.scale
                    )
                }
                ("money" | "smallmoney", _) if fraction <= 4 => {
                    format!("CAST(CAST('{number}' AS decimal(19,4)) AS {base})")
                }
                _ => format!("CAST('{number}' AS decimal(38,{}))", fraction.min(38)),
            }
        }
        Scalar::Float(text) => {
            let number: f64 = text.parse().map_err(|_| odd(value))?;
            if !number.is_finite() {
                return Err(odd(value));
            }
            format!("CAST({number:e} AS float)")
        }
        Scalar::Date(text) => {
            let (date, _) = moment(text)?;
            match base {
                "datetime" | "smalldatetime" | "datetime2" => moment_literal(base, &date, "00:00:00"),
                _ => format!("CONVERT(date, '{date}', 23)"),
            }
        }
        Scalar::Time(text) => format!("CAST('{}' AS time(7))", clock(text)?),
        Scalar::Timestamp(text) => {
            let (date, clock) = moment(text)?;
            match base {
                "datetime" | "smalldatetime" => moment_literal(base, &date, &clock),
                _ => moment_literal("datetime2", &date, &clock),
            }
        }
        Scalar::Instant(text) => {
            let (moment_text, offset) = split_offset(text).ok_or_else(|| odd(value))?;
            let (date, clock) = moment(moment_text)?;
            format!("CAST('{date}T{}{offset}' AS datetimeoffset(7))", padded(&clock, 7))
        }
        Scalar::Uuid(text) if text.len() == 36 && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()) => {
            format!("CAST('{text}' AS uniqueidentifier)")
        }
        Scalar::Bytes(hex) if hex.len() % 2 == 0 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            format!("0x{hex}")
        }
        Scalar::Text(text) => match column {
            // In the column's own code page and collation: compared as Unicode, texts of the old SQL
            // collations have another order.
            Some(column) if column.is_narrow() => match &column.collation {
                Some(collation) if collation.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) => {
                    format!("CAST({} COLLATE {collation} AS varchar(8000))", unicode(text))
                }
                _ => format!("CAST({} AS varchar(8000))", unicode(text)),
            },
            _ => unicode(text),
        },
        other => return Err(odd(other)),
    })
}

fn moment_literal(base: &str, date: &str, clock: &str) -> String {
    match base {
        // Three digits name a tick of 1/300 s and no other.
        "datetime" => format!("CONVERT(datetime, '{date}T{}', 126)", thousandths(date, clock)),
        "smalldatetime" => format!("CONVERT(smalldatetime, '{date}T{}', 126)", padded(clock, 0)),
        _ => format!("CONVERT(datetime2(7), '{date}T{}', 126)", padded(clock, 7)),
    }
}

fn odd(value: &Scalar) -> Error {
    Error::config(format!("`{value}` cannot be written as a value of SQL Server"))
}

/// Date and clock of `2024-02-29 12:00:00.123`, both checked.
fn moment(text: &str) -> Result<(String, String)> {
    let wrong = || Error::config(format!("`{text}` is not a date or a moment"));
    let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00:00"));
    let shape: Vec<usize> = date.split('-').map(str::len).collect();
    let digits = date.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit());
    if shape != [4, 2, 2] || !digits {
        return Err(wrong());
    }
    Ok((date.to_owned(), clock(time)?))
}

/// `12:00:00` or `12:00:00.1234567`.
fn clock(text: &str) -> Result<String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let shape: Vec<usize> = whole.split(':').map(str::len).collect();
    let digits = whole.bytes().all(|byte| byte == b':' || byte.is_ascii_digit());
    if shape != [2, 2, 2] || !digits || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::config(format!("`{text}` is not a time of day")));
    }
    Ok(text.to_owned())
}

/// The clock with exactly this many digits after the second.
fn padded(clock: &str, digits: usize) -> String {
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    if digits == 0 {
        return whole.to_owned();
    }
    let fraction: String = fraction.chars().chain(std::iter::repeat('0')).take(digits).collect();
    format!("{whole}.{fraction}")
}

/// The clock with three digits, the nearest: .0033333 is the tick that prints as .003, .0066667 the
/// one that prints as .007.
fn thousandths(_date: &str, clock: &str) -> String {
    let finer = padded(clock, 7);
    let (whole, fraction) = finer.split_once('.').unwrap_or((&finer, "0000000"));
    let ticks: u32 = fraction.parse().unwrap_or(0);
    // The last tick of a second is .997: nothing rounds up into the next one.
    format!("{whole}.{:03}", ((ticks + 5_000) / 10_000).min(999))
}

/// `…+02:00`, `…+00` or `…Z`.
fn split_offset(text: &str) -> Option<(&str, String)> {
    if let Some(moment) = text.strip_suffix('Z') {
        return Some((moment, "+00:00".to_owned()));
    }
    let at = text.rfind(['+', '-']).filter(|at| *at > 10)?;
    let (moment, offset) = text.split_at(at);
    let digits: String = offset.chars().skip(1).filter(char::is_ascii_digit).collect();
    let plain = offset.chars().skip(1).all(|c| c == ':' || c.is_ascii_digit());
    let offset = match digits.len() {
        2 if plain => format!("{}{digits}:00", &offset[..1]),
        4 if plain => format!("{}{}:{}", &offset[..1], &digits[..2], &digits[2..]),
        _ => return None,
    };
    Some((moment.trim_end(), offset))
}

fn plain_number(text: &str) -> Result<String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit());
    if !plain || digits.is_empty() || digits.matches('.').count() > 1 {
        return Err(Error::config(format!("`{text}` is not a decimal number")));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(source_type: &str) -> SourceColumn {
        let (base, is_max) = SourceColumn::base_of(source_type);
        let numbers: Vec<u8> = source_type.split(['(', ',', ')']).filter_map(|word| word.parse().ok()).collect();
        SourceColumn {
            name: "c".into(),
            source_type: source_type.into(),
            base,
            precision: numbers.first().copied().unwrap_or(0),
            scale: numbers.get(1).copied().unwrap_or(0),
            is_max,
            collation: Some("Latin1_General_CI_AS".into()),
            code_page: Some(1252),
            not_null: false,
            readable: true,
        }
    }

    #[test]
    fn literals_are_of_the_columns_own_type() {
        for (of, value, sql) in [
            ("int", Scalar::Integer(-5), "-5"),
            ("bigint", Scalar::Integer(i64::MIN.into()), "CAST(-9223372036854775808 AS bigint)"),
            ("decimal(12,2)", Scalar::Decimal("-1.5".into()), "CAST('-1.5' AS decimal(12,2))"),
            ("decimal(38,38)", Scalar::Decimal("0.1".into()), "CAST('0.1' AS decimal(38,38))"),
            ("money", Scalar::Decimal("1.5000".into()), "CAST(CAST('1.5000' AS decimal(19,4)) AS money)"),
            ("date", Scalar::Date("0001-01-01".into()), "CONVERT(date, '0001-01-01', 23)"),
            (
                "datetime2(7)",
                Scalar::Timestamp("9999-12-31 23:59:59.9999999".into()),
                "CONVERT(datetime2(7), '9999-12-31T23:59:59.9999999', 126)",
            ),
            (
                "datetime2(3)",
                Scalar::Timestamp("2020-01-01 00:00:00.003".into()),
                "CONVERT(datetime2(7), '2020-01-01T00:00:00.0030000', 126)",
            ),
            (
                "datetime",
                Scalar::Timestamp("2020-01-01 00:00:00.003".into()),
                "CONVERT(datetime, '2020-01-01T00:00:00.003', 126)",
            ),
            (
                "datetime",
                Scalar::Timestamp("2020-01-01 00:00:00.0066667".into()),
                "CONVERT(datetime, '2020-01-01T00:00:00.007', 126)",
            ),
            (
                "datetimeoffset(7)",
                Scalar::Instant("2020-01-01 00:00:00.1234567+14:00".into()),
                "CAST('2020-01-01T00:00:00.1234567+14:00' AS datetimeoffset(7))",
            ),
            (
                "datetimeoffset(0)",
                Scalar::Instant("2020-01-01T00:00:00Z".into()),
                "CAST('2020-01-01T00:00:00.0000000+00:00' AS datetimeoffset(7))",
            ),
            ("nvarchar(10)", Scalar::Text("O'Neil".into()), "N'O''Neil'"),
            (
                "varchar(10)",
                Scalar::Text("O'Neil".into()),
                "CAST(N'O''Neil' COLLATE Latin1_General_CI_AS AS varchar(8000))",
            ),
            (
                "uniqueidentifier",
                Scalar::Uuid("00112233-4455-6677-8899-aabbccddeeff".into()),
                "CAST('00112233-4455-6677-8899-aabbccddeeff' AS uniqueidentifier)",
            ),
            ("binary(2)", Scalar::Bytes("00ff".into()), "0x00ff"),
        ] {
            assert_eq!(Tsql::over(&[column(of)]).literal_for("c", &value).unwrap(), sql, "{of}");
        }
    }

    #[test]
    fn what_is_compared_with_several_columns_has_the_highest_type() {
        let value = Scalar::Timestamp("2020-01-01 00:00:00.004".into());
        for (other, sql) in [
            ("datetime", "CONVERT(datetime, '2020-01-01T00:00:00.004', 126)"),
            ("smalldatetime", "CONVERT(datetime, '2020-01-01T00:00:00.004', 126)"),
            ("datetime2(3)", "CONVERT(datetime2(7), '2020-01-01T00:00:00.0040000', 126)"),
        ] {
            let (first, second) = (column("datetime"), SourceColumn { name: "d".into(), ..column(other) });
            let names = ["c".to_owned(), "d".to_owned()];
            assert_eq!(Tsql::over(&[first, second]).literal_for_coalesced(&names, &value).unwrap(), sql, "{other}");
        }
    }

    #[test]
    fn what_is_no_value_never_reaches_the_statement() {
        for value in [
            Scalar::Decimal("1; DROP TABLE t".into()),
            Scalar::Timestamp("2020-01-01' OR 1=1 --".into()),
            Scalar::Date("01/02/2020".into()),
            Scalar::Uuid("'".into()),
            Scalar::Bytes("0' ".into()),
            Scalar::Float("NaN".into()),
            Scalar::Instant("2020-01-01 00:00:00".into()),
        ] {
            assert!(Tsql::default().literal(&value).is_err(), "{value:?}");
        }
        assert_eq!(Tsql::default().name("a]b"), "[a]]b]");
    }
}
