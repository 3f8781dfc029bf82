//! Values as they travel in ROW and NBCROW.

use rusqlite::types::ValueRef;

use super::numeric::Number;
use super::temporal::{self, DAYS_1900, Moment};
use super::{Kind, MAX, Type, variant};
use crate::error::{SqlError, SqlResult};
use crate::wire::Put;

/// Bytes of a NULL in a plain ROW.
pub fn null_size(ty: &Type) -> usize {
    match ty.kind {
        Kind::Xml | Kind::Geography | Kind::Geometry | Kind::HierarchyId => 8,
        _ if ty.is_max() => 8,
        Kind::Char | Kind::VarChar | Kind::NChar | Kind::NVarChar => 2,
        Kind::Binary | Kind::VarBinary | Kind::RowVersion => 2,
        Kind::SqlVariant => 4,
        _ => 1,
    }
}

/// Writes NULL as a plain ROW has it.
pub fn null(into: &mut Vec<u8>, ty: &Type) {
    let byte = if ty.kind == Kind::SqlVariant || null_size(ty) == 1 { 0 } else { 0xff };
    into.extend(std::iter::repeat_n(byte, null_size(ty)));
}

/// Writes a value that is not NULL; `nullable` as in its TYPE_INFO.
pub fn value(into: &mut Vec<u8>, ty: &Type, nullable: bool, value: ValueRef<'_>) -> SqlResult<()> {
    if nullable && let Some(length) = lengthless(ty) {
        into.u8(length);
    }
    match ty.kind {
        Kind::Bit
        | Kind::TinyInt
        | Kind::SmallInt
        | Kind::Int
        | Kind::BigInt
        | Kind::Real
        | Kind::Float
        | Kind::Money
        | Kind::SmallMoney
        | Kind::DateTime
        | Kind::SmallDateTime => bare(into, ty, value),
        Kind::Decimal | Kind::Numeric | Kind::UniqueIdentifier => counted(into, ty, value),
        Kind::Date | Kind::Time | Kind::DateTime2 | Kind::DateTimeOffset => counted(into, ty, value),
        Kind::Text | Kind::NText | Kind::Image => {
            let bytes = bytes(ty, value)?;
            // A text pointer and a timestamp, which nobody may rely upon.
            into.u8(16);
            into.put(b"dummy textptr\0\0\0");
            into.put(b"dummyTS\0");
            into.u32(u32::try_from(bytes.len()).map_err(|_| wrong(ty))?);
            into.put(&bytes);
            Ok(())
        }
        Kind::Xml | Kind::Geography | Kind::Geometry | Kind::HierarchyId => plp(into, &bytes(ty, value)?, false),
        Kind::SqlVariant => variant::put(into, value),
        _ if ty.is_max() => plp(into, &bytes(ty, value)?, true),
        _ => {
            let bytes = bytes(ty, value)?;
            let limit = if ty.is_national() { ty.length * 2 } else { ty.length };
            let length = u16::try_from(bytes.len()).ok().filter(|length| *length <= limit && *length != MAX);
            into.u16(length.ok_or_else(|| wrong(ty))?);
            into.put(&bytes);
            Ok(())
        }
    }
}

/// The length byte before a value whose type may be of fixed length.
fn lengthless(ty: &Type) -> Option<u8> {
    match ty.kind {
        Kind::Bit | Kind::TinyInt => Some(1),
        Kind::SmallInt => Some(2),
        Kind::Int | Kind::Real | Kind::SmallMoney | Kind::SmallDateTime => Some(4),
        Kind::BigInt | Kind::Float | Kind::Money | Kind::DateTime => Some(8),
        _ => None,
    }
}

fn counted(into: &mut Vec<u8>, ty: &Type, value: ValueRef<'_>) -> SqlResult<()> {
    let start = into.len();
    into.u8(0);
    bare(into, ty, value)?;
    into[start] = u8::try_from(into.len() - start - 1).map_err(|_| wrong(ty))?;
    Ok(())
}

/// The value's own bytes, without a length, of types that fit in one byte's count.
pub fn bare(into: &mut Vec<u8>, ty: &Type, value: ValueRef<'_>) -> SqlResult<()> {
    match ty.kind {
        Kind::Bit => into.u8(u8::from(integer(ty, value)? != 0)),
        Kind::TinyInt => into.u8(u8::try_from(integer(ty, value)?).map_err(|_| wrong(ty))?),
        Kind::SmallInt => into.put(&i16::try_from(integer(ty, value)?).map_err(|_| wrong(ty))?.to_le_bytes()),
        Kind::Int => into.put(&i32::try_from(integer(ty, value)?).map_err(|_| wrong(ty))?.to_le_bytes()),
        Kind::BigInt => into.put(&integer(ty, value)?.to_le_bytes()),
        Kind::Real => into.put(&narrow(real(ty, value)?).to_le_bytes()),
        Kind::Float => into.put(&real(ty, value)?.to_le_bytes()),
        Kind::Money | Kind::SmallMoney => {
            let number =
                Number::parse(text(ty, value)?).and_then(|number| number.rescaled(4)).ok_or_else(|| wrong(ty))?;
            let amount = i64::try_from(number.mantissa).map_err(|_| wrong(ty))?;
            if ty.kind == Kind::SmallMoney {
                into.put(&i32::try_from(amount).map_err(|_| wrong(ty))?.to_le_bytes());
            } else {
                // The high half comes first.
                let bytes = amount.to_le_bytes();
                into.put(&bytes[4..]);
                into.put(&bytes[..4]);
            }
        }
        Kind::Decimal | Kind::Numeric => {
            let number = Number::parse(text(ty, value)?).and_then(|number| number.rescaled(ty.scale));
            let number = number.ok_or_else(|| wrong(ty))?;
            into.u8(u8::from(number.mantissa >= 0));
            let length = usize::from(super::numeric::bytes(ty.precision)) - 1;
            let magnitude = number.mantissa.unsigned_abs().to_le_bytes();
            if magnitude[length..].iter().any(|byte| *byte != 0) {
                return Err(wrong(ty));
            }
            into.put(&magnitude[..length]);
        }
        Kind::UniqueIdentifier => into.put(&guid(text(ty, value)?).ok_or_else(|| wrong(ty))?),
        _ => moment(into, ty, Moment::canonical(text(ty, value)?).ok_or_else(|| wrong(ty))?)?,
    }
    Ok(())
}

