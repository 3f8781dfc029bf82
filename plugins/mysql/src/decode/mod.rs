//! Binary values of a row, straight into Arrow buffers: one builder a column, chosen once, no
//! allocation and no dynamic call per value.

mod number;
mod temporal;

use std::sync::Arc;

use rivet_sdk::Result;
use rivet_sdk::arrow_array::builder::NullBufferBuilder;
use rivet_sdk::arrow_array::types::{
    Date32Type, Decimal128Type, Decimal256Type, DurationMicrosecondType, Float32Type, Float64Type, Int32Type,
    Int64Type, Time64MicrosecondType, TimestampMicrosecondType, TimestampNanosecondType, UInt64Type,
};
use rivet_sdk::arrow_array::{ArrayRef, Float32Array, ListArray};
use rivet_sdk::arrow_buffer::{OffsetBuffer, ScalarBuffer, i256};
use rivet_sdk::arrow_schema::{DataType, Field};
use rivet_sdk::buffers::{Booleans, Fixed, Uuids, Variable, primitive};
use rivet_sdk::sql::columns::Target;
use rivet_sdk::sql::number::narrow;
use rivet_sdk::sql::rows::{ColumnBuilder, Fault, Tally};

use crate::kind::{Integer, Kind};

/// The builder of one column.
pub(crate) enum Column {
    Bool {
        values: Booleans,
        wire: Integer,
    },
    Int32(Fixed<i32>),
    Int64(Fixed<i64>),
    /// Any other integer: kept wide, and narrowed when the batch is done.
    Int {
        values: Fixed<i64>,
        wire: Integer,
        width: u8,
    },
    DecimalInt {
        values: Fixed<i64>,
        width: u8,
    },
    UInt64(Fixed<u64>),
    Float32(Fixed<f32>),
    Float64(Fixed<f64>),
    Decimal128 {
        values: Fixed<i128>,
        precision: u8,
        scale: i8,
    },
    Decimal256 {
        values: Fixed<i256>,
        precision: u8,
        scale: i8,
    },
    Date(Fixed<i32>),
    Time(Fixed<i64>),
    Duration(Fixed<i64>),
    Timestamp {
        values: Fixed<i64>,
        utc: bool,
        nanoseconds: bool,
    },
    Uuid {
        values: Uuids,
        text: bool,
    },
    Text {
        values: Variable,
        json: bool,
    },
    Binary(Variable),
    Wkb {
        values: Variable,
        srid: u32,
    },
    Vector {
        values: Vec<f32>,
        offsets: Vec<i32>,
        nulls: NullBufferBuilder,
    },
}

impl Column {
    /// A builder for `kind`, with room for `capacity` rows.
    pub fn new(kind: &Kind, capacity: usize) -> Self {
        match kind {
            Kind::Bool(wire) => Self::Bool { values: Booleans::new(capacity), wire: *wire },
            Kind::Bit => Self::Bool { values: Booleans::new(capacity), wire: Integer::U64 },
            Kind::Int(Integer::I32, 4) => Self::Int32(Fixed::new(capacity)),
            Kind::Int(Integer::I64, 8) => Self::Int64(Fixed::new(capacity)),
            Kind::Int(wire, width) => Self::Int { values: Fixed::new(capacity), wire: *wire, width: *width },
            Kind::DecimalInt(width) => Self::DecimalInt { values: Fixed::new(capacity), width: *width },
            Kind::UInt64 | Kind::Bits => Self::UInt64(Fixed::new(capacity)),
            Kind::Float32 => Self::Float32(Fixed::new(capacity)),
            Kind::Float64 => Self::Float64(Fixed::new(capacity)),
            Kind::Decimal128(precision, scale) => {
                Self::Decimal128 { values: Fixed::new(capacity), precision: *precision, scale: *scale }
            }
            Kind::Decimal256(precision, scale) => {
                Self::Decimal256 { values: Fixed::new(capacity), precision: *precision, scale: *scale }
            }
            Kind::Date => Self::Date(Fixed::new(capacity)),
            Kind::Time => Self::Time(Fixed::new(capacity)),
            Kind::Duration => Self::Duration(Fixed::new(capacity)),
            Kind::Timestamp { utc, nanoseconds } => {
                Self::Timestamp { values: Fixed::new(capacity), utc: *utc, nanoseconds: *nanoseconds }
            }
            Kind::Uuid { text } => Self::Uuid { values: Uuids::new(capacity), text: *text },
            Kind::Text | Kind::Json => Self::Text { values: Variable::new(capacity), json: false },
            Kind::CheckedJson => Self::Text { values: Variable::new(capacity), json: true },
            Kind::Binary => Self::Binary(Variable::new(capacity)),
            Kind::Wkb(srid) => Self::Wkb { values: Variable::new(capacity), srid: *srid },
            Kind::Vector => {
                Self::Vector { values: Vec::new(), offsets: vec![0], nulls: NullBufferBuilder::new(capacity) }
            }
        }
    }

