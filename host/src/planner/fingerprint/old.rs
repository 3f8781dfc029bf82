//! The first form of the fingerprints: hashes of what `{:?}` made of the types of rivet 0.1 (20758ea).
//!
//! The texts are written out by hand, because stored watermarks, plans and manifests hold their hashes for good: a
//! type that is renamed must not change them. What this form does not know has no hash in it: None. `golden.json`
//! holds what the program of that version made of `golden.yaml`.

use rivet_sdk::{OnUnrepresentable, Relation, WantedType};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::config::{
    ChunkBy, ChunkSize, Chunking, ExportConfig, Incremental, Mode, OnNullCursor, OutputConfig, PartitionBy, TimeWindow,
};
use crate::plan::{
    Codec, Compression, ConsistencyPolicy, CsvSpec, Format, Granularity, ParquetSpec, QualitySpec, RowGroups,
    Statistics, WriteMode,
};

/// That of a configuration. The options stand without their secrets.
pub(super) fn configuration(
    export: &ExportConfig,
    source_plugin: &str,
    source_options: &Value,
    destination_options: &Value,
) -> Option<String> {
    let wanted = |name: &String, wanted| Some(format!("({}, {})", quoted(name), wanted_type(wanted)?));
    let columns: Option<Vec<String>> = export.columns.iter().map(|column| wanted(&column.name, column.value)).collect();
    let pair = |one: &String, other: &String| format!("({}, {})", quoted(one), quoted(other));
    let lines = [
        mode(&export.mode)?,
        format!(
            "({}, {}, {})",
            option(export.partition_by.as_ref().map(partition_by)),
            option(export.quality.as_ref().map(quality)),
            texts(&export.order_by)
        ),
        match export.consistency {
            ConsistencyPolicy::Snapshot => "Snapshot",
            ConsistencyPolicy::PerChunk => "PerChunk",
            ConsistencyPolicy::Auto => "Auto",
        }
        .to_owned(),
        source_plugin.to_owned(),
        source_options.to_string(),
        relation(&export.relation)?,
        list(columns?.into_iter()),
        list(export.exclude.iter().map(|column| quoted(&column.name))),
        list(export.rename.iter().map(|column| pair(&column.name, &column.value))),
        output(&export.output),
        chunking(&export.chunking),
        destination_options.to_string(),
        export.destination.template.clone(),
        match export.write_mode {
            WriteMode::Append => "Append",
            WriteMode::Replace => "Replace",
        }
        .to_owned(),
        on_unrepresentable(export.on_unrepresentable)?,
    ];
    Some(hex(&Sha256::digest(lines.join("\n").as_bytes())))
}

