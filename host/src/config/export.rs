//! One entry of `exports`, typed.

use rivet_sdk::{OnUnrepresentable, Relation, WantedType};

use super::columns;
use super::destination::{self, DestinationConfig};
use super::diagnostic::{Diagnostic, Position};
use super::fields::{Fields, Named};
use super::mode::{self, Mode};
use super::output::{self, OutputConfig};
use super::quality;
use super::relation;
use super::template;
use super::tuning::{self, Environment, Tuning};
use super::variables::Variables;
use crate::destination::DestinationKind;
use crate::plan::{ConsistencyPolicy, Granularity, QualitySpec, Verify, WriteMode};

/// One table or query, its format and its destination.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportConfig {
    /// Unique, and safe in a path.
    pub name: String,
    /// Where the export stands in the file.
    pub at: Position,
    /// What is read.
    pub relation: Relation,
    /// Which of its rows.
    pub mode: Mode,
    /// How it is cut.
    pub chunking: Chunking,
    /// Into which folders its rows are sorted.
    pub partition_by: Option<PartitionBy>,
    /// Workers.
    pub parallel: u32,
    /// Tries of one chunk, the first included.
    pub max_attempts: u32,
    /// What must hold before the commit.
    pub quality: Option<QualitySpec>,
    /// What becomes of a changed schema.
    pub on_schema_drift: OnSchemaDrift,
    /// By which factor the longest value of a column may grow unmentioned; 0: by any.
    pub shape_drift_warn_factor: f64,
    /// Columns the rows of a chunk are sorted by.
    pub order_by: Vec<String>,
    /// How files are written.
    pub output: OutputConfig,
    /// Types asked for, by the source's column names.
    pub columns: Vec<Named<WantedType>>,
    /// Columns left out, by the source's names.
    pub exclude: Vec<Named<()>>,
    /// New names, by the source's names.
    pub rename: Vec<Named<String>>,
    /// Where files go.
    pub destination: DestinationConfig,
    /// What becomes of earlier runs' files.
    pub write_mode: WriteMode,
    /// How files are checked at commit.
    pub verify: Verify,
    /// What the chunks shall share.
    pub consistency: ConsistencyPolicy,
    /// What becomes of values that the Arrow type cannot hold.
    pub on_unrepresentable: OnUnrepresentable,
    /// Exports of one group run one after the other.
    pub source_group: Option<String>,
    /// Whether every run's counts are compared with the source's.
    pub reconcile_required: bool,
    /// How hard the source may be worked.
    pub tuning: Tuning,
    /// The warehouse whose types `check` advises on.
    pub target: Option<String>,
}

/// What becomes of columns that are not those of the last run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSchemaDrift {
    /// The run goes on and says so.
    Warn,
    /// The run goes on.
    Continue,
    /// The run is refused before it reads a row.
    Fail,
}

/// Hive folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionBy {
    /// The column, by the source's name.
    pub column: String,
    /// How finely dates and instants are told apart.
    pub granularity: Granularity,
}

/// How a table is cut into chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunking {
    /// The strategy.
    pub by: ChunkBy,
    /// The column ranges are cut by; None lets the planner find one.
    pub column: Option<String>,
    /// The unique key for keyset chunks; empty lets the planner find one.
    pub key: Vec<String>,
    /// How large a chunk shall be.
    pub size: ChunkSize,
}

/// The strategy the user asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkBy {
    /// The planner chooses.
    Auto,
    /// Ranges of a key.
    Range,
    /// Ranges of a unique key of any type.
    Keyset,
    /// Windows of so many days.
    Days(u32),
    /// Physical ranges.
    Native,
    /// One chunk.
    None,
}

/// How large a chunk shall be, about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkSize {
    /// As large as suits the table and the workers.
    Auto,
    /// So many rows.
    Rows(u64),
    /// So many bytes.
    Bytes(u64),
    /// As many as make so many chunks.
    Count(u32),
}

