//! What the choice of chunks depends on.

use rivet_sdk::{Description, Relation};

use super::inputs::Inputs;
use super::scope::Scope;
use crate::config::ExportConfig;
use crate::plan::PlannedColumn;

/// What the choice depends on.
pub(super) struct Wanted<'a> {
    pub export: &'a ExportConfig,
    pub relation: &'a Relation,
    pub description: &'a Description,
    pub capabilities: &'a [String],
    pub columns: &'a [PlannedColumn],
    pub inputs: &'a Inputs<'a>,
    pub scope: &'a Scope,
}

impl Wanted<'_> {
    /// Whether the source plugin declares this capability.
    pub(super) fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|declared| declared == capability)
    }
}
