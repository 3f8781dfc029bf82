//! The plugin manifest says what the code does.

use rivet_loader::{PluginManifest, Search, inspect};
use rivet_sdk::schemars::{self, JsonSchema};
use rivet_sdk::{DestinationDriver, SourceDriver};

use crate::{DestinationSubject, SourceSubject};

pub(crate) fn check_source<D: SourceDriver>(subject: &SourceSubject) {
    let manifest = check::<D::Options>(subject.plugin, subject.options_schema, "source");
    assert_eq!(manifest.capabilities, D::CAPABILITIES);
    assert!(!manifest.schemes.is_empty(), "a source answers to at least one URL scheme");
}

pub(crate) fn check_destination<D: DestinationDriver>(subject: &DestinationSubject) {
    check::<D::Options>(subject.plugin, subject.options_schema, "destination");
}

fn check<O: JsonSchema>(plugin: &str, options_schema: &str, kind: &str) -> PluginManifest {
    let current = schemars::schema_for!(O);
    let current = format!("{}\n", serde_json::to_string_pretty(&current).unwrap());
    if std::env::var_os("RIVET_BLESS").is_some() {
        std::fs::write(options_schema, &current).unwrap();
    }
    let committed = std::fs::read_to_string(options_schema).unwrap();
    assert_eq!(committed, current, "{options_schema} is stale; run the test with RIVET_BLESS=1");

    let folders = crate::library_folders().into_iter().map(|path| (path, "--plugin-dir"));
    let found = Search::new(folders).find(plugin).unwrap();
    let manifest = inspect(&found.inspected.path).unwrap().manifest;
    assert_eq!(manifest.name, plugin);
    assert!(manifest.kinds.iter().any(|one| one == kind), "{:?}", manifest.kinds);
    assert!(!manifest.license.is_empty(), "the crate has no licence");
    manifest
}
