//! The plugin manifest says what the code does.

use rivet_loader::{Search, inspect};
use rivet_sdk::{SourceDriver, schemars};

use crate::SourceSubject;

pub(crate) fn check<D: SourceDriver>(subject: &SourceSubject) {
    let current = schemars::schema_for!(D::Options);
    let current = format!("{}\n", serde_json::to_string_pretty(&current).unwrap());
    if std::env::var_os("RIVET_BLESS").is_some() {
        std::fs::write(subject.options_schema, &current).unwrap();
    }
    let committed = std::fs::read_to_string(subject.options_schema).unwrap();
    assert_eq!(committed, current, "{} is stale; run the test with RIVET_BLESS=1", subject.options_schema);

    let folders = crate::library_folders().into_iter().map(|path| (path, "--plugin-dir"));
    let found = Search::new(folders).find(subject.plugin).unwrap();
    let manifest = inspect(&found.inspected.path).unwrap().manifest;
    assert_eq!(manifest.name, subject.plugin);
    assert_eq!(manifest.capabilities, D::CAPABILITIES);
    assert!(manifest.kinds.iter().any(|kind| kind == "source"), "{:?}", manifest.kinds);
    assert!(!manifest.schemes.is_empty(), "a source answers to at least one URL scheme");
    assert!(!manifest.license.is_empty(), "the crate has no licence");
}
