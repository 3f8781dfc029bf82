//! MySQL's types: what a result's metadata says of them, and what each becomes.

use rivet_sdk::Fidelity;
use rivet_sdk::sql::columns;

use crate::catalog::SourceColumn;
use crate::kind::{Integer, Kind};
use crate::packet::ResultColumn;

/// The character set that means bytes.
const BINARY: u16 = 63;
const ENUM_FLAG: u16 = 256;
const SET_FLAG: u16 = 2048;

/// What a column holds, whatever its width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    Integer(Integer),
    Year,
    Bit,
    Decimal,
    Float,
    Double,
    Date,
    DateTime,
    Timestamp,
    Time,
    Text,
    /// An enum or a set: text that sorts as a number.
    Choice,
    Binary,
    Json,
    Geometry,
    Vector,
    Uuid,
    Null,
}

pub(crate) type Expression = columns::Expression<Kind>;

impl ResultColumn {
    /// What the column holds.
    pub fn base(&self) -> Base {
        match self.extended.as_deref() {
            Some("uuid") => return Base::Uuid,
            Some("inet4" | "inet6") => return Base::Text,
            Some("json") => return Base::Json,
            Some("vector") => return Base::Vector,
            _ => {}
        }
        let signed = |signed, unsigned| Base::Integer(if self.unsigned() { unsigned } else { signed });
        match self.code {
            1 => signed(Integer::I8, Integer::U8),
            2 => signed(Integer::I16, Integer::U16),
            3 | 9 => signed(Integer::I32, Integer::U32),
            8 => signed(Integer::I64, Integer::U64),
            13 => Base::Year,
            16 => Base::Bit,
            0 | 246 => Base::Decimal,
            4 => Base::Float,
            5 => Base::Double,
            10 | 14 => Base::Date,
            12 | 18 => Base::DateTime,
            7 | 17 => Base::Timestamp,
            11 | 19 => Base::Time,
            6 => Base::Null,
            242 => Base::Vector,
            245 => Base::Json,
            247 | 248 => Base::Choice,
            255 => Base::Geometry,
            _ if self.flags & (ENUM_FLAG | SET_FLAG) != 0 => Base::Choice,
            _ if self.charset == BINARY => Base::Binary,
            _ => Base::Text,
        }
    }

    /// Bytes of every value of the type; 0 where each value says its own length.
    pub fn width(&self) -> usize {
        match self.code {
            1 => 1,
            2 | 13 => 2,
            3 | 4 | 9 => 4,
            5 | 8 => 8,
            _ => 0,
        }
    }

    /// Precision and scale of a decimal.
    fn decimal(&self) -> (u8, i8) {
        let sign = u32::from(!self.unsigned());
        let point = u32::from(self.decimals > 0);
        let scale = i8::try_from(self.decimals).unwrap_or(0).clamp(0, 38);
        let precision = u8::try_from(self.length.saturating_sub(sign + point)).unwrap_or(u8::MAX);
        (precision.clamp(scale.unsigned_abs().max(1), 76), scale)
    }

    /// The type of a query's column, as a user would write it.
    pub fn type_name(&self) -> String {
        let unsigned = if self.unsigned() { " unsigned" } else { "" };
        let fraction = match self.decimals {
            digits @ 1..=6 => format!("({digits})"),
            _ => String::new(),
        };
        let characters = self.length / 4;
        match (self.base(), self.code) {
            (Base::Uuid, _) => "uuid".to_owned(),
            (Base::Text, _) if self.extended.as_deref().is_some_and(|word| word.starts_with("inet")) => {
                self.extended.clone().unwrap_or_default()
            }
            (Base::Json, _) => "json".to_owned(),
            (Base::Vector, _) => "vector".to_owned(),
            (_, 1) => format!("tinyint{unsigned}"),
            (_, 2) => format!("smallint{unsigned}"),
            (_, 3) => format!("int{unsigned}"),
            (_, 9) => format!("mediumint{unsigned}"),
            (_, 8) => format!("bigint{unsigned}"),
            (Base::Year, _) => "year".to_owned(),
            (Base::Bit, _) => format!("bit({})", self.length),
            (Base::Decimal, _) => {
                let (precision, scale) = self.decimal();
                format!("decimal({precision},{scale}){unsigned}")
            }
            (Base::Float, _) => "float".to_owned(),
            (Base::Double, _) => "double".to_owned(),
            (Base::Date, _) => "date".to_owned(),
            (Base::DateTime, _) => format!("datetime{fraction}"),
            (Base::Timestamp, _) => format!("timestamp{fraction}"),
            (Base::Time, _) => format!("time{fraction}"),
            (Base::Geometry, _) => self.extended.clone().unwrap_or_else(|| "geometry".to_owned()),
            (Base::Choice, _) => if self.flags & SET_FLAG != 0 { "set" } else { "enum" }.to_owned(),
            (Base::Null, _) => "null".to_owned(),
            (Base::Binary, 254) => format!("binary({})", self.length),
            (Base::Binary, 249..=252) => "blob".to_owned(),
            (Base::Binary, _) => format!("varbinary({})", self.length),
            (_, 254) => format!("char({characters})"),
            (_, 249..=252) => "text".to_owned(),
            _ => format!("varchar({characters})"),
        }
    }
}

