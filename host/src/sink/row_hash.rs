//! `_rivet_row_hash`: a 64-bit hash of a row's values.
//!
//! The hash is XXH3-64 with seed 0 over the row's values in output order, stored as the signed
//! 64-bit integer with the same bits. Each value is a tag byte and a payload; all numbers are
//! little-endian. Names, physical widths and units don't matter: an `Int16` hashes like an
//! `Int64` of the same value, microseconds like the same time in nanoseconds.
//!
//! | tag | value | payload |
//! |---|---|---|
//! | 0 | NULL | none |
//! | 1 | boolean | one byte, 0 or 1 |
//! | 2 | integer up to 2^63-1 | i64 |
//! | 3 | integer above | u64 |
//! | 4 | float, widened to double | its bits; every NaN is 0x7ff8000000000000; -0 differs from 0 |
//! | 5, 6 | decimal | scale (i8), then the unscaled integer as i128, or as 256 bits where it needs them |
//! | 7, 8 | text; binary | length in bytes (u64), then the bytes |
//! | 9 | date | days since 1970 (i64) |
//! | 10 | time of day | nanoseconds (i64) |
//! | 11, 12 | timestamp; instant | nanoseconds since 1970 (i128) |
//! | 13 | duration | nanoseconds (i128) |
//! | 14 | list | its length (u64), then its elements |
//! | 15 | struct | its number of fields (u64), then their values |
//! | 16 | map | its length (u64), then key and value of each entry, in stored order |
//! | 17 | interval | months (i32), days (i32), nanoseconds (i64) |

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType, Float16Type,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, IntervalDayTimeType, IntervalMonthDayNanoType,
    IntervalYearMonthType, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, Int64Array, PrimitiveArray, RecordBatch};
use arrow_buffer::{NullBuffer, i256};
use arrow_schema::{DataType, IntervalUnit, TimeUnit};
use rivet_sdk::{Error, ErrorKind, Result};
use xxhash_rust::xxh3::xxh3_64;

/// The hash of every row.
pub(super) fn row_hashes(batch: &RecordBatch) -> Result<Int64Array> {
    let columns = batch.columns().iter().map(column).collect::<Result<Vec<_>>>()?;
    let mut bytes = Vec::with_capacity(1024);
    Ok((0..batch.num_rows())
        .map(|row| {
            bytes.clear();
            for column in &columns {
                column.append(row, &mut bytes);
            }
            xxh3_64(&bytes).cast_signed()
        })
        .collect::<Vec<i64>>()
        .into())
}

const NULL: u8 = 0;
const NANOS: [i128; 4] = [1_000_000_000, 1_000_000, 1_000, 1];

/// A column whose values can be appended in canonical form.
pub(super) struct Column<'a> {
    nulls: Option<NullBuffer>,
    append_value: Append<'a>,
}

type Append<'a> = Box<dyn Fn(usize, &mut Vec<u8>) + 'a>;

impl Column<'_> {
    pub(super) fn append(&self, row: usize, out: &mut Vec<u8>) {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            out.push(NULL);
        } else {
            (self.append_value)(row, out);
        }
    }
}

pub(super) fn column(array: &ArrayRef) -> Result<Column<'_>> {
    Ok(Column { nulls: array.logical_nulls(), append_value: append(array)? })
}

fn integers<'a, T: ArrowPrimitiveType>(array: &'a ArrayRef) -> Append<'a>
where
    T::Native: Into<i64>,
{
    fixed::<T, 8>(array, 2, |value| value.into().to_le_bytes())
}

fn fixed<'a, T: ArrowPrimitiveType, const N: usize>(
    array: &'a ArrayRef,
    tag: u8,
    payload: impl Fn(T::Native) -> [u8; N] + 'a,
) -> Append<'a> {
    let array: &PrimitiveArray<T> = array.as_primitive();
    Box::new(move |row, out| {
        out.push(tag);
        out.extend_from_slice(&payload(array.value(row)));
    })
}

fn nanos<'a, T: ArrowPrimitiveType<Native = i64>>(array: &'a ArrayRef, tag: u8, unit: TimeUnit) -> Append<'a> {
    let factor = NANOS[unit_index(unit)];
    fixed::<T, 16>(array, tag, move |value| (i128::from(value) * factor).to_le_bytes())
}

