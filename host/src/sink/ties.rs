//! Leaves out rows at the watermark that were delivered before, and remembers those at the run's end.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{DataType, TimeUnit};
use arrow_select::take::take_record_batch;
use rivet_sdk::{Error, Result};
use xxhash_rust::xxh3::xxh3_128;

use super::row_hash::{Column, column};
use crate::plan::ties::{Boundary, ChunkTies, MOST, Remembered, TiesEnd, numbers as cursor_numbers};
use crate::plan::{Chunk, Plan};

/// What an attempt at one chunk does about ties.
pub struct TieFilter {
    leave: Option<Leave>,
    gather: Option<Gather>,
}

/// The rows to be left out.
struct Leave {
    /// The columns of the hashes.
    columns: Vec<usize>,
    /// The cursor's leading columns and their values; None: all rows of the chunk are at the watermark.
    at: Option<(Cursor, Vec<i128>)>,
    /// How often each is still to be left out.
    remaining: HashMap<u128, u64>,
    /// How many in all.
    to_find: u64,
    left_out: u64,
}

/// The rows to be remembered.
struct Gather {
    columns: Vec<usize>,
    /// The cursor's leading columns; None: all rows of the chunk are at the end.
    cursor: Option<Cursor>,
    greatest: Option<Vec<i128>>,
    rows: HashMap<u128, u64>,
    too_many: bool,
}

/// The leading columns of a cursor.
struct Cursor {
    columns: Vec<usize>,
    coalesced: bool,
}

impl TieFilter {
    /// What the plan asks for in this chunk; None where that is nothing.
    pub fn new(plan: &Plan, chunk: &Chunk) -> Result<Option<Self>> {
        let Some((incremental, ties)) = plan.incremental.as_ref().and_then(|found| Some((found, found.ties.as_ref()?)))
        else {
            return Ok(None);
        };
        if chunk.beside && chunk.boundary.is_none() {
            return Ok(None);
        }
        let index = |name: &String| {
            let found = plan.columns.iter().position(|column| column.mapping.name == *name);
            found.ok_or_else(|| Error::internal(format!("the plan has no column `{name}`")))
        };
        let cursor = |columns: usize| -> Result<Cursor> {
            let leading = if incremental.coalesced { incremental.cursor.len() } else { columns };
            let columns = incremental.cursor.iter().take(leading).map(index).collect::<Result<_>>()?;
            Ok(Cursor { columns, coalesced: incremental.coalesced })
        };
        let apart = |chunk: &Chunk| matches!(chunk.boundary, Some(Boundary::From | Boundary::Both));
        let leaves = apart(chunk) || (chunk.boundary.is_none() && !plan.chunks.iter().any(apart));
        let leave = match &ties.before {
            Some(before) if leaves && !before.rows.is_empty() => {
                let at = match (&before.at, chunk.boundary) {
                    (_, Some(_)) => None,
                    (Some(at), None) => {
                        let values = cursor_numbers(at)?;
                        Some((cursor(values.len())?, values))
                    }
                    (None, None) => return Err(Error::internal("the rows at the watermark are not told apart")),
                };
                let columns = before.columns.iter().map(|column| index(&column.name)).collect::<Result<_>>()?;
                let to_find = before.rows.values().sum();
                Some(Leave { columns, at, remaining: hashes(before)?, to_find, left_out: 0 })
            }
            _ => None,
        };
        let gathered = match (ties.end, chunk.boundary) {
            (TiesEnd::Chunk, Some(Boundary::To | Boundary::Both)) => Some(None),
            (TiesEnd::Greatest { columns }, None) => {
                Some(Some(cursor(usize::try_from(columns).unwrap_or(usize::MAX))?))
            }
            (TiesEnd::Greatest { .. }, Some(Boundary::Both)) => Some(None),
            _ => None,
        };
        let gather = gathered.map(|cursor| Gather {
            columns: (0..plan.columns.len()).collect(),
            cursor,
            greatest: None,
            rows: HashMap::new(),
            too_many: false,
        });
        Ok((leave.is_some() || gather.is_some()).then_some(Self { leave, gather }))
    }

    /// The rows of a batch that are to be written; None: all of them.
    pub fn pass(&mut self, batch: &RecordBatch) -> Result<Option<RecordBatch>> {
        if let Some(gather) = &mut self.gather {
            gather.see(batch)?;
        }
        match &mut self.leave {
            Some(leave) => leave.pass(batch),
            None => Ok(None),
        }
    }

    /// Rows that were left out.
    pub fn left_out(&self) -> u64 {
        self.leave.as_ref().map_or(0, |leave| leave.left_out)
    }

