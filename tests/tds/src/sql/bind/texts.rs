//! Functions over texts and binaries.

use rusqlite::types::{Value, ValueRef};

use super::{Binder, Bound};
use crate::error::{SqlError, SqlResult};
use crate::types::{Kind, MAX, Type, cast, decode, encode, variant};
use crate::wire::units;

/// The UTF-16 units of a text.
pub(super) fn read(ty: &Type, value: ValueRef<'_>) -> SqlResult<Vec<u16>> {
    match value {
        ValueRef::Blob(bytes) => Ok(units(bytes).collect()),
        _ => Ok(encode::text(ty, value)?.encode_utf16().collect()),
    }
}

pub(super) fn write(units: &[u16]) -> Value {
    let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    decode::national(&bytes)
}

impl Binder<'_> {
    /// An argument as text of some length; texts stay as they are.
    fn as_text(&mut self, argument: &Bound) -> Bound {
        if argument.ty.is_text() && !argument.untyped {
            return argument.clone();
        }
        let mut ty = Type::of_length(Kind::VarChar, 8000).with_collation(self.env.meta.collation);
        if argument.ty.is_max() {
            ty.length = MAX;
        }
        self.coerce(argument, &ty)
    }

    fn as_int(&mut self, argument: &Bound) -> Bound {
        self.coerce(argument, &Type::new(Kind::BigInt))
    }

    pub fn texts(&mut self, name: &str, arguments: &[Bound]) -> SqlResult<Option<Bound>> {
        let int = Type::new(Kind::Int);
        let bound = match (name, arguments) {
            ("LEN", [text]) => {
                let text = self.as_text(text);
                let ty = text.ty;
                self.function(int, &[&text], move |values| {
                    let units = read(&ty, values[0])?;
                    let length = units.iter().rposition(|unit| *unit != 32).map_or(0, |last| last + 1);
                    Ok(Value::Integer(i64::try_from(length).unwrap_or(0)))
                })
            }
            ("DATALENGTH", [value]) => {
                let ty = value.ty;
                self.function(int, &[value], move |values| Ok(Value::Integer(data_length(&ty, values[0])?)))
            }
            ("UPPER" | "LOWER" | "LTRIM" | "RTRIM" | "TRIM" | "REVERSE", [text]) => {
                let text = self.as_text(text);
                let (ty, name) = (text.ty, name.to_owned());
                let result = varying(ty);
                let mut bound = self.function(result, &[&text], move |values| {
                    if name == "REVERSE" {
                        let mut units = read(&ty, values[0])?;
                        units.reverse();
                        return Ok(write(&units));
                    }
                    let text = encode::text(&ty, values[0])?;
                    Ok(Value::Text(match name.as_str() {
                        "UPPER" => text.to_uppercase(),
                        "LOWER" => text.to_lowercase(),
                        "LTRIM" => text.trim_start_matches(' ').to_owned(),
                        "RTRIM" => text.trim_end_matches(' ').to_owned(),
                        _ => text.trim_matches(' ').to_owned(),
                    }))
                });
                bound.yields = text.yields;
                bound
            }
            ("LEFT" | "RIGHT", [text, count]) => {
                let (text, count) = (self.as_text(text), self.as_int(count));
                let (ty, left) = (text.ty, name == "LEFT");
                self.function(varying(ty), &[&text, &count], move |values| {
                    let units = read(&ty, values[0])?;
                    let count = usize::try_from(encode::integer(&ty, values[1])?)
                        .map_err(|_| {
                            SqlError::new(536, "Invalid length parameter passed to the left or right function.")
                        })?
                        .min(units.len());
                    Ok(write(if left { &units[..count] } else { &units[units.len() - count..] }))
                })
            }
            ("SUBSTRING", [value, start, count]) => {
                let value = if value.ty.is_binary() { value.clone() } else { self.as_text(value) };
                let (start, count) = (self.as_int(start), self.as_int(count));
                let ty = value.ty;
                self.function(varying(ty), &[&value, &start, &count], move |values| {
                    let (start, count) = (encode::integer(&ty, values[1])?, encode::integer(&ty, values[2])?);
                    let end = start.saturating_add(count) - 1;
                    let from = usize::try_from(start.max(1) - 1).unwrap_or(0);
                    let to = usize::try_from(end.max(0)).unwrap_or(0);
                    if let (ValueRef::Blob(bytes), true) = (values[0], ty.is_binary()) {
                        let to = to.min(bytes.len());
                        return Ok(Value::Blob(bytes.get(from..to).unwrap_or(&[]).to_vec()));
                    }
                    let units = read(&ty, values[0])?;
                    let to = to.min(units.len());
                    Ok(write(units.get(from..to).unwrap_or(&[])))
                })
            }
            ("REPLACE", [text, old, new]) => {
                let (text, old, new) = (self.as_text(text), self.as_text(old), self.as_text(new));
                let ty = text.ty;
                let result = Type { length: if ty.length == MAX { MAX } else { text_limit(&ty) }, ..varying(ty) };
                self.function(result, &[&text, &old, &new], move |values| {
                    let (old, new) = (encode::text(&ty, values[1])?, encode::text(&ty, values[2])?);
                    let text = encode::text(&ty, values[0])?;
                    Ok(Value::Text(if old.is_empty() { text.to_owned() } else { text.replace(old, new) }))
                })
            }
            ("REPLICATE", [text, count]) => {
                let (text, count) = (self.as_text(text), self.as_int(count));
                let ty = text.ty;
                let limit = text_limit(&ty);
                let result = Type { length: if ty.length == MAX { MAX } else { limit }, ..varying(ty) };
                self.function(result, &[&text, &count], move |values| {
                    let Ok(count) = usize::try_from(encode::integer(&ty, values[1])?) else { return Ok(Value::Null) };
                    let text = encode::text(&ty, values[0])?.repeat(count);
                    // Only (max) texts grow beyond 8000 bytes.
                    cast::cast(ValueRef::Text(text.as_bytes()), &Type { length: MAX, ..result }, &result, None)
                })
            }
            ("SPACE", [count]) => {
                let count = self.as_int(count);
                let ty = Type::of_length(Kind::VarChar, 8000);
                self.function(ty, &[&count], move |values| {
                    Ok(usize::try_from(encode::integer(&ty, values[0])?)
                        .map_or(Value::Null, |count| Value::Text(" ".repeat(count))))
                })
            }
            ("CHARINDEX", [part, text]) => {
                let (part, text) = (self.as_text(part), self.as_text(text));
                let ty = text.ty;
                let folds = !super::coerce::collation(&part, &text).is_case_sensitive();
                self.function(int, &[&part, &text], move |values| {
                    let (mut part, mut text) =
                        (encode::text(&ty, values[0])?.to_owned(), encode::text(&ty, values[1])?.to_owned());
                    if folds {
                        (part, text) = (part.to_lowercase(), text.to_lowercase());
                    }
                    let at = if part.is_empty() { None } else { text.find(&part) };
                    Ok(Value::Integer(
                        at.map_or(0, |at| i64::try_from(text[..at].encode_utf16().count()).unwrap_or(0) + 1),
                    ))
                })
            }
            ("CONCAT", [_, ..]) => self.concat(arguments),
            ("CHAR" | "NCHAR", [code]) => {
                let code = self.as_int(code);
                let national = name == "NCHAR";
                let collation = self.env.meta.collation;
                let ty = Type::of_length(if national { Kind::NChar } else { Kind::Char }, if national { 2 } else { 1 });
                let ty = if national { Type::of_length(Kind::NVarChar, 2) } else { ty };
                self.function(ty, &[&code], move |values| {
                    let code = encode::integer(&ty, values[0])?;
                    if !national {
                        return Ok(
                            u8::try_from(code).map_or(Value::Null, |byte| Value::Text(collation.decode(&[byte])))
                        );
                    }
                    let Ok(code) = u32::try_from(code) else { return Ok(Value::Null) };
                    Ok(match (char::from_u32(code), u16::try_from(code)) {
                        (Some(char), _) => Value::Text(char.to_string()),
                        (None, Ok(unit)) => write(&[unit]),
                        _ => Value::Null,
                    })
                })
            }
            ("UNICODE" | "ASCII", [text]) => {
                let text = self.as_text(text);
                let (ty, ascii) = (text.ty, name == "ASCII");
                let collation = ty.collation;
                self.function(int, &[&text], move |values| {
                    if ascii {
                        let bytes = collation.encode(encode::text(&ty, values[0])?);
                        return Ok(bytes.first().map_or(Value::Null, |byte| Value::Integer(i64::from(*byte))));
                    }
                    Ok(read(&ty, values[0])?.first().map_or(Value::Null, |unit| Value::Integer(i64::from(*unit))))
                })
            }
            ("QUOTENAME", [text]) => {
                let text = self.as_text(text);
                let ty = text.ty;
                self.function(Type::of_length(Kind::NVarChar, 258), &[&text], move |values| {
                    Ok(Value::Text(format!("[{}]", encode::text(&ty, values[0])?.replace(']', "]]"))))
                })
            }
            ("SQL_VARIANT_PROPERTY", [value, property]) => {
                let property = self.as_text(property);
                let ty = property.ty;
                let result = Type::of_length(Kind::NVarChar, 128);
                self.function(result, &[value, &property], move |values| {
                    let (inner, _) = variant::unwrap(values[0])?;
                    Ok(match encode::text(&ty, values[1])?.to_ascii_lowercase().as_str() {
                        "basetype" => Value::Text(inner.base_name().to_owned()),
                        "precision" => Value::Text(inner.precision.to_string()),
                        "scale" => Value::Text(inner.scale.to_string()),
                        "maxlength" => Value::Text(inner.max_length().to_string()),
                        "collation" if inner.is_text() => Value::Text(inner.collation.name()),
                        _ => Value::Null,
                    })
                })
            }
            _ => return Ok(None),
        };
        Ok(Some(bound))
    }

    /// CONCAT takes NULL for nothing.
    fn concat(&mut self, arguments: &[Bound]) -> Bound {
        let texts: Vec<Bound> = arguments.iter().map(|argument| self.as_text(argument)).collect();
        let national = texts.iter().any(|text| text.ty.is_national());
        let mut ty = super::text_type(if national { 4000 } else { 8000 }, national);
        if texts.iter().any(|text| text.ty.length == MAX) {
            ty.length = MAX;
        }
        let parts: Vec<&Bound> = texts.iter().collect();
        self.raw_function(ty, &parts, false, move |values| {
            let mut text = Vec::new();
            for value in values.iter().filter(|value| !matches!(value, ValueRef::Null)) {
                text.extend(read(&ty, *value)?);
            }
            Ok(write(&text))
        })
        .not_null()
    }
}

