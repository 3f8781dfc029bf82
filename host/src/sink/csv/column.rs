//! A column as text: one writer for all of its values.

use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;
use arrow_schema::Field;
use rivet_sdk::Result;

/// What may stand in a value's text, and how JSON writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A JSON number, unless it is `NaN` or `Infinity`.
    Number,
    /// `true` or `false`.
    Boolean,
    /// ASCII without quotes, backslashes or control characters.
    Plain,
    /// Anything.
    Text,
    /// JSON already.
    Json,
}

/// A column whose values can be written.
pub(super) struct Column<'a> {
    pub(super) kind: Kind,
    nulls: Option<NullBuffer>,
    write: WriteValue<'a>,
}

/// Appends the text of the value at a row.
pub(super) type WriteValue<'a> = Box<dyn Fn(usize, &mut Vec<u8>) + 'a>;

impl<'a> Column<'a> {
    /// Of an array, whose values `write` writes.
    pub(super) fn new(kind: Kind, array: &ArrayRef, write: WriteValue<'a>) -> Self {
        Self { kind, nulls: array.logical_nulls(), write }
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    pub(super) fn write(&self, row: usize, out: &mut Vec<u8>) {
        (self.write)(row, out);
    }
}

/// Makes the column of an array; a list's, a struct's or a map's needs those of what is in it.
pub(super) type MakeColumn = for<'a> fn(&Field, &'a ArrayRef) -> Result<Column<'a>>;