    /// What the chunk's report says of the rows at the run's end.
    pub fn end(self) -> Option<ChunkTies> {
        let gather = self.gather?;
        let text = |numbers: Vec<i128>| numbers.iter().map(i128::to_string).collect();
        let rows: BTreeMap<String, u64> =
            gather.rows.into_iter().map(|(hash, count)| (format!("{hash:032x}"), count)).collect();
        Some(ChunkTies { at: gather.greatest.map(text), rows, too_many: gather.too_many })
    }
}

fn hashes(remembered: &Remembered) -> Result<HashMap<u128, u64>> {
    let hash = |text: &str| {
        u128::from_str_radix(text, 16).map_err(|_| Error::integrity(format!("`{text}` is no hash of a row")))
    };
    remembered.rows.iter().map(|(text, count)| Ok((hash(text)?, *count))).collect()
}

impl Leave {
    fn pass(&mut self, batch: &RecordBatch) -> Result<Option<RecordBatch>> {
        if self.left_out == self.to_find {
            return Ok(None);
        }
        let keys = self.at.as_ref().map(|(cursor, at)| Ok::<_, Error>((cursor.keys(batch)?, at))).transpose()?;
        let at_watermark = |row: usize| keys.as_ref().is_none_or(|(keys, at)| keys.compare(row, at).is_eq());
        let hasher = Hasher::new(batch, &self.columns)?;
        let mut bytes = Vec::new();
        let mut kept: Vec<u32> = Vec::new();
        let rows = u32::try_from(batch.num_rows()).map_err(|_| Error::internal("a batch of 2^32 rows"))?;
        let mut left_out = 0;
        for row in 0..rows {
            let at = row as usize;
            if at_watermark(at)
                && let Some(left) = self.remaining.get_mut(&hasher.hash(at, &mut bytes))
                && *left > 0
            {
                *left -= 1;
                left_out += 1;
            } else {
                kept.push(row);
            }
        }
        if left_out == 0 {
            return Ok(None);
        }
        self.left_out += left_out;
        let kept = take_record_batch(batch, &UInt32Array::from(kept));
        kept.map(Some).map_err(|error| Error::internal(format!("the rows of a batch: {error}")))
    }
}

