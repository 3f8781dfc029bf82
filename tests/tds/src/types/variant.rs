//! sql_variant: a value that carries its type.

use rusqlite::types::{Value, ValueRef};

use super::{Kind, Type, encode};
use crate::error::{SqlError, SqlResult};
use crate::wire::Put;

/// Wraps a value of a type, for storage.
pub fn wrap(ty: &Type, value: ValueRef<'_>) -> SqlResult<Value> {
    if ty.is_max()
        || matches!(ty.kind, Kind::Text | Kind::NText | Kind::Image | Kind::Xml | Kind::RowVersion)
        || ty.is_udt()
    {
        return Err(SqlError::new(
            206,
            format!("Operand type clash: {} is incompatible with sql_variant", ty.base_name()),
        ));
    }
    let mut bytes = Vec::new();
    let header = serde_json::to_vec(ty).map_err(|error| SqlError::new(50000, error.to_string()))?;
    bytes.u16(u16::try_from(header.len()).unwrap_or(u16::MAX));
    bytes.put(&header);
    match value {
        ValueRef::Null => return Ok(Value::Null),
        ValueRef::Integer(value) => {
            bytes.u8(b'i');
            bytes.put(&value.to_le_bytes());
        }
        ValueRef::Real(value) => {
            bytes.u8(b'r');
            bytes.put(&value.to_le_bytes());
        }
        ValueRef::Text(value) => {
            bytes.u8(b't');
            bytes.put(value);
        }
        ValueRef::Blob(value) => {
            bytes.u8(b'b');
            bytes.put(value);
        }
    }
    Ok(Value::Blob(bytes))
}

/// The type and the value inside.
pub fn unwrap(value: ValueRef<'_>) -> SqlResult<(Type, Value)> {
    let broken = || SqlError::new(50000, "The test server holds a broken sql_variant");
    let ValueRef::Blob(bytes) = value else { return Err(broken()) };
    let (length, rest) = bytes.split_at_checked(2).ok_or_else(broken)?;
    let (header, rest) =
        rest.split_at_checked(usize::from(u16::from_le_bytes([length[0], length[1]]))).ok_or_else(broken)?;
    let ty: Type = serde_json::from_slice(header).map_err(|_| broken())?;
    let (tag, payload) = rest.split_first().ok_or_else(broken)?;
    let number = || <[u8; 8]>::try_from(payload).map_err(|_| broken());
    let value = match tag {
        b'i' => Value::Integer(i64::from_le_bytes(number()?)),
        b'r' => Value::Real(f64::from_le_bytes(number()?)),
        b't' => Value::Text(String::from_utf8(payload.to_vec()).map_err(|_| broken())?),
        _ => Value::Blob(payload.to_vec()),
    };
    Ok((ty, value))
}

/// Writes it as a row has it (MS-TDS 2.2.5.5.4).
pub fn put(into: &mut Vec<u8>, value: ValueRef<'_>) -> SqlResult<()> {
    let (ty, value) = unwrap(value)?;
    let (code, properties): (u8, Vec<u8>) = match ty.kind {
        Kind::Bit => (0x32, vec![]),
        Kind::TinyInt => (0x30, vec![]),
        Kind::SmallInt => (0x34, vec![]),
        Kind::Int => (0x38, vec![]),
        Kind::BigInt => (0x7f, vec![]),
        Kind::Real => (0x3b, vec![]),
        Kind::Float => (0x3e, vec![]),
        Kind::Money => (0x3c, vec![]),
        Kind::SmallMoney => (0x7a, vec![]),
        Kind::DateTime => (0x3d, vec![]),
        Kind::SmallDateTime => (0x3a, vec![]),
        Kind::Decimal => (0x6a, vec![ty.precision, ty.scale]),
        Kind::Numeric => (0x6c, vec![ty.precision, ty.scale]),
        Kind::Date => (0x28, vec![]),
        Kind::Time => (0x29, vec![ty.scale]),
        Kind::DateTime2 => (0x2a, vec![ty.scale]),
        Kind::DateTimeOffset => (0x2b, vec![ty.scale]),
        Kind::UniqueIdentifier => (0x24, vec![]),
        Kind::Binary => (0xad, ty.length.to_le_bytes().to_vec()),
        Kind::VarBinary => (0xa5, ty.length.to_le_bytes().to_vec()),
        Kind::Char => (0xaf, text_properties(&ty, 1)),
        Kind::VarChar => (0xa7, text_properties(&ty, 1)),
        Kind::NChar => (0xef, text_properties(&ty, 2)),
        Kind::NVarChar => (0xe7, text_properties(&ty, 2)),
        _ => return Err(SqlError::unsupported(format!("{} in a sql_variant", ty.base_name()))),
    };
    let mut body = vec![code, u8::try_from(properties.len()).unwrap_or(0)];
    body.put(&properties);
    let value = ValueRef::from(&value);
    if ty.is_text() || ty.is_binary() {
        body.put(&encode::bytes(&ty, value)?);
    } else {
        encode::bare(&mut body, &ty, value)?;
    }
    into.u32(u32::try_from(body.len()).unwrap_or(u32::MAX));
    into.put(&body);
    Ok(())
}

fn text_properties(ty: &Type, width: u16) -> Vec<u8> {
    let mut properties = ty.collation.wire().to_vec();
    properties.u16(ty.length * width);
    properties
}