fn moment(into: &mut Vec<u8>, ty: &Type, moment: Moment) -> SqlResult<()> {
    let since_1900 = moment.days - DAYS_1900;
    match ty.kind {
        Kind::DateTime => {
            into.put(&since_1900.to_le_bytes());
            into.u32(u32::try_from(temporal::thirds(moment.ticks)).map_err(|_| wrong(ty))?);
        }
        Kind::SmallDateTime => {
            into.u16(u16::try_from(since_1900).map_err(|_| wrong(ty))?);
            into.u16(u16::try_from(moment.ticks / temporal::SECOND / 60).map_err(|_| wrong(ty))?);
        }
        Kind::Date => into.put(&moment.days.to_le_bytes()[..3]),
        Kind::Time | Kind::DateTime2 | Kind::DateTimeOffset => {
            let units = moment.ticks / 10_u64.pow(u32::from(7 - ty.scale));
            let length = if ty.scale < 3 {
                3
            } else if ty.scale < 5 {
                4
            } else {
                5
            };
            into.put(&units.to_le_bytes()[..length]);
            if ty.kind != Kind::Time {
                into.put(&moment.days.to_le_bytes()[..3]);
            }
            if ty.kind == Kind::DateTimeOffset {
                into.put(&i16::try_from(moment.offset).map_err(|_| wrong(ty))?.to_le_bytes());
            }
        }
        _ => return Err(wrong(ty)),
    }
    Ok(())
}

/// A stream of chunks; some servers know its length beforehand, some don't. Chunks are of odd
/// lengths, so that characters lie across their borders.
fn plp(into: &mut Vec<u8>, bytes: &[u8], known: bool) -> SqlResult<()> {
    const CHUNK: usize = 8191;
    into.u64(if known { bytes.len() as u64 } else { 0xffff_ffff_ffff_fffe });
    for chunk in bytes.chunks(CHUNK) {
        into.u32(u32::try_from(chunk.len()).unwrap_or(u32::MAX));
        into.put(chunk);
    }
    into.u32(0);
    Ok(())
}

/// The bytes of a text, binary or UDT value.
pub fn bytes(ty: &Type, value: ValueRef<'_>) -> SqlResult<Vec<u8>> {
    match (ty.kind, value) {
        (_, ValueRef::Text(_)) if ty.is_national() || ty.kind == Kind::Xml => {
            let text = text(ty, value)?;
            let mut bytes = Vec::with_capacity(text.len() * 2);
            bytes.utf16(text);
            Ok(bytes)
        }
        (_, ValueRef::Blob(units)) if ty.is_national() => Ok(units.to_vec()),
        (_, ValueRef::Text(_)) if ty.is_coded() => Ok(ty.collation.encode(text(ty, value)?)),
        (_, ValueRef::Blob(bytes)) if ty.is_binary() => Ok(bytes.to_vec()),
        _ if ty.is_udt() => {
            Err(SqlError::unsupported(format!("{} as it lies in storage: ask for its methods", ty.base_name())))
        }
        _ => Err(wrong(ty)),
    }
}

/// A GUID's bytes: the first three groups are little-endian.
pub fn guid(text: &str) -> Option<[u8; 16]> {
    let hex: String = text.chars().filter(|char| *char != '-').collect();
    let mut bytes = [0; 16];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    Some(bytes)
}

pub fn integer(ty: &Type, value: ValueRef<'_>) -> SqlResult<i64> {
    if let ValueRef::Integer(value) = value { Ok(value) } else { Err(wrong(ty)) }
}

pub fn real(ty: &Type, value: ValueRef<'_>) -> SqlResult<f64> {
    match value {
        ValueRef::Real(value) => Ok(value),
        _ => Err(wrong(ty)),
    }
}

/// A real was a float of four bytes once; nothing is lost.
#[allow(clippy::cast_possible_truncation, reason = "the value came from an f32")]
pub fn narrow(value: f64) -> f32 {
    value as f32
}

pub fn text<'a>(ty: &Type, value: ValueRef<'a>) -> SqlResult<&'a str> {
    if let ValueRef::Text(bytes) = value { std::str::from_utf8(bytes).map_err(|_| wrong(ty)) } else { Err(wrong(ty)) }
}

fn wrong(ty: &Type) -> SqlError {
    SqlError::new(50000, format!("The test server holds a value that is not a {ty}: a defect of its own"))
}
