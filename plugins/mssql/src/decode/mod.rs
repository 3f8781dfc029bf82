//! Values of a row, straight into Arrow buffers: one builder a column, chosen once, no allocation
//! and no dynamic call per value.

mod characters;
mod number;
#[cfg(test)]
mod tests;

use rivet_sdk::Result;
use rivet_sdk::arrow_array::ArrayRef;
use rivet_sdk::arrow_array::types::{
    Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType, TimestampNanosecondType,
};
use rivet_sdk::arrow_buffer::i256;
use rivet_sdk::arrow_schema::DataType;
use rivet_sdk::buffers::{Booleans, Fixed, Uuids, Variable, primitive};
use rivet_sdk::sql::columns::Target;
use rivet_sdk::sql::number::{fits, fits256};
use rivet_sdk::sql::rows::{ColumnBuilder, Fault, Tally};

use crate::kind::{CodePage, Kind};
use crate::meta::{Format, variant};
use crate::value::{self, Malformed, exact};
use characters::Carry;
pub(crate) use characters::utf16;
use number::{rescale, rescale256, too_wide, unscaled};

impl From<Malformed> for Fault {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

/// The builder of one column.
pub(crate) struct Column {
    format: Format,
    build: Build,
    /// What a value in pieces leaves over from one to the next.
    carry: Carry,
}

enum Build {
    Bool(Booleans),
    Int16(Fixed<i16>),
    Int32(Fixed<i32>),
    Int64(Fixed<i64>),
    Float32(Fixed<f32>),
    Float64(Fixed<f64>),
    Decimal128 { values: Fixed<i128>, precision: u8, scale: i8 },
    Decimal256 { values: Fixed<i256>, precision: u8, scale: i8 },
    Date(Fixed<i32>),
    Time { values: Fixed<i64>, nanoseconds: bool },
    Timestamp { values: Fixed<i64>, kind: Kind, nanoseconds: bool },
    Uuid(Uuids),
    Binary(Variable),
    Text { values: Variable, page: CodePage },
}

impl Column {
    /// A builder for values of `format` that become `kind`, with room for `capacity` rows. None where
    /// the one cannot become the other.
    pub fn new(kind: &Kind, format: Format, capacity: usize) -> Option<Self> {
        use Format as F;
        let build = match (kind, format) {
            (Kind::Bool, F::Bit) => Build::Bool(Booleans::new(capacity)),
            (Kind::Int16, F::TinyInt | F::Int16) => Build::Int16(Fixed::new(capacity)),
            (Kind::Int32, F::Int32) => Build::Int32(Fixed::new(capacity)),
            (Kind::Int64, F::Int64) => Build::Int64(Fixed::new(capacity)),
            (Kind::Float32, F::Real) => Build::Float32(Fixed::new(capacity)),
            (Kind::Float64, F::Float) => Build::Float64(Fixed::new(capacity)),
            (Kind::Decimal128(precision, scale), F::Decimal { .. } | F::Money | F::SmallMoney) => {
                Build::Decimal128 { values: Fixed::new(capacity), precision: *precision, scale: *scale }
            }
            (Kind::Decimal256(precision, scale), F::Decimal { .. } | F::Money | F::SmallMoney) => {
                Build::Decimal256 { values: Fixed::new(capacity), precision: *precision, scale: *scale }
            }
            (Kind::Date, F::Date) => Build::Date(Fixed::new(capacity)),
            (Kind::Time { nanoseconds }, F::Time(_)) => {
                Build::Time { values: Fixed::new(capacity), nanoseconds: *nanoseconds }
            }
            (
                Kind::Timestamp { nanoseconds, .. },
                F::DateTime | F::SmallDateTime | F::DateTime2(_) | F::DateTimeOffset(_),
            ) => Build::Timestamp { values: Fixed::new(capacity), kind: kind.clone(), nanoseconds: *nanoseconds },
            (Kind::Uuid, F::Guid) => Build::Uuid(Uuids::new(capacity)),
            (Kind::Binary | Kind::Wkb, F::Bytes) => Build::Binary(Variable::new(capacity)),
            (Kind::Text(_) | Kind::Json(_), F::Nothing | F::Clr) => return None,
            (Kind::Text(page) | Kind::Json(page), _) => {
                // What the server says of the bytes, where that is a page we know.
                let page = match format {
                    F::Narrow(CodePage::Unknown) => *page,
                    F::Narrow(found) => found,
                    _ => *page,
                };
                Build::Text { values: Variable::new(capacity), page }
            }
            _ => return None,
        };
        Some(Self { format, build, carry: Carry::default() })
    }

