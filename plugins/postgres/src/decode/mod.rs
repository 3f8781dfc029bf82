//! Binary values of a row, straight into Arrow buffers: one builder a column, chosen once,
//! no allocation and no dynamic call per value.

mod nested;
mod numeric;
mod text;

use rivet_sdk::Result;
use rivet_sdk::arrow_array::ArrayRef;
use rivet_sdk::arrow_array::types::{
    Date32Type, Decimal128Type, Decimal256Type, DurationMicrosecondType, Float32Type, Float64Type, Int16Type,
    Int32Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType, TimestampNanosecondType, UInt32Type,
};
use rivet_sdk::arrow_buffer::i256;
use rivet_sdk::arrow_schema::DataType;
use rivet_sdk::buffers::{Booleans, Fixed, Uuids, Variable, primitive};
use rivet_sdk::sql::columns::Target;
use rivet_sdk::sql::number::narrow;
use rivet_sdk::sql::rows::{ColumnBuilder, Fault, Tally};

use crate::kind::{Kind, TextForm};
pub(crate) use nested::{List, Map, Range, Struct};

/// 1970-01-01 to 2000-01-01, PostgreSQL's own epoch.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const DAY_MICROS: i64 = 86_400_000_000;

/// The builder of one column (or of one level of a nested one).
pub(crate) enum Column {
    Bool(Booleans),
    Int16(Fixed<i16>),
    Int32(Fixed<i32>),
    Int64(Fixed<i64>),
    /// Integers checked into a narrower or wider type.
    CheckedInt {
        values: Fixed<i64>,
        numeric: bool,
        width: u8,
    },
    UInt32(Fixed<u32>),
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
    Money {
        values: Fixed<i128>,
        scale: i8,
    },
    Date(Fixed<i32>),
    Time(Fixed<i64>),
    Timestamp {
        values: Fixed<i64>,
        utc: bool,
        nanoseconds: bool,
    },
    Duration(Fixed<i64>),
    Uuid(Uuids),
    Binary(Variable),
    Text(Variable),
    Jsonb(Variable),
    Formatted {
        values: Variable,
        form: TextForm,
    },
    List(Box<List>),
    Struct(Box<Struct>),
    Range(Box<Range>),
    Map(Box<Map>),
}

impl Column {
    /// A builder for `kind`, with room for `capacity` rows.
    pub fn new(kind: &Kind, capacity: usize) -> Self {
        match kind {
            Kind::Bool => Self::Bool(Booleans::new(capacity)),
            Kind::Int16 => Self::Int16(Fixed::new(capacity)),
            Kind::Int32 => Self::Int32(Fixed::new(capacity)),
            Kind::Int64 => Self::Int64(Fixed::new(capacity)),
            Kind::AnyInt(width) => Self::CheckedInt { values: Fixed::new(capacity), numeric: false, width: *width },
            Kind::NumericInt(width) => Self::CheckedInt { values: Fixed::new(capacity), numeric: true, width: *width },
            Kind::UInt32 => Self::UInt32(Fixed::new(capacity)),
            Kind::Float32 => Self::Float32(Fixed::new(capacity)),
            Kind::Float64 => Self::Float64(Fixed::new(capacity)),
            Kind::Decimal128(precision, scale) => {
                Self::Decimal128 { values: Fixed::new(capacity), precision: *precision, scale: *scale }
            }
            Kind::Decimal256(precision, scale) => {
                Self::Decimal256 { values: Fixed::new(capacity), precision: *precision, scale: *scale }
            }
            Kind::Money(scale) => Self::Money { values: Fixed::new(capacity), scale: *scale },
            Kind::Date => Self::Date(Fixed::new(capacity)),
            Kind::Time => Self::Time(Fixed::new(capacity)),
            Kind::Timestamp { utc, nanoseconds } => {
                Self::Timestamp { values: Fixed::new(capacity), utc: *utc, nanoseconds: *nanoseconds }
            }
            Kind::Duration => Self::Duration(Fixed::new(capacity)),
            Kind::Uuid => Self::Uuid(Uuids::new(capacity)),
            Kind::Binary | Kind::Wkb => Self::Binary(Variable::new(capacity)),
            Kind::Text(TextForm::Plain) | Kind::Json => Self::Text(Variable::new(capacity)),
            Kind::Text(form) => Self::Formatted { values: Variable::new(capacity), form: *form },
            Kind::Jsonb => Self::Jsonb(Variable::new(capacity)),
            Kind::List(_) | Kind::Multirange(_) | Kind::Vector => Self::List(Box::new(List::new(kind, capacity))),
            Kind::Struct(members) => Self::Struct(Box::new(Struct::new(members, capacity))),
            Kind::Range(bound) => Self::Range(Box::new(Range::new(bound, capacity))),
            Kind::Hstore => Self::Map(Box::new(Map::new(capacity))),
        }
    }

