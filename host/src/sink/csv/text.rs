//! Every Arrow value as text. `docs/reference/csv.md` is the table of these rules.

use std::io::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType, Float16Type,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, IntervalDayTimeType, IntervalMonthDayNanoType,
    IntervalYearMonthType, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, PrimitiveArray};
use arrow_buffer::i256;
use arrow_schema::extension::{EXTENSION_TYPE_NAME_KEY, ExtensionType, Json, Uuid};
use arrow_schema::{DataType, Field, IntervalUnit, TimeUnit};
use rivet_sdk::{Error, ErrorKind, Result};

use super::calendar::{resolution, write_date, write_padded, write_time, write_timestamp};
use super::column::{Column, Kind, WriteValue};
use super::json;

/// The column of an array of any type that has a CSV form.
pub(super) fn column<'a>(field: &Field, array: &'a ArrayRef) -> Result<Column<'a>> {
    let (kind, write) = writer(field, array)?;
    Ok(Column::new(kind, array, write))
}

fn writer<'a>(field: &Field, array: &'a ArrayRef) -> Result<(Kind, WriteValue<'a>)> {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    let extension = field.metadata().get(EXTENSION_TYPE_NAME_KEY).map(String::as_str);
    let text = if extension == Some(Json::NAME) { Kind::Json } else { Kind::Text };
    Ok(match array.data_type() {
        DataType::Null => (Kind::Plain, Box::new(|_, _| {})),
        DataType::Boolean => {
            let array = array.as_boolean();
            let write: WriteValue<'a> =
                Box::new(|row, out| out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }));
            (Kind::Boolean, write)
        }
        DataType::Int8 => integers::<Int8Type>(array),
        DataType::Int16 => integers::<Int16Type>(array),
        DataType::Int32 => integers::<Int32Type>(array),
        DataType::Int64 => integers::<Int64Type>(array),
        DataType::UInt8 => integers::<UInt8Type>(array),
        DataType::UInt16 => integers::<UInt16Type>(array),
        DataType::UInt32 => integers::<UInt32Type>(array),
        DataType::UInt64 => values::<UInt64Type>(array, Kind::Number, |value, out| write_padded(value, 1, out)),
        DataType::Float16 => {
            values::<Float16Type>(array, Kind::Number, |value, out| write_float(f64::from(value.to_f32()), value, out))
        }
        DataType::Float32 => {
            values::<Float32Type>(array, Kind::Number, |value, out| write_float(value.into(), value, out))
        }
        DataType::Float64 => values::<Float64Type>(array, Kind::Number, |value, out| write_float(value, value, out)),
        DataType::Decimal32(_, scale) => decimals::<Decimal32Type>(array, *scale, i128::from),
        DataType::Decimal64(_, scale) => decimals::<Decimal64Type>(array, *scale, i128::from),
        DataType::Decimal128(_, scale) => decimals::<Decimal128Type>(array, *scale, i128::from),
        DataType::Decimal256(_, scale) => {
            let scale = *scale;
            values::<Decimal256Type>(array, Kind::Number, move |value, out| write_wide_decimal(value, scale, out))
        }
        DataType::Utf8 => texts(text, |row| array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => texts(text, |row| array.as_string::<i64>().value(row)),
        DataType::Utf8View => texts(text, |row| array.as_string_view().value(row)),
        DataType::Binary => hex(|row| array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => hex(|row| array.as_binary::<i64>().value(row)),
        DataType::BinaryView => hex(|row| array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(16) if extension == Some(Uuid::NAME) => {
            let array = array.as_fixed_size_binary();
            (Kind::Plain, Box::new(|row, out| write_uuid(array.value(row), out)))
        }
        DataType::FixedSizeBinary(_) => hex(|row| array.as_fixed_size_binary().value(row)),
        DataType::Date32 => values::<Date32Type>(array, Kind::Plain, |days, out| write_date(days.into(), out)),
        DataType::Date64 => {
            values::<Date64Type>(array, Kind::Plain, |value, out| write_date(value.div_euclid(86_400_000), out))
        }
        DataType::Time32(Second) => values::<Time32SecondType>(array, Kind::Plain, time(Second)),
        DataType::Time32(_) => values::<Time32MillisecondType>(array, Kind::Plain, time(Millisecond)),
        DataType::Time64(Nanosecond) => values::<Time64NanosecondType>(array, Kind::Plain, time(Nanosecond)),
        DataType::Time64(_) => values::<Time64MicrosecondType>(array, Kind::Plain, time(Microsecond)),
        DataType::Timestamp(unit, zone) => {
            let zoned = zone.is_some();
            match unit {
                Second => values::<TimestampSecondType>(array, Kind::Plain, timestamp(Second, zoned)),
                Millisecond => values::<TimestampMillisecondType>(array, Kind::Plain, timestamp(Millisecond, zoned)),
                Microsecond => values::<TimestampMicrosecondType>(array, Kind::Plain, timestamp(Microsecond, zoned)),
                Nanosecond => values::<TimestampNanosecondType>(array, Kind::Plain, timestamp(Nanosecond, zoned)),
            }
        }
        DataType::Duration(unit) => match unit {
            Second => integers::<DurationSecondType>(array),
            Millisecond => integers::<DurationMillisecondType>(array),
            Microsecond => integers::<DurationMicrosecondType>(array),
            Nanosecond => integers::<DurationNanosecondType>(array),
        },
        DataType::Interval(IntervalUnit::YearMonth) => {
            values::<IntervalYearMonthType>(array, Kind::Plain, |months, out| write_interval(months, 0, 0, out))
        }
        DataType::Interval(IntervalUnit::DayTime) => values::<IntervalDayTimeType>(array, Kind::Plain, |value, out| {
            write_interval(0, value.days, i64::from(value.milliseconds) * 1_000_000, out);
        }),
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            values::<IntervalMonthDayNanoType>(array, Kind::Plain, |value, out| {
                write_interval(value.months, value.days, value.nanoseconds, out);
            })
        }
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(_, _)
        | DataType::Struct(_)
        | DataType::Map(_, _) => (Kind::Json, json::nested(array, column)?),
        other => {
            return Err(Error::new(
                ErrorKind::UnsupportedType,
                format!("column `{}`: type {other} has no CSV form", field.name()),
            ));
        }
    })
}

