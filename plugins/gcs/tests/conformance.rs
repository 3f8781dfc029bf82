//! The conformance suite over Google Cloud Storage's stand-in that `tests/with-servers` starts.

use rivet_plugin_gcs::GcsDriver;
use rivet_testkit::{DestinationSubject, destination_conformance};
use serde_json::json;

fn variable(name: &str) -> String {
    let name = format!("RIVET_TEST_GCS_{name}");
    std::env::var(&name).unwrap_or_else(|_| panic!("{name} is not set: run this with tests/with-servers"))
}

fn main() {
    let run = std::process::id();
    destination_conformance::<GcsDriver>(DestinationSubject::new(
        "gcs",
        concat!(env!("CARGO_MANIFEST_DIR"), "/options.schema.json"),
        move |name| {
            json!({
                "bucket": variable("BUCKET"), "prefix": format!("conformance-{run}/{name}"),
                "endpoint": variable("ENDPOINT"), "token": variable("TOKEN"),
                "transfer": {"part_size_mb": 5, "parts_in_flight": 3, "abandoned_after_s": 0},
            })
        },
        5 << 20,
    ));
}
