//! What a value of SQL Server becomes in Arrow.

use std::collections::HashMap;

use encoding_rs::Encoding;
use rivet_sdk::Fidelity;
use rivet_sdk::arrow_schema::{DataType, Field, TimeUnit};

/// An Arrow type, and what a decoder must know beside the bytes' own format.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Bool,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Decimal128(u8, i8),
    Decimal256(u8, i8),
    Date,
    Time {
        nanoseconds: bool,
    },
    /// With time zone UTC or without.
    Timestamp {
        utc: bool,
        nanoseconds: bool,
    },
    Uuid,
    Binary,
    Wkb,
    Text(CodePage),
    Json(CodePage),
}

/// How the bytes of char and varchar are read. UTF-16 needs none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodePage {
    Utf8,
    /// A code page of one byte a character, which the Encoding Standard has exactly as Windows does.
    Table(&'static Encoding),
    Unknown,
}

impl CodePage {
    /// The code page of this number, if rivet decodes it itself; the server converts all others.
    pub fn numbered(number: i128) -> Option<Self> {
        Some(match number {
            65001 => Self::Utf8,
            874 => Self::Table(encoding_rs::WINDOWS_874),
            1250 => Self::Table(encoding_rs::WINDOWS_1250),
            1251 => Self::Table(encoding_rs::WINDOWS_1251),
            1252 => Self::Table(encoding_rs::WINDOWS_1252),
            1253 => Self::Table(encoding_rs::WINDOWS_1253),
            1254 => Self::Table(encoding_rs::WINDOWS_1254),
            1255 => Self::Table(encoding_rs::WINDOWS_1255),
            1256 => Self::Table(encoding_rs::WINDOWS_1256),
            1257 => Self::Table(encoding_rs::WINDOWS_1257),
            1258 => Self::Table(encoding_rs::WINDOWS_1258),
            _ => return None,
        })
    }
}

impl Kind {
    /// Utf8 from a text that is UTF-16 or ASCII on the wire.
    pub const TEXT: Self = Self::Text(CodePage::Unknown);

    /// A decimal of so many digits.
    pub fn decimal(precision: u8, scale: i8) -> Self {
        if precision <= 38 { Self::Decimal128(precision, scale) } else { Self::Decimal256(precision, scale) }
    }

    /// The Arrow type.
    pub fn data_type(&self) -> DataType {
        let unit = |nanoseconds: bool| if nanoseconds { TimeUnit::Nanosecond } else { TimeUnit::Microsecond };
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Decimal128(precision, scale) => DataType::Decimal128(*precision, *scale),
            Self::Decimal256(precision, scale) => DataType::Decimal256(*precision, *scale),
            Self::Date => DataType::Date32,
            Self::Time { nanoseconds } => DataType::Time64(unit(*nanoseconds)),
            Self::Timestamp { utc, nanoseconds } => DataType::Timestamp(unit(*nanoseconds), utc.then(|| "UTC".into())),
            Self::Uuid => DataType::FixedSizeBinary(16),
            Self::Binary | Self::Wkb => DataType::Binary,
            Self::Text(_) | Self::Json(_) => DataType::Utf8,
        }
    }

    /// An Arrow field, with its extension type where there is one.
    pub fn field(&self, name: &str, nullable: bool) -> Field {
        let field = Field::new(name, self.data_type(), nullable);
        // The canonical JSON type wants empty metadata, the UUID type none.
        let (extension, metadata) = match self {
            Self::Json(_) => ("arrow.json", Some("")),
            Self::Uuid => ("arrow.uuid", None),
            Self::Wkb => ("geoarrow.wkb", Some("{}")),
            _ => return field,
        };
        let mut entries = HashMap::from([("ARROW:extension:name".to_owned(), extension.to_owned())]);
        entries.extend(metadata.map(|metadata| ("ARROW:extension:metadata".to_owned(), metadata.to_owned())));
        field.with_metadata(entries)
    }

    /// Whether some value of the source type has no place in the Arrow type, so that a policy may
    /// turn it into NULL: half a surrogate pair, bytes outside a code page, a year beyond 2262.
    pub fn may_not_fit(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Json(_) | Self::Timestamp { nanoseconds: true, .. })
    }

    /// Bytes that every row takes in Arrow buffers, whatever its value.
    pub fn fixed_bytes(&self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Int16 => 2,
            Self::Int32 | Self::Float32 | Self::Date => 4,
            Self::Text(_) | Self::Json(_) | Self::Binary | Self::Wkb => 4,
            Self::Decimal128(..) | Self::Uuid => 16,
            Self::Decimal256(..) => 32,
            _ => 8,
        }
    }
}

/// What stands in the select list for a column, and what its values become.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expression {
    pub sql: String,
    pub kind: Kind,
    pub fidelity: Fidelity,
}
