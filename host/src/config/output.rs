//! The file format: compression, Parquet and CSV options, as the plan holds them.

use super::diagnostic::Diagnostic;
use super::fields::Fields;
use crate::plan::{Codec, Compression, CsvSpec, Format, ParquetSpec, RowGroups, Statistics};

/// How an export's files are written.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputConfig {
    /// The file format and its options.
    pub format: Format,
    /// The codec and its level.
    pub compression: Compression,
    /// A part that would grow beyond this is ended and another begun.
    pub max_file_size_bytes: Option<u64>,
    /// Write no part at all for an export without rows.
    pub skip_empty: bool,
    /// Add `_rivet_exported_at`.
    pub exported_at: bool,
    /// Add `_rivet_row_hash`.
    pub row_hash: bool,
}

/// Reads an export's output keys. None if the format is missing.
pub fn read(export: &Fields, faults: &mut Vec<Diagnostic>) -> Option<OutputConfig> {
    let csv = export.text("format")? == "csv";
    // rivet-cli accepts `parquet` options beside CSV; `csv` is ours alone.
    if !csv && export.has("csv") {
        faults.push(export.fault("csv", "`csv` options with `format: parquet`"));
    }
    let empty = Fields::default();
    let meta = export.fields("meta_columns").unwrap_or(&empty);
    Some(OutputConfig {
        format: match csv {
            true => Format::Csv(csv_spec(export.fields("csv").unwrap_or(&empty), faults)),
            false => Format::Parquet(parquet_spec(export.fields("parquet").unwrap_or(&empty), faults)),
        },
        compression: compression(export, csv, faults),
        max_file_size_bytes: export.integer("max_file_size"),
        skip_empty: export.is("skip_empty"),
        exported_at: meta.is("exported_at"),
        row_hash: meta.is("row_hash"),
    })
}

fn compression(export: &Fields, csv: bool, faults: &mut Vec<Diagnostic>) -> Compression {
    let of = |codec, level| Compression { codec, level };
    match export.text("compression_profile") {
        Some("none") => return of(Codec::None, None),
        Some("fast") if csv => return of(Codec::Gzip, Some(1)),
        Some("fast") => return of(Codec::Snappy, None),
        Some("compact") => return of(Codec::Zstd, Some(9)),
        Some(_) => return of(Codec::Zstd, Some(3)),
        None => {}
    }
    let name = export.text("compression").unwrap_or("zstd");
    let (codec, levels) = match name {
        "snappy" => (Codec::Snappy, None),
        "gzip" => (Codec::Gzip, Some(0..=9)),
        "lz4" => (Codec::Lz4, None),
        "none" => (Codec::None, None),
        "zstd" => (Codec::Zstd, Some(1..=22)),
        // The grammar takes no other word; one that is added there and forgotten here is no reason to choose another.
        other => {
            faults.push(export.fault("compression", format!("rivet does not write {other}")));
            return of(Codec::None, None);
        }
    };
    if csv && matches!(codec, Codec::Snappy | Codec::Lz4) {
        let message = format!("CSV files cannot be compressed by {name}");
        faults.push(export.fault("compression", message).with_hint("use gzip, zstd or none"));
    }
    let level: Option<i32> = export.integer("compression_level");
    match (level, levels) {
        (Some(level), Some(levels)) if !levels.contains(&level) => {
            let message = format!("{name} takes levels {} to {}", levels.start(), levels.end());
            faults.push(export.fault("compression_level", message));
        }
        (Some(_), None) => {
            let message = format!("{name} has no levels");
            faults.push(export.fault("compression_level", message).with_hint("leave it out, or use zstd or gzip"));
        }
        _ => {}
    }
    of(codec, level)
}

fn parquet_spec(fields: &Fields, faults: &mut Vec<Diagnostic>) -> ParquetSpec {
    let target: usize = fields.integer("target_row_group_mb").unwrap_or(64);
    let most: usize = fields.integer("max_row_group_mb").unwrap_or(usize::MAX);
    let rows: Option<usize> = fields.integer("row_group_rows");
    let row_groups = match (fields.text("row_group_strategy"), rows) {
        (Some("fixed_rows") | None, Some(rows)) => RowGroups::Rows(rows),
        (Some("fixed_rows"), None) => {
            let message = "`fixed_rows` needs `row_group_rows`";
            if !fields.has("row_group_rows") {
                faults.push(fields.fault("row_group_strategy", message).with_hint("add row_group_rows: 1000000"));
            }
            RowGroups::Bytes(target << 20)
        }
        _ => RowGroups::Bytes(target.min(most) << 20),
    };
    let names = |key| fields.texts(key).iter().map(|text| text.name.clone()).collect();
    ParquetSpec {
        row_groups,
        page_size_bytes: fields.integer::<usize>("page_size_kb").unwrap_or(1024) << 10,
        dictionary: fields.flag("dictionary"),
        bloom_filters: names("bloom_filters"),
        statistics: match fields.text("statistics") {
            Some("none") => Statistics::None,
            Some("chunk") => Statistics::Chunk,
            _ => Statistics::Page,
        },
        sorting: names("sorting"),
    }
}

fn csv_spec(fields: &Fields, faults: &mut Vec<Diagnostic>) -> CsvSpec {
    let character = |key: &str, default| fields.text(key).and_then(|text| text.chars().next()).unwrap_or(default);
    let (delimiter, quote) = (character("delimiter", ','), character("quote", '"'));
    for (key, character) in [("delimiter", delimiter), ("quote", quote)] {
        if matches!(character, '\r' | '\n' | '\0') {
            faults.push(fields.fault(key, "cannot be a line ending or NUL"));
        }
    }
    if delimiter == quote {
        faults.push(fields.fault("delimiter", "is the same character as `quote`"));
    }
    let null = fields.text("null").unwrap_or("").to_owned();
    if null.contains([delimiter, quote, '\r', '\n']) {
        let message = "holds the delimiter, the quote or a line ending, and NULL is never quoted";
        faults.push(fields.fault("null", message).with_hint("use a word such as NULL or \\N"));
    }
    CsvSpec {
        delimiter,
        quote,
        quote_all: fields.text("quoting") == Some("all"),
        null,
        header: fields.flag("header").unwrap_or(true),
        line_ending: if fields.text("line_ending") == Some("lf") { "\n" } else { "\r\n" }.to_owned(),
    }
}
