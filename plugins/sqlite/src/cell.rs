//! One column's cells, straight from SQLite's memory into an Arrow builder.

use std::sync::Arc;

use rivet_sdk::Result;
use rivet_sdk::arrow_array::ArrayRef;
use rivet_sdk::arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Decimal256Builder, FixedSizeBinaryBuilder,
    Float32Builder, Float64Builder, Int16Builder, Int32Builder, Int64Builder, StringBuilder, Time64MicrosecondBuilder,
    TimestampMicrosecondBuilder, TimestampNanosecondBuilder,
};
use rivet_sdk::arrow_buffer::i256;
use rivet_sdk::serde::de::IgnoredAny;
use rivet_sdk::sql::columns::Target;
use rivet_sdk::sql::rows::ColumnBuilder;
use rusqlite::types::ValueRef;

use crate::number::{write_real, write_unscaled};
use crate::temporal::{Moment, clock, epoch, julian, moment};
use crate::types::Kind;

/// Why a cell does not fit its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// Its storage class contradicts the column.
    Class,
    /// Its text is not UTF-8.
    Utf8,
    /// The class fits, the value does not.
    Value,
}

/// A column being built.
pub struct Cells {
    builder: Builder,
    /// Any storage class is accepted, as CAST would.
    lenient: bool,
    scratch: String,
}