fn values<'a, T: ArrowPrimitiveType>(
    array: &'a ArrayRef,
    kind: Kind,
    write: impl Fn(T::Native, &mut Vec<u8>) + 'a,
) -> (Kind, WriteValue<'a>) {
    let array: &PrimitiveArray<T> = array.as_primitive();
    (kind, Box::new(move |row, out| write(array.value(row), out)))
}

fn integers<'a, T: ArrowPrimitiveType>(array: &'a ArrayRef) -> (Kind, WriteValue<'a>)
where
    T::Native: Into<i64>,
{
    values::<T>(array, Kind::Number, |value, out| write_signed(value.into(), out))
}

fn decimals<'a, T: ArrowPrimitiveType>(
    array: &'a ArrayRef,
    scale: i8,
    widen: impl Fn(T::Native) -> i128 + 'a,
) -> (Kind, WriteValue<'a>) {
    values::<T>(array, Kind::Number, move |value, out| write_decimal(widen(value), scale, out))
}

fn texts<'a>(kind: Kind, value: impl Fn(usize) -> &'a str + 'a) -> (Kind, WriteValue<'a>) {
    (kind, Box::new(move |row, out| out.extend_from_slice(value(row).as_bytes())))
}

fn hex<'a>(value: impl Fn(usize) -> &'a [u8] + 'a) -> (Kind, WriteValue<'a>) {
    // The backslash must be escaped in JSON, so the text is not plain.
    (
        Kind::Text,
        Box::new(move |row, out| {
            out.extend_from_slice(b"\\x");
            write_hex(value(row), out);
        }),
    )
}

