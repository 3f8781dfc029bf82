//! Conversions between types: CAST, CONVERT, and what assignment does unasked.

use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::types::{Value, ValueRef};

use super::numeric::Number;
use super::temporal::{self, DAYS_1900, Moment};
use super::{Kind, MAX, Type, convert, decode, encode, spatial, variant};
use crate::error::{SqlError, SqlResult};

/// The UTC time.
pub fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let days = i32::try_from(since.as_secs() / 86_400).unwrap_or(0) + temporal::days(1970, 1, 1).unwrap_or(0);
    Moment::new(days, since.as_secs() % 86_400 * temporal::SECOND + u64::from(since.subsec_nanos() / 100))
}

/// A new uniqueidentifier (from the hasher's random keys: unique, not secret).
pub fn new_guid() -> String {
    use std::hash::{BuildHasher, RandomState};
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&RandomState::new().hash_one(now().ticks).to_le_bytes());
    bytes[8..].copy_from_slice(&RandomState::new().hash_one(now().days).to_le_bytes());
    bytes[7] = bytes[7] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    decode::guid_text(&bytes).unwrap_or_default()
}

/// CAST or CONVERT: texts and binaries are cut to fit.
pub fn cast(value: ValueRef<'_>, from: &Type, to: &Type, style: Option<i64>) -> SqlResult<Value> {
    converted(value, from, to, style, false)
}

/// An assignment to a column or variable: what does not fit is refused.
pub fn assign(value: ValueRef<'_>, from: &Type, to: &Type) -> SqlResult<Value> {
    converted(value, from, to, None, true)
}

fn converted(value: ValueRef<'_>, from: &Type, to: &Type, style: Option<i64>, strict: bool) -> SqlResult<Value> {
    if let ValueRef::Null = value {
        return Ok(Value::Null);
    }
    if from.kind == Kind::SqlVariant && to.kind != Kind::SqlVariant {
        let (inner, value) = variant::unwrap(value)?;
        return converted(ValueRef::from(&value), &inner, to, style, strict);
    }
    if to.kind == Kind::SqlVariant && from.kind != Kind::SqlVariant {
        return variant::wrap(from, value);
    }
    if (from == to && !matches!(to.kind, Kind::Char | Kind::NChar | Kind::Binary))
        || (from.kind == to.kind && to.is_udt())
    {
        return owned(value);
    }
    match to.kind {
        Kind::Bit => to_bit(value, from),
        Kind::TinyInt | Kind::SmallInt | Kind::Int | Kind::BigInt => to_integer(value, from, to),
        Kind::Decimal | Kind::Numeric | Kind::Money | Kind::SmallMoney => to_exact(value, from, to),
        Kind::Real | Kind::Float => to_float(value, from, to),
        Kind::Date | Kind::Time | Kind::SmallDateTime | Kind::DateTime | Kind::DateTime2 | Kind::DateTimeOffset => {
            to_moment(value, from, to)
        }
        Kind::Char | Kind::VarChar | Kind::Text | Kind::NChar | Kind::NVarChar | Kind::NText => {
            to_text(value, from, to, style, strict)
        }
        Kind::Binary | Kind::VarBinary | Kind::Image | Kind::RowVersion => to_binary(value, from, to, style, strict),
        Kind::UniqueIdentifier => to_guid(value, from, to),
        Kind::Xml if from.is_text() => Ok(Value::Text(encode::text(from, value)?.to_owned())),
        Kind::HierarchyId if from.is_text() => spatial::hierarchy(encode::text(from, value)?),
        Kind::Geography | Kind::Geometry if from.is_text() => {
            let srid = if to.kind == Kind::Geography { 4326 } else { 0 };
            spatial::from_text(encode::text(from, value)?, srid)
        }
        _ => Err(impossible(from, to)),
    }
}

pub fn owned(value: ValueRef<'_>) -> SqlResult<Value> {
    Value::try_from(value).map_err(|error| SqlError::new(50000, error.to_string()))
}

fn impossible(from: &Type, to: &Type) -> SqlError {
    let (from, to) = (from.base_name(), to.base_name());
    SqlError::new(529, format!("Explicit conversion from data type {from} to {to} is not allowed.")).state(2)
}

