//! What a binary value of MySQL becomes in Arrow.

use std::sync::Arc;

use rivet_sdk::Fidelity;
use rivet_sdk::arrow_schema::{DataType, Field, TimeUnit};
use rivet_sdk::sql::columns::{Extension, Target};

use crate::packet::ResultColumn;
use crate::types::Base;

/// A wire format together with an Arrow type. Everything a decoder needs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// An integer that is 0 or 1.
    Bool(Integer),
    /// bit(1), as an unsigned number of eight bytes.
    Bit,
    /// bit(n): its bits as an unsigned number of eight bytes.
    Bits,
    /// An integer, checked into a width of 2, 4 or 8 bytes.
    Int(Integer, u8),
    UInt64,
    /// A decimal, checked into an integer of 2, 4 or 8 bytes.
    DecimalInt(u8),
    Float32,
    Float64,
    Decimal128(u8, i8),
    Decimal256(u8, i8),
    Date,
    Time,
    Duration,
    /// With time zone UTC or without, in microseconds or nanoseconds.
    Timestamp {
        utc: bool,
        nanoseconds: bool,
    },
    /// A UUID's text, or (false) its sixteen bytes.
    Uuid {
        text: bool,
    },
    Text,
    Json,
    /// Text that must be JSON.
    CheckedJson,
    Binary,
    /// A geometry of one spatial reference system.
    Wkb(u32),
    Vector,
}

/// How an integer crosses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Integer {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
}

impl Kind {
    /// What the mapping keeps.
    pub fn fidelity(&self) -> Fidelity {
        match self {
            Self::Bool(_) | Self::Bits | Self::Duration | Self::DecimalInt(_) | Self::CheckedJson => {
                Fidelity::Compatible
            }
            Self::Wkb(_) | Self::Uuid { text: false } => Fidelity::Compatible,
            _ => Fidelity::Exact,
        }
    }

    /// Whether values of this kind may be read from a column of a result: what the server says of the bytes it sends
    /// is what the decoder takes them for.
    pub fn reads(&self, column: &ResultColumn) -> bool {
        let base = column.base();
        match self {
            Self::Bool(wire) | Self::Int(wire, _) => {
                base == Base::Integer(*wire) || (base == Base::Year && *wire == Integer::U16)
            }
            Self::Bit | Self::Bits | Self::UInt64 => base == Base::Integer(Integer::U64),
            Self::DecimalInt(_) | Self::Decimal128(..) | Self::Decimal256(..) => base == Base::Decimal,
            Self::Float32 => base == Base::Float,
            Self::Float64 => base == Base::Double,
            Self::Date => base == Base::Date,
            Self::Time | Self::Duration => base == Base::Time,
            Self::Timestamp { .. } => matches!(base, Base::DateTime | Base::Timestamp | Base::Date),
            Self::Text | Self::Json | Self::CheckedJson | Self::Uuid { .. } => {
                matches!(base, Base::Text | Base::Choice | Base::Binary | Base::Json | Base::Uuid | Base::Null)
            }
            Self::Binary | Self::Wkb(_) | Self::Vector => matches!(
                base,
                Base::Text | Base::Choice | Base::Binary | Base::Geometry | Base::Vector | Base::Uuid | Base::Null
            ),
        }
    }
}

impl Target for Kind {
    fn data_type(&self) -> DataType {
        match self {
            Self::Bool(_) | Self::Bit => DataType::Boolean,
            Self::Int(_, 2) | Self::DecimalInt(2) => DataType::Int16,
            Self::Int(_, 4) | Self::DecimalInt(4) => DataType::Int32,
            Self::Int(..) | Self::DecimalInt(_) => DataType::Int64,
            Self::UInt64 | Self::Bits => DataType::UInt64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Decimal128(precision, scale) => DataType::Decimal128(*precision, *scale),
            Self::Decimal256(precision, scale) => DataType::Decimal256(*precision, *scale),
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Duration => DataType::Duration(TimeUnit::Microsecond),
            Self::Timestamp { utc, nanoseconds } => DataType::Timestamp(
                if *nanoseconds { TimeUnit::Nanosecond } else { TimeUnit::Microsecond },
                utc.then(|| "UTC".into()),
            ),
            Self::Uuid { .. } => DataType::FixedSizeBinary(16),
            Self::Text | Self::Json | Self::CheckedJson => DataType::Utf8,
            Self::Binary | Self::Wkb(_) => DataType::Binary,
            Self::Vector => DataType::List(Arc::new(Field::new("element", DataType::Float32, true))),
        }
    }

    fn extension(&self) -> Option<Extension> {
        match self {
            Self::Json | Self::CheckedJson => Some(Extension::Json),
            Self::Uuid { .. } => Some(Extension::Uuid),
            Self::Wkb(srid) => Some(Extension::Wkb(*srid)),
            _ => None,
        }
    }

    fn may_not_fit(&self) -> bool {
        matches!(
            self,
            Self::Bool(_)
                | Self::Date
                | Self::Time
                | Self::Timestamp { .. }
                | Self::Text
                | Self::Json
                | Self::CheckedJson
                | Self::Uuid { .. }
                | Self::Wkb(_)
        )
    }
}
