//! A sink that keeps everything, and its values as plain texts, for a driver's own tests.

use rivet_sdk::arrow_array::cast::AsArray;
use rivet_sdk::arrow_array::types::*;
use rivet_sdk::arrow_array::{Array, ArrayRef, RecordBatch};
use rivet_sdk::arrow_schema::{DataType, SchemaRef, TimeUnit};
use rivet_sdk::{BatchSink, ExportRequest, ExportStats, Result, Source};

/// Keeps everything.
#[derive(Default)]
pub struct Keep {
    /// What was announced.
    pub schema: Option<SchemaRef>,
    /// What came.
    pub batches: Vec<RecordBatch>,
}

impl BatchSink for Keep {
    fn on_schema(&mut self, schema: SchemaRef) -> Result<()> {
        assert!(self.schema.replace(schema).is_none(), "the schema comes once");
        Ok(())
    }

    fn on_batch(&mut self, batch: RecordBatch) -> Result<()> {
        assert_eq!(Some(batch.schema()), self.schema, "a batch has the announced schema");
        self.batches.push(batch);
        Ok(())
    }
}

impl Keep {
    /// Every row's values as text, NULL as `∅`.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let row = |batch: &RecordBatch, index| batch.columns().iter().map(|column| text(column, index)).collect();
        self.batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |index| row(batch, index))).collect()
    }

    /// The values of one column.
    pub fn column(&self, name: &str) -> Vec<String> {
        let index = self.schema.as_ref().unwrap().index_of(name).unwrap();
        self.rows().into_iter().map(|row| row[index].clone()).collect()
    }

    /// The type of one column.
    pub fn data_type(&self, name: &str) -> DataType {
        self.schema.as_ref().unwrap().field_with_name(name).unwrap().data_type().clone()
    }
}

/// What an export sends, which must be what was announced.
pub fn export(source: &mut dyn Source, request: &ExportRequest) -> Result<(Keep, ExportStats)> {
    let mut keep = Keep::default();
    let stats = source.export(request, &mut keep)?;
    assert_eq!(stats.rows, keep.batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>());
    let announced = rivet_sdk::schema_of(&source.type_mappings(request)?)?;
    assert_eq!(Some(announced), keep.schema, "mappings and schema agree");
    Ok((keep, stats))
}

/// As [`export`], with `meanwhile` done once the schema was announced, before a row is asked for: what another
/// session may do to the table at that very moment. What came is not compared with what would be announced now.
pub fn export_meanwhile(
    source: &mut dyn Source,
    request: &ExportRequest,
    meanwhile: &mut dyn FnMut(),
) -> Result<(Keep, ExportStats)> {
    struct Between<'a> {
        keep: Keep,
        meanwhile: &'a mut dyn FnMut(),
    }
    impl BatchSink for Between<'_> {
        fn on_schema(&mut self, schema: SchemaRef) -> Result<()> {
            self.keep.on_schema(schema)?;
            (self.meanwhile)();
            Ok(())
        }

        fn on_batch(&mut self, batch: RecordBatch) -> Result<()> {
            self.keep.on_batch(batch)
        }
    }
    let mut sink = Between { keep: Keep::default(), meanwhile };
    let stats = source.export(request, &mut sink)?;
    Ok((sink.keep, stats))
}

/// One value, written plainly: integers stand for dates and times.
pub fn text(array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return "∅".to_owned();
    }
    macro_rules! number {
        ($t:ty) => {
            array.as_primitive::<$t>().value(row).to_string()
        };
    }
    match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float32 => number!(Float32Type),
        DataType::Float64 => number!(Float64Type),
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(row),
        DataType::Decimal256(..) => array.as_primitive::<Decimal256Type>().value_as_string(row),
        DataType::Date32 => number!(Date32Type),
        DataType::Time64(TimeUnit::Nanosecond) => number!(Time64NanosecondType),
        DataType::Time64(_) => number!(Time64MicrosecondType),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => number!(TimestampNanosecondType),
        DataType::Timestamp(TimeUnit::Microsecond, _) => number!(TimestampMicrosecondType),
        DataType::Duration(TimeUnit::Microsecond) => number!(DurationMicrosecondType),
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Binary => hex(array.as_binary::<i32>().value(row)),
        DataType::FixedSizeBinary(_) => hex(array.as_fixed_size_binary().value(row)),
        DataType::List(_) => list(&array.as_list::<i32>().value(row), "[", "]"),
        DataType::Struct(_) => {
            let members = array.as_struct().columns().iter().map(|member| text(member, row));
            format!("({})", members.collect::<Vec<_>>().join(","))
        }
        DataType::Map(..) => {
            let entries: ArrayRef = std::sync::Arc::new(array.as_map().value(row));
            list(&entries, "{", "}")
        }
        // Types that no driver of ours sends, but an author's may.
        _ => format!("{:?}", array.slice(row, 1)),
    }
}

fn list(values: &ArrayRef, open: &str, close: &str) -> String {
    let values: Vec<String> = (0..values.len()).map(|index| text(values, index)).collect();
    format!("{open}{}{close}", values.join(","))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