    /// Appends a value.
    #[inline]
    pub fn push(&mut self, value: &[u8], tally: &mut Tally) -> Result<(), Fault> {
        match self {
            Self::Int64(values) => values.push(i64::from_le_bytes(exact(value)?)),
            Self::Int32(values) => values.push(i32::from_le_bytes(exact(value)?)),
            Self::Text { values, json } => return push_text(values, value, *json, tally),
            Self::Decimal128 { values, precision, scale } => {
                values.push(number::decimal128(value, *precision, *scale)?);
            }
            Self::Date(values) => match temporal::date(value)? {
                Some(days) => values.push(days),
                None => {
                    tally.unrepresentable(|| temporal::describe(value))?;
                    values.push_null();
                }
            },
            Self::Timestamp { values, nanoseconds, .. } => match temporal::timestamp(value, *nanoseconds)? {
                Some(moment) => values.push(moment),
                None => {
                    tally.unrepresentable(|| temporal::describe(value))?;
                    values.push_null();
                }
            },
            Self::Int { values, wire, width } => values.push(number::integer(value, *wire, *width)?),
            Self::DecimalInt { values, width } => values.push(number::decimal_integer(value, *width)?),
            Self::Float64(values) => values.push(f64::from_le_bytes(exact(value)?)),
            Self::Float32(values) => values.push(f32::from_le_bytes(exact(value)?)),
            Self::UInt64(values) => values.push(u64::from_le_bytes(exact(value)?)),
            Self::Decimal256 { values, precision, scale } => {
                values.push(number::decimal256(value, *precision, *scale)?);
            }
            Self::Bool { values, wire } => match number::read(value, *wire)? {
                number @ 0..=1 => values.push(number == 1),
                number => {
                    tally.unrepresentable(|| number.to_string())?;
                    values.push_null();
                }
            },
            Self::Time(values) => match temporal::time(value)? {
                micros @ 0..temporal::DAY_MICROS => values.push(micros),
                micros => {
                    tally.unrepresentable(|| temporal::clock(micros))?;
                    values.push_null();
                }
            },
            Self::Duration(values) => values.push(temporal::time(value)?),
            Self::Uuid { values, text } => match if *text { number::uuid(value) } else { value.try_into().ok() } {
                Some(bytes) => values.push(bytes),
                None => {
                    tally.unrepresentable(|| "what is not a UUID".to_owned())?;
                    values.push_null();
                }
            },
            Self::Binary(values) => values.push(value)?,
            Self::Wkb { values, srid } => {
                let Some((found, shape)) = value.split_first_chunk::<4>() else { return Err(Fault::Malformed) };
                let found = u32::from_le_bytes(*found);
                if found == *srid {
                    return Ok(values.push(shape)?);
                }
                tally.unrepresentable(|| format!("a geometry of SRID {found} among those of SRID {srid}"))?;
                values.push_null();
            }
            Self::Vector { values, offsets, nulls } => {
                let (numbers, rest) = value.as_chunks::<4>();
                if !rest.is_empty() {
                    return Err(Fault::Malformed);
                }
                values.extend(numbers.iter().map(|number| f32::from_le_bytes(*number)));
                offsets.push(i32::try_from(values.len()).map_err(|_| Fault::Full)?);
                nulls.append_non_null();
            }
        }
        Ok(())
    }
}

impl ColumnBuilder for Column {
    // Texts and bytes stay as they come.
    const GROWTH: usize = 1;