    /// Appends a value.
    #[inline]
    pub fn push(&mut self, value: &[u8], tally: &mut Tally) -> Result<(), Fault> {
        match &mut self.build {
            Build::Int32(values) => values.push(i32::from_le_bytes(exact(value)?)),
            Build::Int64(values) => values.push(i64::from_le_bytes(exact(value)?)),
            Build::Text { values, page } => {
                let start = values.data.len();
                let (format, bytes, page) = match self.format {
                    Format::Variant => match variant(value).ok_or(Fault::Malformed)? {
                        (Format::Narrow(page), bytes) => (Format::Narrow(page), bytes, page),
                        (format, bytes) => (format, bytes, *page),
                    },
                    format => (format, value, *page),
                };
                let appended = match format {
                    Format::Utf16 => utf16(&mut values.data, bytes),
                    Format::Narrow(_) => page.append(&mut values.data, bytes),
                    format => Ok(value::text(&mut values.data, format, bytes)?),
                };
                if let Err(what) = appended {
                    values.data.truncate(start);
                    tally.unrepresentable(|| what.to_owned())?;
                    values.push_null();
                    return Ok(());
                }
                values.close()?;
            }
            Build::Binary(values) => values.push(value)?,
            Build::Decimal128 { values, precision, scale } => {
                let (unscaled, from) = unscaled(self.format, value)?;
                match rescale(unscaled, from, *scale).filter(|value| fits(*value, *precision)) {
                    Some(value) => values.push(value),
                    None => return Err(too_wide(unscaled, from, *precision, *scale)),
                }
            }
            Build::Decimal256 { values, precision, scale } => {
                let (unscaled, from) = unscaled(self.format, value)?;
                match rescale256(unscaled, from, *scale).filter(|value| fits256(*value, *precision)) {
                    Some(value) => values.push(value),
                    None => return Err(too_wide(unscaled, from, *precision, *scale)),
                }
            }
            Build::Date(values) => values.push(value::date(value)?),
            Build::Timestamp { values, nanoseconds, .. } => {
                let ticks = value::moment(value, self.format)?;
                if *nanoseconds {
                    match ticks.checked_mul(100) {
                        Some(moment) => values.push(moment),
                        None => {
                            tally.unrepresentable(|| "a moment outside the years 1677 to 2262".to_owned())?;
                            values.push_null();
                        }
                    }
                } else {
                    tally.rounded += u64::from(ticks % 10 != 0);
                    values.push(ticks.div_euclid(10));
                }
            }
            Build::Time { values, nanoseconds } => {
                let scale = if let Format::Time(scale) = self.format { scale } else { 7 };
                let ticks = value::time(value, scale)?;
                if *nanoseconds {
                    values.push(ticks * 100);
                } else {
                    tally.rounded += u64::from(ticks % 10 != 0);
                    values.push(ticks / 10);
                }
            }
            Build::Float64(values) => values.push(f64::from_le_bytes(exact(value)?)),
            Build::Float32(values) => values.push(f32::from_le_bytes(exact(value)?)),
            Build::Int16(values) => values.push(match value {
                [byte] => i16::from(*byte),
                wide => i16::from_le_bytes(exact(wide)?),
            }),
            Build::Bool(values) => values.push(exact::<1>(value)? != [0]),
            Build::Uuid(values) => values.push(value::uuid(value)?),
        }
        Ok(())
    }

    /// Appends what has arrived of a value in pieces; [`Column::end_pieces`] ends it. Gives the bytes
    /// that the value has in Arrow so far.
    pub fn push_piece(&mut self, piece: &[u8]) -> Result<usize, Fault> {
        match &mut self.build {
            Build::Binary(values) => {
                values.data.extend_from_slice(piece);
                Ok(values.open())
            }
            Build::Text { values, page } if matches!(self.format, Format::Utf16 | Format::Narrow(_)) => {
                self.carry.append(&mut values.data, piece, self.format == Format::Utf16, *page);
                Ok(values.open())
            }
            _ => Err(Fault::Malformed),
        }
    }

