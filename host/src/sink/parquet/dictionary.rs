//! How a column is encoded, decided from its data.
//!
//! A dictionary pays only where few distinct values stand for many. Two samples from the start
//! of the row group, some way apart, tell how many distinct values the row group will hold: if
//! values are drawn from a fixed set, the overlap of the samples gives the size of the set
//! (capture and recapture); if new values keep coming, the samples share nothing and their
//! growth is extrapolated. The decision depends on the rows alone.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, downcast_primitive_array};
use arrow_buffer::ToByteSlice;
use arrow_schema::DataType;
use parquet::basic::Encoding;
use rivet_sdk::{Error, Result};
use xxhash_rust::xxh3::xxh3_64;

/// A dictionary that outgrows this is given up.
pub(super) const DICTIONARY_BYTES: usize = 1 << 20;
/// Rows of a row group at most, however few bytes they take: readers parallelise over them.
pub(super) const MAX_GROUP_ROWS: usize = 1 << 20;

/// How a leaf column is encoded in one row group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// Whether to begin with a dictionary.
    pub(super) dictionary: bool,
    /// The encoding without one; None is PLAIN.
    pub(super) encoding: Option<Encoding>,
}

/// What is known of the row group beyond the samples: its first block, and its target.
pub(super) struct Sample {
    pub(super) rows: usize,
    pub(super) bytes: usize,
    pub(super) group_bytes: u64,
}

/// Values of one leaf in a sample, by hash.
struct Values {
    hashes: Vec<u64>,
    bytes: usize,
    count: usize,
}

/// The choice for each leaf of a column, in order.
pub(super) fn choose(sample: &Sample, first: &ArrayRef, second: &ArrayRef, leaves: usize) -> Result<Vec<Choice>> {
    let (mut firsts, mut seconds) = (Vec::new(), Vec::new());
    flatten(first, &mut firsts);
    flatten(second, &mut seconds);
    if firsts.len() != leaves || seconds.len() != leaves {
        return Err(Error::internal(format!("a column has {leaves} Parquet leaves, {} in Arrow", firsts.len())));
    }
    let rows = first.len() + second.len();
    Ok(firsts.iter().zip(&seconds).map(|(first, second)| choice(sample, rows, first, second)).collect())
}

fn choice(sample: &Sample, rows: usize, first: &ArrayRef, second: &ArrayRef) -> Choice {
    if matches!(first.data_type(), DataType::Boolean | DataType::Null) {
        return Choice::default();
    }
    let (first, second) = (values(first), values(second));
    let count = (first.count + second.count) as f64;
    if count == 0.0 || rows == 0 {
        return Choice::default();
    }
    let width = (first.bytes + second.bytes) as f64 / count;
    let expected = expected_rows(sample) * count / rows as f64;
    let distinct = expected_distinct(&first, &second, expected);
    let dictionary_bytes = distinct * width;
    let index_bytes = expected * distinct.log2().ceil().max(1.0) / 8.0;
    let pays =
        dictionary_bytes <= DICTIONARY_BYTES as f64 * 0.9 && dictionary_bytes + index_bytes < 0.75 * expected * width;
    Choice { dictionary: pays, encoding: None }
}

/// Rows the row group will have, about: bytes shrink to a third or so.
fn expected_rows(sample: &Sample) -> f64 {
    let row_bytes = (sample.bytes as f64 / sample.rows.max(1) as f64).max(1.0);
    (3.0 * sample.group_bytes as f64 / row_bytes).min(MAX_GROUP_ROWS as f64)
}

fn expected_distinct(first: &Values, second: &Values, expected: f64) -> f64 {
    let shared = overlap(&first.hashes, &second.hashes);
    let (in_first, in_second) = (first.hashes.len(), second.hashes.len());
    let seen = (in_first + in_second - shared) as f64;
    let growing = expected * seen / (first.count + second.count) as f64;
    let recaptured = if shared == 0 { f64::INFINITY } else { in_first as f64 * in_second as f64 / shared as f64 };
    recaptured.min(growing).max(seen)
}

/// How many hashes two sorted lists share.
fn overlap(first: &[u64], second: &[u64]) -> usize {
    let (mut shared, mut rest) = (0, second.iter().peekable());
    for hash in first {
        while rest.next_if(|other| *other < hash).is_some() {}
        shared += usize::from(rest.peek() == Some(&hash));
    }
    shared
}

/// The leaves of a column in Parquet's order.
fn flatten(array: &ArrayRef, leaves: &mut Vec<ArrayRef>) {
    match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            flatten(&range(list.values(), list.value_offsets()), leaves);
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            flatten(&range(list.values(), list.value_offsets()), leaves);
        }
        DataType::FixedSizeList(_, size) => {
            let size = usize::try_from(*size).unwrap_or(0);
            let list = array.as_fixed_size_list();
            flatten(&list.values().slice(0, (list.len() * size).min(list.values().len())), leaves);
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            flatten(&range(map.keys(), map.value_offsets()), leaves);
            flatten(&range(map.values(), map.value_offsets()), leaves);
        }
        DataType::Struct(_) => {
            for child in array.as_struct().columns() {
                flatten(child, leaves);
            }
        }
        _ => leaves.push(array.clone()),
    }
}

fn range<O: Copy + TryInto<usize>>(values: &ArrayRef, offsets: &[O]) -> ArrayRef {
    let at = |offset: Option<&O>| offset.and_then(|offset| (*offset).try_into().ok()).unwrap_or(0);
    let (start, end) = (at(offsets.first()), at(offsets.last()));
    values.slice(start, end.saturating_sub(start))
}

/// Distinct hashes in order, and Parquet's plain bytes.
fn values(array: &ArrayRef) -> Values {
    let nulls = array.logical_nulls();
    let valid = |index: &usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*index));
    let rows = (0..array.len()).filter(valid);
    let mut hashes = Vec::with_capacity(array.len());
    let mut bytes = 0;
    let mut add = |value: &[u8], overhead: usize| {
        hashes.push(xxh3_64(value));
        bytes += value.len() + overhead;
    };
    match array.data_type() {
        DataType::Utf8 => rows.for_each(|row| add(array.as_string::<i32>().value(row).as_bytes(), 4)),
        DataType::LargeUtf8 => rows.for_each(|row| add(array.as_string::<i64>().value(row).as_bytes(), 4)),
        DataType::Utf8View => rows.for_each(|row| add(array.as_string_view().value(row).as_bytes(), 4)),
        DataType::Binary => rows.for_each(|row| add(array.as_binary::<i32>().value(row), 4)),
        DataType::LargeBinary => rows.for_each(|row| add(array.as_binary::<i64>().value(row), 4)),
        DataType::BinaryView => rows.for_each(|row| add(array.as_binary_view().value(row), 4)),
        DataType::FixedSizeBinary(_) => rows.for_each(|row| add(array.as_fixed_size_binary().value(row), 0)),
        _ => downcast_primitive_array!(
            array => rows.for_each(|row| add(array.value(row).to_byte_slice(), 0)),
            _ => {}
        ),
    }
    let count = hashes.len();
    hashes.sort_unstable();
    hashes.dedup();
    Values { hashes, bytes, count }
}
