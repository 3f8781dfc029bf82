//! Parquet parts: determinism, borders, emptiness, failure.

use std::sync::Arc;

use arrow_array::builder::{Int32Builder, ListBuilder};
use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Encoding;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use proptest::prelude::*;
use rivet::plan::{Codec, Format, OutputSpec, RowGroups};
use rivet_sdk::ErrorKind;

use super::support::*;

fn table(rows: i64) -> RecordBatch {
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    let code: ArrayRef =
        Arc::new(Int32Array::from_iter((0..rows).map(|row| (row % 11 != 0).then_some((row % 7) as i32))));
    let text: ArrayRef = Arc::new(StringArray::from_iter(
        (0..rows).map(|row| (row % 5 != 0).then(|| format!("row {row} {}", "x".repeat((row * 7919 % 97) as usize)))),
    ));
    let mut list = ListBuilder::new(Int32Builder::new()).with_field(Field::new("element", DataType::Int32, true));
    for row in 0..rows as i32 {
        match row % 4 {
            0 => list.append_null(),
            1 => list.append_value([]),
            _ => list.append_value((0..row % 7).map(|n| (n != 3).then_some(n * row))),
        }
    }
    batch([("id", id), ("code", code), ("text", text), ("list", Arc::new(list.finish()))])
}

fn small_groups() -> OutputSpec {
    let mut spec = parquet_spec();
    spec.row_groups = RowGroups::Bytes(100_000);
    spec.page_size_bytes = 10_000;
    output(Format::Parquet(spec))
}

fn read(bytes: Vec<u8>) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap();
    let schema = builder.schema().clone();
    let batches: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    arrow_select::concat::concat_batches(&schema, &batches).unwrap()
}

#[test]
fn what_was_written_is_read_back() {
    let rows = table(50_000);
    let (written, memory) = write(&small_groups(), std::slice::from_ref(&rows));
    assert_eq!(written.rows, 50_000);
    assert_eq!(written.columns["text"].nulls, 10_000);
    assert_eq!(written.columns["code"].nulls, 4_546);
    assert_eq!(written.columns["id"].nulls, 0);
    assert_eq!(read(memory.object("part-0")).columns(), rows.columns());
}

#[test]
fn the_part_tells_its_own_size_and_checksum() {
    let (written, memory) = write(&small_groups(), &[table(50_000)]);
    let [part] = written.parts.as_slice() else { panic!("one part") };
    let bytes = memory.object(&part.key);
    assert_eq!(part.size_bytes, bytes.len() as u64);
    assert_eq!(part.crc32c, format!("{:08x}", crc32c::crc32c(&bytes)));
    assert_eq!(part.etag.as_deref(), Some("tag"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn the_same_rows_give_the_same_bytes_in_whatever_batches(sizes in prop::collection::vec(1usize..9000, 1..12)) {
        let mut settings = small_groups();
        settings.max_file_size_bytes = Some(400_000);
        settings.row_hash = true;
        let whole = vec![table(40_000)];
        let (expected, at) = write(&settings, &whole);
        let (written, again) = write(&settings, &rebatched(&whole, &sizes));
        prop_assert_eq!(&written, &expected);
        prop_assert!(written.parts.len() > 1);
        for key in at.keys() {
            prop_assert!(at.object(&key) == again.object(&key));
        }
    }
}

#[test]
fn a_part_ends_before_it_outgrows_the_limit() {
    let mut settings = small_groups();
    settings.compression.codec = Codec::None;
    settings.max_file_size_bytes = Some(300_000);
    let rows = table(60_000);
    let (written, memory) = write(&settings, std::slice::from_ref(&rows));
    assert!(written.parts.len() > 5);
    assert!(written.parts.iter().all(|part| part.size_bytes <= 300_000), "{:?}", written.parts);
    let parts: Vec<RecordBatch> = written.parts.iter().map(|part| read(memory.object(&part.key))).collect();
    let all = arrow_select::concat::concat_batches(&parts[0].schema(), &parts).unwrap();
    assert_eq!(all.columns(), rows.columns());
}

#[test]
fn row_groups_end_by_rows_or_by_bytes() {
    let mut spec = parquet_spec();
    spec.row_groups = RowGroups::Rows(10_000);
    let (_, memory) = write(&output(Format::Parquet(spec)), &[table(25_000)]);
    let reader = SerializedFileReader::new(Bytes::from(memory.object("part-0"))).unwrap();
    let groups: Vec<i64> = reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(groups, [10_000, 10_000, 5_000]);

    let (_, memory) = write(&small_groups(), &[table(50_000)]);
    let reader = SerializedFileReader::new(Bytes::from(memory.object("part-0"))).unwrap();
    assert!(reader.metadata().num_row_groups() > 2);
}

#[test]
fn a_chunk_without_rows_writes_the_schema_or_nothing() {
    let rows = table(0);
    let mut memory = Memory::default();
    let settings = output(Format::Parquet(parquet_spec()));
    let written = write_columns(&planned(&rows.schema()), &settings, true, &[], &mut memory).unwrap();
    assert_eq!((written.parts.len(), written.rows), (1, 0));
    let back = read(memory.object("part-0"));
    assert_eq!((back.num_rows(), back.schema().field(2).name().as_str()), (0, "text"));

    let mut memory = Memory::default();
    let written = write_columns(&planned(&rows.schema()), &settings, false, &[rows], &mut memory).unwrap();
    assert!(written.parts.is_empty() && memory.keys().is_empty());
}

#[test]
fn a_dictionary_is_used_where_values_repeat_and_not_where_they_do_not() {
    let rows = 100_000;
    let key: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    let drawn: ArrayRef =
        Arc::new(Int64Array::from_iter_values((0..rows).map(|row| row * 2_654_435_761 % 9_973 * 1_000_003)));
    let many: ArrayRef =
        Arc::new(Int64Array::from_iter_values((0..rows).map(|row| row * 2_654_435_761 % 4_294_967_296)));
    let runs: ArrayRef = Arc::new(Int64Array::from_iter_values((0..rows).map(|row| row / 5000)));
    let word: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..rows).map(|row| ["north", "south"][row as usize % 2])));
    let text: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("text number {row}"))));
    let rows = batch([("key", key), ("drawn", drawn), ("many", many), ("runs", runs), ("word", word), ("text", text)]);
    let dictionaries = |dictionary: Option<bool>| {
        let mut spec = parquet_spec();
        spec.dictionary = dictionary;
        let (_, memory) = write(&output(Format::Parquet(spec)), std::slice::from_ref(&rows));
        let reader = SerializedFileReader::new(Bytes::from(memory.object("part-0"))).unwrap();
        let group = reader.metadata().row_group(0);
        group
            .columns()
            .iter()
            .map(|column| column.encodings().any(|e| e == Encoding::RLE_DICTIONARY))
            .collect::<Vec<_>>()
    };
    assert_eq!(dictionaries(None), [false, true, false, true, true, false]);
    assert_eq!(dictionaries(Some(true)), [true; 6]);
    assert_eq!(dictionaries(Some(false)), [false; 6]);
}