enum Builder {
    Boolean(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal128(Decimal128Builder, u8, i8),
    Decimal256(Decimal256Builder, u8, i8),
    Text(StringBuilder),
    Json(StringBuilder),
    Binary(BinaryBuilder),
    Uuid(FixedSizeBinaryBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Micros(TimestampMicrosecondBuilder),
    Nanos(TimestampNanosecondBuilder),
}

impl Cells {
    /// An empty column.
    pub fn new(kind: Kind, lenient: bool) -> Result<Self> {
        let data_type = kind.data_type();
        let builder = match kind {
            Kind::Boolean => Builder::Boolean(BooleanBuilder::new()),
            Kind::Int16 => Builder::Int16(Int16Builder::new()),
            Kind::Int32 => Builder::Int32(Int32Builder::new()),
            Kind::Int64 => Builder::Int64(Int64Builder::new()),
            Kind::Float32 => Builder::Float32(Float32Builder::new()),
            Kind::Float64 => Builder::Float64(Float64Builder::new()),
            Kind::Decimal(p @ ..=38, s) => {
                Builder::Decimal128(Decimal128Builder::new().with_precision_and_scale(p, s)?, p, s)
            }
            Kind::Decimal(p, s) => Builder::Decimal256(Decimal256Builder::new().with_precision_and_scale(p, s)?, p, s),
            Kind::Text => Builder::Text(StringBuilder::new()),
            Kind::Json => Builder::Json(StringBuilder::new()),
            Kind::Binary => Builder::Binary(BinaryBuilder::new()),
            Kind::Uuid => Builder::Uuid(FixedSizeBinaryBuilder::new(16)),
            Kind::Date => Builder::Date(Date32Builder::new()),
            Kind::Time => Builder::Time(Time64MicrosecondBuilder::new()),
            Kind::Timestamp { nanos: false, .. } => {
                Builder::Micros(TimestampMicrosecondBuilder::new().with_data_type(data_type))
            }
            Kind::Timestamp { nanos: true, .. } => {
                Builder::Nanos(TimestampNanosecondBuilder::new().with_data_type(data_type))
            }
        };
        Ok(Self { builder, lenient, scratch: String::new() })
    }

    /// Appends a value that is not NULL, or says why it does not fit.
    pub fn append(&mut self, value: ValueRef<'_>) -> Result<(), Misfit> {
        let scratch = &mut self.scratch;
        let lenient = self.lenient;
        match &mut self.builder {
            Builder::Boolean(cells) => cells.append_value(match integer(value)? {
                0 => false,
                1 => true,
                _ => return Err(Misfit::Value),
            }),
            Builder::Int16(cells) => cells.append_value(integer(value)?.try_into().map_err(|_| Misfit::Value)?),
            Builder::Int32(cells) => cells.append_value(integer(value)?.try_into().map_err(|_| Misfit::Value)?),
            Builder::Int64(cells) => cells.append_value(integer(value)?),
            Builder::Float32(cells) => cells.append_value(single(real(value)?)?),
            Builder::Float64(cells) => cells.append_value(real(value)?),
            Builder::Decimal128(cells, p, s) => {
                decimal(value, *p, *s, scratch)?;
                cells.append_value(scratch.parse().map_err(|_| Misfit::Value)?);
            }
            Builder::Decimal256(cells, p, s) => {
                decimal(value, *p, *s, scratch)?;
                cells.append_value(i256::from_string(scratch).ok_or(Misfit::Value)?);
            }
            Builder::Text(cells) => {
                cells.append_value(text(value, lenient, scratch)?);
            }
            Builder::Json(cells) => {
                let text = text(value, true, scratch)?;
                serde_json::from_str::<IgnoredAny>(text).map_err(|_| Misfit::Value)?;
                cells.append_value(text);
            }
            Builder::Binary(cells) => {
                let bytes = match value {
                    ValueRef::Blob(bytes) => bytes,
                    ValueRef::Text(bytes) if lenient => bytes,
                    other if lenient => text(other, true, scratch)?.as_bytes(),
                    _ => return Err(Misfit::Class),
                };
                cells.append_value(bytes);
            }
            Builder::Uuid(cells) => cells.append_value(uuid(value)?).map_err(|_| Misfit::Value)?,
            Builder::Date(cells) => cells.append_value(instant(value)?.midnight().ok_or(Misfit::Value)?),
            Builder::Time(cells) => match value {
                ValueRef::Text(bytes) => {
                    let clock = clock(utf8(bytes)?).and_then(Moment::micros);
                    cells.append_value(clock.ok_or(Misfit::Value)?);
                }
                _ => return Err(Misfit::Class),
            },
            Builder::Micros(cells) => cells.append_value(instant(value)?.micros().ok_or(Misfit::Value)?),
            Builder::Nanos(cells) => cells.append_value(instant(value)?.nanos().ok_or(Misfit::Value)?),
        }
        Ok(())
    }
}

impl ColumnBuilder for Cells {
    // A number of eight bytes may become its digits, and a blob its literal.
    const GROWTH: usize = 4;

    fn push_null(&mut self) {
        match &mut self.builder {
            Builder::Boolean(cells) => cells.append_null(),
            Builder::Int16(cells) => cells.append_null(),
            Builder::Int32(cells) => cells.append_null(),
            Builder::Int64(cells) => cells.append_null(),
            Builder::Float32(cells) => cells.append_null(),
            Builder::Float64(cells) => cells.append_null(),
            Builder::Decimal128(cells, ..) => cells.append_null(),
            Builder::Decimal256(cells, ..) => cells.append_null(),
            Builder::Text(cells) | Builder::Json(cells) => cells.append_null(),
            Builder::Binary(cells) => cells.append_null(),
            Builder::Uuid(cells) => cells.append_null(),
            Builder::Date(cells) => cells.append_null(),
            Builder::Time(cells) => cells.append_null(),
            Builder::Micros(cells) => cells.append_null(),
            Builder::Nanos(cells) => cells.append_null(),
        }
    }

    fn variable_bytes(&self) -> usize {
        match &self.builder {
            Builder::Text(cells) | Builder::Json(cells) => cells.values_slice().len(),
            Builder::Binary(cells) => cells.values_slice().len(),
            _ => 0,
        }
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(match &mut self.builder {
            Builder::Boolean(cells) => Arc::new(cells.finish()),
            Builder::Int16(cells) => Arc::new(cells.finish()),
            Builder::Int32(cells) => Arc::new(cells.finish()),
            Builder::Int64(cells) => Arc::new(cells.finish()),
            Builder::Float32(cells) => Arc::new(cells.finish()),
            Builder::Float64(cells) => Arc::new(cells.finish()),
            Builder::Decimal128(cells, ..) => Arc::new(cells.finish()),
            Builder::Decimal256(cells, ..) => Arc::new(cells.finish()),
            Builder::Text(cells) | Builder::Json(cells) => Arc::new(cells.finish()),
            Builder::Binary(cells) => Arc::new(cells.finish()),
            Builder::Uuid(cells) => Arc::new(cells.finish()),
            Builder::Date(cells) => Arc::new(cells.finish()),
            Builder::Time(cells) => Arc::new(cells.finish()),
            Builder::Micros(cells) => Arc::new(cells.finish()),
            Builder::Nanos(cells) => Arc::new(cells.finish()),
        })
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Misfit> {
    std::str::from_utf8(bytes).map_err(|_| Misfit::Utf8)
}

fn integer(value: ValueRef<'_>) -> Result<i64, Misfit> {
    match value {
        ValueRef::Integer(value) => Ok(value),
        // Only an override meets such texts: INTEGER affinity would have made them integers.
        ValueRef::Text(bytes) => utf8(bytes)?.parse().map_err(|_| Misfit::Class),
        ValueRef::Real(value) if value.fract() == 0.0 && value.abs() < 9e15 => {
            #[allow(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
            let whole = value as i64;
            Ok(whole)
        }
        _ => Err(Misfit::Class),
    }
}

fn real(value: ValueRef<'_>) -> Result<f64, Misfit> {
    match value {
        ValueRef::Real(value) => Ok(value),
        ValueRef::Integer(value) => {
            let real = value as f64;
            let same = i128::from(value) == exact(real);
            same.then_some(real).ok_or(Misfit::Value)
        }
        ValueRef::Text(bytes) => {
            let text = utf8(bytes)?;
            let is_number = text.bytes().all(|byte| b"0123456789+-.eE".contains(&byte));
            let parsed = text.parse().ok().filter(|value: &f64| is_number && value.is_finite());
            parsed.ok_or(Misfit::Class)
        }
        _ => Err(Misfit::Class),
    }
}

#[allow(clippy::cast_possible_truncation, reason = "reals made from 64-bit integers fit 128 bits")]
fn exact(real: f64) -> i128 {
    real as i128
}

#[allow(clippy::cast_possible_truncation, reason = "the user asked for float4")]
fn single(value: f64) -> Result<f32, Misfit> {
    let single = value as f32;
    if single.is_infinite() && value.is_finite() { Err(Misfit::Value) } else { Ok(single) }
}

/// Leaves the unscaled digits in `scratch`.
fn decimal(value: ValueRef<'_>, precision: u8, scale: i8, scratch: &mut String) -> Result<(), Misfit> {
    use std::fmt::Write;
    let mut number = [0_u8; 32];
    let written = match value {
        ValueRef::Integer(value) => {
            let mut rest = &mut number[..];
            std::io::Write::write_fmt(&mut rest, format_args!("{value}")).map_err(|_| Misfit::Value)?;
            rest.len()
        }
        ValueRef::Real(value) => {
            scratch.clear();
            let _ = write!(scratch, "{value:e}");
            let mut rest = &mut number[..];
            std::io::Write::write_all(&mut rest, scratch.as_bytes()).map_err(|_| Misfit::Value)?;
            rest.len()
        }
        ValueRef::Text(bytes) => {
            let fits = write_unscaled(utf8(bytes)?, precision, scale, scratch);
            return if fits { Ok(()) } else { Err(Misfit::Class) };
        }
        _ => return Err(Misfit::Class),
    };
    let length = number.len() - written;
    let text = number.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok()).ok_or(Misfit::Value)?;
    if write_unscaled(text, precision, scale, scratch) { Ok(()) } else { Err(Misfit::Value) }
}

/// A cell as text: a number in its shortest digits, a blob as SQLite's literal, `X'00ff'`.
fn text<'a>(value: ValueRef<'a>, lenient: bool, scratch: &'a mut String) -> Result<&'a str, Misfit> {
    use std::fmt::Write;
    scratch.clear();
    match value {
        ValueRef::Text(bytes) => return utf8(bytes),
        ValueRef::Integer(value) if lenient => {
            let _ = write!(scratch, "{value}");
        }
        ValueRef::Real(value) if lenient => write_real(value, scratch),
        ValueRef::Blob(bytes) if lenient => {
            scratch.push_str("X'");
            for byte in bytes {
                let _ = write!(scratch, "{byte:02X}");
            }
            scratch.push('\'');
        }
        _ => return Err(Misfit::Class),
    }
    Ok(scratch)
}

fn uuid(value: ValueRef<'_>) -> Result<[u8; 16], Misfit> {
    match value {
        ValueRef::Blob(bytes) => bytes.try_into().map_err(|_| Misfit::Value),
        ValueRef::Text(bytes) => uuid_of(utf8(bytes)?).ok_or(Misfit::Value),
        _ => Err(Misfit::Class),
    }
}

/// `{8-4-4-4-12}`, the braces and the dashes optional.
fn uuid_of(text: &str) -> Option<[u8; 16]> {
    let text = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    let dashed = text.len() == 36 && [8, 13, 18, 23].iter().all(|at| text.as_bytes().get(*at) == Some(&b'-'));
    if !dashed && text.len() != 32 {
        return None;
    }
    let mut digits = text.bytes().enumerate().filter(|(at, _)| !(dashed && [8, 13, 18, 23].contains(at)));
    let mut digit = || u8::try_from(char::from(digits.next()?.1).to_digit(16)?).ok();
    let mut bytes = [0; 16];
    for byte in &mut bytes {
        *byte = digit()? << 4 | digit()?;
    }
    Some(bytes)
}

fn instant(value: ValueRef<'_>) -> Result<Moment, Misfit> {
    match value {
        ValueRef::Text(bytes) => moment(utf8(bytes)?).ok_or(Misfit::Value),
        ValueRef::Integer(seconds) => epoch(seconds).ok_or(Misfit::Value),
        ValueRef::Real(day) => julian(day).ok_or(Misfit::Value),
        _ => Err(Misfit::Class),
    }
}

/// The found class and how the value looks, for an error.
pub fn described(value: ValueRef<'_>, misfit: Misfit) -> String {
    match (value, misfit) {
        (_, Misfit::Utf8) => "text that is not UTF-8".into(),
        (ValueRef::Null, _) => "NULL".into(),
        (ValueRef::Integer(value), _) => format!("the integer {value}"),
        (ValueRef::Real(value), _) => format!("the real {value:?}"),
        (ValueRef::Blob(bytes), _) => format!("a blob of {} bytes", bytes.len()),
        (ValueRef::Text(bytes), _) => {
            let shown: String = String::from_utf8_lossy(bytes).chars().take(40).collect();
            format!("the text {shown:?}")
        }
    }
}
