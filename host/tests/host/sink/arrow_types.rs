//! Every Arrow type a driver maps to, through both formats.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{Int32Builder, ListBuilder, MapBuilder, MapFieldNames, StringBuilder, StructBuilder};
use arrow_array::*;
use arrow_buffer::i256;
use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::schema::printer::print_schema;
use rivet::plan::Format;

use super::support::*;

fn extension(name: &str) -> HashMap<String, String> {
    HashMap::from([("ARROW:extension:name".to_owned(), name.to_owned())])
}

/// Two rows, the second all NULL.
pub fn every_type() -> RecordBatch {
    let mut list = ListBuilder::new(Int32Builder::new()).with_field(Field::new("element", DataType::Int32, true));
    list.append_value([Some(1), None, Some(3)]);
    list.append_null();

    let mut texts = ListBuilder::new(StringBuilder::new()).with_field(Field::new("element", DataType::Utf8, true));
    texts.append_value([Some("a \"quoted\" one"), Some(""), None]);
    texts.append_null();

    let fields =
        Fields::from(vec![Field::new("lower", DataType::Int32, true), Field::new("text", DataType::Utf8, true)]);
    let mut pair = StructBuilder::from_fields(fields, 2);
    pair.field_builder::<Int32Builder>(0).unwrap().append_value(5);
    pair.field_builder::<StringBuilder>(1).unwrap().append_null();
    pair.append(true);
    pair.field_builder::<Int32Builder>(0).unwrap().append_null();
    pair.field_builder::<StringBuilder>(1).unwrap().append_null();
    pair.append(false);

    let names = MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() };
    let mut map = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    map.keys().append_value("k\n");
    map.values().append_value("v");
    map.keys().append_value("none");
    map.values().append_null();
    map.append(true).unwrap();
    map.append(false).unwrap();

    let wide = i256::from_string("-1234567890123456789012345678901234567890").unwrap();
    let uuid = FixedSizeBinaryArray::try_from_sparse_iter_with_size(
        [Some((0u8..16).collect::<Vec<u8>>()), None].into_iter(),
        16,
    )
    .unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("boolean", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("int16", Arc::new(Int16Array::from(vec![Some(-7), None]))),
        ("int32", Arc::new(Int32Array::from(vec![Some(i32::MIN), None]))),
        ("int64", Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))),
        ("uint32", Arc::new(UInt32Array::from(vec![Some(u32::MAX), None]))),
        ("uint64", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
        ("float32", Arc::new(Float32Array::from(vec![Some(0.1), None]))),
        ("float64", Arc::new(Float64Array::from(vec![Some(-1e300), None]))),
        ("nan", Arc::new(Float64Array::from(vec![Some(f64::NAN), None]))),
        ("infinite", Arc::new(Float64Array::from(vec![Some(f64::NEG_INFINITY), None]))),
        ("decimal", Arc::new(Decimal128Array::from(vec![Some(-50), None]).with_precision_and_scale(12, 2).unwrap())),
        (
            "decimal_long",
            Arc::new(
                Decimal128Array::from(vec![Some(10i128.pow(37) + 1), None]).with_precision_and_scale(38, 30).unwrap(),
            ),
        ),
        (
            "decimal_wide",
            Arc::new(Decimal256Array::from(vec![Some(wide), None]).with_precision_and_scale(76, 10).unwrap()),
        ),
        ("utf8", Arc::new(StringArray::from(vec![Some("é, \"x\"\r\n"), None]))),
        ("empty", Arc::new(StringArray::from(vec![Some(""), None]))),
        ("binary", Arc::new(BinaryArray::from(vec![Some([0u8, 255, 16].as_slice()), None]))),
        ("date", Arc::new(Date32Array::from(vec![Some(19_782), None]))),
        ("time", Arc::new(Time64MicrosecondArray::from(vec![Some(86_399_999_999), None]))),
        ("time_ns", Arc::new(Time64NanosecondArray::from(vec![Some(1), None]))),
        ("timestamp", Arc::new(TimestampMicrosecondArray::from(vec![Some(-1), None]))),
        ("timestamp_ns", Arc::new(TimestampNanosecondArray::from(vec![Some(1), None]))),
        (
            "instant",
            Arc::new(TimestampMicrosecondArray::from(vec![Some(1_709_208_000_123_456), None]).with_timezone("UTC")),
        ),
        ("duration", Arc::new(DurationMicrosecondArray::from(vec![Some(-90_000_000), None]))),
        ("uuid", Arc::new(uuid)),
        ("json", Arc::new(StringArray::from(vec![Some("{\"a\":  1}"), None]))),
        ("list", Arc::new(list.finish())),
        ("texts", Arc::new(texts.finish())),
        ("pair", Arc::new(pair.finish())),
        ("map", Arc::new(map.finish())),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| {
            let field = Field::new(*name, array.data_type().clone(), true);
            match *name {
                "uuid" | "json" => field.with_metadata(extension(&format!("arrow.{name}"))),
                _ => field,
            }
        })
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, array)| array).collect()).unwrap()
}

