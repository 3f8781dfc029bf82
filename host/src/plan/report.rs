//! What was done: the report of a chunk, and the manifest of a run.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::made_by::MadeBy;
use super::output::WriteMode;
use super::spec::{Consistency, IncrementalSpec};
use super::ties::{ChunkTies, Ties};

/// One file this run wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// Its key, relative to the destination.
    pub key: String,
    /// Its size.
    pub size_bytes: u64,
    /// Rows in it.
    pub rows: u64,
    /// CRC-32C of its bytes, as eight hex digits.
    pub crc32c: String,
    /// The store's tag for it, where it has one.
    #[serde(default)]
    pub etag: Option<String>,
}

/// What an output column's values went through. Keyed by output name in reports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ColumnCounts {
    /// NULLs written.
    pub nulls: u64,
    /// Values that became NULL under `on_unrepresentable: null`.
    #[serde(default)]
    pub unrepresentable: u64,
    /// Values that lost digits below the Arrow type's resolution.
    #[serde(default)]
    pub rounded: u64,
    /// Bytes of the longest value of a text or binary column; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_bytes: Option<u64>,
}

impl ColumnCounts {
    /// Takes in what other rows of the same column went through.
    pub fn add(&mut self, other: &Self) {
        self.nulls += other.nulls;
        self.unrepresentable += other.unrepresentable;
        self.rounded += other.rounded;
        self.longest_bytes = self.longest_bytes.max(other.longest_bytes);
    }
}

/// A chunk's values of a column that must be unique.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UniqueValues {
    /// Rows whose value came before in this chunk.
    pub duplicates: u64,
    /// XXH3-128 of each distinct value, sorted, in hex; empty where there is one chunk only.
    #[serde(default)]
    pub hashes: Vec<String>,
}

/// What one attempt at one chunk did. Written put-if-absent: the first attempt wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::seal::described)]
pub struct Report {
    /// Version of this JSON.
    pub report_version: u32,
    /// The run.
    pub run_id: String,
    /// The export.
    pub export: String,
    /// [`Plan::id`].
    pub plan_id: String,
    /// The chunk's index.
    pub chunk: u32,
    /// This attempt's random id.
    pub attempt: String,
    /// The snapshot it read at, if any.
    #[serde(default)]
    pub read_point: Option<String>,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// RFC 3339, UTC.
    pub finished_at: String,
    /// Rows read and written.
    pub rows: u64,
    /// The files written, in order.
    pub parts: Vec<Part>,
    /// By output name; every output column is there.
    pub columns: BTreeMap<String, ColumnCounts>,
    /// Of each column that must be unique, by its source name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unique: BTreeMap<String, UniqueValues>,
    /// How long the longest statement was open on the server.
    pub longest_statement_ms: u64,
    /// Texts for the user.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Rows read and left out: runs before delivered them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
    /// What it saw of the rows at the run's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ties: Option<ChunkTies>,
    /// The seal of the plan, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_seal: Option<String>,
    /// By which programs; rivet 0.1 did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<MadeBy>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What a run repairs: it reads some chunks of a committed run again and takes the other parts over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Repairs {
    /// The run whose place it takes.
    pub run_id: String,
    /// The run that the first of these repairs was of: `run_id`, unless that is a repair itself.
    /// A repair stands where this run stands in the order of runs, because its rows do.
    pub first: String,
    /// When that run was committed: RFC 3339, UTC.
    pub first_committed_at: String,
    /// `sha256:` of the manifest of `run_id`.
    pub manifest_checksum: String,
    /// The chunks that are read again, ascending; every other one is taken over with its parts.
    pub chunks: Vec<u32>,
}

/// The committed parts of a run. Immutable once written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::seal::described)]
pub struct Manifest {
    /// Version of this JSON.
    pub manifest_version: u32,
    /// The run.
    pub run_id: String,
    /// The export.
    pub export: String,
    /// [`Plan::id`].
    pub plan_id: String,
    /// When the commit wrote it: RFC 3339, UTC.
    pub committed_at: String,
    /// What the chunks share.
    pub consistency: Consistency,
    /// Every distinct read point of its chunks.
    pub read_points: Vec<String>,
    /// Where its parts and `_SUCCESS` are: [`DestinationSpec::data_prefix`].
    pub data_prefix: String,
    /// The destination as it called itself, a folder by its absolute path; rivet 0.1 did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What becomes of earlier runs' parts.
    pub write_mode: WriteMode,
    /// Chunks in the plan, all of them in here.
    pub chunks: u32,
    /// The attempt that counts for each chunk, by the chunk's position.
    pub attempts: Vec<String>,
    /// Rows in all parts.
    pub rows: u64,
    /// Bytes of all parts.
    pub bytes: u64,
    /// How far the run took the watermark; None in other modes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incremental: Option<IncrementalSpec>,
    /// The run it repairs; parts taken over from there bear that run's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repairs: Option<Repairs>,
    /// Every part, ordered by chunk.
    pub parts: Vec<ManifestPart>,
    /// Sums over all reports, by output name.
    pub columns: BTreeMap<String, ColumnCounts>,
    /// The longest statement of any chunk.
    pub longest_statement_ms: u64,
    /// Distinct texts of all reports.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Rows read and left out, because runs before delivered them, by chunk.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<u32, u64>,
    /// What is known of the rows at the run's end. Absent: later ones with that value are left behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ties: Option<Ties>,
    /// The seal of the plan, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_seal: Option<String>,
    /// By which programs; rivet 0.1 did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<MadeBy>,
}

impl Manifest {
    /// The run itself, or the one that it and the repairs before it repair.
    pub fn first(&self) -> &str {
        self.repairs.as_ref().map_or(&self.run_id, |repairs| &repairs.first)
    }

    /// When that run was committed.
    pub fn first_committed_at(&self) -> &str {
        self.repairs.as_ref().map_or(&self.committed_at, |repairs| &repairs.first_committed_at)
    }

    /// Where the run stands among the export's: runs by their ids, a repair right after what it
    /// repairs.
    pub fn standing(&self) -> (&str, &str) {
        (self.first(), &self.run_id)
    }
}

/// A part in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ManifestPart {
    /// The chunk it belongs to.
    pub chunk: u32,
    /// The attempt that wrote it.
    pub attempt: String,
    /// The file.
    #[serde(flatten)]
    pub part: Part,
}
