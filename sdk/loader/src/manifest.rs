//! The plugin manifest: what a plugin says of itself, readable without running it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a plugin says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PluginManifest {
    /// Its name: `postgres`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The SDK it was built with.
    #[serde(default)]
    pub sdk: String,
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// An SPDX expression.
    #[serde(default)]
    pub license: String,
    /// Where it comes from.
    #[serde(default)]
    pub homepage: String,
    /// URL schemes it answers to.
    #[serde(default)]
    pub schemes: Vec<String>,
    /// What its source can do beyond the core.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// `source`, `destination`.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// JSON Schemas of its options.
    #[serde(default)]
    pub options: OptionSchemas,
}

/// JSON Schemas of a plugin's options, by role.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OptionSchemas {
    /// A source's options.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<serde_json::Value>,
    /// A destination's options.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<serde_json::Value>,
}

impl PluginManifest {
    /// Whether the plugin declares `capability`.
    pub fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|declared| declared == capability)
    }
}
