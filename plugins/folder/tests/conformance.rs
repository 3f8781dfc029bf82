//! The conformance suite over the folder plugin.

use std::path::Path;

use rivet_plugin_folder::FolderDriver;
use rivet_testkit::{DestinationSubject, destination_conformance};

fn main() {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance");
    // What the last run left.
    let _ = std::fs::remove_dir_all(&root);
    destination_conformance::<FolderDriver>(DestinationSubject::new(
        "folder",
        concat!(env!("CARGO_MANIFEST_DIR"), "/options.schema.json"),
        // Each check has a place of its own; whatever is unfinished there is a dead writer's.
        move |name| rivet_sdk::serde_json::json!({ "path": root.join(name), "abandoned_after_s": 0 }),
        1 << 20,
    ));
}
