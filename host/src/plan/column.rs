//! A column of the output, as planned.

use rivet_sdk::{TypeMapping, WantedType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
