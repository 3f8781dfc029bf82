//! Several plugins in one process: each is itself.

use rivet_loader::{Plugin, Search, Settings};
use rivet_tests::rivet;

/// The system took the second for the first: their files were closed after loading, and a path of
/// the first one's number meant the first library.
#[test]
fn a_plugin_loaded_after_another_is_not_the_other() {
    let search = Search::new([(rivet::plugins(), "--plugin-dir")]);
    for name in ["example", "sqlite", "postgres", "s3", "gcs", "azure", "example"] {
        let found = search.find(name).unwrap();
        let settings = Settings { log: |_, _, _, _| {}, level: log::LevelFilter::Off, untrusted: false };
        let plugin = Plugin::load(&found.inspected, settings).unwrap();
        assert_eq!(plugin.manifest().name, name);
    }
}
