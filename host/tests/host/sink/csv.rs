//! CSV parts: quoting, NULL, compression, borders.

use std::io::Read;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use proptest::prelude::*;
use rivet::plan::{Codec, CsvSpec, Format, OutputSpec};
use rivet_sdk::ErrorKind;

use super::support::*;

fn texts(values: &[Option<&str>]) -> RecordBatch {
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values(0..values.len() as i64));
    let text: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    batch([("id", id), ("text", text)])
}

fn text_of(spec: CsvSpec, values: &[Option<&str>]) -> String {
    let (_, memory) = write(&output(Format::Csv(spec)), &[texts(values)]);
    String::from_utf8(memory.object("part-0")).unwrap()
}

#[test]
fn null_and_empty_differ() {
    assert_eq!(text_of(csv_spec(), &[None, Some(""), Some("a")]), "id,text\r\n0,\r\n1,\"\"\r\n2,a\r\n");
    let spec = CsvSpec { null: "\\N".into(), line_ending: "\n".into(), ..csv_spec() };
    assert_eq!(text_of(spec, &[None, Some("\\N"), Some("")]), "id,text\n0,\\N\n1,\"\\N\"\n2,\"\"\n");
    // Also where NULL's text looks like a number.
    let spec = CsvSpec { null: "0".into(), ..csv_spec() };
    assert_eq!(text_of(spec, &[None, Some("0")]), "id,text\r\n\"0\",0\r\n1,\"0\"\r\n");
}

#[test]
fn what_a_reader_takes_for_something_else_is_quoted() {
    let values = [Some("\\."), Some("NULL"), Some("\u{feff}x"), Some("\\.."), Some("null"), Some("x\u{feff}")];
    assert_eq!(
        text_of(csv_spec(), &values),
        "id,text\r\n0,\"\\.\"\r\n1,\"NULL\"\r\n2,\"\u{feff}x\"\r\n3,\\..\r\n4,null\r\n5,x\u{feff}\r\n"
    );
    let names: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let (_, memory) = write(&output(Format::Csv(csv_spec())), &[batch([("\\.", names)])]);
    assert_eq!(memory.object("part-0"), b"\"\\.\"\r\na\r\n");
}

#[test]
fn only_what_needs_quotes_is_quoted_unless_all_is() {
    let values = [Some("a,b"), Some("say \"hi\""), Some("two\nlines"), Some("\""), Some("plain; text ")];
    assert_eq!(
        text_of(csv_spec(), &values),
        "id,text\r\n0,\"a,b\"\r\n1,\"say \"\"hi\"\"\"\r\n2,\"two\nlines\"\r\n3,\"\"\"\"\r\n4,plain; text \r\n"
    );
    let spec = CsvSpec { quote_all: true, header: false, ..csv_spec() };
    assert_eq!(text_of(spec, &[Some("a"), None]), "\"0\",\"a\"\r\n\"1\",\r\n");
    let spec = CsvSpec { delimiter: '\t', quote: '\'', header: false, ..csv_spec() };
    assert_eq!(text_of(spec, &[Some("it's\t"), Some(",\"")]), "0\t'it''s\t'\r\n1\t,\"\r\n");
    // A delimiter that numbers contain.
    let spec = CsvSpec { delimiter: '1', header: false, ..csv_spec() };
    assert_eq!(text_of(spec, &[None, Some("x")]), "01\r\n\"1\"1x\r\n");
}

proptest! {
    #[test]
    fn whatever_is_written_is_read_back(values in prop::collection::vec(prop::option::of("[a\",;\r\n\\\\é ]{0,6}"), 1..40)) {
        let spec = CsvSpec { null: "\\N".into(), ..csv_spec() };
        let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        let text = text_of(spec, &values);
        let mut reader = ::csv::ReaderBuilder::new().from_reader(text.as_bytes());
        let back: Vec<::csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        prop_assert_eq!(back.len(), values.len());
        for (record, value) in back.iter().zip(values) {
            prop_assert_eq!(&record[1], value.unwrap_or("\\N"));
        }
    }
}

#[test]
fn the_whole_file_is_compressed() {
    let values = vec![Some("some text that repeats"); 50_000];
    let rows = texts(&values);
    let plain = text_of(csv_spec(), &values);
    for codec in [Codec::Gzip, Codec::Zstd] {
        let mut settings = output(Format::Csv(csv_spec()));
        settings.compression.codec = codec;
        let (_, memory) = write(&settings, std::slice::from_ref(&rows));
        let bytes = memory.object("part-0");
        assert!(bytes.len() < plain.len() / 5);
        let mut text = String::new();
        match codec {
            Codec::Gzip => flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap(),
            _ => zstd::Decoder::new(bytes.as_slice()).unwrap().read_to_string(&mut text).unwrap(),
        };
        assert!(text == plain);
    }
    let mut settings = output(Format::Csv(csv_spec()));
    settings.compression.codec = Codec::Snappy;
    let error = try_write(&settings, &rows.schema(), &[], &mut Memory::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

fn rolling(codec: Codec) -> OutputSpec {
    let mut settings = output(Format::Csv(csv_spec()));
    settings.compression.codec = codec;
    settings.max_file_size_bytes = Some(100_000);
    settings
}

#[test]
fn every_part_has_a_header_and_stays_below_the_limit() {
    let texts_of: Vec<String> =
        (0..40_000u64).map(|row| format!("{:x}", row.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let whole = vec![texts(&texts_of.iter().map(|text| Some(text.as_str())).collect::<Vec<_>>())];
    for codec in [Codec::None, Codec::Gzip, Codec::Zstd] {
        let (written, memory) = write(&rolling(codec), &whole);
        assert!(written.parts.len() > 3, "{codec:?}");
        assert!(written.parts.iter().all(|part| part.size_bytes <= 100_000), "{codec:?} {:?}", written.parts);
        assert_eq!(written.parts.iter().map(|part| part.rows).sum::<u64>(), 40_000);
        if codec == Codec::None {
            assert!(memory.keys().iter().all(|key| memory.object(key).starts_with(b"id,text\r\n")));
        }
        for sizes in [[1000, 17], [8192, 1], [333, 5000]] {
            let (again, other) = write(&rolling(codec), &rebatched(&whole, &sizes));
            assert_eq!(again, written);
            assert!(memory.keys().iter().all(|key| memory.object(key) == other.object(key)));
        }
    }
}

#[test]
fn a_chunk_without_rows_is_a_header() {
    let rows = texts(&[]);
    assert_eq!(text_of(csv_spec(), &[]), "id,text\r\n");
    let mut memory = Memory::default();
    let written = write_columns(&planned(&rows.schema()), &output(Format::Csv(csv_spec())), false, &[], &mut memory);
    assert!(written.unwrap().parts.is_empty() && memory.keys().is_empty());
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let refused = |spec: CsvSpec| {
        let settings = output(Format::Csv(spec));
        let error = try_write(&settings, &texts(&[]).schema(), &[], &mut Memory::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    };
    refused(CsvSpec { delimiter: '"', ..csv_spec() });
    refused(CsvSpec { delimiter: 'é', ..csv_spec() });
    refused(CsvSpec { null: "a,b".into(), ..csv_spec() });
    refused(CsvSpec { line_ending: "\r".into(), ..csv_spec() });
}
