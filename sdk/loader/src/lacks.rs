//! What a plugin does not offer, of what this rivet can use: by its capabilities, and by its SDK's age.

use rivet_sdk::capability;
use semver::Version;

use crate::PluginManifest;

/// What came with an SDK and needs nothing of a plugin but to be built with it.
const LATER: [(Version, &str); 1] = [(Version::new(0, 2, 0), UNKNOWN_VARIANTS)];

/// To answer a request's variant that came after its SDK with `Unsupported`. A plugin of SDK 0.1 takes it for a
/// malformed request; no host asks it for one, because every later variant is behind a capability.
pub const UNKNOWN_VARIANTS: &str = "unsupported_variants";

impl PluginManifest {
    /// The SDK it was built with; `unknown` where it does not tell.
    pub fn sdk_version(&self) -> &str {
        if self.sdk.is_empty() { "unknown" } else { &self.sdk }
    }

    /// Names of what it does not offer, of what this rivet knows: what its SDK is too old for, then what its
    /// source does not declare.
    pub fn lacks(&self) -> Vec<&'static str> {
        let sdk = Version::parse(&self.sdk).map(|sdk| Version::new(sdk.major, sdk.minor, sdk.patch));
        let later = LATER.into_iter().filter(|(since, _)| sdk.as_ref().map_or(true, |sdk| sdk < since));
        let source = self.kinds.iter().any(|kind| kind == "source");
        let capabilities = capability::ALL.iter().filter(|name| source && !self.can(name));
        later.map(|(_, what)| what).chain(capabilities.copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(sdk: &str, kind: &str) -> PluginManifest {
        let manifest = format!(
            r#"{{"name":"n","version":"1.0.0","sdk":"{sdk}","kinds":["{kind}"],"capabilities":["tables","count"],"later":1}}"#
        );
        serde_json::from_str(&manifest).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn an_old_sdk_and_missing_capabilities_are_named() {
        assert_eq!(manifest("0.1.0", "destination").lacks(), [UNKNOWN_VARIANTS]);
        assert_eq!(manifest("0.2.0", "destination").lacks(), [""; 0]);
        assert_eq!(manifest("0.2.0-alpha.1", "destination").lacks(), [""; 0]);
        assert_eq!(manifest("", "destination").lacks(), [UNKNOWN_VARIANTS]);
        let lacks = manifest("0.2.0", "source").lacks();
        assert!(lacks.contains(&"snapshot") && !lacks.contains(&"tables"), "{lacks:?}");
    }

    #[test]
    fn a_plugin_that_does_not_tell_its_sdk_is_read() {
        let manifest: PluginManifest =
            serde_json::from_str(r#"{"name":"n","version":"1.0.0"}"#).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(manifest.sdk_version(), "unknown");
    }
}
