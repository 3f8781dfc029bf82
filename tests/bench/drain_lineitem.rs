//! The batches that every `drain_*` example fills: Arrow builders for TPC-H's lineitem, as the drivers map it.
//!
//! Whoever includes this file has `arrow_array` at its root.

use std::sync::Arc;

use crate::arrow_array::builder::{Date32Builder, Decimal128Builder, Int32Builder, Int64Builder, StringBuilder};
use crate::arrow_array::{ArrayRef, RecordBatch};

const BATCH_ROWS: usize = 16_384;

/// One batch as it grows, and the rows of all before it.
#[derive(Default)]
pub struct Batches {
    /// Column 0.
    pub order: Int64Builder,
    /// Columns 1 to 3.
    pub integers: [Int32Builder; 3],
    /// Columns 4 to 7, in hundredths.
    pub decimals: [Decimal128Builder; 4],
    /// Columns 8 and 9.
    pub flags: [StringBuilder; 2],
    /// Columns 10 to 12, in days since 1970.
    pub dates: [Date32Builder; 3],
    /// Columns 13 to 15.
    pub texts: [StringBuilder; 3],
    pending: usize,
    rows: usize,
}

impl Batches {
    /// Every column has one more value.
    pub fn end_row(&mut self) {
        self.pending += 1;
        if self.pending == BATCH_ROWS {
            self.finish_batch();
        }
    }

    /// How many rows there were.
    pub fn finish(mut self) -> usize {
        self.finish_batch();
        self.rows
    }

    fn finish_batch(&mut self) {
        self.pending = 0;
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(self.order.finish())];
        arrays.extend(self.integers.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
        arrays.extend(self.decimals.iter_mut().map(|builder| {
            let array = builder.finish().with_precision_and_scale(15, 2).unwrap();
            Arc::new(array) as ArrayRef
        }));
        arrays.extend(self.flags.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
        arrays.extend(self.dates.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
        arrays.extend(self.texts.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
        let columns = arrays.into_iter().enumerate().map(|(index, array)| (index.to_string(), array));
        self.rows += RecordBatch::try_from_iter(columns).unwrap().num_rows();
    }
}