/// What an export takes from the rest of the file.
pub(super) struct Around<'a> {
    pub variables: &'a Variables,
    pub environment: Option<Environment>,
    pub source_tuning: Option<&'a Fields>,
    pub memory_limit_mb: u64,
}

/// Reads one export. None if something without a default is missing.
pub(super) fn read(export: &Fields, around: &Around<'_>, faults: &mut Vec<Diagnostic>) -> Option<ExportConfig> {
    if let Some(name) = export.text("name")
        && !template::is_export_name(&if export.has("tables") {
            name.replace(template::TABLE, "t")
        } else {
            name.to_owned()
        })
    {
        let message = "cannot stand in a path: it is empty, too long, begins with a dot or holds a slash, a brace or a \
                       control character";
        faults.push(export.fault("name", message));
    }
    let relation = relation::read(export, around.variables, faults);
    let mode = mode::read(export, faults);
    let chunking = chunking(export, faults);
    let partition_by = partition_by(export, faults);
    let output = output::read(export, faults);
    let destination = destination::read(export, around.variables, faults);
    let columns = columns::read(export, faults);
    let tuning = tuning(export, around, faults);
    let parallel = export.integer("parallel").unwrap_or(1);
    if parallel > 1 && destination.as_ref().is_some_and(|destination| destination.kind == DestinationKind::Stdout) {
        let fault = export.fault("parallel", "`stdout` is written by one worker");
        faults.push(fault.with_hint("leave `parallel` out, or write to a folder"));
    }
    Some(ExportConfig {
        name: export.text("name")?.to_owned(),
        at: export.at,
        relation: relation?,
        mode: mode?,
        chunking,
        partition_by,
        parallel,
        max_attempts: export.integer("chunk_max_attempts").unwrap_or(tuning.max_retries + 1),
        quality: quality::read(export, faults),
        on_schema_drift: match export.text("on_schema_drift") {
            Some("fail") => OnSchemaDrift::Fail,
            Some("continue") => OnSchemaDrift::Continue,
            _ => OnSchemaDrift::Warn,
        },
        shape_drift_warn_factor: export.number("shape_drift_warn_factor").unwrap_or(2.0),
        order_by: export.texts("order_by").iter().map(|column| column.name.clone()).collect(),
        output: output?,
        columns,
        exclude: export.texts("exclude").to_vec(),
        rename: export.text_by_name("rename").to_vec(),
        destination: destination?,
        write_mode: if export.text("write_mode") == Some("replace") { WriteMode::Replace } else { WriteMode::Append },
        verify: if export.text("verify") == Some("content") { Verify::Content } else { Verify::Size },
        consistency: match export.text("consistency") {
            Some("snapshot") => ConsistencyPolicy::Snapshot,
            Some("per_chunk") => ConsistencyPolicy::PerChunk,
            _ => ConsistencyPolicy::Auto,
        },
        on_unrepresentable: match export.text("on_unrepresentable") {
            Some("null") => OnUnrepresentable::Null,
            _ => OnUnrepresentable::Fail,
        },
        source_group: export.text("source_group").map(str::to_owned),
        reconcile_required: export.is("reconcile_required"),
        tuning,
        target: export.text("target").map(str::to_owned),
    })
}