    /// Appends a value.
    #[inline]
    pub fn push(&mut self, value: &[u8], tally: &mut Tally) -> Result<(), Fault> {
        match self {
            Self::Int64(values) => values.push(i64::from_be_bytes(exact(value)?)),
            Self::Int32(values) => values.push(i32::from_be_bytes(exact(value)?)),
            Self::Text(values) | Self::Binary(values) => values.push(value)?,
            Self::Decimal128 { values, precision, scale } => {
                return numeric::push_decimal128(values, value, *precision, *scale, tally);
            }
            Self::Date(values) => match i32::from_be_bytes(exact(value)?) {
                days @ (i32::MIN | i32::MAX) => {
                    tally.unrepresentable(|| infinity(days < 0))?;
                    values.push_null();
                }
                days => match days.checked_add(EPOCH_DAYS) {
                    Some(days) => values.push(days),
                    None => return Err(Fault::Malformed),
                },
            },
            Self::Timestamp { values, nanoseconds, .. } => {
                let micros = i64::from_be_bytes(exact(value)?);
                match timestamp(micros, *nanoseconds) {
                    Some(moment) => values.push(moment),
                    None => {
                        tally.unrepresentable(|| too_far(micros, *nanoseconds))?;
                        values.push_null();
                    }
                }
            }
            Self::Float64(values) => values.push(f64::from_be_bytes(exact(value)?)),
            Self::Float32(values) => values.push(f32::from_be_bytes(exact(value)?)),
            Self::Int16(values) => values.push(i16::from_be_bytes(exact(value)?)),
            Self::UInt32(values) => values.push(u32::from_be_bytes(exact(value)?)),
            Self::Bool(values) => values.push(exact(value)? != [0]),
            Self::Uuid(values) => values.push(exact(value)?),
            Self::Time(values) => match i64::from_be_bytes(exact(value)?) {
                micros @ 0..DAY_MICROS => values.push(micros),
                _ => {
                    tally.unrepresentable(|| "24:00:00".to_owned())?;
                    values.push_null();
                }
            },
            Self::Jsonb(values) => match value.split_first() {
                Some((1, text)) => values.push(text)?,
                _ => return Err(Fault::Malformed),
            },
            Self::Formatted { values, form } => {
                text::append(&mut values.data, value, *form)?;
                values.close()?;
            }
            Self::Decimal256 { values, precision, scale } => {
                return numeric::push_decimal256(values, value, *precision, *scale, tally);
            }
            Self::Money { values, .. } => values.push(i64::from_be_bytes(exact(value)?).into()),
            Self::CheckedInt { values, numeric, width } => {
                return numeric::push_integer(values, value, *numeric, *width, tally);
            }
            Self::Duration(values) => match text::duration(value)? {
                Some(micros) => values.push(micros),
                None => {
                    tally.unrepresentable(|| "an interval with months or years".to_owned())?;
                    values.push_null();
                }
            },
            Self::List(list) => return list.push(value, tally),
            Self::Struct(members) => return members.push(value, tally),
            Self::Range(range) => return range.push(value, tally),
            Self::Map(map) => return map.push(value),
        }
        Ok(())
    }
}

impl ColumnBuilder for Column {
    // Bits become digits, and a NULL element of four bytes a decimal of 32.
    const GROWTH: usize = 8;