    #[inline]
    fn push_null(&mut self) {
        match self {
            Self::Text { values, .. } | Self::Binary(values) | Self::Wkb { values, .. } => values.push_null(),
            Self::Int32(values) | Self::Date(values) => values.push_null(),
            Self::Int64(values) | Self::Time(values) | Self::Duration(values) => values.push_null(),
            Self::Int { values, .. } | Self::DecimalInt { values, .. } | Self::Timestamp { values, .. } => {
                values.push_null();
            }
            Self::UInt64(values) => values.push_null(),
            Self::Float32(values) => values.push_null(),
            Self::Float64(values) => values.push_null(),
            Self::Decimal128 { values, .. } => values.push_null(),
            Self::Decimal256 { values, .. } => values.push_null(),
            Self::Bool { values, .. } => values.push_null(),
            Self::Uuid { values, .. } => values.push_null(),
            Self::Vector { offsets, nulls, .. } => {
                offsets.push(offsets.last().copied().unwrap_or_default());
                nulls.append_null();
            }
        }
    }

    fn variable_bytes(&self) -> usize {
        match self {
            Self::Text { values, .. } | Self::Binary(values) | Self::Wkb { values, .. } => values.data.len(),
            Self::Vector { values, .. } => values.len() * 4,
            _ => 0,
        }
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(match self {
            Self::Bool { values, .. } => values.array(),
            Self::Int32(values) => primitive::<Int32Type>(values, &DataType::Int32),
            Self::Int64(values) => primitive::<Int64Type>(values, &DataType::Int64),
            Self::Int { values, width, .. } | Self::DecimalInt { values, width } => narrow(values, *width)?,
            Self::UInt64(values) => primitive::<UInt64Type>(values, &DataType::UInt64),
            Self::Float32(values) => primitive::<Float32Type>(values, &DataType::Float32),
            Self::Float64(values) => primitive::<Float64Type>(values, &DataType::Float64),
            Self::Decimal128 { values, precision, scale } => {
                primitive::<Decimal128Type>(values, &DataType::Decimal128(*precision, *scale))
            }
            Self::Decimal256 { values, precision, scale } => {
                primitive::<Decimal256Type>(values, &DataType::Decimal256(*precision, *scale))
            }
            Self::Date(values) => primitive::<Date32Type>(values, &DataType::Date32),
            Self::Time(values) => primitive::<Time64MicrosecondType>(values, &Kind::Time.data_type()),
            Self::Duration(values) => primitive::<DurationMicrosecondType>(values, &Kind::Duration.data_type()),
            Self::Timestamp { values, utc, nanoseconds } => {
                let data_type = Kind::Timestamp { utc: *utc, nanoseconds: *nanoseconds }.data_type();
                match nanoseconds {
                    true => primitive::<TimestampNanosecondType>(values, &data_type),
                    false => primitive::<TimestampMicrosecondType>(values, &data_type),
                }
            }
            Self::Uuid { values, .. } => values.array()?,
            Self::Binary(values) | Self::Wkb { values, .. } => values.binary()?,
            Self::Text { values, .. } => values.text()?,
            Self::Vector { values, offsets, nulls } => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(offsets, vec![0])));
                let values = Float32Array::new(ScalarBuffer::from(std::mem::take(values)), None);
                let element = Arc::new(Field::new("element", DataType::Float32, true));
                Arc::new(ListArray::try_new(element, offsets, Arc::new(values), nulls.finish())?)
            }
        })
    }
}

#[inline(always)]
fn push_text(values: &mut Variable, value: &[u8], json: bool, tally: &mut Tally) -> Result<(), Fault> {
    if !value.is_ascii() && std::str::from_utf8(value).is_err() {
        return odd_text(values, tally, "bytes that are no text of the column's character set");
    }
    if json && serde_json::from_slice::<serde::de::IgnoredAny>(value).is_err() {
        return odd_text(values, tally, "what is not JSON");
    }
    Ok(values.push(value)?)
}

#[cold]
fn odd_text(values: &mut Variable, tally: &mut Tally, what: &str) -> Result<(), Fault> {
    tally.unrepresentable(|| what.to_owned())?;
    values.push_null();
    Ok(())
}

#[inline(always)]
fn exact<const N: usize>(value: &[u8]) -> Result<[u8; N], Fault> {
    value.try_into().map_err(|_| Fault::Malformed)
}

#[cfg(test)]
mod tests;