fn time<N: Into<i64>>(unit: TimeUnit) -> impl Fn(N, &mut Vec<u8>) {
    move |value, out| write_time(value.into(), unit, out)
}

fn timestamp(unit: TimeUnit, instant: bool) -> impl Fn(i64, &mut Vec<u8>) {
    move |value, out| write_timestamp(value, unit, instant, out)
}

fn write_signed(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    write_padded(value.unsigned_abs(), 1, out);
}

/// Exactly the digits the scale says: `-0.50`, `1200` for 12 at scale -2.
fn write_decimal(value: i128, scale: i8, out: &mut Vec<u8>) {
    if let (Ok(narrow), Ok(digits @ 1..=18)) = (u64::try_from(value.unsigned_abs()), usize::try_from(scale)) {
        if value < 0 {
            out.push(b'-');
        }
        let unit = 10u64.pow(scale.unsigned_abs().into());
        write_padded(narrow / unit, 1, out);
        out.push(b'.');
        write_padded(narrow % unit, digits, out);
    } else {
        write_wide_decimal(i256::from_i128(value), scale, out);
    }
}

fn write_wide_decimal(value: i256, scale: i8, out: &mut Vec<u8>) {
    let start = out.len();
    // Writing to memory cannot fail.
    let _ = write!(out, "{value}");
    if scale < 0 {
        if value != i256::ZERO {
            out.extend(std::iter::repeat_n(b'0', scale.unsigned_abs().into()));
        }
        return;
    }
    let scale = usize::from(scale.unsigned_abs());
    if scale == 0 {
        return;
    }
    let digits_start = start + usize::from(value.is_negative());
    let digits = out.len() - digits_start;
    if digits <= scale {
        out.splice(digits_start..digits_start, std::iter::repeat_n(b'0', scale + 1 - digits));
    }
    out.insert(out.len() - scale, b'.');
}

/// The shortest text that reads back as the same number.
fn write_float(value: f64, shown: impl std::fmt::Display + std::fmt::LowerExp, out: &mut Vec<u8>) {
    // Writing to memory cannot fail.
    let _ = if value.is_nan() {
        out.write_all(b"NaN")
    } else if value.is_infinite() {
        out.write_all(if value > 0.0 { b"Infinity" } else { b"-Infinity" })
    } else if value == 0.0 || (1e-5..1e16).contains(&value.abs()) {
        write!(out, "{shown}")
    } else {
        write!(out, "{shown:e}")
    };
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(2 * bytes.len());
    for byte in bytes {
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

fn write_uuid(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    for (index, length) in [4, 2, 2, 2, 6].into_iter().enumerate() {
        if index > 0 {
            out.push(b'-');
        }
        let (group, after) = rest.split_at(length.min(rest.len()));
        write_hex(group, out);
        rest = after;
    }
}

/// ISO 8601: `P1Y2M3DT4.500000000S`, each part with its own sign.
fn write_interval(months: i32, days: i32, nanoseconds: i64, out: &mut Vec<u8>) {
    out.push(b'P');
    for (value, letter) in [(months / 12, b'Y'), (months % 12, b'M'), (days, b'D')] {
        if value != 0 {
            write_signed(value.into(), out);
            out.push(letter);
        }
    }
    if nanoseconds != 0 || (months == 0 && days == 0) {
        let (per_second, digits) = resolution(TimeUnit::Nanosecond);
        out.push(b'T');
        if nanoseconds < 0 {
            out.push(b'-');
        }
        let (nanoseconds, per_second) = (nanoseconds.unsigned_abs(), per_second.unsigned_abs());
        write_padded(nanoseconds / per_second, 1, out);
        if nanoseconds % per_second != 0 {
            out.push(b'.');
            write_padded(nanoseconds % per_second, digits, out);
        }
        out.push(b'S');
    }
}
