//! The plan's data: what `rivet plan -o` seals and `rivet apply` runs.

use arrow_schema::SchemaRef;
use rivet_sdk::{
    Condition, ExportRequest, OnUnrepresentable, OneReadPoint, Relation, Result, Scalar, SessionPolicy, TypeMapping,
    WantedType,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::AsRead;
use super::fingerprint::Fingerprint;
use super::made_by::MadeBy;
use super::output::{DestinationSpec, OutputSpec};
use super::report::Repairs;
use super::ties::{Boundary, TiesEnd, TiesSpec};

/// The version of the plan's JSON this host writes…
pub const PLAN_VERSION: u32 = 1;
/// …and of a plan whose rows depend on keys that came later: it lists them under `requires`. A version that does not
/// know this number refuses the plan, one that does not know a key refuses it by that key's name.
pub const PLAN_VERSION_REQUIRING: u32 = 2;

/// One run of one export. Nothing is left to decide: its chunks, columns, settings and names
/// are final. Secrets are absent; `*_env` and `*_file` references stand unexpanded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::seal::described)]
pub struct Plan {
    /// 1; or 2 where it has `requires`.
    pub plan_version: u32,
    /// Unique to this run: a ULID.
    pub run_id: String,
    /// The export's configured name.
    pub export: String,
    /// When the plan was made: RFC 3339, UTC.
    pub created_at: String,
    /// The hash of what the configuration said; a run is resumed only under the same.
    pub config_fingerprint: String,
    /// The same in its second form; rivet 0.1 wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_fingerprint_v2: Option<String>,
    /// Where rows come from.
    pub source: SourceSpec,
    /// What is read.
    pub relation: Relation,
    /// The output columns, in order.
    pub columns: Vec<PlannedColumn>,
    /// Conditions that hold for every chunk.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// Columns the rows of a chunk are sorted by.
    #[serde(default)]
    pub order_by: Vec<String>,
    /// How far the run takes the export's watermark; None in other modes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incremental: Option<IncrementalSpec>,
    /// The committed run of which this one reads some chunks again; None for any other run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repairs: Option<Repairs>,
    /// At least one; disjoint, and together every row.
    pub chunks: Vec<Chunk>,
    /// How the chunks were found, and why so.
    pub strategy: Strategy,
    /// What the chunks shall share; the manifest says what they did.
    pub consistency: ConsistencyPolicy,
    /// What this source can read at one point in time.
    #[serde(default, skip_serializing_if = "OneReadPoint::is_none")]
    pub one_read_point: OneReadPoint,
    /// What becomes of values that the Arrow type cannot hold.
    pub on_unrepresentable: OnUnrepresentable,
    /// What must hold before the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<QualitySpec>,
    /// How parts are written.
    pub output: OutputSpec,
    /// Where parts are written.
    pub destination: DestinationSpec,
    /// How hard the run may work.
    pub execution: Execution,
    /// Keys on which rows depend and that version 1 did not have; who does not know one must refuse the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// By which programs; rivet 0.1 did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<MadeBy>,
    /// What it was read from.
    #[serde(skip)]
    pub as_read: AsRead,
}

impl Plan {
    /// What the configuration is known by.
    pub fn configuration(&self) -> Fingerprint {
        Fingerprint::stored(&self.config_fingerprint, self.config_fingerprint_v2.as_deref())
    }

    /// The schema the source must deliver for every chunk: source names, source order.
    pub fn source_schema(&self) -> Result<SchemaRef> {
        let mappings: Vec<TypeMapping> = self.columns.iter().map(|column| column.mapping.clone()).collect();
        rivet_sdk::schema_of(&mappings)
    }

    /// The statement that reads one chunk.
    pub fn request(&self, chunk: &Chunk) -> ExportRequest {
        let mut request = ExportRequest::whole(self.relation.clone());
        request.columns = self
            .columns
            .iter()
            .map(|column| rivet_sdk::ColumnRequest::new(column.mapping.name.clone(), column.wanted))
            .collect();
        request.columns_complete = true;
        request.conditions =
            self.conditions.iter().filter(|_| !chunk.beside).chain(&chunk.condition).cloned().collect();
        request.order_by = self.order_by.clone();
        request.batch = rivet_sdk::BatchLimits::new(self.execution.batch_rows, self.execution.batch_bytes);
        request.session = self.execution.session;
        request.on_unrepresentable = self.on_unrepresentable;
        request.max_value_bytes = self.execution.max_value_bytes;
        request
    }

    /// Whether all chunks are to be read at one point in time: a lone one by itself.
    pub fn reads_at_one_point(&self) -> bool {
        match self.one_read_point {
            OneReadPoint::Snapshot => self.chunks.len() == 1 || self.consistency != ConsistencyPolicy::PerChunk,
            OneReadPoint::Statement => self.chunks.len() == 1,
            OneReadPoint::None => false,
        }
    }

    /// What the rows will share, for people.
    pub fn consistency_text(&self) -> &'static str {
        match (self.one_read_point, self.chunks.len(), self.consistency) {
            (OneReadPoint::None, ..) => "none: rows that move while they are read may be missed or come twice",
            (_, 1, _) => "one statement, one read point",
            (_, _, ConsistencyPolicy::PerChunk) => "each chunk its own read point",
            (OneReadPoint::Snapshot, ..) => "one snapshot that all chunks share",
            (OneReadPoint::Statement, ..) => "each chunk its own read point",
        }
    }

    /// The folder, relative to the destination, that holds this run's plan, reports and
    /// manifest.
    pub fn control_prefix(&self) -> String {
        format!("_rivet/{}/{}/", self.export, self.run_id)
    }
}

