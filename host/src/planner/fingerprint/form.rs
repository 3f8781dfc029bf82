//! The second form of the fingerprints: SHA-256 over canonical JSON. What is absent is not in it, so that a key that
//! rivet learns later changes nothing for those who do not use it.
//!
//! The names and words below are stored for good, as hashes: never rename one. `docs/reference/seals.md` lists them.

use rivet_sdk::{OnUnrepresentable, Relation, Result};
use serde_json::{Map, Value, json};

use crate::config::{
    ChunkBy, ChunkSize, Chunking, ExportConfig, Incremental, Mode, OnCursorTies, OnNullCursor, OutputConfig,
    PartitionBy, TimeWindow,
};
use crate::plan::{
    Codec, Compression, ConsistencyPolicy, CsvSpec, Format, Granularity, ParquetSpec, QualitySpec, RowGroups,
    Statistics, WriteMode,
};
use crate::seal;

/// `sha256:` and 64 digits.
pub(super) fn hash(form: &Value) -> Result<String> {
    seal::hash_of(form)
}

/// An object of the entries that are there: not null, not false, not empty.
fn object<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let is_there = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
        _ => true,
    };
    let kept = entries.into_iter().filter(|(_, value)| is_there(value));
    Value::Object(kept.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

pub(super) fn watermark(
    identity: &str,
    relation: &Relation,
    cursor: &[String],
    coalesced: bool,
    destination_plugin: &str,
    destination_options: Value,
) -> Value {
    object([
        ("form", json!(2)),
        ("of", json!("watermark")),
        ("identity", json!(identity)),
        ("relation", relation_of(relation)),
        ("cursor", json!(cursor)),
        ("coalesced", json!(coalesced)),
        ("destination", object([("plugin", json!(destination_plugin)), ("options", destination_options)])),
    ])
}

/// The same without the destination: a form of its own.
pub(super) fn rows(identity: &str, relation: &Relation, cursor: &[String], coalesced: bool) -> Value {
    object([
        ("form", json!(2)),
        ("of", json!("rows")),
        ("identity", json!(identity)),
        ("relation", relation_of(relation)),
        ("cursor", json!(cursor)),
        ("coalesced", json!(coalesced)),
    ])
}

/// The destination alone.
pub(super) fn destination(plugin: &str, options: Value) -> Value {
    object([("form", json!(2)), ("of", json!("destination")), ("plugin", json!(plugin)), ("options", options)])
}

/// Every key of an export stands here: one that is new is added to the form, or is none of its business.
pub(super) fn configuration(
    export: &ExportConfig,
    source_plugin: &str,
    source_options: Value,
    destination_options: Value,
) -> Value {
    let ExportConfig {
        name: _,
        at: _,
        relation,
        mode,
        chunking,
        partition_by,
        parallel: _,
        max_attempts: _,
        quality,
        on_schema_drift: _,
        shape_drift_warn_factor: _,
        order_by,
        output,
        columns,
        exclude,
        rename,
        destination,
        write_mode,
        verify: _,
        consistency,
        on_unrepresentable,
        source_group: _,
        reconcile_required: _,
        tuning: _,
        target: _,
    } = export;
    let names = |column: &crate::config::Named<()>| column.name.clone();
    let types = columns.iter().map(|column| json!({"name": column.name, "type": column.value.to_string()}));
    let renames = rename.iter().map(|column| json!({"name": column.name, "to": column.value}));
    object([
        ("form", json!(2)),
        ("of", json!("configuration")),
        ("source", object([("plugin", json!(source_plugin)), ("options", source_options)])),
        ("relation", relation_of(relation)),
        ("mode", mode_of(mode)),
        ("columns", types.collect()),
        ("exclude", exclude.iter().map(names).collect()),
        ("rename", renames.collect()),
        ("order_by", json!(order_by)),
        ("partition_by", partition_by.as_ref().map(partition_of).unwrap_or_default()),
        ("quality", quality.as_ref().map(quality_of).unwrap_or_default()),
        ("chunking", chunking_of(chunking)),
        (
            "consistency",
            json!(match consistency {
                ConsistencyPolicy::Snapshot => "snapshot",
                ConsistencyPolicy::PerChunk => "per_chunk",
                ConsistencyPolicy::Auto => "auto",
            }),
        ),
        (
            "on_unrepresentable",
            match on_unrepresentable {
                OnUnrepresentable::Fail => json!("fail"),
                other => json!(other),
            },
        ),
        ("output", output_of(output)),
        (
            "destination",
            object([
                ("plugin", json!(destination.plugin)),
                ("options", destination_options),
                ("template", json!(destination.template)),
            ]),
        ),
        (
            "write_mode",
            json!(match write_mode {
                WriteMode::Append => "append",
                WriteMode::Replace => "replace",
            }),
        ),
    ])
}

#[allow(unreachable_patterns, reason = "the SDK may grow")]
fn relation_of(relation: &Relation) -> Value {
    match relation {
        Relation::Table(table) => {
            json!({"table": object([("schema", json!(table.schema)), ("name", json!(table.name))])})
        }
        Relation::Query(query) => json!({"query": query}),
        other => json!(other),
    }
}

fn mode_of(mode: &Mode) -> Value {
    match mode {
        Mode::Full => json!("full"),
        Mode::Incremental(Incremental { cursor, coalesced, settle_ms, on_null, on_ties }) => {
            let on_null = match on_null {
                OnNullCursor::Fail => "fail",
                OnNullCursor::Include => "include",
                OnNullCursor::Skip => "skip",
            };
            let on_ties = on_ties.map(|on_ties| match on_ties {
                OnCursorTies::Fail => "fail",
                OnCursorTies::Again => "again",
                OnCursorTies::Leave => "leave",
            });
            json!({"incremental": object([
                ("cursor", json!(cursor)),
                ("coalesced", json!(coalesced)),
                ("settle_ms", json!(settle_ms)),
                ("on_null", json!(on_null)),
                ("on_ties", json!(on_ties)),
            ])})
        }
        Mode::TimeWindow(TimeWindow { column, unix, days }) => json!({"time_window": object([
            ("column", json!(column)),
            ("unix", json!(unix)),
            ("days", json!(days)),
        ])}),
    }
}

fn partition_of(partition: &PartitionBy) -> Value {
    let PartitionBy { column, granularity } = partition;
    let granularity = match granularity {
        Granularity::Day => "day",
        Granularity::Month => "month",
        Granularity::Year => "year",
    };
    json!({"column": column, "granularity": granularity})
}

fn quality_of(quality: &QualitySpec) -> Value {
    let QualitySpec { row_count_min, row_count_max, null_ratio_max, unique_columns, unique_max_entries } = quality;
    object([
        ("row_count_min", json!(row_count_min)),
        ("row_count_max", json!(row_count_max)),
        ("null_ratio_max", json!(null_ratio_max)),
        ("unique_columns", json!(unique_columns)),
        ("unique_max_entries", json!(unique_max_entries)),
    ])
}

fn chunking_of(chunking: &Chunking) -> Value {
    let Chunking { by, column, key, size } = chunking;
    let by = match by {
        ChunkBy::Auto => json!("auto"),
        ChunkBy::Range => json!("range"),
        ChunkBy::Keyset => json!("keyset"),
        ChunkBy::Days(days) => json!({"days": days}),
        ChunkBy::Native => json!("native"),
        ChunkBy::None => json!("none"),
    };
    let size = match size {
        ChunkSize::Auto => json!("auto"),
        ChunkSize::Rows(rows) => json!({"rows": rows}),
        ChunkSize::Bytes(bytes) => json!({"bytes": bytes}),
        ChunkSize::Count(count) => json!({"count": count}),
    };
    object([("by", by), ("column", json!(column)), ("key", json!(key)), ("size", size)])
}

fn output_of(output: &OutputConfig) -> Value {
    let OutputConfig { format, compression, max_file_size_bytes, skip_empty, exported_at, row_hash } = output;
    let format = match format {
        Format::Parquet(spec) => json!({"parquet": parquet_of(spec)}),
        Format::Csv(spec) => json!({"csv": csv_of(spec)}),
    };
    let Compression { codec, level } = compression;
    let codec = match codec {
        Codec::None => "none",
        Codec::Snappy => "snappy",
        Codec::Gzip => "gzip",
        Codec::Lz4 => "lz4",
        Codec::Zstd => "zstd",
    };
    object([
        ("format", format),
        ("compression", object([("codec", json!(codec)), ("level", json!(level))])),
        ("max_file_size_bytes", json!(max_file_size_bytes)),
        ("skip_empty", json!(skip_empty)),
        ("exported_at", json!(exported_at)),
        ("row_hash", json!(row_hash)),
    ])
}

fn parquet_of(spec: &ParquetSpec) -> Value {
    let ParquetSpec { row_groups, page_size_bytes, dictionary, bloom_filters, statistics, sorting } = spec;
    let row_groups = match row_groups {
        RowGroups::Rows(rows) => json!({"rows": rows}),
        RowGroups::Bytes(bytes) => json!({"bytes": bytes}),
    };
    let statistics = match statistics {
        Statistics::None => "none",
        Statistics::Chunk => "chunk",
        Statistics::Page => "page",
    };
    let dictionary = dictionary.map(|forced| if forced { "on" } else { "off" });
    object([
        ("row_groups", row_groups),
        ("page_size_bytes", json!(page_size_bytes)),
        ("dictionary", json!(dictionary)),
        ("bloom_filters", json!(bloom_filters)),
        ("statistics", json!(statistics)),
        ("sorting", json!(sorting)),
    ])
}

fn csv_of(spec: &CsvSpec) -> Value {
    let CsvSpec { delimiter, quote, quote_all, null, header, line_ending } = spec;
    object([
        ("delimiter", json!(delimiter)),
        ("quote", json!(quote)),
        ("quote_all", json!(quote_all)),
        ("null", Value::from(null.as_str())),
        ("header", json!(header)),
        ("line_ending", json!(line_ending)),
    ])
}