fn varying(ty: Type) -> Type {
    let kind = match ty.kind {
        Kind::Char | Kind::Text => Kind::VarChar,
        Kind::NChar | Kind::NText => Kind::NVarChar,
        Kind::Binary | Kind::Image | Kind::RowVersion => Kind::VarBinary,
        kind => kind,
    };
    let length = if matches!(ty.kind, Kind::Text | Kind::NText | Kind::Image) { MAX } else { ty.length };
    Type { kind, length, ..ty }
}

fn text_limit(ty: &Type) -> u16 {
    if ty.is_national() { 4000 } else { 8000 }
}

fn data_length(ty: &Type, value: ValueRef<'_>) -> SqlResult<i64> {
    let length = match ty.kind {
        _ if ty.is_text() || ty.is_binary() => encode::bytes(ty, value)?.len(),
        Kind::Xml => encode::bytes(ty, value)?.len(),
        Kind::SqlVariant => {
            let (inner, value) = variant::unwrap(value)?;
            return data_length(&inner, ValueRef::from(&value));
        }
        Kind::Decimal | Kind::Numeric => usize::from(crate::types::numeric::bytes(ty.precision)),
        Kind::UniqueIdentifier => 16,
        _ if ty.is_spatial() => crate::types::spatial::parts(value)?.1.len(),
        _ => usize::from(ty.length),
    };
    Ok(i64::try_from(length).unwrap_or(i64::MAX))
}
