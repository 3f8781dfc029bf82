//! Lists, structs, ranges and maps: builders over builders.

use std::sync::Arc;

use rivet_sdk::arrow_array::builder::{BooleanBufferBuilder, NullBufferBuilder};
use rivet_sdk::arrow_array::{ArrayRef, BooleanArray, ListArray, MapArray, StructArray};
use rivet_sdk::arrow_buffer::{OffsetBuffer, ScalarBuffer};
use rivet_sdk::arrow_schema::{DataType, FieldRef, Fields};
use rivet_sdk::cursor::{Cursor, ReadNumbers as _};
use rivet_sdk::sql::columns::Target;
use rivet_sdk::sql::rows::{ColumnBuilder, Fault, Tally};
use rivet_sdk::{Error, Result};

use super::Column;
use crate::kind::{Kind, TextForm, hstore_fields, range_fields};

/// A value with its length in front; None for NULL.
fn sized<'a>(parts: &mut Cursor<'a>) -> Result<Option<&'a [u8]>, Fault> {
    let length = parts.i32_be()?;
    if length == -1 {
        return Ok(None);
    }
    let length = usize::try_from(length).map_err(|_| Fault::Malformed)?;
    Ok(Some(parts.bytes(length)?))
}

fn push_into(column: &mut Column, parts: &mut Cursor<'_>, tally: &mut Tally) -> Result<(), Fault> {
    match sized(parts)? {
        Some(value) => column.push(value, tally),
        None => {
            column.push_null();
            Ok(())
        }
    }
}

fn end(parts: Cursor<'_>) -> Result<(), Fault> {
    if parts.is_at_end() { Ok(()) } else { Err(Fault::Malformed) }
}

/// The type that the elements of an array, or a member of a record, say they have. It is the same in every value.
struct Announced {
    kind: Kind,
    seen: Option<i32>,
}

impl Announced {
    fn new(kind: &Kind) -> Self {
        Self { kind: kind.clone(), seen: None }
    }

    /// Refuses elements or members that the decoder would misread.
    #[inline]
    fn check(&mut self, oid: i32) -> Result<(), Fault> {
        if self.seen == Some(oid) {
            return Ok(());
        }
        if !self.kind.reads(u32::from_be_bytes(oid.to_be_bytes())) {
            return Err(Fault::Malformed);
        }
        self.seen = Some(oid);
        Ok(())
    }
}

/// Where each list or map ends.
struct Offsets {
    ends: Vec<i32>,
    count: i32,
    nulls: NullBufferBuilder,
}

impl Offsets {
    fn new(capacity: usize) -> Self {
        let mut ends = Vec::with_capacity(capacity + 1);
        ends.push(0);
        Self { ends, count: 0, nulls: NullBufferBuilder::new(capacity) }
    }

    fn push(&mut self, length: i32) -> Result<(), Fault> {
        self.count = self.count.checked_add(length).ok_or(Fault::Full)?;
        self.ends.push(self.count);
        self.nulls.append_non_null();
        Ok(())
    }

    fn push_null(&mut self) {
        self.ends.push(self.count);
        self.nulls.append_null();
    }

    fn take(&mut self) -> OffsetBuffer<i32> {
        self.count = 0;
        OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut self.ends, vec![0])))
    }
}

/// An array, a multirange or a pgvector.
pub(crate) struct List {
    element: Column,
    announced: Announced,
    field: FieldRef,
    offsets: Offsets,
    form: ListForm,
}

#[derive(Clone, Copy)]
enum ListForm {
    Array,
    Multirange,
    Vector,
}

impl List {
    pub fn new(kind: &Kind, capacity: usize) -> Self {
        let (element, form) = match kind {
            Kind::Multirange(bound) => (&Kind::Range(bound.clone()), ListForm::Multirange),
            Kind::List(element) => (&**element, ListForm::Array),
            _ => (&Kind::Float32, ListForm::Vector),
        };
        let announced = Announced::new(element);
        let element = Column::new(element, capacity);
        let field = match kind.data_type() {
            DataType::List(field) => field,
            _ => Arc::new(Kind::Float32.field("element", true)),
        };
        Self { element, announced, field, offsets: Offsets::new(capacity), form }
    }

    pub fn push(&mut self, value: &[u8], tally: &mut Tally) -> Result<(), Fault> {
        let mut parts = Cursor::new(value);
        let count = match self.form {
            ListForm::Array => {
                let dimensions = parts.i32_be()?;
                let _flags = parts.i32_be()?;
                self.announced.check(parts.i32_be()?)?;
                match dimensions {
                    0 => 0,
                    1 => {
                        let count = parts.i32_be()?;
                        let _lower_bound = parts.i32_be()?;
                        count
                    }
                    more => return Err(Fault::Dimensions(more)),
                }
            }
            ListForm::Multirange => parts.i32_be()?,
            ListForm::Vector => {
                let count = parts.i16_be()?;
                let _unused: [u8; 2] = parts.array()?;
                i32::from(count)
            }
        };
        for _ in 0..count {
            match self.form {
                ListForm::Vector => self.element.push(&parts.array::<4>()?, tally)?,
                _ => push_into(&mut self.element, &mut parts, tally)?,
            }
        }
        end(parts)?;
        self.offsets.push(count.max(0))
    }