#[test]
fn every_type_survives_parquet() {
    let rows = every_type();
    let mut settings = output(Format::Parquet(parquet_spec()));
    settings.row_hash = true;
    let (written, memory) = write(&settings, std::slice::from_ref(&rows));
    let bytes = Bytes::from(memory.object("part-0"));
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
    let back = reader.next().unwrap().unwrap();
    for (index, field) in rows.schema().fields().iter().enumerate() {
        if field.name() == "nan" {
            assert!(back.column(index).as_any().downcast_ref::<Float64Array>().unwrap().value(0).is_nan());
        } else {
            assert_eq!(back.column(index).to_data(), rows.column(index).to_data(), "{}", field.name());
        }
        assert_eq!(written.columns[field.name()].nulls, 1, "{}", field.name());
    }
}

#[test]
fn the_parquet_schema_says_what_the_values_are() {
    let (_, memory) = write(&output(Format::Parquet(parquet_spec())), &[every_type()]);
    let bytes = Bytes::from(memory.object("part-0"));
    let reader = SerializedFileReader::new(bytes.clone()).unwrap();
    let mut text = Vec::new();
    print_schema(&mut text, reader.metadata().file_metadata().schema());
    let text = String::from_utf8(text).unwrap();
    for expected in [
        "OPTIONAL INT32 uint32 (INTEGER(32,false))",
        "OPTIONAL INT64 decimal (DECIMAL(12,2))",
        "OPTIONAL FIXED_LEN_BYTE_ARRAY (16) decimal_long (DECIMAL(38,30))",
        "OPTIONAL FIXED_LEN_BYTE_ARRAY (32) decimal_wide (DECIMAL(76,10))",
        "OPTIONAL INT64 time (TIME(MICROS,false))",
        "OPTIONAL INT64 timestamp (TIMESTAMP(MICROS,false))",
        "OPTIONAL INT64 timestamp_ns (TIMESTAMP(NANOS,false))",
        "OPTIONAL INT64 instant (TIMESTAMP(MICROS,true))",
        "OPTIONAL INT64 duration;",
        "OPTIONAL FIXED_LEN_BYTE_ARRAY (16) uuid (UUID)",
        "OPTIONAL BYTE_ARRAY json (JSON)",
        "OPTIONAL group list (LIST) {\n    REPEATED group list {\n      OPTIONAL INT32 element;",
        "OPTIONAL group map (MAP) {\n    REPEATED group key_value {\n      REQUIRED BYTE_ARRAY key (STRING);",
    ] {
        assert!(text.contains(expected), "{expected}\nis not in\n{text}");
    }
    // Without the Arrow schema only the duration is read differently.
    let plain = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, plain).unwrap();
    let field = builder.schema().field_with_name("instant").unwrap();
    assert_eq!(field.data_type(), &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    assert_eq!(builder.schema().field_with_name("duration").unwrap().data_type(), &DataType::Int64);
}

