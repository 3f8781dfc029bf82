//! Schemas and batches that must not be.

use std::ops::Range;
use std::sync::Arc;

use rivet_sdk::Result;
use rivet_sdk::arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray, make_array};
use rivet_sdk::arrow_buffer::Buffer;
use rivet_sdk::arrow_data::ArrayData;
use rivet_sdk::arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::{Misbehaviour, good_batch};

/// `schema` with its first column nullable and of another type.
pub fn other_schema(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().enumerate().map(|(index, field)| {
        let field = field.as_ref().clone();
        if index == 0 { field.with_data_type(DataType::Utf8).with_nullable(true) } else { field }
    });
    Schema::new(fields.collect::<Vec<_>>()).into()
}

/// A batch of these ids, broken as asked.
pub fn batch(how: Misbehaviour, schema: &SchemaRef, ids: Range<i64>) -> Result<RecordBatch> {
    let good = good_batch(schema, ids)?;
    let rows = good.num_rows();
    match how {
        Misbehaviour::OtherTypes => {
            let texts = StringArray::from_iter_values(std::iter::repeat_n("x", rows));
            with_column(&good, 0, Arc::new(texts))
        }
        Misbehaviour::OtherColumns => {
            let mut fields: Vec<_> = good.schema().fields().iter().cloned().collect();
            fields.push(Arc::new(Field::new("more", DataType::Int64, false)));
            let mut columns = good.columns().to_vec();
            columns.push(Arc::new(Int64Array::from_iter_values(std::iter::repeat_n(0, rows))));
            Ok(RecordBatch::try_new(Schema::new(fields).into(), columns)?)
        }
        Misbehaviour::NullInRequired => {
            let nullable = Field::new("id", DataType::Int64, true);
            let ids = Int64Array::from_iter((0..rows).map(|row| (row > 0).then_some(0)));
            let mut fields: Vec<_> = good.schema().fields().iter().cloned().collect();
            fields[0] = Arc::new(nullable);
            let mut columns = good.columns().to_vec();
            columns[0] = Arc::new(ids);
            Ok(RecordBatch::try_new(Schema::new(fields).into(), columns)?)
        }
        Misbehaviour::BadOffsets => with_column(&good, 1, text(rows, b"abcdef", &[0, 5, 3])),
        Misbehaviour::FarOffsets => with_column(&good, 1, text(rows, b"abcdef", &[0, 2_000_000_000, 3])),
        Misbehaviour::BadUtf8 => with_column(&good, 1, text(rows, b"\xff\xfe\xfd", &[0, 1, 3])),
        _ => Ok(good),
    }
}

/// Replaces a column without asking the schema.
fn with_column(good: &RecordBatch, index: usize, column: ArrayRef) -> Result<RecordBatch> {
    let mut fields: Vec<_> = good.schema().fields().iter().cloned().collect();
    fields[index] = Arc::new(fields[index].as_ref().clone().with_data_type(column.data_type().clone()));
    let mut columns = good.columns().to_vec();
    columns[index] = column;
    let rows = RecordBatchOptions::new().with_row_count(Some(good.num_rows()));
    Ok(RecordBatch::try_new_with_options(Schema::new(fields).into(), columns, &rows)?)
}

/// A text column over `bytes` whose offsets begin with `first` and then stay where they are.
fn text(rows: usize, bytes: &[u8], first: &[i32]) -> ArrayRef {
    let end = first.last().copied().unwrap_or_default();
    let offsets = (0..=rows).map(|row| first.get(row).copied().unwrap_or(end)).collect::<Vec<_>>();
    let data = ArrayData::builder(DataType::Utf8)
        .len(rows)
        .add_buffer(Buffer::from_vec(offsets))
        .add_buffer(Buffer::from(bytes));
    // SAFETY: it is not sound, which is the point. This side never looks at its values; the
    // host must find out before it does.
    make_array(unsafe { data.build_unchecked() })
}
