//! COLMETADATA: what the columns of an answer are, and how their values lie in a row.

use rivet_sdk::Result;
use rivet_sdk::cursor::ReadNumbers as _;

use crate::collation::code_page;
use crate::error::confused;
use crate::kind::CodePage;
use crate::stream::Stream;
use crate::types::SourceColumn;

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResultColumn {
    pub name: String,
    pub format: Format,
    pub layout: Layout,
}

/// What the bytes of a value mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// No value at all: the untyped NULL.
    Nothing,
    Bit,
    TinyInt,
    Int16,
    Int32,
    Int64,
    Real,
    Float,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Money,
    SmallMoney,
    Date,
    /// Digits after the second.
    Time(u8),
    DateTime,
    SmallDateTime,
    DateTime2(u8),
    DateTimeOffset(u8),
    Guid,
    Bytes,
    Utf16,
    /// One or more bytes a character, in the collation's code page.
    Narrow(CodePage),
    Variant,
    /// A type of the CLR, in its own binary form.
    Clr,
}

impl Format {
    /// Whether the server sends a column of the type `of` like this. Types that are not named here are sent as what
    /// they are cast to.
    pub fn is_of(self, of: &SourceColumn) -> bool {
        let scale = |found: u8| found == of.scale;
        match of.base.as_str() {
            "bit" => self == Self::Bit,
            "tinyint" => self == Self::TinyInt,
            "smallint" => self == Self::Int16,
            "int" => self == Self::Int32,
            "bigint" => self == Self::Int64,
            "real" => self == Self::Real,
            "float" => self == Self::Float,
            "decimal" => {
                matches!(self, Self::Decimal { precision, scale: found } if precision == of.precision && scale(found))
            }
            "money" => self == Self::Money,
            "smallmoney" => self == Self::SmallMoney,
            "date" => self == Self::Date,
            "time" => matches!(self, Self::Time(found) if scale(found)),
            "datetime" => self == Self::DateTime,
            "smalldatetime" => self == Self::SmallDateTime,
            "datetime2" => matches!(self, Self::DateTime2(found) if scale(found)),
            "datetimeoffset" => matches!(self, Self::DateTimeOffset(found) if scale(found)),
            "uniqueidentifier" => self == Self::Guid,
            "binary" | "varbinary" | "rowversion" => self == Self::Bytes,
            "nchar" | "nvarchar" | "sysname" => self == Self::Utf16,
            // Of two tables of code pages, the server's and ours, one may know a page that the other does not.
            "char" | "varchar" => match (self, of.code_page.and_then(CodePage::numbered)) {
                (Self::Narrow(CodePage::Unknown), _) | (Self::Narrow(_), None) => true,
                (Self::Narrow(found), Some(page)) => found == page,
                _ => false,
            },
            "sql_variant" => self == Self::Variant,
            _ => true,
        }
    }
}

/// How the length of a value is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// It is always the same, and there is no NULL.
    Fixed(usize),
    /// One byte, 0 for NULL.
    Byte,
    /// Two bytes, FFFF for NULL.
    Short,
    /// Four bytes, 0 for NULL.
    Long,
    /// A pointer and a timestamp before a length of four bytes.
    Pointer,
    /// Pieces of any length.
    Pieces,
}

/// Reads COLMETADATA, its token already read.
pub(crate) fn columns(from: &mut Stream) -> Result<Vec<ResultColumn>> {
    let count = from.u16_le()?;
    let count = if count == 0xFFFF { 0 } else { count };
    let mut columns = Vec::with_capacity(usize::from(count.min(4096)));
    for _ in 0..count {
        let _user_type = from.u32_le()?;
        let _flags = from.u16_le()?;
        let (format, layout) = type_of(from)?;
        if layout == Layout::Pointer {
            let parts = from.u8()?;
            for _ in 0..parts {
                let units = from.u16_le()?;
                from.text(usize::from(units))?;
            }
        }
        let units = from.u8()?;
        columns.push(ResultColumn { name: from.text(usize::from(units))?, format, layout });
    }
    Ok(columns)
}

