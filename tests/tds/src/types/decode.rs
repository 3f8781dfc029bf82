//! Parameters of procedure calls: a TYPE_INFO and a value.

use rusqlite::types::Value;

use super::collation::Collation;
use super::numeric::Number;
use super::temporal::{self, DAYS_1900, Moment};
use super::{Kind, MAX, Type};
use crate::wire::{Malformed, Reader, units};

type Decoded<T> = Result<T, Malformed>;

/// A parameter's type and value, in the canonical form of storage.
pub fn parameter(reader: &mut Reader<'_>) -> Decoded<(Type, Value)> {
    let code = reader.u8()?;
    match code {
        0x1f => Ok((Type::new(Kind::NVarChar), Value::Null)),
        0x30 => plain(Type::new(Kind::TinyInt), reader.take(1)?),
        0x32 => plain(Type::new(Kind::Bit), reader.take(1)?),
        0x34 => plain(Type::new(Kind::SmallInt), reader.take(2)?),
        0x38 => plain(Type::new(Kind::Int), reader.take(4)?),
        0x7f => plain(Type::new(Kind::BigInt), reader.take(8)?),
        0x3b => plain(Type::new(Kind::Real), reader.take(4)?),
        0x3e => plain(Type::new(Kind::Float), reader.take(8)?),
        0x3c => plain(Type::new(Kind::Money), reader.take(8)?),
        0x7a => plain(Type::new(Kind::SmallMoney), reader.take(4)?),
        0x3d => plain(Type::new(Kind::DateTime), reader.take(8)?),
        0x3a => plain(Type::new(Kind::SmallDateTime), reader.take(4)?),
        0x26 | 0x68 | 0x6d | 0x6e | 0x6f | 0x24 => {
            let size = reader.u8()?;
            let kind = match (code, size) {
                (0x26, 1) => Kind::TinyInt,
                (0x26, 2) => Kind::SmallInt,
                (0x26, 4) => Kind::Int,
                (0x26, 8) => Kind::BigInt,
                (0x68, 1) => Kind::Bit,
                (0x6d, 4) => Kind::Real,
                (0x6d, 8) => Kind::Float,
                (0x6e, 4) => Kind::SmallMoney,
                (0x6e, 8) => Kind::Money,
                (0x6f, 4) => Kind::SmallDateTime,
                (0x6f, 8) => Kind::DateTime,
                (0x24, 16) => Kind::UniqueIdentifier,
                _ => return Err(Malformed("a type of impossible length")),
            };
            counted(Type::new(kind), reader)
        }
        0x6a | 0x6c => {
            reader.u8()?;
            let (precision, scale) = (reader.u8()?, reader.u8()?);
            if !(1..=38).contains(&precision) || scale > precision {
                return Err(Malformed("an impossible precision or scale"));
            }
            counted(Type::decimal(precision, scale), reader)
        }
        0x28 => counted(Type::new(Kind::Date), reader),
        0x29..=0x2b => {
            let scale = reader.u8()?;
            if scale > 7 {
                return Err(Malformed("an impossible scale"));
            }
            let kind = [Kind::Time, Kind::DateTime2, Kind::DateTimeOffset][usize::from(code - 0x29)];
            counted(Type::of_scale(kind, scale), reader)
        }
        0xa5 | 0xad => sized(if code == 0xa5 { Kind::VarBinary } else { Kind::Binary }, reader),
        0xa7 => sized(Kind::VarChar, reader),
        0xaf => sized(Kind::Char, reader),
        0xe7 => sized(Kind::NVarChar, reader),
        0xef => sized(Kind::NChar, reader),
        0xf1 => {
            if reader.u8()? != 0 {
                return Err(Malformed("xml with a schema"));
            }
            Ok((Type::new(Kind::Xml), plp(reader)?.map_or(Value::Null, |bytes| national(&bytes))))
        }
        _ => Err(Malformed("a parameter of a type the test server does not take")),
    }
}

fn counted(ty: Type, reader: &mut Reader<'_>) -> Decoded<(Type, Value)> {
    let length = usize::from(reader.u8()?);
    if length == 0 {
        return Ok((ty, Value::Null));
    }
    plain(ty, reader.take(length)?)
}

fn sized(kind: Kind, reader: &mut Reader<'_>) -> Decoded<(Type, Value)> {
    let size = reader.u16()?;
    let mut ty = Type::of_length(kind, size);
    if ty.is_text() {
        // The parameter takes the database's collation; its own says how its bytes are coded.
        let _: [u8; 5] = reader.array()?;
        ty = ty.with_collation(Collation::DEFAULT);
    }
    let bytes = if size == MAX {
        plp(reader)?
    } else {
        if ty.is_national() {
            ty.length = (size / 2).max(1);
        }
        match reader.u16()? {
            MAX => None,
            length => Some(reader.take(usize::from(length))?.to_vec()),
        }
    };
    let Some(bytes) = bytes else { return Ok((ty, Value::Null)) };
    let value = if ty.is_national() {
        national(&bytes)
    } else if ty.is_text() {
        Value::Text(ty.collation.decode(&bytes))
    } else {
        Value::Blob(bytes)
    };
    Ok((ty, value))
}