    #[inline]
    fn push_null(&mut self) {
        match self {
            Self::Text(values) | Self::Binary(values) | Self::Jsonb(values) => values.push_null(),
            Self::Formatted { values, .. } => values.push_null(),
            Self::Int16(values) => values.push_null(),
            Self::Int32(values) | Self::Date(values) => values.push_null(),
            Self::Int64(values) | Self::Time(values) | Self::Duration(values) => values.push_null(),
            Self::CheckedInt { values, .. } | Self::Timestamp { values, .. } => values.push_null(),
            Self::UInt32(values) => values.push_null(),
            Self::Float32(values) => values.push_null(),
            Self::Float64(values) => values.push_null(),
            Self::Decimal128 { values, .. } | Self::Money { values, .. } => values.push_null(),
            Self::Decimal256 { values, .. } => values.push_null(),
            Self::Bool(values) => values.push_null(),
            Self::Uuid(values) => values.push_null(),
            Self::List(list) => list.push_null(),
            Self::Struct(members) => members.push_null(),
            Self::Range(range) => range.push_null(),
            Self::Map(map) => map.push_null(),
        }
    }

    fn variable_bytes(&self) -> usize {
        match self {
            Self::Text(values) | Self::Binary(values) | Self::Jsonb(values) => values.data.len(),
            Self::Formatted { values, .. } => values.data.len(),
            Self::List(list) => list.variable_bytes(),
            Self::Struct(members) => members.variable_bytes(),
            Self::Range(range) => range.variable_bytes(),
            Self::Map(map) => map.variable_bytes(),
            _ => 0,
        }
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(match self {
            Self::Bool(values) => values.array(),
            Self::Int16(values) => primitive::<Int16Type>(values, &DataType::Int16),
            Self::Int32(values) => primitive::<Int32Type>(values, &DataType::Int32),
            Self::Int64(values) => primitive::<Int64Type>(values, &DataType::Int64),
            Self::CheckedInt { values, width, .. } => narrow(values, *width)?,
            Self::UInt32(values) => primitive::<UInt32Type>(values, &DataType::UInt32),
            Self::Float32(values) => primitive::<Float32Type>(values, &DataType::Float32),
            Self::Float64(values) => primitive::<Float64Type>(values, &DataType::Float64),
            Self::Decimal128 { values, precision, scale } => {
                primitive::<Decimal128Type>(values, &DataType::Decimal128(*precision, *scale))
            }
            Self::Decimal256 { values, precision, scale } => {
                primitive::<Decimal256Type>(values, &DataType::Decimal256(*precision, *scale))
            }
            Self::Money { values, scale } => primitive::<Decimal128Type>(values, &DataType::Decimal128(19, *scale)),
            Self::Date(values) => primitive::<Date32Type>(values, &DataType::Date32),
            Self::Time(values) => primitive::<Time64MicrosecondType>(values, &Kind::Time.data_type()),
            Self::Timestamp { values, utc, nanoseconds } => {
                let data_type = Kind::Timestamp { utc: *utc, nanoseconds: *nanoseconds }.data_type();
                match nanoseconds {
                    true => primitive::<TimestampNanosecondType>(values, &data_type),
                    false => primitive::<TimestampMicrosecondType>(values, &data_type),
                }
            }
            Self::Duration(values) => primitive::<DurationMicrosecondType>(values, &Kind::Duration.data_type()),
            Self::Uuid(values) => values.array()?,
            Self::Binary(values) => values.binary()?,
            Self::Text(values) | Self::Jsonb(values) | Self::Formatted { values, .. } => values.text()?,
            Self::List(list) => list.finish()?,
            Self::Struct(members) => members.finish()?,
            Self::Range(range) => range.finish()?,
            Self::Map(map) => map.finish()?,
        })
    }
}

#[inline(always)]
fn exact<const N: usize>(value: &[u8]) -> Result<[u8; N], Fault> {
    value.try_into().map_err(|_| Fault::Malformed)
}

#[inline(always)]
fn timestamp(micros: i64, nanoseconds: bool) -> Option<i64> {
    if micros == i64::MAX || micros == i64::MIN {
        return None;
    }
    let micros = micros.checked_add(EPOCH_MICROS)?;
    if nanoseconds { micros.checked_mul(1000) } else { Some(micros) }
}

fn too_far(micros: i64, nanoseconds: bool) -> String {
    match micros {
        i64::MIN => infinity(true),
        i64::MAX => infinity(false),
        _ if nanoseconds => "a timestamp outside the years 1677 to 2262".to_owned(),
        _ => "a timestamp after 294247-01-10".to_owned(),
    }
}

fn infinity(negative: bool) -> String {
    if negative { "-infinity" } else { "infinity" }.to_owned()
}

#[cfg(test)]
mod tests;