/// A number as an exact decimal, whatever it was.
fn number(value: ValueRef<'_>, from: &Type, to: &Type) -> SqlResult<Number> {
    let failed =
        || SqlError::new(8114, format!("Error converting data type {} to {}.", from.base_name(), to.base_name()));
    match value {
        ValueRef::Integer(value) => Ok(Number { mantissa: i128::from(value), scale: 0 }),
        ValueRef::Real(value) => {
            // Seventeen significant digits are all that a float has to say.
            let text = format!("{value:.16e}");
            Number::parse_scientific(&text)
                .or_else(|| Number::parse(&format!("{value:.*}", usize::from(to.scale) + 1)))
                .ok_or_else(|| SqlError::overflow(to.base_name()))
        }
        ValueRef::Text(_) if from.is_exact() => Number::parse(encode::text(from, value)?).ok_or_else(failed),
        ValueRef::Text(_) if from.is_text() => {
            let text = encode::text(from, value)?.trim_matches(' ');
            if to.is_integer() {
                let whole = if text.is_empty() { "0" } else { text };
                let number = Number::parse(whole).filter(|number| number.scale == 0 && !whole.contains('.'));
                let shown = format!("{} value '{text}'", from.base_name());
                return number.ok_or_else(|| {
                    SqlError::new(
                        245,
                        format!("Conversion failed when converting the {shown} to data type {}.", to.base_name()),
                    )
                });
            }
            let money = matches!(to.kind, Kind::Money | Kind::SmallMoney);
            let plain: String = text.chars().filter(|char| !(money && matches!(char, '$' | ','))).collect();
            Number::parse(&plain).ok_or_else(failed)
        }
        ValueRef::Blob(bytes) if from.is_binary() => {
            let mut wide = [0; 8];
            let start = bytes.len().saturating_sub(8);
            let tail = &bytes[start..];
            wide[8 - tail.len()..].copy_from_slice(tail);
            Ok(Number { mantissa: i128::from(i64::from_be_bytes(wide)), scale: 0 })
        }
        _ => Err(impossible(from, to)),
    }
}

fn to_bit(value: ValueRef<'_>, from: &Type) -> SqlResult<Value> {
    let to = Type::new(Kind::Bit);
    if from.is_text() {
        let text = encode::text(from, value)?.trim().to_ascii_lowercase();
        match text.as_str() {
            "true" => return Ok(Value::Integer(1)),
            "false" => return Ok(Value::Integer(0)),
            _ => {}
        }
    }
    let one = match value {
        ValueRef::Real(value) => value != 0.0,
        _ => number(value, from, &to)?.mantissa != 0,
    };
    Ok(Value::Integer(i64::from(one)))
}

fn to_integer(value: ValueRef<'_>, from: &Type, to: &Type) -> SqlResult<Value> {
    if from.is_temporal() {
        if !matches!(from.kind, Kind::DateTime | Kind::SmallDateTime) {
            return Err(impossible(from, to));
        }
        let moment = moment(value, from, to)?;
        return Ok(Value::Integer(i64::from(moment.days - DAYS_1900) + i64::from(moment.ticks >= temporal::DAY / 2)));
    }
    let whole = match value {
        ValueRef::Real(value) if value.abs() < 1e19 => Number::parse(&format!("{:.0}", value.trunc())),
        ValueRef::Real(_) => None,
        _ => Some(number(value, from, to)?),
    };
    let whole = whole.map(Number::truncated);
    let range = match to.kind {
        Kind::TinyInt => 0..=255,
        Kind::SmallInt => i128::from(i16::MIN)..=i128::from(i16::MAX),
        Kind::Int => i128::from(i32::MIN)..=i128::from(i32::MAX),
        _ => i128::from(i64::MIN)..=i128::from(i64::MAX),
    };
    match whole.filter(|whole| range.contains(whole)).and_then(|whole| i64::try_from(whole).ok()) {
        Some(whole) => Ok(Value::Integer(whole)),
        None => Err(SqlError::overflow(to.base_name())),
    }
}

fn to_exact(value: ValueRef<'_>, from: &Type, to: &Type) -> SqlResult<Value> {
    let number = number(value, from, to)?;
    let fitted = match to.kind {
        Kind::Money | Kind::SmallMoney => {
            let limit = if to.kind == Kind::Money { i128::from(i64::MAX) } else { i128::from(i32::MAX) };
            let fitted = number.rescaled(4).filter(|number| (-limit - 1..=limit).contains(&number.mantissa));
            fitted.ok_or_else(|| SqlError::overflow(to.base_name()))?
        }
        _ => number.fitted(to.precision, to.scale)?,
    };
    Ok(Value::Text(fitted.to_string()))
}