/// Text, or the units themselves where some stand alone.
pub fn national(bytes: &[u8]) -> Value {
    match char::decode_utf16(units(bytes)).collect::<Result<String, _>>() {
        Ok(text) => Value::Text(text),
        Err(_) => Value::Blob(bytes.to_vec()),
    }
}

fn plp(reader: &mut Reader<'_>) -> Decoded<Option<Vec<u8>>> {
    if reader.u64()? == u64::MAX {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    loop {
        let length = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
        if length == 0 {
            return Ok(Some(bytes));
        }
        bytes.extend_from_slice(reader.take(length)?);
    }
}

fn plain(ty: Type, bytes: &[u8]) -> Decoded<(Type, Value)> {
    let wrong = || Malformed("a value of impossible length");
    let mut padded = [0_u8; 8];
    let short = bytes.len().min(8);
    padded[..short].copy_from_slice(&bytes[..short]);
    let unsigned = u64::from_le_bytes(padded);
    let two = |from: usize| {
        i64::from(i32::from_le_bytes([padded[from], padded[from + 1], padded[from + 2], padded[from + 3]]))
    };
    let value = match ty.kind {
        Kind::Bit => Value::Integer(i64::from(padded[0] != 0)),
        Kind::TinyInt => Value::Integer(i64::from(padded[0])),
        Kind::SmallInt => Value::Integer(i64::from(i16::from_le_bytes([padded[0], padded[1]]))),
        Kind::Int => Value::Integer(two(0)),
        Kind::BigInt => Value::Integer(i64::from_le_bytes(padded)),
        Kind::Real => Value::Real(f64::from(f32::from_le_bytes([padded[0], padded[1], padded[2], padded[3]]))),
        Kind::Float => Value::Real(f64::from_le_bytes(padded)),
        Kind::SmallMoney => exact(i128::from(two(0)), 4),
        Kind::Money => {
            let low = u32::from_le_bytes([padded[4], padded[5], padded[6], padded[7]]);
            exact((i128::from(two(0)) << 32) | i128::from(low), 4)
        }
        Kind::Decimal | Kind::Numeric => {
            let (sign, magnitude) = bytes.split_first().ok_or_else(wrong)?;
            let mut wide = [0; 16];
            wide.get_mut(..magnitude.len()).ok_or_else(wrong)?.copy_from_slice(magnitude);
            let mantissa = i128::from_le_bytes(wide);
            exact(if *sign == 1 { mantissa } else { -mantissa }, ty.scale)
        }
        Kind::UniqueIdentifier => Value::Text(guid_text(bytes).ok_or_else(wrong)?),
        Kind::DateTime => {
            let thirds = u64::from(u32::from_le_bytes([padded[4], padded[5], padded[6], padded[7]]));
            let days = i32::try_from(two(0)).map_err(|_| wrong())?;
            stamp(&ty, Moment::new(days.saturating_add(DAYS_1900), temporal::from_thirds(thirds)))?
        }
        Kind::SmallDateTime => {
            let (days, minutes) = (unsigned & 0xffff, unsigned >> 16 & 0xffff);
            let days = i32::try_from(days).map_err(|_| wrong())?;
            stamp(&ty, Moment::new(days + DAYS_1900, minutes * 60 * temporal::SECOND))?
        }
        Kind::Date => stamp(&ty, Moment::new(i32::try_from(unsigned).map_err(|_| wrong())?, 0))?,
        _ => {
            let clock = if ty.scale < 3 {
                3
            } else if ty.scale < 5 {
                4
            } else {
                5
            };
            let mut reader = Reader::new(bytes);
            let mut wide = [0; 8];
            wide[..clock].copy_from_slice(reader.take(clock)?);
            let ticks = u64::from_le_bytes(wide) * 10_u64.pow(u32::from(7 - ty.scale));
            let mut moment = Moment::new(DAYS_1900, ticks);
            if ty.kind != Kind::Time {
                let [a, b, c] = reader.array()?;
                moment.days = i32::from_le_bytes([a, b, c, 0]);
            }
            if ty.kind == Kind::DateTimeOffset {
                moment.offset = i32::from(i16::from_le_bytes(reader.array()?));
            }
            stamp(&ty, moment)?
        }
    };
    Ok((ty, value))
}

fn exact(mantissa: i128, scale: u8) -> Value {
    Value::Text(Number { mantissa, scale }.to_string())
}

fn stamp(ty: &Type, moment: Moment) -> Decoded<Value> {
    if !(0..temporal::DAYS_END).contains(&moment.days) || moment.ticks >= temporal::DAY || moment.offset.abs() > 840 {
        return Err(Malformed("a date or time outside its range"));
    }
    Ok(Value::Text(moment.store(ty.kind)))
}

/// A GUID's text from its bytes on the wire.
pub fn guid_text(bytes: &[u8]) -> Option<String> {
    let mut bytes: [u8; 16] = bytes.try_into().ok()?;
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02X}"));
    }
    Some(text)
}
