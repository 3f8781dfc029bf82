//! SQL Server's types, and how their values lie in SQLite.
//!
//! Every value has one canonical form there, so that equal values are equal texts:
//! integers and bit as INTEGER, real and float as REAL, decimals and money as text with their scale's
//! digits, dates and times as ISO text with seven fraction digits (an offset follows the UTC instant),
//! texts as TEXT (or UTF-16LE BLOB where lone surrogates allow no TEXT), binaries as BLOB,
//! uniqueidentifier as upper-case text, sql_variant and spatial values as tagged BLOBs.

use std::fmt;

use serde::{Deserialize, Serialize};

pub mod cast;
pub mod collation;
pub mod convert;
pub mod decode;
pub mod encode;
pub mod numeric;
pub mod order;
pub mod spatial;
pub mod temporal;
pub mod typeinfo;
pub mod variant;

use collation::Collation;

/// The families of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    Bit,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Real,
    Float,
    Decimal,
    Numeric,
    Money,
    SmallMoney,
    Date,
    Time,
    SmallDateTime,
    DateTime,
    DateTime2,
    DateTimeOffset,
    Char,
    VarChar,
    Text,
    NChar,
    NVarChar,
    NText,
    Binary,
    VarBinary,
    Image,
    RowVersion,
    UniqueIdentifier,
    Xml,
    SqlVariant,
    HierarchyId,
    Geography,
    Geometry,
}

use Kind::*;

/// The length of a `(max)` type.
pub const MAX: u16 = u16::MAX;

/// A declared type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Type {
    pub kind: Kind,
    /// Bytes, or UTF-16 units of the n-types; [`MAX`] for `(max)`.
    pub length: u16,
    pub precision: u8,
    pub scale: u8,
    /// Of texts; the default elsewhere.
    pub collation: Collation,
}

/// Names with system_type_id, user_type_id and max_length of the fixed ones.
pub const NAMES: [(&str, Kind, u8, u16, i16); 34] = [
    ("image", Image, 34, 34, 16),
    ("text", Text, 35, 35, 16),
    ("uniqueidentifier", UniqueIdentifier, 36, 36, 16),
    ("date", Date, 40, 40, 3),
    ("time", Time, 41, 41, 5),
    ("datetime2", DateTime2, 42, 42, 8),
    ("datetimeoffset", DateTimeOffset, 43, 43, 10),
    ("tinyint", TinyInt, 48, 48, 1),
    ("smallint", SmallInt, 52, 52, 2),
    ("int", Int, 56, 56, 4),
    ("smalldatetime", SmallDateTime, 58, 58, 4),
    ("real", Real, 59, 59, 4),
    ("money", Money, 60, 60, 8),
    ("datetime", DateTime, 61, 61, 8),
    ("float", Float, 62, 62, 8),
    ("sql_variant", SqlVariant, 98, 98, 8016),
    ("ntext", NText, 99, 99, 16),
    ("bit", Bit, 104, 104, 1),
    ("decimal", Decimal, 106, 106, 17),
    ("numeric", Numeric, 108, 108, 17),
    ("smallmoney", SmallMoney, 122, 122, 4),
    ("bigint", BigInt, 127, 127, 8),
    ("hierarchyid", HierarchyId, 240, 128, 892),
    ("geometry", Geometry, 240, 129, -1),
    ("geography", Geography, 240, 130, -1),
    ("varbinary", VarBinary, 165, 165, 8000),
    ("varchar", VarChar, 167, 167, 8000),
    ("binary", Binary, 173, 173, 8000),
    ("char", Char, 175, 175, 8000),
    ("timestamp", RowVersion, 189, 189, 8),
    ("nvarchar", NVarChar, 231, 231, 8000),
    ("nchar", NChar, 239, 239, 8000),
    ("xml", Xml, 241, 241, -1),
    // Not a kind of its own: nvarchar(128) NOT NULL.
    ("sysname", NVarChar, 231, 256, 256),
];

impl Type {
    /// A type that needs no length, precision or scale, or takes the usual ones.
    pub const fn new(kind: Kind) -> Self {
        let (length, precision, scale) = match kind {
            Bit | TinyInt => (1, if matches!(kind, Bit) { 1 } else { 3 }, 0),
            SmallInt => (2, 5, 0),
            Int => (4, 10, 0),
            BigInt => (8, 19, 0),
            Real => (4, 24, 0),
            Float => (8, 53, 0),
            Decimal | Numeric => (9, 18, 0),
            Money => (8, 19, 4),
            SmallMoney => (4, 10, 4),
            Date => (3, 10, 0),
            Time => (5, 16, 7),
            SmallDateTime => (4, 16, 0),
            DateTime => (8, 23, 3),
            DateTime2 => (8, 27, 7),
            DateTimeOffset => (10, 34, 7),
            Char | VarChar | NChar | NVarChar | Binary | VarBinary => (1, 0, 0),
            Text | NText | Image | UniqueIdentifier => (16, 0, 0),
            RowVersion => (8, 0, 0),
            SqlVariant => (8016, 0, 0),
            HierarchyId => (892, 0, 0),
            Xml | Geography | Geometry => (MAX, 0, 0),
        };
        Self { kind, length, precision, scale, collation: Collation::DEFAULT }
    }

