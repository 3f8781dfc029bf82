//! Growing buffers for drivers that decode a column value by value, without an allocation each.

use std::sync::Arc;

use arrow_array::builder::{BooleanBufferBuilder, NullBufferBuilder};
use arrow_array::{
    ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, FixedSizeBinaryArray, PrimitiveArray, StringArray,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;

use crate::{Error, Result};

/// The values of one batch passed 2 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Values of one width.
pub struct Fixed<T> {
    values: Vec<T>,
    nulls: NullBufferBuilder,
}

impl<T: Copy + Default> Fixed<T> {
    /// Room for so many values.
    pub fn new(capacity: usize) -> Self {
        Self { values: Vec::with_capacity(capacity), nulls: NullBufferBuilder::new(capacity) }
    }

    /// Adds a value.
    #[inline(always)]
    pub fn push(&mut self, value: T) {
        self.values.push(value);
        self.nulls.append_non_null();
    }

    /// Adds a NULL.
    #[inline]
    pub fn push_null(&mut self) {
        self.values.push(T::default());
        self.nulls.append_null();
    }

    /// What was added; the buffer begins anew.
    pub fn take(&mut self) -> (Vec<T>, Option<NullBuffer>) {
        let next = Vec::with_capacity(self.values.len());
        (std::mem::replace(&mut self.values, next), self.nulls.finish())
    }
}

/// No more room than that is made in advance: a large value comes alone.
const MOST_BYTES: usize = 8 << 20;

/// Values of any length.
pub struct Variable {
    offsets: Vec<i32>,
    /// The bytes of all values, and of the one that is not ended yet.
    pub data: Vec<u8>,
    nulls: NullBufferBuilder,
}

impl Variable {
    /// Room for so many values of a usual length.
    pub fn new(capacity: usize) -> Self {
        let mut offsets = Vec::with_capacity(capacity + 1);
        offsets.push(0);
        Self { offsets, data: Vec::with_capacity(capacity * 16), nulls: NullBufferBuilder::new(capacity) }
    }

    /// Adds a value.
    #[inline(always)]
    pub fn push(&mut self, value: &[u8]) -> Result<(), Full> {
        self.data.extend_from_slice(value);
        self.close()
    }

    /// Ends the value whose bytes were put into `data`.
    #[inline(always)]
    pub fn close(&mut self) -> Result<(), Full> {
        let Ok(end) = i32::try_from(self.data.len()) else { return Err(Full) };
        self.offsets.push(end);
        self.nulls.append_non_null();
        Ok(())
    }

    /// Bytes of the value that is not ended yet.
    pub fn open(&self) -> usize {
        self.data.len() - self.end()
    }

    /// Takes back the bytes of the value that is not ended yet.
    pub fn discard(&mut self) {
        let end = self.end();
        self.data.truncate(end);
    }

    fn end(&self) -> usize {
        self.offsets.last().and_then(|end| usize::try_from(*end).ok()).unwrap_or(0)
    }

    /// Adds a NULL.
    #[inline]
    pub fn push_null(&mut self) {
        let end = self.offsets.last().copied().unwrap_or(0);
        self.offsets.push(end);
        self.nulls.append_null();
    }

    /// What was added; the buffer begins anew.
    pub fn take(&mut self) -> (OffsetBuffer<i32>, Buffer, Option<NullBuffer>) {
        let mut offsets = Vec::with_capacity(self.offsets.len());
        offsets.push(0);
        let data = Vec::with_capacity(self.data.len().saturating_add(self.data.len() / 16).min(MOST_BYTES));
        let offsets = std::mem::replace(&mut self.offsets, offsets);
        let data = std::mem::replace(&mut self.data, data);
        (OffsetBuffer::new(ScalarBuffer::from(offsets)), Buffer::from_vec(data), self.nulls.finish())
    }

    /// What was added as an array of bytes; the buffer begins anew.
    pub fn binary(&mut self) -> Result<ArrayRef> {
        let (offsets, data, nulls) = self.take();
        Ok(Arc::new(BinaryArray::try_new(offsets, data, nulls)?))
    }

    /// What was added as an array of texts; the buffer begins anew. Fails where one is not UTF-8, and need not be
    /// checked before: all bytes are checked at once, and then that every offset is a boundary.
    pub fn text(&mut self) -> Result<ArrayRef> {
        let (offsets, data, nulls) = self.take();
        let array = StringArray::try_new(offsets, data, nulls);
        Ok(Arc::new(array.map_err(|_| Error::data("the server sent text that is not UTF-8"))?))
    }
}

/// Booleans.
pub struct Booleans {
    values: BooleanBufferBuilder,
    nulls: NullBufferBuilder,
}

impl Booleans {
    /// Room for so many values.
    pub fn new(capacity: usize) -> Self {
        Self { values: BooleanBufferBuilder::new(capacity), nulls: NullBufferBuilder::new(capacity) }
    }

    /// Adds a value.
    #[inline]
    pub fn push(&mut self, value: bool) {
        self.values.append(value);
        self.nulls.append_non_null();
    }

    /// Adds a NULL.
    #[inline]
    pub fn push_null(&mut self) {
        self.values.append(false);
        self.nulls.append_null();
    }

    /// The array of what was added; the buffer begins anew.
    pub fn array(&mut self) -> ArrayRef {
        Arc::new(BooleanArray::new(self.values.finish(), self.nulls.finish()))
    }
}

/// UUIDs, as sixteen bytes each.
pub struct Uuids {
    values: Vec<u8>,
    nulls: NullBufferBuilder,
}

impl Uuids {
    /// Room for so many values.
    pub fn new(capacity: usize) -> Self {
        Self { values: Vec::with_capacity(capacity * 16), nulls: NullBufferBuilder::new(capacity) }
    }

    /// Adds a value.
    #[inline]
    pub fn push(&mut self, value: [u8; 16]) {
        self.values.extend_from_slice(&value);
        self.nulls.append_non_null();
    }

    /// Adds a NULL.
    #[inline]
    pub fn push_null(&mut self) {
        self.values.extend_from_slice(&[0; 16]);
        self.nulls.append_null();
    }

    /// The array of what was added; the buffer begins anew.
    pub fn array(&mut self) -> Result<ArrayRef> {
        let next = Vec::with_capacity(self.values.len());
        let values = Buffer::from_vec(std::mem::replace(&mut self.values, next));
        Ok(Arc::new(FixedSizeBinaryArray::try_new(16, values, self.nulls.finish())?))
    }
}

/// The array of what was added; the buffer begins anew.
pub fn primitive<T: ArrowPrimitiveType>(values: &mut Fixed<T::Native>, data_type: &DataType) -> ArrayRef {
    let (values, nulls) = values.take();
    Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(values), nulls).with_data_type(data_type.clone()))
}
