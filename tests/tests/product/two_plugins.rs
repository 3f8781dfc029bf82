//! Several plugins in one process: each is itself.

use rivet_loader::{Plugin, Search, Settings};
use rivet_tests::rivet;
use serde_json::json;

/// The system took the second for the first: their files were closed after loading, and a path of
/// the first one's number meant the first library.
#[test]
fn a_plugin_loaded_after_another_is_not_the_other() {
    let search = Search::new([(rivet::plugins(), "--plugin-dir")]);
    for name in ["example", "sqlite", "postgres", "s3", "gcs", "azure", "example"] {
        let found = search.find(name).unwrap();
        let settings = Settings { log: |_, _, _, _| {}, level: log::LevelFilter::Off, untrusted: false };
        let plugin = Plugin::load(&found.inspected, settings).unwrap();
        let nobodys = json!({ "no_such_option": 1 });
        let options = &found.inspected.manifest.options;
        let (schema, refused) = match (&options.source, &options.destination) {
            (Some(schema), _) => (schema, plugin.open_raw_source(&nobodys).err()),
            (None, schema) => (schema.as_ref().unwrap(), plugin.open_raw_destination(&nobodys).err()),
        };
        // The code that runs lists its options; the file says which those of this plugin are.
        let refused = refused.unwrap_or_else(|| panic!("{name} takes any option")).to_string();
        let own: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
        assert!(!own.is_empty(), "{name}");
        for option in own {
            assert!(refused.contains(&format!("`{option}`")), "{name} does not know its `{option}`: {refused}");
        }
    }
}