    pub const fn of_length(kind: Kind, length: u16) -> Self {
        let mut made = Self::new(kind);
        made.length = length;
        made
    }

    pub const fn decimal(precision: u8, scale: u8) -> Self {
        let mut made = Self::new(Decimal);
        made.precision = precision;
        made.scale = scale;
        made.length = numeric::bytes(precision);
        made
    }

    /// A type of time with so many fraction digits.
    pub const fn of_scale(kind: Kind, scale: u8) -> Self {
        let mut made = Self::new(kind);
        made.scale = scale;
        let bytes = if scale < 3 {
            3
        } else if scale < 5 {
            4
        } else {
            5
        };
        let (length, digits) = match kind {
            Time => (bytes, 8),
            DateTime2 => (bytes + 3, 19),
            _ => (bytes + 5, 26),
        };
        made.length = length;
        made.precision = if scale == 0 { digits } else { digits + 1 + scale };
        made
    }

    pub fn with_collation(mut self, collation: Collation) -> Self {
        self.collation = collation;
        self
    }

    pub fn is_max(&self) -> bool {
        self.length == MAX && matches!(self.kind, VarChar | NVarChar | VarBinary)
    }

    /// char, varchar, text: bytes of a code page.
    pub fn is_coded(&self) -> bool {
        matches!(self.kind, Char | VarChar | Text)
    }

    pub fn is_national(&self) -> bool {
        matches!(self.kind, NChar | NVarChar | NText)
    }

    pub fn is_text(&self) -> bool {
        self.is_coded() || self.is_national()
    }

    pub fn is_binary(&self) -> bool {
        matches!(self.kind, Binary | VarBinary | Image | RowVersion)
    }

    pub fn is_integer(&self) -> bool {
        matches!(self.kind, Bit | TinyInt | SmallInt | Int | BigInt)
    }

    /// Kept as decimal text.
    pub fn is_exact(&self) -> bool {
        matches!(self.kind, Decimal | Numeric | Money | SmallMoney)
    }

    pub fn is_float(&self) -> bool {
        matches!(self.kind, Real | Float)
    }

    pub fn is_temporal(&self) -> bool {
        matches!(self.kind, Date | Time | SmallDateTime | DateTime | DateTime2 | DateTimeOffset)
    }

    pub fn is_spatial(&self) -> bool {
        matches!(self.kind, Geography | Geometry)
    }

    pub fn is_udt(&self) -> bool {
        self.is_spatial() || self.kind == HierarchyId
    }

    pub fn base_name(&self) -> &'static str {
        NAMES.iter().find(|(_, kind, ..)| *kind == self.kind).map_or("sql_variant", |(name, ..)| name)
    }

    pub fn system_type_id(&self) -> u8 {
        NAMES.iter().find(|(_, kind, ..)| *kind == self.kind).map_or(0, |(_, _, id, ..)| *id)
    }

    pub fn user_type_id(&self) -> u16 {
        NAMES.iter().find(|(_, kind, ..)| *kind == self.kind).map_or(0, |(_, _, _, id, _)| *id)
    }

    /// sys.columns.max_length.
    pub fn max_length(&self) -> i16 {
        match self.kind {
            Xml | Geography | Geometry => -1,
            VarChar | NVarChar | VarBinary if self.length == MAX => -1,
            NChar | NVarChar => i16::try_from(self.length * 2).unwrap_or(8000),
            _ => i16::try_from(self.length).unwrap_or(8000),
        }
    }

    /// The collation SQLite must compare with, where plain comparison of storage is not right.
    pub fn order(&self) -> Option<&'static str> {
        match self.kind {
            Decimal | Numeric | Money | SmallMoney => Some(order::DECIMAL),
            DateTimeOffset => Some(order::OFFSET),
            UniqueIdentifier => Some(order::GUID),
            Char | VarChar | Text | NChar | NVarChar | NText => Some(self.collation.order()),
            _ => None,
        }
    }
}

impl fmt::Display for Type {
    /// As `sys.dm_exec_describe_first_result_set.system_type_name` has it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.base_name();
        match self.kind {
            Decimal | Numeric => write!(formatter, "{name}({},{})", self.precision, self.scale),
            Time | DateTime2 | DateTimeOffset => write!(formatter, "{name}({})", self.scale),
            VarChar | NVarChar | VarBinary if self.length == MAX => write!(formatter, "{name}(max)"),
            Char | VarChar | NChar | NVarChar | Binary | VarBinary => write!(formatter, "{name}({})", self.length),
            _ => formatter.write_str(name),
        }
    }
}