impl Gather {
    fn see(&mut self, batch: &RecordBatch) -> Result<()> {
        let keys = self.cursor.as_ref().map(|cursor| cursor.keys(batch)).transpose()?;
        // The greatest of the batch first: where cursors grow from row to row, few rows are hashed.
        if let Some(greatest) = keys.as_ref().and_then(|keys| keys.greatest(batch.num_rows())) {
            match self.greatest.as_ref().map(|known| greatest.cmp(known)) {
                Some(Ordering::Less) => return Ok(()),
                Some(Ordering::Equal) => {}
                Some(Ordering::Greater) | None => {
                    self.rows.clear();
                    self.too_many = false;
                    self.greatest = Some(greatest);
                }
            }
        }
        if self.too_many {
            return Ok(());
        }
        let is_at_end = |row: usize| match (&keys, &self.greatest) {
            (Some(keys), Some(greatest)) => keys.compare(row, greatest).is_eq(),
            _ => true,
        };
        let hasher = Hasher::new(batch, &self.columns)?;
        let mut bytes = Vec::new();
        for row in (0..batch.num_rows()).filter(|row| is_at_end(*row)) {
            *self.rows.entry(hasher.hash(row, &mut bytes)).or_default() += 1;
            if u64::try_from(self.rows.len()).unwrap_or(u64::MAX) > MOST {
                self.too_many = true;
                self.rows.clear();
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Hashes rows over some of their columns.
struct Hasher<'a>(Vec<Column<'a>>);

impl<'a> Hasher<'a> {
    fn new(batch: &'a RecordBatch, columns: &[usize]) -> Result<Self> {
        Ok(Self(columns.iter().map(|index| column(array(batch, *index)?)).collect::<Result<_>>()?))
    }

    fn hash(&self, row: usize, bytes: &mut Vec<u8>) -> u128 {
        bytes.clear();
        for column in &self.0 {
            column.append(row, bytes);
        }
        xxh3_128(bytes)
    }
}

fn array(batch: &RecordBatch, index: usize) -> Result<&ArrayRef> {
    batch.columns().get(index).ok_or_else(|| Error::internal("a batch without its columns"))
}

/// The cursor's values of a batch, as numbers in the database's order.
struct Keys(Vec<Vec<i128>>);

impl Keys {
    fn at(&self, row: usize) -> Vec<i128> {
        self.0.iter().filter_map(|column| column.get(row).copied()).collect()
    }

    /// The greatest values of the first `rows` rows; None of no row.
    fn greatest(&self, rows: usize) -> Option<Vec<i128>> {
        let of = |row: usize| self.0.iter().filter_map(move |column| column.get(row));
        (0..rows).max_by(|one, other| of(*one).cmp(of(*other))).map(|row| self.at(row))
    }

    fn compare(&self, row: usize, with: &[i128]) -> Ordering {
        self.0.iter().filter_map(|column| column.get(row)).cmp(with)
    }
}

impl Cursor {
    fn keys(&self, batch: &RecordBatch) -> Result<Keys> {
        let arrays = self.columns.iter().map(|index| array(batch, *index)).collect::<Result<Vec<_>>>()?;
        if !self.coalesced {
            let without_null = |array: &&ArrayRef| {
                if array.null_count() > 0 {
                    return Err(Error::internal("a row at or after the watermark has no cursor"));
                }
                numbers(array)
            };
            return Ok(Keys(arrays.iter().map(without_null).collect::<Result<_>>()?));
        }
        let columns = arrays.iter().map(|array| numbers(array)).collect::<Result<Vec<_>>>()?;
        let first = |row: usize| {
            let found = arrays.iter().zip(&columns).find(|(array, _)| array.is_valid(row));
            found
                .and_then(|(_, column)| column.get(row).copied())
                .ok_or_else(|| Error::internal("a row at or after the watermark has no cursor"))
        };
        Ok(Keys(vec![(0..batch.num_rows()).map(first).collect::<Result<_>>()?]))
    }
}

/// A column's values as numbers of the same order; times in nanoseconds.
fn numbers(array: &ArrayRef) -> Result<Vec<i128>> {
    macro_rules! widened {
        ($kind:ty) => {
            array.as_primitive::<$kind>().values().iter().map(|value| i128::from(*value)).collect()
        };
        ($kind:ty, $times:expr) => {
            array.as_primitive::<$kind>().values().iter().map(|value| i128::from(*value) * $times).collect()
        };
    }
    Ok(match array.data_type() {
        DataType::Int8 => widened!(Int8Type),
        DataType::Int16 => widened!(Int16Type),
        DataType::Int32 => widened!(Int32Type),
        DataType::Int64 => widened!(Int64Type),
        DataType::UInt8 => widened!(UInt8Type),
        DataType::UInt16 => widened!(UInt16Type),
        DataType::UInt32 => widened!(UInt32Type),
        DataType::UInt64 => widened!(UInt64Type),
        DataType::Decimal128(..) => widened!(Decimal128Type),
        DataType::Date32 => widened!(Date32Type),
        DataType::Timestamp(TimeUnit::Second, _) => widened!(TimestampSecondType, 1_000_000_000),
        DataType::Timestamp(TimeUnit::Millisecond, _) => widened!(TimestampMillisecondType, 1_000_000),
        DataType::Timestamp(TimeUnit::Microsecond, _) => widened!(TimestampMicrosecondType, 1_000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => widened!(TimestampNanosecondType),
        DataType::Float32 => {
            array.as_primitive::<Float32Type>().values().iter().map(|value| float(f64::from(*value))).collect()
        }
        DataType::Float64 => array.as_primitive::<Float64Type>().values().iter().map(|value| float(*value)).collect(),
        other => return Err(Error::internal(format!("a cursor of type {other} has no order that the host knows"))),
    })
}

/// A number that is greater exactly where the float is; both zeros are one.
fn float(value: f64) -> i128 {
    let bits = i128::from((value + 0.0).to_bits() & !(1 << 63));
    if value < 0.0 { -bits } else { bits }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Date32Array, Int64Array, StringArray};
    use arrow_schema::{Field, Schema};

    use super::*;

    /// What is stored in states and manifests. `python3 -c 'import xxhash; …xxh3_128_hexdigest(b"\x02" +
    /// (7).to_bytes(8, "little") + b"\x07" + (1).to_bytes(8, "little") + b"a" + b"\x00")'` says the same.
    #[test]
    fn the_hash_of_a_row_stays_what_it_is() {
        let fields = ["id", "v", "at"].map(|name| {
            let kind = match name {
                "id" => DataType::Int64,
                "v" => DataType::Utf8,
                _ => DataType::Date32,
            };
            Field::new(name, kind, true)
        });
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![7, -1])),
            Arc::new(StringArray::from(vec!["a", ""])),
            Arc::new(Date32Array::from(vec![None, Some(20_000)])),
        ];
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields.to_vec())), columns).unwrap();
        let hasher = Hasher::new(&batch, &[0, 1, 2]).unwrap();
        let hash = |row| format!("{:032x}", hasher.hash(row, &mut Vec::new()));
        assert_eq!([hash(0), hash(1)], ["efb4379e6c6702c9856001e3b68cfd69", "69397cb761cb653de503aec329633493"]);
    }

    #[test]
    fn floats_are_ordered_as_numbers_and_zeros_are_one() {
        let ordered = [f64::NEG_INFINITY, -2.5, -f64::MIN_POSITIVE, 0.0, f64::MIN_POSITIVE, 1.0, f64::INFINITY];
        assert!(ordered.windows(2).all(|pair| float(pair[0]) < float(pair[1])));
        assert_eq!(float(0.0), float(-0.0));
    }
}
