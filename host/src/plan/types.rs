//! The plan's data: what `rivet plan -o` seals and `rivet apply` runs.

use arrow_schema::SchemaRef;
use rivet_sdk::{Condition, ExportRequest, OnUnrepresentable, OneReadPoint, Relation, Result, TypeMapping};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::as_read::AsRead;
use super::column::PlannedColumn;
use super::fingerprint::Fingerprint;
use super::made_by::MadeBy;
use super::output::{DestinationSpec, OutputSpec};
use super::report::Repairs;
use super::spec::{Chunk, ConsistencyPolicy, Execution, IncrementalSpec, QualitySpec, SourceSpec, Strategy};

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
}