#[test]
fn names_and_meta_columns_are_those_of_the_file() {
    let rows = table(10);
    let mut columns = planned(&rows.schema());
    columns[0].output_name = "key".into();
    let mut settings = output(Format::Parquet(parquet_spec()));
    settings.exported_at_us = Some(1_700_000_000_000_000);
    settings.row_hash = true;
    let mut memory = Memory::default();
    let written = write_columns(&columns, &settings, true, std::slice::from_ref(&rows), &mut memory).unwrap();
    let back = read(memory.object("part-0"));
    let names: Vec<&str> = back.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["key", "code", "text", "list", "_rivet_exported_at", "_rivet_row_hash"]);
    assert_eq!(written.columns.len(), 6);
    assert_eq!(back.schema().field(1).metadata()["rivet.source_type"], "test");

    columns[1].output_name = "key".into();
    let error = write_columns(&columns, &settings, true, &[rows], &mut memory).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn required_columns_are_required() {
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
    let rows = RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![1, 2]))]).unwrap();
    let (_, memory) = write(&output(Format::Parquet(parquet_spec())), &[rows]);
    let reader = SerializedFileReader::new(Bytes::from(memory.object("part-0"))).unwrap();
    assert!(!reader.metadata().file_metadata().schema().get_fields()[0].is_optional());
    assert!(reader.metadata().file_metadata().created_by().unwrap().starts_with("rivet version "));
}

#[test]
fn bloom_filters_sorting_and_page_statistics_are_written() {
    let mut spec = parquet_spec();
    spec.bloom_filters = vec!["text".into()];
    spec.sorting = vec!["id".into()];
    let (_, memory) = write(&output(Format::Parquet(spec.clone())), &[table(5_000)]);
    let reader = SerializedFileReader::new(Bytes::from(memory.object("part-0"))).unwrap();
    let group = reader.metadata().row_group(0);
    assert!(group.column(2).bloom_filter_offset().is_some() && group.column(0).bloom_filter_offset().is_none());
    assert_eq!(group.sorting_columns().unwrap()[0].column_idx, 0);
    assert!(group.column(0).column_index_offset().is_some());
    assert!(group.column(0).statistics().is_some());

    spec.sorting = vec!["nothing".into()];
    let error = try_write(&output(Format::Parquet(spec)), &table(1).schema(), &[], &mut Memory::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn a_failed_write_keeps_its_error_and_leaves_nothing() {
    let mut settings = small_groups();
    settings.compression.codec = Codec::None;
    let mut memory = Memory { fail_after_bytes: Some(1_500_000), ..Memory::default() };
    let rows = table(100_000);
    let error = try_write(&settings, &rows.schema(), std::slice::from_ref(&rows), &mut memory).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::ResourceExhausted, Some("ENOSPC")));
    assert_eq!(*memory.aborted.lock().unwrap(), ["part-0"]);
    assert!(memory.keys().is_empty());
}

#[test]
fn a_part_whose_completion_went_unanswered_is_removed() {
    let mut memory = Memory { loses_answers: true, ..Memory::default() };
    let rows = table(10);
    let settings = output(Format::Parquet(parquet_spec()));
    let error = try_write(&settings, &rows.schema(), &[rows], &mut memory).unwrap_err();
    assert!(error.is_transient());
    assert!(memory.keys().is_empty());
}

#[test]
fn an_attempt_that_was_fenced_removes_its_parts() {
    use rivet::sink::{ChunkSink, SinkSpec};
    let rows = table(60_000);
    let mut settings = small_groups();
    settings.compression.codec = Codec::None;
    settings.max_file_size_bytes = Some(300_000);
    let columns = planned(&rows.schema());
    let mut memory = Memory::default();
    let mut seen = 0;
    let spec = SinkSpec {
        columns: &columns,
        output: &settings,
        part_when_empty: true,
        share: rivet::budget::Budget::new(64 << 20).share(),
        part_key: Box::new(|_, index| format!("part-{index}")),
        on_part: Box::new(move |_| {
            seen += 1;
            if seen < 3 { Ok(()) } else { Err(rivet_sdk::Error::cancelled("fenced")) }
        }),
    };
    let mut sink = ChunkSink::new(spec, &mut memory).unwrap();
    let error = sink.write(&rows).and_then(|()| sink.finish().map(drop)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(memory.keys().is_empty());
}
