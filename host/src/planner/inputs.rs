//! What a plan is made from.

use rivet_sdk::{BatchLimits, ColumnRequest, ExportRequest, Relation, Scalar};

use crate::config::ExportConfig;
use crate::plan::ties::Ties;
use crate::plan::{Fingerprint, KnownPlace, MadeBy, Recount};

/// What a plan is made from, beside the source itself.
pub struct Inputs<'a> {
    pub export: &'a ExportConfig,
    /// The source plugin's name.
    pub source_plugin: &'a str,
    /// Its options as configured, references unexpanded.
    pub source_options: &'a serde_json::Value,
    /// What the source plugin declares.
    pub capabilities: &'a [String],
    pub run_id: String,
    /// The process's memory, which bounds row groups.
    pub memory_limit_bytes: u64,
    /// Where an incremental export stands; None before its first run.
    pub stands_at: Option<StandsAt>,
    /// The newest committed run of an incremental export.
    pub follows: Option<String>,
    /// The destination as it calls itself; None for standard output, and where nothing is to land.
    pub place: Option<String>,
    /// Who makes it.
    pub made_by: MadeBy,
    pub now: jiff::Timestamp,
}

/// Where an incremental export stands, as the state store or the last manifest knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandsAt {
    /// What the values belong to.
    pub fingerprint: Fingerprint,
    /// The cursor's values; None before the first row.
    pub values: Option<Vec<Scalar>>,
    /// What the last run counted before them.
    pub recount: Option<Recount>,
    /// What is known of the rows with these very values; None: nothing, a version before remembered none.
    pub ties: Option<Ties>,
    /// Where its rows landed, if that was noted.
    pub place: Option<KnownPlace>,
    /// The newest run at this destination ended there.
    pub is_here: bool,
}

/// The request that describes the export's rows before it is cut.
pub fn whole_request(export: &ExportConfig, relation: &Relation) -> ExportRequest {
    let mut request = ExportRequest::whole(relation.clone());
    request.columns =
        export.columns.iter().map(|column| ColumnRequest::new(column.name.clone(), Some(column.value))).collect();
    request.exclude = export.exclude.iter().map(|column| column.name.clone()).collect();
    request.batch = BatchLimits::new(export.tuning.batch_rows, export.tuning.batch_bytes);
    request.session = export.tuning.session;
    request.on_unrepresentable = export.on_unrepresentable;
    request.max_value_bytes = export.tuning.max_value_bytes;
    request
}