fn unit_index(unit: TimeUnit) -> usize {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    }
}

fn double(value: f64) -> [u8; 8] {
    let bits = if value.is_nan() { 0x7ff8_0000_0000_0000 } else { value.to_bits() };
    bits.to_le_bytes()
}

fn decimals<'a, T: ArrowPrimitiveType>(
    array: &'a ArrayRef,
    scale: i8,
    widen: impl Fn(T::Native) -> i256 + 'a,
) -> Append<'a> {
    let array: &PrimitiveArray<T> = array.as_primitive();
    let scale = scale.to_le_bytes();
    Box::new(move |row, out| {
        let value = widen(array.value(row));
        match value.to_i128() {
            Some(narrow) => {
                out.push(5);
                out.extend_from_slice(&scale);
                out.extend_from_slice(&narrow.to_le_bytes());
            }
            None => {
                out.push(6);
                out.extend_from_slice(&scale);
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
    })
}

fn length(length: usize) -> [u8; 8] {
    (length as u64).to_le_bytes()
}

fn bytes<'a, B: AsRef<[u8]> + ?Sized + 'a>(tag: u8, value: impl Fn(usize) -> &'a B + 'a) -> Append<'a> {
    Box::new(move |row, out| {
        let value = value(row).as_ref();
        out.push(tag);
        out.extend_from_slice(&length(value.len()));
        out.extend_from_slice(value);
    })
}

fn elements<'a>(child: &'a ArrayRef, range: impl Fn(usize) -> std::ops::Range<usize> + 'a) -> Result<Append<'a>> {
    let child = column(child)?;
    Ok(Box::new(move |row, out| {
        let range = range(row);
        out.push(14);
        out.extend_from_slice(&length(range.len()));
        for element in range {
            child.append(element, out);
        }
    }))
}

fn span(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    let at = |index: usize| offsets.get(index).and_then(|offset| usize::try_from(*offset).ok()).unwrap_or(0);
    at(row)..at(row + 1)
}