/// TYPE_INFO.
fn type_of(from: &mut Stream) -> Result<(Format, Layout)> {
    let token = from.u8()?;
    let fixed = |format, size| Ok((format, Layout::Fixed(size)));
    match token {
        0x1F => fixed(Format::Nothing, 0),
        0x30 => fixed(Format::TinyInt, 1),
        0x32 => fixed(Format::Bit, 1),
        0x34 => fixed(Format::Int16, 2),
        0x38 => fixed(Format::Int32, 4),
        0x7F => fixed(Format::Int64, 8),
        0x3B => fixed(Format::Real, 4),
        0x3E => fixed(Format::Float, 8),
        0x3C => fixed(Format::Money, 8),
        0x7A => fixed(Format::SmallMoney, 4),
        0x3D => fixed(Format::DateTime, 8),
        0x3A => fixed(Format::SmallDateTime, 4),
        0x28 => Ok((Format::Date, Layout::Byte)),
        0x24 | 0x26 | 0x68 | 0x6D | 0x6E | 0x6F => {
            let size = from.u8()?;
            let format = sized(token, size).ok_or_else(|| confused(format!("a type {token:02X} of {size} bytes")))?;
            Ok((format, Layout::Byte))
        }
        0x29..=0x2B => {
            let scale = from.u8()?;
            let format = scaled(token, scale).ok_or_else(|| confused(format!("a time of {scale} digits")))?;
            Ok((format, Layout::Byte))
        }
        0x37 | 0x3F | 0x6A | 0x6C => {
            let _size = from.u8()?;
            let (precision, scale) = (from.u8()?, from.u8()?);
            if precision > 38 || scale > precision {
                return Err(confused(format!("a decimal({precision},{scale})")));
            }
            Ok((Format::Decimal { precision, scale }, Layout::Byte))
        }
        0xA5 | 0xAD => Ok((Format::Bytes, short_or_pieces(from)?)),
        0xA7 | 0xAF => {
            let layout = short_or_pieces(from)?;
            Ok((Format::Narrow(page_of(from)?), layout))
        }
        0xE7 | 0xEF => {
            let layout = short_or_pieces(from)?;
            page_of(from)?;
            Ok((Format::Utf16, layout))
        }
        0xF1 => {
            if from.u8()? != 0 {
                for _ in 0..2 {
                    let units = from.u8()?;
                    from.text(usize::from(units))?;
                }
                let units = from.u16_le()?;
                from.text(usize::from(units))?;
            }
            Ok((Format::Utf16, Layout::Pieces))
        }
        0xF0 => {
            let _size = from.u16_le()?;
            for _ in 0..3 {
                let units = from.u8()?;
                from.text(usize::from(units))?;
            }
            let units = from.u16_le()?;
            from.text(usize::from(units))?;
            Ok((Format::Clr, Layout::Pieces))
        }
        0x23 | 0x63 => {
            let _size = from.u32_le()?;
            let page = page_of(from)?;
            Ok((if token == 0x23 { Format::Narrow(page) } else { Format::Utf16 }, Layout::Pointer))
        }
        0x22 => {
            let _size = from.u32_le()?;
            Ok((Format::Bytes, Layout::Pointer))
        }
        0x62 => {
            let _size = from.u32_le()?;
            Ok((Format::Variant, Layout::Long))
        }
        other => Err(confused(format!("a column of type {other:02X}"))),
    }
}

fn short_or_pieces(from: &mut Stream) -> Result<Layout> {
    Ok(if from.u16_le()? == 0xFFFF { Layout::Pieces } else { Layout::Short })
}

/// Reads a collation, for its code page.
fn page_of(from: &mut Stream) -> Result<CodePage> {
    let [a, b, c, d] = from.u32_le()?.to_le_bytes();
    Ok(code_page([a, b, c, d, from.u8()?]))
}

/// The nullable types whose width says which they are.
fn sized(token: u8, size: u8) -> Option<Format> {
    Some(match (token, size) {
        (0x24, 16) => Format::Guid,
        (0x26, 1) => Format::TinyInt,
        (0x26, 2) => Format::Int16,
        (0x26, 4) => Format::Int32,
        (0x26, 8) => Format::Int64,
        (0x68, 1) => Format::Bit,
        (0x6D, 4) => Format::Real,
        (0x6D, 8) => Format::Float,
        (0x6E, 4) => Format::SmallMoney,
        (0x6E, 8) => Format::Money,
        (0x6F, 4) => Format::SmallDateTime,
        (0x6F, 8) => Format::DateTime,
        _ => return None,
    })
}

fn scaled(token: u8, scale: u8) -> Option<Format> {
    Some(match (token, scale) {
        (0x29, 0..=7) => Format::Time(scale),
        (0x2A, 0..=7) => Format::DateTime2(scale),
        (0x2B, 0..=7) => Format::DateTimeOffset(scale),
        _ => return None,
    })
}

/// The base type inside a sql_variant, and its value's bytes.
pub(crate) fn variant(value: &[u8]) -> Option<(Format, &[u8])> {
    let (&[token, properties], rest) = value.split_first_chunk::<2>()?;
    let (properties, rest) = rest.split_at_checked(usize::from(properties))?;
    let format = match token {
        0x30 => Format::TinyInt,
        0x32 => Format::Bit,
        0x34 => Format::Int16,
        0x38 => Format::Int32,
        0x7F => Format::Int64,
        0x3B => Format::Real,
        0x3E => Format::Float,
        0x3C => Format::Money,
        0x7A => Format::SmallMoney,
        0x3D => Format::DateTime,
        0x3A => Format::SmallDateTime,
        0x24 => Format::Guid,
        0x28 => Format::Date,
        0x29..=0x2B => scaled(token, *properties.first()?)?,
        0x6A | 0x6C => match properties {
            &[precision @ ..=38, scale] if scale <= precision => Format::Decimal { precision, scale },
            _ => return None,
        },
        0xA5 | 0xAD => Format::Bytes,
        0xA7 | 0xAF => Format::Narrow(code_page(*properties.first_chunk()?)),
        0xE7 | 0xEF => Format::Utf16,
        _ => return None,
    };
    Some((format, rest))
}
