//! A type that the user asks for, whatever the database's own is.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A type the user asks for in `columns:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
#[non_exhaustive]
pub enum WantedType {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    /// Total digits (1 to 76) and digits after the point.
    Decimal(u8, i8),
    Date,
    Time,
    Timestamp,
    TimestampNs,
    TimestampTz,
    TimestampTzNs,
    Duration,
    Text,
    Binary,
    Json,
    Uuid,
}

const WANTED: [(&str, WantedType); 17] = [
    ("bool", WantedType::Bool),
    ("int2", WantedType::Int2),
    ("int4", WantedType::Int4),
    ("int8", WantedType::Int8),
    ("float4", WantedType::Float4),
    ("float8", WantedType::Float8),
    ("date", WantedType::Date),
    ("time", WantedType::Time),
    ("timestamp", WantedType::Timestamp),
    ("timestamp_ns", WantedType::TimestampNs),
    ("timestamp_tz", WantedType::TimestampTz),
    ("timestamp_tz_ns", WantedType::TimestampTzNs),
    ("duration", WantedType::Duration),
    ("text", WantedType::Text),
    ("binary", WantedType::Binary),
    ("json", WantedType::Json),
    ("uuid", WantedType::Uuid),
];

const SYNONYMS: [(&str, &str); 22] = [
    ("boolean", "bool"),
    ("smallint", "int2"),
    ("int16", "int2"),
    ("int", "int4"),
    ("integer", "int4"),
    ("int32", "int4"),
    ("bigint", "int8"),
    ("int64", "int8"),
    ("real", "float4"),
    ("float32", "float4"),
    ("float", "float8"),
    ("double", "float8"),
    ("double precision", "float8"),
    ("float64", "float8"),
    ("datetime", "timestamp"),
    ("timestamptz", "timestamp_tz"),
    ("interval", "duration"),
    ("string", "text"),
    ("varchar", "text"),
    ("bytes", "binary"),
    ("bytea", "binary"),
    ("jsonb", "json"),
];

impl WantedType {
    /// Every accepted name without parameters, for "nearest name" hints.
    pub fn names() -> impl Iterator<Item = &'static str> {
        WANTED.iter().map(|(name, _)| *name).chain(["decimal"]).chain(SYNONYMS.iter().map(|(name, _)| *name))
    }
}

impl FromStr for WantedType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim().to_ascii_lowercase();
        if let Some(arguments) = ["decimal", "numeric"].iter().find_map(|name| text.strip_prefix(name)) {
            return parse_decimal(arguments.trim()).ok_or_else(|| {
                format!("`{text}` is not a decimal type; write decimal(precision, scale) with precision 1 to 76")
            });
        }
        let name = SYNONYMS.iter().find(|(synonym, _)| *synonym == text).map_or(text.as_str(), |(_, name)| name);
        WANTED
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, wanted)| *wanted)
            .ok_or_else(|| format!("`{text}` is not a type rivet knows"))
    }
}

fn parse_decimal(arguments: &str) -> Option<WantedType> {
    let inner = arguments.strip_prefix('(')?.strip_suffix(')')?;
    let (precision, scale) = inner.split_once(',').unwrap_or((inner, "0"));
    let precision: u8 = precision.trim().parse().ok()?;
    let scale: i8 = scale.trim().parse().ok()?;
    let fits = (1..=76).contains(&precision) && scale >= 0 && scale.unsigned_abs() <= precision;
    fits.then_some(WantedType::Decimal(precision, scale))
}

impl fmt::Display for WantedType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal(precision, scale) => write!(f, "decimal({precision},{scale})"),
            plain => match WANTED.iter().find(|(_, wanted)| wanted == plain) {
                Some((name, _)) => f.write_str(name),
                None => f.write_str("unknown"),
            },
        }
    }
}

impl JsonSchema for WantedType {
    fn schema_name() -> Cow<'static, str> {
        "WantedType".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A type the user asks for in `columns:`." })
    }
}

impl Serialize for WantedType {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WantedType {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        // A type that this side does not know is a newer side's, not a malformed one.
        text.parse().map_err(|_| serde::de::Error::unknown_variant(&text, &["a type that rivet knows"]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wanted_types_read_their_synonyms_and_print_their_name() {
        for (text, name) in [("BIGINT", "int8"), ("numeric(38, 10)", "decimal(38,10)"), ("decimal(5)", "decimal(5,0)")]
        {
            assert_eq!(text.parse::<WantedType>().unwrap().to_string(), name);
        }
        for (name, wanted) in WANTED {
            assert_eq!(name.parse::<WantedType>().unwrap(), wanted);
        }
    }

    #[test]
    fn impossible_decimals_are_refused() {
        for text in ["decimal", "decimal(0,0)", "decimal(77,2)", "decimal(5,6)", "decimal(5,-1)"] {
            assert!(text.parse::<WantedType>().is_err(), "{text}");
        }
    }
}