/// The select-list expression of a column's natural type.
pub(crate) fn natural(name: &str, column: &SourceColumn, tinyint1_as_boolean: bool) -> Expression {
    let result = &column.result;
    let kind = match column.base() {
        Base::Integer(wire) if result.code == 1 && result.length == 1 && tinyint1_as_boolean => Kind::Bool(wire),
        Base::Integer(Integer::U64) => Kind::UInt64,
        Base::Integer(wire) => Kind::Int(
            wire,
            match (result.code, wire) {
                (1, _) | (_, Integer::I16) => 2,
                (_, Integer::U32) if result.code == 3 => 8,
                (8, _) => 8,
                _ => 4,
            },
        ),
        Base::Year => Kind::Int(Integer::U16, 2),
        Base::Bit => {
            let kind = if result.length <= 1 { Kind::Bit } else { Kind::Bits };
            let fidelity = kind.fidelity();
            return Expression::new(bits(name), kind, fidelity);
        }
        Base::Decimal => decimal(result.decimal()),
        Base::Float => Kind::Float32,
        Base::Double => Kind::Float64,
        Base::Date => Kind::Date,
        Base::DateTime => Kind::Timestamp { utc: false, nanoseconds: false },
        Base::Timestamp => Kind::Timestamp { utc: true, nanoseconds: false },
        Base::Time => Kind::Time,
        Base::Text => return Expression::new(text(name, column), Kind::Text, Fidelity::Exact),
        Base::Choice | Base::Null => Kind::Text,
        Base::Binary => Kind::Binary,
        Base::Json => Kind::Json,
        Base::Geometry => Kind::Wkb(column.srid.unwrap_or(0)),
        Base::Vector => Kind::Vector,
        Base::Uuid => Kind::Uuid { text: true },
    };
    let fidelity = kind.fidelity();
    Expression::new(name, kind, fidelity)
}

/// A bit column as an unsigned number of eight bytes. As it is, it comes as bytes or as digits, as the expression behind
/// it has it, and nothing on the wire tells the two apart.
pub(crate) fn bits(name: &str) -> String {
    format!("({name} | 0)")
}

pub(crate) fn decimal((precision, scale): (u8, i8)) -> Kind {
    if precision <= 38 { Kind::Decimal128(precision, scale) } else { Kind::Decimal256(precision, scale) }
}

/// A text column's value in utf8mb4.
///
/// The server converts, and writes `?` for bytes that are no text of the column's character set.
/// Such a value must not pass for a good one: it comes as a byte that is no UTF-8, and meets
/// the policy for values that cannot be represented.
fn text(name: &str, column: &SourceColumn) -> String {
    // A function's result is NULL where it is longer than max_allowed_packet: long texts stay
    // as they are.
    let long = column.source_type.starts_with("mediumtext") || column.source_type.starts_with("longtext");
    match column.charset.as_deref() {
        // Every byte of latin1 is a character.
        None | Some("utf8mb4" | "latin1" | "binary") => name.to_owned(),
        Some(_) if long => name.to_owned(),
        Some("utf8" | "utf8mb3") => format!("CAST({name} AS BINARY)"),
        Some(charset) => {
            let smallest = match charset {
                "ucs2" | "utf16" | "utf16le" => 2,
                "utf32" => 4,
                _ => 1,
            };
            let converted = format!("CONVERT({name} USING utf8mb4)");
            let marks = |value: &str| format!("(LENGTH({value}) - LENGTH(REPLACE({value}, '?', '')))");
            format!("IF({} <> {} * {smallest}, X'FF', CAST({converted} AS BINARY))", marks(name), marks(&converted))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(code: u8, length: u32, decimals: u8, flags: u16) -> ResultColumn {
        ResultColumn { name: "c".into(), code, flags, charset: BINARY, length, decimals, extended: None }
    }

    #[test]
    fn a_decimals_digits_are_counted_without_sign_and_point() {
        for (length, decimals, flags, expected) in [
            (12, 2, 0, (10, 2)),
            (11, 2, 32, (10, 2)),
            (66, 0, 0, (65, 0)),
            (67, 30, 0, (65, 30)),
            (2, 0, 0, (1, 0)),
            (0, 0, 0, (1, 0)),
        ] {
            assert_eq!(column(246, length, decimals, flags).decimal(), expected);
        }
        assert_eq!(column(246, 12, 2, 0).type_name(), "decimal(10,2)");
        assert_eq!(column(253, 10, 0, 0).type_name(), "varbinary(10)");
    }
}