fn chunking(export: &Fields, faults: &mut Vec<Diagnostic>) -> Chunking {
    let by = match export.text("chunk_by") {
        Some("range") => ChunkBy::Range,
        Some("keyset") => ChunkBy::Keyset,
        Some("days") => ChunkBy::Days(export.integer("chunk_by_days").unwrap_or(1)),
        None if export.has("chunk_by_key") => ChunkBy::Keyset,
        None if export.has("chunk_by_days") => ChunkBy::Days(export.integer("chunk_by_days").unwrap_or(1)),
        Some("native") => ChunkBy::Native,
        Some("none") => ChunkBy::None,
        _ => ChunkBy::Auto,
    };
    let word = export.text("chunk_by").unwrap_or(match by {
        ChunkBy::Keyset => "keyset",
        ChunkBy::Days(_) => "days",
        _ => "auto",
    });
    if matches!(by, ChunkBy::Days(_)) && !export.has("chunk_column") {
        let fault = export.fault("chunk_by_days", "windows of days need `chunk_column`");
        faults.push(fault.with_hint("name a date or timestamp column"));
    }
    let without: &[&str] = match by {
        ChunkBy::None => {
            &["chunk_column", "chunk_size", "chunk_count", "chunk_size_memory_mb", "chunk_by_key", "chunk_by_days"]
        }
        ChunkBy::Native => &["chunk_column", "chunk_by_key", "chunk_by_days"],
        ChunkBy::Keyset => &["chunk_column", "chunk_by_days"],
        ChunkBy::Days(_) => &["chunk_size", "chunk_count", "chunk_size_memory_mb", "chunk_by_key"],
        ChunkBy::Range | ChunkBy::Auto => &["chunk_by_key", "chunk_by_days"],
    };
    for key in without.iter().filter(|key| export.has(key)) {
        let message = format!("`{key}` has no meaning with `chunk_by: {word}`");
        faults.push(export.fault(key, message).with_hint("keep one of them"));
    }
    if by == ChunkBy::None && export.text("mode") == Some("chunked") {
        faults.push(export.fault("chunk_by", "`chunk_by: none` contradicts `mode: chunked`"));
    }
    if export.has("chunk_size_memory_mb") {
        for key in ["chunk_size", "chunk_count"].iter().filter(|key| export.has(key)) {
            let message = format!("`{key}` and `chunk_size_memory_mb` are both given");
            faults.push(export.fault("chunk_size_memory_mb", message).with_hint("keep one of them"));
        }
    }
    let default = if export.text("mode") == Some("chunked") { ChunkSize::Rows(100_000) } else { ChunkSize::Auto };
    let count = export.integer("chunk_count").map(ChunkSize::Count);
    let bytes = export.integer::<u64>("chunk_size_memory_mb").map(|megabytes| ChunkSize::Bytes(megabytes << 20));
    let rows = export.integer("chunk_size").map(ChunkSize::Rows);
    Chunking {
        by,
        column: export.text("chunk_column").map(str::to_owned),
        key: export.texts("chunk_by_key").iter().map(|column| column.name.clone()).collect(),
        size: count.or(bytes).or(rows).unwrap_or(default),
    }
}

fn partition_by(export: &Fields, faults: &mut Vec<Diagnostic>) -> Option<PartitionBy> {
    let Some(column) = export.text("partition_by") else {
        if export.has("partition_granularity") {
            let fault = export.fault("partition_granularity", "it has no meaning without `partition_by`");
            faults.push(fault.with_hint("name the column with `partition_by`"));
        }
        return None;
    };
    let granularity = match export.text("partition_granularity") {
        Some("month") => Granularity::Month,
        Some("year") => Granularity::Year,
        _ => Granularity::Day,
    };
    Some(PartitionBy { column: column.to_owned(), granularity })
}

fn tuning(export: &Fields, around: &Around<'_>, faults: &mut Vec<Diagnostic>) -> Tuning {
    let own = export.fields("tuning");
    if let Some(own) = own {
        faults.extend(tuning::check(own));
    }
    let layers: Vec<&Fields> = own.into_iter().chain(around.source_tuning).collect();
    let tuning = tuning::resolve(around.environment, &layers);
    let value_mb = tuning.max_value_bytes >> 20;
    if value_mb.saturating_mul(3) > around.memory_limit_mb {
        let message = format!(
            "three times max_value_mb ({value_mb}) must fit memory_limit_mb ({}): a value is held up to three times",
            around.memory_limit_mb
        );
        let named = layers.iter().find(|layer| layer.has("max_value_mb"));
        let (at, key) = match named {
            Some(layer) => (layer.at("max_value_mb"), layer.key("max_value_mb")),
            None => (export.at, export.path.clone()),
        };
        let fault = Diagnostic::invalid(at, key, message).with_hint("lower max_value_mb, or raise memory_limit_mb");
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }
    tuning
}