/// What must hold before a run is committed. Columns by the source's names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QualitySpec {
    /// Fewest rows.
    #[serde(default)]
    pub row_count_min: Option<u64>,
    /// Most rows.
    #[serde(default)]
    pub row_count_max: Option<u64>,
    /// The largest share of NULLs.
    #[serde(default)]
    pub null_ratio_max: std::collections::BTreeMap<String, f64>,
    /// Columns in each of which no value may come twice.
    #[serde(default)]
    pub unique_columns: Vec<String>,
    /// Most distinct values compared for that, of each column.
    pub unique_max_entries: u64,
}

/// How far a run takes an export's watermark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IncrementalSpec {
    /// The cursor's columns.
    pub cursor: Vec<String>,
    /// The cursor is the first of the columns that is not NULL.
    #[serde(default)]
    pub coalesced: bool,
    /// What the values belong to.
    pub fingerprint: String,
    /// The same in its second form; rivet 0.1 wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint_v2: Option<String>,
    /// What the values are of, without where they land; rivet 0.1 wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_fingerprint: Option<String>,
    /// The newest committed run that the planner knew of; the commit finds no newer one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The last row delivered before; None in a first run.
    #[serde(default)]
    pub from: Option<Vec<Scalar>>,
    /// The last row of this run; None while the table is empty.
    #[serde(default)]
    pub to: Option<Vec<Scalar>>,
    /// Why rows may be missed, if they may.
    #[serde(default)]
    pub at_risk: Option<String>,
    /// What the next run counts again, to see rows that were committed too late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recount: Option<Recount>,
    /// What becomes of rows that share a value with `from` or `to`. Absent: those that come later are left behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ties: Option<TiesSpec>,
}

impl IncrementalSpec {
    /// What the values belong to, in both forms.
    pub fn belongs_to(&self) -> Fingerprint {
        Fingerprint::stored(&self.fingerprint, self.fingerprint_v2.as_deref())
    }

