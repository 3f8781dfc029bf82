//! By which programs a document was made.

use rivet_loader::PluginManifest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who made a document: versions, for people and for the search for a cause. A document with this key is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MadeBy {
    /// Rivet's version.
    pub rivet: String,
    /// The version of the SDK that this rivet was built with.
    pub sdk: String,
    /// The source's plugin, where it had a part in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginVersion>,
}

/// A plugin's version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginVersion {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The version of the SDK that it was built with.
    pub sdk: String,
}

impl MadeBy {
    /// This program, and the source's plugin.
    pub fn this(plugin: Option<&PluginManifest>) -> Self {
        Self {
            rivet: env!("CARGO_PKG_VERSION").to_owned(),
            sdk: rivet_sdk::SDK_VERSION.to_owned(),
            plugin: plugin.map(|plugin| PluginVersion {
                name: plugin.name.clone(),
                version: plugin.version.clone(),
                sdk: plugin.sdk.clone(),
            }),
        }
    }

    /// This program, with the plugin that others name.
    pub fn with_plugin_of(other: Option<&Self>) -> Self {
        Self { plugin: other.and_then(|other| other.plugin.clone()), ..Self::this(None) }
    }

    /// What is another version in `now`; a plugin only where both name it.
    pub fn difference(&self, now: &Self) -> Option<String> {
        let mut found = Vec::new();
        let mut compare = |name: &str, made: &str, now: &str| {
            if made != now {
                found.push(format!("{name} {made}, here is {now}"));
            }
        };
        compare("rivet", &self.rivet, &now.rivet);
        compare("its SDK", &self.sdk, &now.sdk);
        if let (Some(made), Some(now)) = (&self.plugin, &now.plugin) {
            compare(&format!("the plugin {}", made.name), &made.version, &now.version);
            compare("the plugin's SDK", &made.sdk, &now.sdk);
        }
        (!found.is_empty()).then(|| found.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_versions_are_named() {
        let plugin = |version: &str| PluginVersion { name: "p".into(), version: version.into(), sdk: "1".into() };
        let made = MadeBy { rivet: "0.1".into(), sdk: "1".into(), plugin: Some(plugin("7")) };
        assert_eq!(made.difference(&made), None);
        assert_eq!(made.difference(&MadeBy { plugin: None, ..made.clone() }), None, "nobody knows which it would be");
        let now = MadeBy { rivet: "0.2".into(), plugin: Some(plugin("8")), ..made.clone() };
        assert_eq!(made.difference(&now).unwrap(), "rivet 0.1, here is 0.2; the plugin p 7, here is 8");
    }
}