fn to_float(value: ValueRef<'_>, from: &Type, to: &Type) -> SqlResult<Value> {
    let wide = match value {
        ValueRef::Real(value) => value,
        ValueRef::Text(_) if from.is_text() || from.is_exact() => {
            let text = encode::text(from, value)?.trim_matches(' ');
            let usual = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
            text.parse().ok().filter(|_| usual).ok_or_else(|| {
                SqlError::new(8114, format!("Error converting data type {} to {}.", from.base_name(), to.base_name()))
            })?
        }
        // Digits of a whole number are read as they stand; there is no nearer way.
        _ => number(value, from, to)?.to_string().parse().unwrap_or(0.0),
    };
    if to.kind == Kind::Real {
        let narrow = encode::narrow(wide);
        if narrow.is_infinite() {
            return Err(SqlError::new(232, format!("Arithmetic overflow error for type real, value = {wide}.")));
        }
        return Ok(Value::Real(f64::from(narrow)));
    }
    Ok(Value::Real(wide))
}

/// A moment of a value that is one, or reads as one.
pub fn moment(value: ValueRef<'_>, from: &Type, to: &Type) -> SqlResult<Moment> {
    let failed = || SqlError::new(241, "Conversion failed when converting date and/or time from character string.");
    if from.is_temporal() {
        return Moment::canonical(encode::text(from, value)?).ok_or_else(failed);
    }
    if from.is_text() {
        let text = encode::text(from, value)?;
        let old = matches!(to.kind, Kind::DateTime | Kind::SmallDateTime);
        return if old { temporal::parse_old(text) } else { temporal::parse(text) }.ok_or_else(failed);
    }
    if matches!(to.kind, Kind::DateTime | Kind::SmallDateTime) && from.is_integer() {
        let days = encode::integer(from, value)?.saturating_add(i64::from(DAYS_1900));
        return Ok(Moment::new(i32::try_from(days).unwrap_or(i32::MAX), 0));
    }
    Err(impossible(from, to))
}

fn to_moment(value: ValueRef<'_>, from: &Type, to: &Type) -> SqlResult<Value> {
    let read = moment(value, from, to)?;
    if (from.kind == Kind::Date && to.kind == Kind::Time) || (from.kind == Kind::Time && to.kind == Kind::Date) {
        return Err(impossible(from, to));
    }
    // Without an offset a moment keeps its wall clock; with one it takes UTC along.
    let moment = if to.kind == Kind::DateTimeOffset { read } else { read.local() };
    Ok(Value::Text(moment.fitted(to)?.store(to.kind)))
}

fn to_text(value: ValueRef<'_>, from: &Type, to: &Type, style: Option<i64>, strict: bool) -> SqlResult<Value> {
    if let ValueRef::Blob(bytes) = value {
        if from.is_national() && to.is_national() {
            return Ok(cut_units(bytes, to));
        }
        if from.is_binary() && to.is_national() && style.unwrap_or(0) == 0 {
            return Ok(cut_units(&bytes[..bytes.len() / 2 * 2], to));
        }
    }
    let text = convert::text(value, from, to, style)?;
    let text = if to.is_coded() { to.collation.decode(&to.collation.encode(&text)) } else { text };
    if matches!(to.kind, Kind::Text | Kind::NText) || to.length == MAX {
        return Ok(Value::Text(text));
    }
    let limit = usize::from(to.length);
    let length = measure(&text, to);
    if length > limit {
        if from.is_integer() && !strict {
            return if to.is_national() {
                Err(SqlError::overflow(to.base_name()))
            } else {
                Ok(Value::Text("*".to_owned()))
            };
        }
        if from.is_exact() || from.is_float() || from.is_integer() {
            return Err(SqlError::overflow(to.base_name()));
        }
        let blank = strict && shortened(&text, to).1.trim_matches(' ').is_empty();
        if strict && !blank {
            let message =
                format!("String or binary data would be truncated. Truncated value: '{}'.", shortened(&text, to).0);
            return Err(SqlError::new(2628, message));
        }
    }
    let (kept, _) = shortened(&text, to);
    let mut kept = kept.to_owned();
    if matches!(to.kind, Kind::Char | Kind::NChar) {
        let missing = limit.saturating_sub(measure(&kept, to));
        kept.extend(std::iter::repeat_n(' ', missing));
    }
    Ok(Value::Text(kept))
}