    pub fn push_null(&mut self) {
        self.offsets.push_null();
    }

    pub fn variable_bytes(&self) -> usize {
        let elements = usize::try_from(self.offsets.count).unwrap_or(0);
        let width = match &self.element {
            Column::Decimal256 { .. } | Column::Struct(_) | Column::Range(_) => 32,
            Column::Decimal128 { .. } | Column::Uuid { .. } => 16,
            _ => 8,
        };
        elements * width + self.element.variable_bytes()
    }

    pub fn finish(&mut self) -> Result<ArrayRef> {
        let values = self.element.finish()?;
        let offsets = self.offsets.take();
        Ok(Arc::new(ListArray::try_new(Arc::clone(&self.field), offsets, values, self.offsets.nulls.finish())?))
    }
}

/// A composite value.
pub(crate) struct Struct {
    members: Vec<(Announced, Column)>,
    fields: Fields,
    nulls: NullBufferBuilder,
}

impl Struct {
    pub fn new(members: &[(String, Kind)], capacity: usize) -> Self {
        Self {
            fields: members.iter().map(|(name, kind)| kind.field(name, true)).collect(),
            members: members.iter().map(|(_, kind)| (Announced::new(kind), Column::new(kind, capacity))).collect(),
            nulls: NullBufferBuilder::new(capacity),
        }
    }

    pub fn push(&mut self, value: &[u8], tally: &mut Tally) -> Result<(), Fault> {
        let mut parts = Cursor::new(value);
        if usize::try_from(parts.i32_be()?) != Ok(self.members.len()) {
            return Err(Fault::Malformed);
        }
        for (announced, member) in &mut self.members {
            announced.check(parts.i32_be()?)?;
            push_into(member, &mut parts, tally)?;
        }
        end(parts)?;
        self.nulls.append_non_null();
        Ok(())
    }

    pub fn push_null(&mut self) {
        self.members.iter_mut().for_each(|(_, member)| member.push_null());
        self.nulls.append_null();
    }

    pub fn variable_bytes(&self) -> usize {
        self.members.iter().map(|(_, member)| member.variable_bytes()).sum()
    }

    pub fn finish(&mut self) -> Result<ArrayRef> {
        let length = self.nulls.len();
        let arrays = self.members.iter_mut().map(|(_, member)| member.finish()).collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(StructArray::try_new_with_length(self.fields.clone(), arrays, self.nulls.finish(), length)?))
    }
}

/// A range: two bounds and three truths.
pub(crate) struct Range {
    bounds: [Column; 2],
    lower_inclusive: BooleanBufferBuilder,
    upper_inclusive: BooleanBufferBuilder,
    empty: BooleanBufferBuilder,
    fields: Fields,
    nulls: NullBufferBuilder,
}

const EMPTY: u8 = 0x01;
const LOWER_INCLUSIVE: u8 = 0x02;
const UPPER_INCLUSIVE: u8 = 0x04;
const LOWER_INFINITE: u8 = 0x08;
const UPPER_INFINITE: u8 = 0x10;

impl Range {
    pub fn new(bound: &Kind, capacity: usize) -> Self {
        Self {
            bounds: [Column::new(bound, capacity), Column::new(bound, capacity)],
            lower_inclusive: BooleanBufferBuilder::new(capacity),
            upper_inclusive: BooleanBufferBuilder::new(capacity),
            empty: BooleanBufferBuilder::new(capacity),
            fields: range_fields(bound),
            nulls: NullBufferBuilder::new(capacity),
        }
    }

    pub fn push(&mut self, value: &[u8], tally: &mut Tally) -> Result<(), Fault> {
        let mut parts = Cursor::new(value);
        let [flags] = parts.array()?;
        for (column, infinite) in self.bounds.iter_mut().zip([LOWER_INFINITE, UPPER_INFINITE]) {
            if flags & (EMPTY | infinite) != 0 {
                column.push_null();
            } else {
                push_into(column, &mut parts, tally)?;
            }
        }
        end(parts)?;
        self.append(flags);
        self.nulls.append_non_null();
        Ok(())
    }

    fn append(&mut self, flags: u8) {
        self.lower_inclusive.append(flags & LOWER_INCLUSIVE != 0);
        self.upper_inclusive.append(flags & UPPER_INCLUSIVE != 0);
        self.empty.append(flags & EMPTY != 0);
    }

