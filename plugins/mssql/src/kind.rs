//! What a value of SQL Server becomes in Arrow.

use encoding_rs::Encoding;
use rivet_sdk::arrow_schema::{DataType, TimeUnit};
use rivet_sdk::sql::columns::{self, Extension, Target};

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
}

impl Target for Kind {
    fn data_type(&self) -> DataType {
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

    fn extension(&self) -> Option<Extension> {
        match self {
            Self::Json(_) => Some(Extension::Json),
            Self::Uuid => Some(Extension::Uuid),
            Self::Wkb => Some(Extension::Wkb(0)),
            _ => None,
        }
    }

    /// Half a surrogate pair, bytes outside a code page, a year beyond 2262.
    fn may_not_fit(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Json(_) | Self::Timestamp { nanoseconds: true, .. })
    }
}

pub(crate) type Expression = columns::Expression<Kind>;