    /// Ends a value in pieces.
    pub fn end_pieces(&mut self, tally: &mut Tally) -> Result<(), Fault> {
        match &mut self.build {
            Build::Binary(values) => Ok(values.close()?),
            Build::Text { values, .. } => match self.carry.end() {
                Ok(()) => Ok(values.close()?),
                Err(what) => {
                    values.discard();
                    tally.unrepresentable(|| what.to_owned())?;
                    values.push_null();
                    Ok(())
                }
            },
            _ => Err(Fault::Malformed),
        }
    }
}

impl ColumnBuilder for Column {
    // The text of a number or a moment; characters grow to at most three bytes each.
    const GROWTH: usize = 8;

    #[inline]
    fn push_null(&mut self) {
        match &mut self.build {
            Build::Text { values, .. } | Build::Binary(values) => values.push_null(),
            Build::Int16(values) => values.push_null(),
            Build::Int32(values) | Build::Date(values) => values.push_null(),
            Build::Int64(values) => values.push_null(),
            Build::Time { values, .. } | Build::Timestamp { values, .. } => values.push_null(),
            Build::Float32(values) => values.push_null(),
            Build::Float64(values) => values.push_null(),
            Build::Decimal128 { values, .. } => values.push_null(),
            Build::Decimal256 { values, .. } => values.push_null(),
            Build::Bool(values) => values.push_null(),
            Build::Uuid(values) => values.push_null(),
        }
    }

    fn variable_bytes(&self) -> usize {
        match &self.build {
            Build::Text { values, .. } | Build::Binary(values) => values.data.len(),
            _ => 0,
        }
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(match &mut self.build {
            Build::Bool(values) => values.array(),
            Build::Int16(values) => primitive::<Int16Type>(values, &DataType::Int16),
            Build::Int32(values) => primitive::<Int32Type>(values, &DataType::Int32),
            Build::Int64(values) => primitive::<Int64Type>(values, &DataType::Int64),
            Build::Float32(values) => primitive::<Float32Type>(values, &DataType::Float32),
            Build::Float64(values) => primitive::<Float64Type>(values, &DataType::Float64),
            Build::Decimal128 { values, precision, scale } => {
                primitive::<Decimal128Type>(values, &DataType::Decimal128(*precision, *scale))
            }
            Build::Decimal256 { values, precision, scale } => {
                primitive::<Decimal256Type>(values, &DataType::Decimal256(*precision, *scale))
            }
            Build::Date(values) => primitive::<Date32Type>(values, &DataType::Date32),
            Build::Time { values, nanoseconds: false } => {
                primitive::<Time64MicrosecondType>(values, &Kind::Time { nanoseconds: false }.data_type())
            }
            Build::Time { values, nanoseconds: true } => {
                primitive::<Time64NanosecondType>(values, &Kind::Time { nanoseconds: true }.data_type())
            }
            Build::Timestamp { values, kind, nanoseconds: true } => {
                primitive::<TimestampNanosecondType>(values, &kind.data_type())
            }
            Build::Timestamp { values, kind, nanoseconds: false } => {
                primitive::<TimestampMicrosecondType>(values, &kind.data_type())
            }
            Build::Uuid(values) => values.array()?,
            Build::Binary(values) => values.binary()?,
            Build::Text { values, .. } => values.text()?,
        })
    }
}

/// The last value of an array as a text, for the key of a row in an error.
pub(crate) fn last_of(array: &ArrayRef) -> Option<String> {
    use rivet_sdk::arrow_array::cast::AsArray;
    let last = array.len().checked_sub(1).filter(|last| !array.is_null(*last))?;
    Some(match array.data_type() {
        DataType::Int16 => array.as_primitive::<Int16Type>().value(last).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(last).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(last).to_string(),
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(last),
        DataType::Utf8 => array.as_string::<i32>().value(last).chars().take(200).collect(),
        DataType::FixedSizeBinary(16) => {
            let bytes = array.as_fixed_size_binary().value(last);
            let dash = |index: usize| if [4, 6, 8, 10].contains(&index) { "-" } else { "" };
            bytes.iter().enumerate().map(|(index, byte)| format!("{}{byte:02x}", dash(index))).collect()
        }
        _ => return None,
    })
}