fn append(array: &ArrayRef) -> Result<Append<'_>> {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    Ok(match array.data_type() {
        DataType::Null => Box::new(|_, out| out.push(NULL)),
        DataType::Boolean => {
            let array = array.as_boolean();
            Box::new(move |row, out| out.extend_from_slice(&[1, u8::from(array.value(row))]))
        }
        DataType::Int8 => integers::<Int8Type>(array),
        DataType::Int16 => integers::<Int16Type>(array),
        DataType::Int32 => integers::<Int32Type>(array),
        DataType::Int64 => integers::<Int64Type>(array),
        DataType::UInt8 => integers::<UInt8Type>(array),
        DataType::UInt16 => integers::<UInt16Type>(array),
        DataType::UInt32 => integers::<UInt32Type>(array),
        DataType::UInt64 => {
            let array = array.as_primitive::<UInt64Type>();
            Box::new(move |row, out| {
                let value = array.value(row);
                out.push(if i64::try_from(value).is_ok() { 2 } else { 3 });
                out.extend_from_slice(&value.to_le_bytes());
            })
        }
        DataType::Float16 => fixed::<Float16Type, 8>(array, 4, |value| double(value.to_f64())),
        DataType::Float32 => fixed::<Float32Type, 8>(array, 4, |value| double(value.into())),
        DataType::Float64 => fixed::<Float64Type, 8>(array, 4, double),
        DataType::Decimal32(_, scale) => decimals::<Decimal32Type>(array, *scale, |v| i256::from_i128(v.into())),
        DataType::Decimal64(_, scale) => decimals::<Decimal64Type>(array, *scale, |v| i256::from_i128(v.into())),
        DataType::Decimal128(_, scale) => decimals::<Decimal128Type>(array, *scale, i256::from_i128),
        DataType::Decimal256(_, scale) => decimals::<Decimal256Type>(array, *scale, |value| value),
        DataType::Utf8 => bytes(7, |row| array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => bytes(7, |row| array.as_string::<i64>().value(row)),
        DataType::Utf8View => bytes(7, |row| array.as_string_view().value(row)),
        DataType::Binary => bytes(8, |row| array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => bytes(8, |row| array.as_binary::<i64>().value(row)),
        DataType::BinaryView => bytes(8, |row| array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => bytes(8, |row| array.as_fixed_size_binary().value(row)),
        DataType::Date32 => fixed::<Date32Type, 8>(array, 9, |days| i64::from(days).to_le_bytes()),
        DataType::Date64 => fixed::<Date64Type, 8>(array, 9, |ms| ms.div_euclid(86_400_000).to_le_bytes()),
        DataType::Time32(Second) => {
            fixed::<Time32SecondType, 8>(array, 10, |v| (i64::from(v) * 1_000_000_000).to_le_bytes())
        }
        DataType::Time32(_) => {
            fixed::<Time32MillisecondType, 8>(array, 10, |v| (i64::from(v) * 1_000_000).to_le_bytes())
        }
        DataType::Time64(Nanosecond) => fixed::<Time64NanosecondType, 8>(array, 10, i64::to_le_bytes),
        DataType::Time64(_) => fixed::<Time64MicrosecondType, 8>(array, 10, |v| v.wrapping_mul(1000).to_le_bytes()),
        DataType::Timestamp(unit, zone) => {
            let tag = if zone.is_some() { 12 } else { 11 };
            match unit {
                Second => nanos::<TimestampSecondType>(array, tag, Second),
                Millisecond => nanos::<TimestampMillisecondType>(array, tag, Millisecond),
                Microsecond => nanos::<TimestampMicrosecondType>(array, tag, Microsecond),
                Nanosecond => nanos::<TimestampNanosecondType>(array, tag, Nanosecond),
            }
        }
        DataType::Duration(unit) => match unit {
            Second => nanos::<DurationSecondType>(array, 13, Second),
            Millisecond => nanos::<DurationMillisecondType>(array, 13, Millisecond),
            Microsecond => nanos::<DurationMicrosecondType>(array, 13, Microsecond),
            Nanosecond => nanos::<DurationNanosecondType>(array, 13, Nanosecond),
        },
        DataType::Interval(IntervalUnit::YearMonth) => {
            fixed::<IntervalYearMonthType, 16>(array, 17, |months| interval(months, 0, 0))
        }
        DataType::Interval(IntervalUnit::DayTime) => fixed::<IntervalDayTimeType, 16>(array, 17, |value| {
            interval(0, value.days, i64::from(value.milliseconds) * 1_000_000)
        }),
        DataType::Interval(IntervalUnit::MonthDayNano) => fixed::<IntervalMonthDayNanoType, 16>(array, 17, |value| {
            interval(value.months, value.days, value.nanoseconds)
        }),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            elements(list.values(), |row| span(list.offsets(), row))?
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let at = |index: usize| list.offsets().get(index).and_then(|at| usize::try_from(*at).ok()).unwrap_or(0);
            elements(list.values(), move |row| at(row)..at(row + 1))?
        }
        DataType::FixedSizeList(_, size) => {
            let size = usize::try_from(*size).unwrap_or(0);
            elements(array.as_fixed_size_list().values(), move |row| row * size..(row + 1) * size)?
        }
        DataType::Struct(_) => {
            let children = array.as_struct().columns().iter().map(column).collect::<Result<Vec<_>>>()?;
            Box::new(move |row, out| {
                out.push(15);
                out.extend_from_slice(&length(children.len()));
                for child in &children {
                    child.append(row, out);
                }
            })
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            let (keys, values) = (column(map.keys())?, column(map.values())?);
            Box::new(move |row, out| {
                let range = span(map.offsets(), row);
                out.push(16);
                out.extend_from_slice(&length(range.len()));
                for entry in range {
                    keys.append(entry, out);
                    values.append(entry, out);
                }
            })
        }
        other => {
            return Err(Error::new(ErrorKind::UnsupportedType, format!("values of type {other} cannot be hashed"))
                .with_hint("turn `meta_columns: {row_hash}` off, or exclude the column"));
        }
    })
}

fn interval(months: i32, days: i32, nanoseconds: i64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&months.to_le_bytes());
    bytes[4..8].copy_from_slice(&days.to_le_bytes());
    bytes[8..].copy_from_slice(&nanoseconds.to_le_bytes());
    bytes
}
