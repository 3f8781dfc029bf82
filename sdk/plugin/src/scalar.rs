//! One typed value that crosses the boundary: a bound of a chunk, a watermark, a query's answer.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A typed value. In JSON: `{"type": "integer", "value": "42"}`, the value always a string,
/// so that no number loses a digit on the way.
///
/// Dates and times are ISO 8601 text as the database prints it. The host never compares or
/// computes with a scalar: comparison happens in the server, by the server's own rules.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "value", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scalar {
    /// SQL NULL.
    Null,
    /// A truth value.
    Boolean(
        #[serde(with = "text")]
        #[schemars(with = "String")]
        bool,
    ),
    /// An integer of any width, signed or unsigned.
    Integer(
        #[serde(with = "text")]
        #[schemars(with = "String")]
        i128,
    ),
    /// An exact decimal, as digits: `-12.50`.
    Decimal(String),
    /// A binary float, in the shortest text that reads back the same.
    Float(String),
    /// A calendar date: `2024-02-29`.
    Date(String),
    /// A time of day: `23:59:59.999999`.
    Time(String),
    /// A date and time without a zone: `2024-02-29 12:00:00.123456`.
    Timestamp(String),
    /// An instant, with its offset: `2024-02-29 12:00:00.123456+00`.
    Instant(String),
    /// Text.
    Text(String),
    /// Bytes, as lower-case hex.
    Bytes(String),
    /// A UUID in its canonical form.
    Uuid(String),
}

impl Scalar {
    /// The value's text, without its type. NULL is `NULL`.
    pub fn as_text(&self) -> String {
        match self {
            Self::Null => "NULL".into(),
            Self::Boolean(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Decimal(text)
            | Self::Float(text)
            | Self::Date(text)
            | Self::Time(text)
            | Self::Timestamp(text)
            | Self::Instant(text)
            | Self::Text(text)
            | Self::Bytes(text)
            | Self::Uuid(text) => text.clone(),
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_text())
    }
}

/// Numbers as JSON strings.
mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(value: &impl Display, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub fn deserialize<'de, D, T>(from: D) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
        T: FromStr<Err: Display>,
    {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_keep_every_digit_in_json() {
        let value = Scalar::Integer(u64::MAX.into());
        let json = serde_json::to_string(&value).unwrap();
        assert_eq!(json, r#"{"type":"integer","value":"18446744073709551615"}"#);
        assert_eq!(serde_json::from_str::<Scalar>(&json).unwrap(), value);
    }

    #[test]
    fn null_is_a_tag_without_a_value() {
        assert_eq!(serde_json::to_string(&Scalar::Null).unwrap(), r#"{"type":"null"}"#);
    }
}
