//! What a plan says about the files: their format and their destination.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::destination::DestinationKind;

/// How finely dates and instants are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Granularity {
    Day,
    Month,
    Year,
}

/// How parts are written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutputSpec {
    /// The file format and its options.
    pub format: Format,
    /// The codec and its level.
    pub compression: Compression,
    /// A part that would grow beyond this is ended and another begun.
    #[serde(default)]
    pub max_file_size_bytes: Option<u64>,
    /// Write no part at all for an export without rows.
    #[serde(default)]
    pub skip_empty: bool,
    /// Sort rows into Hive folders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<PartitionSpec>,
    /// Add `_rivet_exported_at` with this instant, in microseconds since 1970 UTC.
    #[serde(default)]
    pub exported_at_us: Option<i64>,
    /// Add `_rivet_row_hash`.
    #[serde(default)]
    pub row_hash: bool,
}

/// How rows are sorted into Hive folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartitionSpec {
    /// The column, by the source's name.
    pub column: String,
    /// What stands before `=` in the folder's name: the column's name in the file.
    pub label: String,
    /// How finely dates and instants are told apart; instants by their day in UTC.
    pub granularity: Granularity,
    /// What follows the folder in a key: empty, or ends with `/`.
    #[serde(default)]
    pub suffix: String,
    /// Bytes of rows a chunk holds back before it writes the fullest folder.
    pub buffer_bytes: u64,
    /// Files a chunk keeps open at once.
    pub max_open: u32,
}

/// The file format and its options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Format {
    /// Apache Parquet.
    Parquet(ParquetSpec),
    /// Comma-separated values.
    Csv(CsvSpec),
}

/// Parquet options, resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ParquetSpec {
    /// When a row group ends.
    pub row_groups: RowGroups,
    /// Target bytes of a data page before compression.
    pub page_size_bytes: usize,
    /// None decides per column from its data; Some forces it for all.
    #[serde(default)]
    pub dictionary: Option<bool>,
    /// Columns with a bloom filter (output names).
    #[serde(default)]
    pub bloom_filters: Vec<String>,
    /// How fine statistics are.
    pub statistics: Statistics,
    /// Columns the file is declared to be sorted by (output names).
    #[serde(default)]
    pub sorting: Vec<String>,
}

/// When a row group ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RowGroups {
    /// After this many rows.
    Rows(usize),
    /// Once its encoded and buffered data reaches about this many bytes.
    Bytes(usize),
}

/// How fine Parquet statistics are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Statistics {
    None,
    Chunk,
    Page,
}

/// CSV options, resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CsvSpec {
    /// Between fields; one ASCII character.
    pub delimiter: char,
    /// Around fields; one ASCII character.
    pub quote: char,
    /// Whether every value is quoted, or only those that need it.
    pub quote_all: bool,
    /// What NULL looks like; never quoted. A value equal to it is quoted.
    pub null: String,
    /// Whether the first line holds the names.
    pub header: bool,
    /// `\r\n` (RFC 4180) or `\n`.
    pub line_ending: String,
}

/// A codec and its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Compression {
    /// Which.
    pub codec: Codec,
    /// The codec's own level; None is its default here (zstd 3, gzip 6).
    #[serde(default)]
    pub level: Option<i32>,
}

/// Compression codecs. `Lz4` is Parquet's LZ4_RAW.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Codec {
    None,
    Snappy,
    Gzip,
    Lz4,
    Zstd,
}

/// Where parts are written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DestinationSpec {
    /// `local`, `stdout`, or a plugin's name.
    pub plugin: String,
    /// Its options as configured, secrets by reference, its path or prefix cut before the
    /// first token.
    pub options: serde_json::Value,
    /// The destination as it calls itself, a folder by its absolute path; rivet 0.1 did not say. A relative path is
    /// this one from wherever the plan is applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The expanded rest of the path, relative to the destination: empty, or ends with `/`.
    pub data_prefix: String,
    /// What becomes of earlier runs' parts.
    pub write_mode: WriteMode,
    /// How parts are checked at commit.
    pub verify: Verify,
}

impl DestinationSpec {
    /// Which kind of destination `plugin` names.
    pub fn kind(&self) -> DestinationKind {
        DestinationKind::of(&self.plugin)
    }
}

/// What becomes of earlier runs' parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WriteMode {
    /// They stay.
    Append,
    /// They are removed once the new manifest is in place.
    Replace,
}

/// How parts are checked at commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// Sizes against the destination's listing.
    Size,
    /// Every part is read back and its checksum compared.
    Content,
}