#[test]
fn every_type_has_its_csv_text() {
    let (written, memory) = write(&output(Format::Csv(csv_spec())), &[every_type()]);
    assert_eq!(written.rows, 2);
    let text = memory.object("part-0");
    let mut reader = ::csv::ReaderBuilder::new().from_reader(text.as_slice());
    let names = reader.headers().unwrap().clone();
    let rows: Vec<::csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let row: HashMap<&str, &str> = names.iter().zip(rows[0].iter()).collect();
    let expected = [
        ("boolean", "true"),
        ("int16", "-7"),
        ("int32", "-2147483648"),
        ("int64", "-9223372036854775808"),
        ("uint32", "4294967295"),
        ("uint64", "18446744073709551615"),
        ("float32", "0.1"),
        ("float64", "-1e300"),
        ("nan", "NaN"),
        ("infinite", "-Infinity"),
        ("decimal", "-0.50"),
        ("decimal_long", "10000000.000000000000000000000000000001"),
        ("decimal_wide", "-123456789012345678901234567890.1234567890"),
        ("utf8", "é, \"x\"\r\n"),
        ("empty", ""),
        ("binary", "\\x00ff10"),
        ("date", "2024-02-29"),
        ("time", "23:59:59.999999"),
        ("time_ns", "00:00:00.000000001"),
        ("timestamp", "1969-12-31 23:59:59.999999"),
        ("timestamp_ns", "1970-01-01 00:00:00.000000001"),
        ("instant", "2024-02-29 12:00:00.123456Z"),
        ("duration", "-90000000"),
        ("uuid", "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        ("json", "{\"a\":  1}"),
        ("list", "[1,null,3]"),
        ("texts", "[\"a \\\"quoted\\\" one\",\"\",null]"),
        ("pair", "{\"lower\":5,\"text\":null}"),
        ("map", "{\"k\\n\":\"v\",\"none\":null}"),
    ];
    for (name, text) in expected {
        assert_eq!(row[name], text, "{name}");
    }
    assert_eq!(row.len(), expected.len());
    // The second row is NULLs alone.
    let last = format!("\r\n{}\r\n", ",".repeat(expected.len() - 1));
    assert!(text.ends_with(last.as_bytes()));
}

#[test]
fn a_row_hash_tells_null_from_empty_and_ignores_widths() {
    let hash = |columns: Vec<ArrayRef>| {
        let mut settings = output(Format::Parquet(parquet_spec()));
        settings.row_hash = true;
        let rows = RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().enumerate().map(|(index, array)| (format!("c{index}"), array, true)),
        )
        .unwrap();
        let (_, memory) = write(&settings, &[rows]);
        let bytes = Bytes::from(memory.object("part-0"));
        let back = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap().next().unwrap().unwrap();
        let hashes = back.column_by_name("_rivet_row_hash").unwrap();
        hashes.as_any().downcast_ref::<Int64Array>().unwrap().values().to_vec()
    };
    let text = |values: Vec<Option<&str>>| -> ArrayRef { Arc::new(StringArray::from(values)) };
    let [null, empty, space] = hash(vec![text(vec![None, Some(""), Some(" ")])])[..] else { panic!() };
    assert!(null != empty && empty != space);
    assert_ne!(
        hash(vec![text(vec![Some("ab")]), text(vec![Some("c")])]),
        hash(vec![text(vec![Some("a")]), text(vec![Some("bc")])])
    );
    assert_eq!(hash(vec![Arc::new(Int16Array::from(vec![-5]))]), hash(vec![Arc::new(Int64Array::from(vec![-5]))]));
    assert_eq!(hash(vec![Arc::new(Int64Array::from(vec![5]))]), hash(vec![Arc::new(UInt64Array::from(vec![5]))]));
    // The bytes are fixed: tag 2 and eight bytes, XXH3-64.
    let expected = xxhash_rust::xxh3::xxh3_64(&[2, 5, 0, 0, 0, 0, 0, 0, 0]).cast_signed();
    assert_eq!(hash(vec![Arc::new(Int64Array::from(vec![5]))]), [expected]);
}
