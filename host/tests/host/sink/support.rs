//! A destination in memory, and short ways to write a table.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema, SchemaRef};
use rivet::budget::Budget;
use rivet::plan::{Codec, Compression, CsvSpec, Format, OutputSpec, ParquetSpec, PlannedColumn, RowGroups, Statistics};
use rivet::sink::{ChunkSink, SinkSpec, Written};
use rivet_sdk::{Destination, Error, Fidelity, Object, ObjectWriter, Result, TypeMapping, WriteOptions};

#[derive(Default, Clone)]
pub struct Memory {
    pub objects: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    pub aborted: Arc<Mutex<Vec<String>>>,
    pub fail_after_bytes: Option<usize>,
    pub loses_answers: bool,
}

struct MemoryWriter {
    key: String,
    bytes: Vec<u8>,
    store: Memory,
}

impl Memory {
    pub fn object(&self, key: &str) -> Vec<u8> {
        self.objects.lock().unwrap()[key].clone()
    }

    pub fn keys(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }
}

impl ObjectWriter for MemoryWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes.extend_from_slice(bytes);
        match self.store.fail_after_bytes {
            Some(most) if self.bytes.len() > most => {
                Err(Error::new(rivet_sdk::ErrorKind::ResourceExhausted, "the disk is full").with_code("ENOSPC"))
            }
            _ => Ok(()),
        }
    }
    fn finish(&mut self) -> Result<Object> {
        let bytes = std::mem::take(&mut self.bytes);
        let object = Object::new(self.key.clone(), bytes.len() as u64).with_etag("tag".to_owned());
        self.store.objects.lock().unwrap().insert(self.key.clone(), bytes);
        if self.store.loses_answers { Err(Error::connection("connection reset")) } else { Ok(object) }
    }
    fn abort(&mut self) -> Result<()> {
        self.store.aborted.lock().unwrap().push(self.key.clone());
        Ok(())
    }
}

impl Destination for Memory {
    fn location(&self) -> String {
        "memory".into()
    }
    fn create(&mut self, key: &str, _: &WriteOptions) -> Result<Box<dyn ObjectWriter>> {
        Ok(Box::new(MemoryWriter { key: key.into(), bytes: Vec::new(), store: self.clone() }))
    }
    fn put_if_absent(&mut self, _: &str, _: &[u8]) -> Result<bool> {
        unreachable!()
    }
    fn put(&mut self, _: &str, _: &[u8]) -> Result<Object> {
        unreachable!()
    }
    fn get(&mut self, _: &str) -> Result<Option<Vec<u8>>> {
        unreachable!()
    }
    fn read_at(&mut self, _: &str, _: u64, _: u64) -> Result<Option<Vec<u8>>> {
        unreachable!()
    }
    fn head(&mut self, _: &str) -> Result<Option<Object>> {
        unreachable!()
    }
    fn list(&mut self, _: &str) -> Result<Vec<Object>> {
        unreachable!()
    }
    fn delete(&mut self, key: &str) -> Result<()> {
        self.objects.lock().unwrap().remove(key);
        Ok(())
    }
}

pub fn parquet_spec() -> ParquetSpec {
    ParquetSpec {
        row_groups: RowGroups::Bytes(64 << 20),
        page_size_bytes: 1 << 20,
        dictionary: None,
        bloom_filters: Vec::new(),
        statistics: Statistics::Page,
        sorting: Vec::new(),
    }
}

pub fn csv_spec() -> CsvSpec {
    CsvSpec {
        delimiter: ',',
        quote: '"',
        quote_all: false,
        null: String::new(),
        header: true,
        line_ending: "\r\n".into(),
    }
}

pub fn output(format: Format) -> OutputSpec {
    let codec = if matches!(format, Format::Csv(_)) { Codec::None } else { Codec::Zstd };
    OutputSpec {
        partition: None,
        format,
        compression: Compression { codec, level: None },
        max_file_size_bytes: None,
        skip_empty: false,
        exported_at_us: None,
        row_hash: false,
    }
}

pub fn planned(schema: &Schema) -> Vec<PlannedColumn> {
    let column = |field: &Arc<Field>| PlannedColumn {
        mapping: TypeMapping::new(field.name(), "test", Fidelity::Exact, field).unwrap(),
        output_name: field.name().clone(),
        wanted: None,
    };
    schema.fields().iter().map(column).collect()
}

pub fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

/// Writes the batches as one chunk.
pub fn try_write(output: &OutputSpec, schema: &SchemaRef, batches: &[RecordBatch], to: &mut Memory) -> Result<Written> {
    write_columns(&planned(schema), output, true, batches, to)
}

pub fn write_columns(
    columns: &[PlannedColumn],
    output: &OutputSpec,
    part_when_empty: bool,
    batches: &[RecordBatch],
    to: &mut Memory,
) -> Result<Written> {
    let spec = SinkSpec {
        columns,
        output,
        part_when_empty,
        share: Budget::new(64 << 20).share(),
        part_key: Box::new(|_, index| format!("part-{index}")),
        on_part: Box::new(|_| Ok(())),
    };
    let mut sink = ChunkSink::new(spec, to)?;
    for batch in batches {
        sink.write(batch)?;
    }
    sink.finish()
}

pub fn write(output: &OutputSpec, batches: &[RecordBatch]) -> (Written, Memory) {
    let mut to = Memory::default();
    let written = try_write(output, &batches[0].schema(), batches, &mut to).unwrap();
    (written, to)
}

/// The same rows in batches of other sizes.
pub fn rebatched(batches: &[RecordBatch], sizes: &[usize]) -> Vec<RecordBatch> {
    let whole = arrow_select::concat::concat_batches(&batches[0].schema(), batches).unwrap();
    let (mut start, mut again) = (0, Vec::new());
    for size in sizes.iter().cycle() {
        if start >= whole.num_rows() {
            break;
        }
        let rows = (*size).clamp(1, whole.num_rows() - start);
        again.push(whole.slice(start, rows));
        start += rows;
    }
    again
}
