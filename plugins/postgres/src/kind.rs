//! What a binary value of PostgreSQL becomes in Arrow.

use std::sync::Arc;

use rivet_sdk::Fidelity;
use rivet_sdk::arrow_schema::{DataType, Field, Fields, TimeUnit};
use rivet_sdk::sql::columns::{Extension, Target};

/// A binary format of the server together with an Arrow type. Everything a decoder needs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Bool,
    Int16,
    Int32,
    Int64,
    /// int2, int4 or int8, checked into a width of 2, 4 or 8 bytes.
    AnyInt(u8),
    /// numeric, checked into an integer of 2, 4 or 8 bytes.
    NumericInt(u8),
    UInt32,
    Float32,
    Float64,
    Decimal128(u8, i8),
    Decimal256(u8, i8),
    /// An int8 that counts the smallest unit.
    Money(i8),
    Date,
    Time,
    /// With time zone UTC or without, in microseconds or nanoseconds.
    Timestamp {
        utc: bool,
        nanoseconds: bool,
    },
    Duration,
    Uuid,
    Binary,
    Wkb,
    Text(TextForm),
    Json,
    Jsonb,
    List(Box<Kind>),
    Struct(Vec<(String, Kind)>),
    Range(Box<Kind>),
    Multirange(Box<Kind>),
    Hstore,
    Vector,
}

/// How a value's text is made from its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextForm {
    /// The bytes are the text.
    Plain,
    /// The one-byte type `"char"`.
    Char,
    Numeric,
    Interval,
    TimeTz,
    Inet,
    MacAddress,
    Bits,
    Lsn,
}

impl Kind {
    /// Utf8 from a text the server made.
    pub const PLAIN: Self = Self::Text(TextForm::Plain);

    /// What the mapping keeps.
    pub fn fidelity(&self) -> Fidelity {
        match self {
            Self::Text(TextForm::Plain | TextForm::Char) => Fidelity::Exact,
            Self::Text(_) => Fidelity::Text,
            Self::Duration => Fidelity::Compatible,
            Self::List(inner) | Self::Range(inner) | Self::Multirange(inner) => inner.fidelity(),
            Self::Struct(members) => members.iter().map(|(_, kind)| kind.fidelity()).max().unwrap_or(Fidelity::Exact),
            _ => Fidelity::Exact,
        }
    }

    /// Whether values of this kind may be read from a column, an element or a member of the type `oid`: what the
    /// server says of the bytes it sends is what the decoder takes them for. Types that are the database's own have
    /// no fixed number.
    pub fn reads(&self, oid: u32) -> bool {
        const FIRST_OF_ITS_OWN: u32 = 16_384;
        let built_in: &[u32] = match self {
            Self::Bool => &[16],
            Self::Int16 => &[21],
            Self::Int32 => &[23],
            Self::Int64 => &[20],
            Self::AnyInt(_) => &[20, 21, 23],
            Self::NumericInt(_) | Self::Decimal128(..) | Self::Decimal256(..) | Self::Text(TextForm::Numeric) => {
                &[1700]
            }
            // oid, xid, cid.
            Self::UInt32 => &[26, 28, 29],
            Self::Float32 => &[700],
            Self::Float64 => &[701],
            Self::Money(_) => &[790],
            Self::Date => &[1082],
            Self::Time => &[1083],
            Self::Timestamp { utc: false, .. } => &[1114],
            Self::Timestamp { utc: true, .. } => &[1184],
            Self::Duration | Self::Text(TextForm::Interval) => &[1186],
            Self::Uuid => &[2950],
            Self::Binary | Self::Wkb => &[17],
            // text, varchar, bpchar, name, xml, unknown.
            Self::Text(TextForm::Plain) => &[25, 1043, 1042, 19, 142, 705],
            Self::Text(TextForm::Char) => &[18],
            Self::Text(TextForm::TimeTz) => &[1266],
            Self::Text(TextForm::Inet) => &[869, 650],
            Self::Text(TextForm::MacAddress) => &[829, 774],
            Self::Text(TextForm::Bits) => &[1560, 1562],
            Self::Text(TextForm::Lsn) => &[3220],
            // json, or the text of it.
            Self::Json => &[114, 25],
            Self::Jsonb => &[3802],
            // Arrays and records say of each member what it is; ranges are named by their own number.
            Self::List(_) | Self::Struct(_) | Self::Range(_) | Self::Multirange(_) => return true,
            Self::Hstore | Self::Vector => &[],
        };
        oid >= FIRST_OF_ITS_OWN || built_in.contains(&oid)
    }
}

impl Target for Kind {
    fn data_type(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int16 | Self::AnyInt(2) | Self::NumericInt(2) => DataType::Int16,
            Self::Int32 | Self::AnyInt(4) | Self::NumericInt(4) => DataType::Int32,
            Self::Int64 | Self::AnyInt(_) | Self::NumericInt(_) => DataType::Int64,
            Self::UInt32 => DataType::UInt32,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Decimal128(precision, scale) => DataType::Decimal128(*precision, *scale),
            Self::Decimal256(precision, scale) => DataType::Decimal256(*precision, *scale),
            Self::Money(scale) => DataType::Decimal128(19, *scale),
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp { utc, nanoseconds } => DataType::Timestamp(
                if *nanoseconds { TimeUnit::Nanosecond } else { TimeUnit::Microsecond },
                utc.then(|| "UTC".into()),
            ),
            Self::Duration => DataType::Duration(TimeUnit::Microsecond),
            Self::Uuid => DataType::FixedSizeBinary(16),
            Self::Binary | Self::Wkb => DataType::Binary,
            Self::Text(_) | Self::Json | Self::Jsonb => DataType::Utf8,
            Self::List(element) => DataType::List(Arc::new(element.field("element", true))),
            Self::Struct(members) => {
                DataType::Struct(members.iter().map(|(name, kind)| kind.field(name, true)).collect())
            }
            Self::Range(bound) => DataType::Struct(range_fields(bound)),
            Self::Multirange(bound) => DataType::List(Arc::new(Self::Range(bound.clone()).field("element", true))),
            Self::Hstore => {
                DataType::Map(Arc::new(Field::new("entries", DataType::Struct(hstore_fields()), false)), false)
            }
            Self::Vector => DataType::List(Arc::new(Field::new("element", DataType::Float32, true))),
        }
    }

    fn extension(&self) -> Option<Extension> {
        match self {
            Self::Json | Self::Jsonb => Some(Extension::Json),
            Self::Uuid => Some(Extension::Uuid),
            Self::Wkb => Some(Extension::Wkb(0)),
            _ => None,
        }
    }

    fn may_not_fit(&self) -> bool {
        matches!(
            self,
            Self::Date
                | Self::Time
                | Self::Timestamp { .. }
                | Self::Duration
                | Self::Decimal128(..)
                | Self::Decimal256(..)
                | Self::NumericInt(_)
        )
    }
}

/// The members of a range's struct.
pub(crate) fn range_fields(bound: &Kind) -> Fields {
    Fields::from(vec![
        bound.field("lower", true),
        bound.field("upper", true),
        Field::new("lower_inclusive", DataType::Boolean, false),
        Field::new("upper_inclusive", DataType::Boolean, false),
        Field::new("empty", DataType::Boolean, false),
    ])
}

/// The members of a map's entries.
pub(crate) fn hstore_fields() -> Fields {
    Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)])
}
