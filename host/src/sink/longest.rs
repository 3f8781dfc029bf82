//! How long a column's values are.

use arrow_array::cast::AsArray;
use arrow_array::types::{BinaryType, ByteArrayType, LargeBinaryType, LargeUtf8Type, Utf8Type};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::ArrowNativeType;
use arrow_schema::DataType;

/// Bytes of the longest value of a text or binary column; None where all are NULL, and for other types.
pub(super) fn longest_bytes(column: &ArrayRef) -> Option<u64> {
    let longest = match column.data_type() {
        DataType::Utf8 => by_offsets::<Utf8Type>(column),
        DataType::LargeUtf8 => by_offsets::<LargeUtf8Type>(column),
        DataType::Binary => by_offsets::<BinaryType>(column),
        DataType::LargeBinary => by_offsets::<LargeBinaryType>(column),
        DataType::Utf8View => column.as_string_view().iter().flatten().map(str::len).max(),
        DataType::BinaryView => column.as_binary_view().iter().flatten().map(<[u8]>::len).max(),
        _ => None,
    };
    longest.map(|bytes| u64::try_from(bytes).unwrap_or(u64::MAX))
}

/// The values themselves are not touched.
fn by_offsets<T: ByteArrayType>(column: &ArrayRef) -> Option<usize> {
    let column = column.as_bytes::<T>();
    let lengths = column.value_offsets().windows(2).map(|pair| pair[1].as_usize() - pair[0].as_usize());
    match column.nulls() {
        None => lengths.max(),
        Some(nulls) => lengths.zip(nulls).filter(|(_, valid)| *valid).map(|(length, _)| length).max(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{BinaryArray, Int64Array, LargeStringArray, StringArray, StringViewArray};

    use super::*;

    #[test]
    fn the_longest_value_is_found_whatever_holds_it() {
        let columns: [(ArrayRef, Option<u64>); 7] = [
            (Arc::new(StringArray::from(vec![Some("a"), None, Some("été")])), Some(5)),
            (Arc::new(StringArray::from(vec!["long", "a", "bc"]).slice(1, 2)), Some(2)),
            (Arc::new(StringArray::from(vec![None::<&str>, None])), None),
            (Arc::new(LargeStringArray::from(vec!["", ""])), Some(0)),
            (Arc::new(BinaryArray::from(vec![b"abc".as_slice()])), Some(3)),
            (Arc::new(StringViewArray::from(vec!["a", "more than twelve bytes"])), Some(22)),
            (Arc::new(Int64Array::from(vec![1])), None),
        ];
        for (column, expected) in columns {
            assert_eq!(longest_bytes(&column), expected, "{column:?}");
        }
    }
}
