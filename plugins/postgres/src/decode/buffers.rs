//! The growing buffers behind every column.

use rivet_sdk::arrow_array::builder::NullBufferBuilder;
use rivet_sdk::arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use super::Fault;

/// Values of one width.
pub(crate) struct Fixed<T> {
    values: Vec<T>,
    nulls: NullBufferBuilder,
}

impl<T: Copy + Default> Fixed<T> {
    pub fn new(capacity: usize) -> Self {
        Self { values: Vec::with_capacity(capacity), nulls: NullBufferBuilder::new(capacity) }
    }

    #[inline(always)]
    pub fn push(&mut self, value: T) {
        self.values.push(value);
        self.nulls.append_non_null();
    }

    #[inline]
    pub fn push_null(&mut self) {
        self.values.push(T::default());
        self.nulls.append_null();
    }

    pub fn take(&mut self) -> (Vec<T>, Option<NullBuffer>) {
        let next = Vec::with_capacity(self.values.len());
        (std::mem::replace(&mut self.values, next), self.nulls.finish())
    }
}

/// No more room than that is made in advance: a large value comes alone.
const MOST_BYTES: usize = 8 << 20;

/// Values of any length.
pub(crate) struct Variable {
    offsets: Vec<i32>,
    pub data: Vec<u8>,
    nulls: NullBufferBuilder,
}

impl Variable {
    pub fn new(capacity: usize) -> Self {
        let mut offsets = Vec::with_capacity(capacity + 1);
        offsets.push(0);
        Self { offsets, data: Vec::with_capacity(capacity * 16), nulls: NullBufferBuilder::new(capacity) }
    }

    #[inline(always)]
    pub fn push(&mut self, value: &[u8]) -> Result<(), Fault> {
        self.data.extend_from_slice(value);
        self.close()
    }

    /// Ends the value whose bytes were put into `data`.
    #[inline(always)]
    pub fn close(&mut self) -> Result<(), Fault> {
        let Ok(end) = i32::try_from(self.data.len()) else { return Err(Fault::Full) };
        self.offsets.push(end);
        self.nulls.append_non_null();
        Ok(())
    }

    #[inline]
    pub fn push_null(&mut self) {
        let end = self.offsets.last().copied().unwrap_or(0);
        self.offsets.push(end);
        self.nulls.append_null();
    }

    pub fn take(&mut self) -> (OffsetBuffer<i32>, Buffer, Option<NullBuffer>) {
        let mut offsets = Vec::with_capacity(self.offsets.len());
        offsets.push(0);
        let data = Vec::with_capacity(self.data.len().saturating_add(self.data.len() / 16).min(MOST_BYTES));
        let offsets = std::mem::replace(&mut self.offsets, offsets);
        let data = std::mem::replace(&mut self.data, data);
        (OffsetBuffer::new(ScalarBuffer::from(offsets)), Buffer::from_vec(data), self.nulls.finish())
    }
}