    /// What becomes of later rows with the last cursor, for people.
    pub fn ties_text(&self) -> String {
        let Some(ties) = &self.ties else {
            return "left behind: later rows with the watermark's own cursor; `on_cursor_ties` changes that".to_owned();
        };
        match ties.end {
            TiesEnd::Settled => {
                "none: with `settle` the run ends before the last whole day (of a date) or second that can still be \
                 written"
                    .to_owned()
            }
            TiesEnd::TooMany => "too many to be remembered".to_owned(),
            TiesEnd::Greatest { .. } => {
                "remembered: later rows with the last cursor are delivered, each once".to_owned()
            }
            TiesEnd::Chunk => {
                "remembered: later rows with the last cursor are delivered, each once; those rows are a chunk of their \
                 own"
                .to_owned()
            }
        }
    }
}

/// How many rows were there, shortly before the end of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recount {
    /// Those whose cursor begins with a later value than this, up to the run's end.
    pub after: Scalar,
    /// So many.
    pub rows: u64,
}

/// Where rows come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SourceSpec {
    /// The plugin's name.
    pub plugin: String,
    /// Its options as configured, secrets by reference only.
    pub options: serde_json::Value,
    /// The database's own id, against which a resumed or applied plan is checked.
    pub identity: String,
    /// Product and version, for people.
    pub product: String,
}

/// One output column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedColumn {
    /// The source side.
    pub mapping: TypeMapping,
    /// The name in the file (`columns.rename`).
    pub output_name: String,
    /// The user's override.
    #[serde(default)]
    pub wanted: Option<WantedType>,
}

/// A disjoint slice of the relation: one query, one attempt at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Chunk {
    /// Its position in the plan.
    pub index: u32,
    /// What selects it, beyond the plan's own conditions; None selects everything.
    #[serde(default)]
    pub condition: Option<Condition>,
    /// Its rows do not meet the plan's own conditions: those without a cursor.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub beside: bool,
    /// Estimated rows.
    #[serde(default)]
    pub estimated_rows: Option<u64>,
    /// It holds exactly the rows at the watermark, or at the run's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boundary: Option<Boundary>,
}

impl Chunk {
    /// Every row that meets the plan's own conditions.
    pub fn whole() -> Self {
        Self { index: 0, condition: None, beside: false, estimated_rows: None, boundary: None }
    }
}

/// How the chunks were found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Strategy {
    /// `none`, `range`, `keyset`, `native` or `days`.
    pub name: String,
    /// The key's columns, where there is a key.
    #[serde(default)]
    pub key: Vec<String>,
    /// Why this strategy, in one line.
    pub reason: String,
    /// How boundaries were found: `histogram of 101 bounds`.
    #[serde(default)]
    pub method: String,
}

/// What the chunks of a run shall share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConsistencyPolicy {
    /// One read point, or no run.
    Snapshot,
    /// Each its own read point.
    PerChunk,
    /// One read point where it can be had.
    Auto,
}

/// What the chunks of a run did share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// All chunks see one read point.
    Snapshot,
    /// Each chunk is consistent in itself.
    PerChunk,
    /// Rows that moved while they were read may be missing, or there twice.
    None,
}

/// How hard the run may work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Execution {
    /// Workers, each with its own connection.
    pub parallel: u32,
    /// The fewest that the source's pressure may leave; None: it is not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_parallel: Option<u32>,
    /// Largest batch, in rows.
    pub batch_rows: usize,
    /// Largest batch, in bytes.
    pub batch_bytes: usize,
    /// Time limits for each statement.
    pub session: SessionPolicy,
    /// Tries of one chunk, the first included.
    pub max_attempts: u32,
    /// The first pause before a retry; it doubles, with jitter.
    pub retry_backoff_ms: u64,
    /// Pause after every 10 000 rows read, taken between chunks.
    #[serde(default)]
    pub throttle_ms: u64,
    /// Longest one attempt of a chunk may take before it is cut off.
    #[serde(default)]
    pub chunk_deadline_ms: Option<u64>,
    /// A single value larger than this is refused by name.
    pub max_value_bytes: u64,
}