/// That of a watermark.
pub(super) fn watermark(
    identity: &str,
    of: &Relation,
    cursor: &[String],
    coalesced: bool,
    destination_plugin: &str,
    destination_options: &Value,
) -> Option<String> {
    let lines = [
        identity.to_owned(),
        relation(of)?,
        texts(cursor),
        coalesced.to_string(),
        destination_plugin.to_owned(),
        destination_options.to_string(),
    ];
    let hash = hex(&Sha256::digest(lines.join("\n").as_bytes()));
    hash.get(..32).map(str::to_owned)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn texts(texts: &[String]) -> String {
    list(texts.iter().map(|text| quoted(text)))
}

fn option(value: Option<String>) -> String {
    value.map_or_else(|| "None".to_owned(), |value| format!("Some({value})"))
}

fn number<T: ToString>(value: Option<T>) -> String {
    option(value.map(|value| value.to_string()))
}

fn mode(mode: &Mode) -> Option<String> {
    Some(match mode {
        Mode::Incremental(Incremental { on_ties: Some(_), .. }) => return None,
        Mode::Full => "Full".to_owned(),
        Mode::Incremental(Incremental { cursor, coalesced, settle_ms, on_null, on_ties: _ }) => {
            let on_null = match on_null {
                OnNullCursor::Fail => "Fail",
                OnNullCursor::Include => "Include",
                OnNullCursor::Skip => "Skip",
            };
            format!(
                "Incremental(Incremental {{ cursor: {}, coalesced: {coalesced}, settle_ms: {}, on_null: {on_null} }})",
                texts(cursor),
                number(*settle_ms)
            )
        }
        Mode::TimeWindow(TimeWindow { column, unix, days }) => {
            format!("TimeWindow(TimeWindow {{ column: {}, unix: {unix}, days: {days} }})", quoted(column))
        }
    })
}

fn partition_by(partition_by: &PartitionBy) -> String {
    let PartitionBy { column, granularity } = partition_by;
    let granularity = match granularity {
        Granularity::Day => "Day",
        Granularity::Month => "Month",
        Granularity::Year => "Year",
    };
    format!("PartitionBy {{ column: {}, granularity: {granularity} }}", quoted(column))
}

fn quality(quality: &QualitySpec) -> String {
    let QualitySpec { row_count_min, row_count_max, null_ratio_max, unique_columns, unique_max_entries } = quality;
    let ratios: Vec<String> = null_ratio_max.iter().map(|(name, most)| format!("{}: {most:?}", quoted(name))).collect();
    format!(
        "QualitySpec {{ row_count_min: {}, row_count_max: {}, null_ratio_max: {{{}}}, unique_columns: {}, \
         unique_max_entries: {unique_max_entries} }}",
        number(*row_count_min),
        number(*row_count_max),
        ratios.join(", "),
        texts(unique_columns)
    )
}

#[allow(unreachable_patterns, reason = "the SDK may grow")]
fn relation(relation: &Relation) -> Option<String> {
    Some(match relation {
        Relation::Table(table) => {
            let schema = option(table.schema.as_deref().map(quoted));
            format!("Table(TableName {{ schema: {schema}, name: {} }})", quoted(&table.name))
        }
        Relation::Query(query) => format!("Query({})", quoted(query)),
        _ => return None,
    })
}

#[allow(unreachable_patterns, reason = "the SDK may grow")]
fn on_unrepresentable(policy: OnUnrepresentable) -> Option<String> {
    let word = match policy {
        OnUnrepresentable::Fail => "Fail",
        OnUnrepresentable::Null => "Null",
        _ => return None,
    };
    Some(word.to_owned())
}

#[allow(unreachable_patterns, reason = "the SDK may grow")]
fn wanted_type(wanted: WantedType) -> Option<String> {
    let word = match wanted {
        WantedType::Bool => "Bool",
        WantedType::Int2 => "Int2",
        WantedType::Int4 => "Int4",
        WantedType::Int8 => "Int8",
        WantedType::Float4 => "Float4",
        WantedType::Float8 => "Float8",
        WantedType::Decimal(digits, scale) => return Some(format!("Decimal({digits}, {scale})")),
        WantedType::Date => "Date",
        WantedType::Time => "Time",
        WantedType::Timestamp => "Timestamp",
        WantedType::TimestampNs => "TimestampNs",
        WantedType::TimestampTz => "TimestampTz",
        WantedType::TimestampTzNs => "TimestampTzNs",
        WantedType::Duration => "Duration",
        WantedType::Text => "Text",
        WantedType::Binary => "Binary",
        WantedType::Json => "Json",
        WantedType::Uuid => "Uuid",
        _ => return None,
    };
    Some(word.to_owned())
}

fn output(output: &OutputConfig) -> String {
    let OutputConfig { format, compression, max_file_size_bytes, skip_empty, exported_at, row_hash } = output;
    let format = match format {
        Format::Parquet(spec) => format!("Parquet({})", parquet(spec)),
        Format::Csv(spec) => format!("Csv({})", csv(spec)),
    };
    let Compression { codec, level } = compression;
    let codec = match codec {
        Codec::None => "None",
        Codec::Snappy => "Snappy",
        Codec::Gzip => "Gzip",
        Codec::Lz4 => "Lz4",
        Codec::Zstd => "Zstd",
    };
    format!(
        "OutputConfig {{ format: {format}, compression: Compression {{ codec: {codec}, level: {} }}, \
         max_file_size_bytes: {}, skip_empty: {skip_empty}, exported_at: {exported_at}, row_hash: {row_hash} }}",
        number(*level),
        number(*max_file_size_bytes)
    )
}

fn parquet(spec: &ParquetSpec) -> String {
    let ParquetSpec { row_groups, page_size_bytes, dictionary, bloom_filters, statistics, sorting } = spec;
    let row_groups = match row_groups {
        RowGroups::Rows(rows) => format!("Rows({rows})"),
        RowGroups::Bytes(bytes) => format!("Bytes({bytes})"),
    };
    let statistics = match statistics {
        Statistics::None => "None",
        Statistics::Chunk => "Chunk",
        Statistics::Page => "Page",
    };
    format!(
        "ParquetSpec {{ row_groups: {row_groups}, page_size_bytes: {page_size_bytes}, dictionary: {}, \
         bloom_filters: {}, statistics: {statistics}, sorting: {} }}",
        number(*dictionary),
        texts(bloom_filters),
        texts(sorting)
    )
}

fn csv(spec: &CsvSpec) -> String {
    let CsvSpec { delimiter, quote, quote_all, null, header, line_ending } = spec;
    format!(
        "CsvSpec {{ delimiter: {delimiter:?}, quote: {quote:?}, quote_all: {quote_all}, null: {}, header: {header}, \
         line_ending: {} }}",
        quoted(null),
        quoted(line_ending)
    )
}

fn chunking(chunking: &Chunking) -> String {
    let Chunking { by, column, key, size } = chunking;
    let by = match by {
        ChunkBy::Auto => "Auto".to_owned(),
        ChunkBy::Range => "Range".to_owned(),
        ChunkBy::Keyset => "Keyset".to_owned(),
        ChunkBy::Days(days) => format!("Days({days})"),
        ChunkBy::Native => "Native".to_owned(),
        ChunkBy::None => "None".to_owned(),
    };
    let size = match size {
        ChunkSize::Auto => "Auto".to_owned(),
        ChunkSize::Rows(rows) => format!("Rows({rows})"),
        ChunkSize::Bytes(bytes) => format!("Bytes({bytes})"),
        ChunkSize::Count(count) => format!("Count({count})"),
    };
    let column = option(column.as_deref().map(quoted));
    format!("Chunking {{ by: {by}, column: {column}, key: {}, size: {size} }}", texts(key))
}