    pub fn push_null(&mut self) {
        self.bounds.iter_mut().for_each(Column::push_null);
        self.append(0);
        self.nulls.append_null();
    }

    pub fn variable_bytes(&self) -> usize {
        self.bounds.iter().map(Column::variable_bytes).sum()
    }

    pub fn finish(&mut self) -> Result<ArrayRef> {
        let mut arrays = self.bounds.iter_mut().map(Column::finish).collect::<Result<Vec<_>>>()?;
        for values in [&mut self.lower_inclusive, &mut self.upper_inclusive, &mut self.empty] {
            arrays.push(Arc::new(BooleanArray::new(values.finish(), None)));
        }
        Ok(Arc::new(StructArray::try_new(self.fields.clone(), arrays, self.nulls.finish())?))
    }
}

/// hstore.
pub(crate) struct Map {
    keys: Column,
    values: Column,
    offsets: Offsets,
}

impl Map {
    pub fn new(capacity: usize) -> Self {
        let text = Kind::Text(TextForm::Plain);
        Self {
            keys: Column::new(&text, capacity),
            values: Column::new(&text, capacity),
            offsets: Offsets::new(capacity),
        }
    }

    pub fn push(&mut self, value: &[u8]) -> Result<(), Fault> {
        let mut tally = Tally::new(rivet_sdk::OnUnrepresentable::Fail);
        let mut parts = Cursor::new(value);
        let count = parts.i32_be()?;
        for _ in 0..count {
            let key = sized(&mut parts)?.ok_or(Fault::Malformed)?;
            self.keys.push(key, &mut tally)?;
            push_into(&mut self.values, &mut parts, &mut tally)?;
        }
        end(parts)?;
        self.offsets.push(count.max(0))
    }

    pub fn push_null(&mut self) {
        self.offsets.push_null();
    }

    pub fn variable_bytes(&self) -> usize {
        let pairs = usize::try_from(self.offsets.count).unwrap_or(0);
        pairs * 8 + self.keys.variable_bytes() + self.values.variable_bytes()
    }

    pub fn finish(&mut self) -> Result<ArrayRef> {
        let fields = hstore_fields();
        let entries = StructArray::try_new(fields, vec![self.keys.finish()?, self.values.finish()?], None)?;
        let DataType::Map(field, _) = Kind::Hstore.data_type() else {
            return Err(Error::internal("a map that is not a map"));
        };
        let offsets = self.offsets.take();
        Ok(Arc::new(MapArray::try_new(field, offsets, entries, self.offsets.nulls.finish(), false)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally() -> Tally {
        Tally::new(rivet_sdk::OnUnrepresentable::Fail)
    }

    #[test]
    fn an_array_of_two_dimensions_is_refused() {
        let mut list = List::new(&Kind::List(Box::new(Kind::Int32)), 1);
        let value = [2_i32, 0, 23, 1, 1, 1, 1, 4, 9].map(i32::to_be_bytes).concat();
        assert_eq!(list.push(&value, &mut tally()), Err(Fault::Dimensions(2)));
    }

    #[test]
    fn bytes_that_end_early_or_late_are_refused() {
        for words in [&[1_i32, 0, 23, 2, 1, 4, 9][..], &[1, 0, 23, 0, 1, 7], &[1, 0]] {
            let value = words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
            let mut list = List::new(&Kind::List(Box::new(Kind::Int32)), 1);
            assert_eq!(list.push(&value, &mut tally()), Err(Fault::Malformed), "{words:?}");
        }
    }

    #[test]
    fn elements_and_members_of_another_type_are_refused() {
        let mut list = List::new(&Kind::List(Box::new(Kind::Int32)), 1);
        let value = |oid: i32| [1, 0, oid, 1, 1, 4, 9].map(i32::to_be_bytes).concat();
        assert_eq!(list.push(&value(23), &mut tally()), Ok(()));
        assert_eq!(list.push(&value(700), &mut tally()), Err(Fault::Malformed));
        let mut members = Struct::new(&[("a".to_owned(), Kind::Int32)], 1);
        let value = |oid: i32| [1, oid, 4, 9].map(i32::to_be_bytes).concat();
        assert_eq!(members.push(&value(700), &mut tally()), Err(Fault::Malformed));
        assert_eq!(members.push(&value(23), &mut tally()), Ok(()));
    }

    #[test]
    fn null_lists_take_no_elements() {
        let mut list = List::new(&Kind::List(Box::new(Kind::Int32)), 1);
        list.push(&[1_i32, 0, 23, 2, 1, 4, 9, -1].map(i32::to_be_bytes).concat(), &mut tally()).unwrap();
        list.push_null();
        let array = list.finish().unwrap();
        assert_eq!((array.len(), array.null_count()), (2, 1));
    }
}