/// Bytes of the code page, or UTF-16 units.
fn measure(text: &str, ty: &Type) -> usize {
    if ty.is_national() { text.encode_utf16().count() } else { ty.collation.encode(text).len() }
}

/// As much of a text as a type holds, and the rest.
fn shortened<'a>(text: &'a str, ty: &Type) -> (&'a str, &'a str) {
    let limit = usize::from(ty.length);
    let mut length = 0;
    for (at, char) in text.char_indices() {
        length +=
            if ty.is_national() { char.len_utf16() } else { ty.collation.encode(char.encode_utf8(&mut [0; 4])).len() };
        if length > limit {
            return text.split_at(at);
        }
    }
    (text, "")
}

fn cut_units(bytes: &[u8], to: &Type) -> Value {
    let limit = if to.length == MAX || to.kind == Kind::NText { usize::MAX } else { usize::from(to.length) * 2 };
    let mut kept = bytes[..bytes.len().min(limit)].to_vec();
    if to.kind == Kind::NChar {
        while kept.len() < limit {
            kept.extend([0x20, 0]);
        }
    }
    decode::national(&kept)
}

fn to_binary(value: ValueRef<'_>, from: &Type, to: &Type, style: Option<i64>, strict: bool) -> SqlResult<Value> {
    let mut bytes = match value {
        ValueRef::Blob(bytes) if from.is_binary() => bytes.to_vec(),
        ValueRef::Text(_) | ValueRef::Blob(_) if from.is_text() => match style.unwrap_or(0) {
            0 => encode::bytes(from, value)?,
            style => {
                let text = encode::text(from, value)?;
                let digits = if style == 1 { text.strip_prefix("0x").unwrap_or("x") } else { text };
                crate::sql::token::hex(digits)
                    .ok_or_else(|| SqlError::new(8114, "Error converting data type varchar to varbinary."))?
            }
        },
        ValueRef::Integer(value) => {
            let wide = value.to_be_bytes();
            wide[8 - usize::from(from.length.min(8))..].to_vec()
        }
        ValueRef::Text(_) if from.kind == Kind::UniqueIdentifier => {
            encode::guid(encode::text(from, value)?).map(Vec::from).ok_or_else(|| impossible(from, to))?
        }
        _ => return Err(impossible(from, to)),
    };
    if to.kind == Kind::Image || to.length == MAX {
        return Ok(Value::Blob(bytes));
    }
    let limit = usize::from(to.length);
    if bytes.len() > limit {
        if strict {
            return Err(SqlError::new(2628, "String or binary data would be truncated."));
        }
        // Numbers keep their low end.
        bytes = if from.is_integer() { bytes.split_off(bytes.len() - limit) } else { bytes[..limit].to_vec() };
    }
    if matches!(to.kind, Kind::Binary | Kind::RowVersion) && bytes.len() < limit {
        if from.is_integer() {
            let mut padded = vec![0; limit - bytes.len()];
            padded.append(&mut bytes);
            bytes = padded;
        } else {
            bytes.resize(limit, 0);
        }
    }
    Ok(Value::Blob(bytes))
}

fn to_guid(value: ValueRef<'_>, from: &Type, to: &Type) -> SqlResult<Value> {
    let failed = || {
        SqlError::new(8169, "Conversion failed when converting from a character string to uniqueidentifier.").state(2)
    };
    match value {
        ValueRef::Text(_) if from.is_text() => {
            let text = encode::text(from, value)?.trim();
            let bare = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
            let shape = bare.len() == 36
                && bare.bytes().enumerate().all(|(at, byte)| {
                    if matches!(at, 8 | 13 | 18 | 23) { byte == b'-' } else { byte.is_ascii_hexdigit() }
                });
            if shape { Ok(Value::Text(bare.to_ascii_uppercase())) } else { Err(failed()) }
        }
        ValueRef::Blob(bytes) if from.is_binary() => {
            let mut padded = bytes.to_vec();
            padded.resize(16, 0);
            decode::guid_text(&padded).map(Value::Text).ok_or_else(failed)
        }
        _ => Err(impossible(from, to)),
    }
}
