//! The conformance suite over the S3 store that `tests/with-servers` starts.

use rivet_plugin_s3::S3Driver;
use rivet_testkit::{DestinationSubject, destination_conformance};
use serde_json::json;

fn variable(name: &str) -> String {
    let name = format!("RIVET_TEST_S3_{name}");
    std::env::var(&name).unwrap_or_else(|_| panic!("{name} is not set: run this with tests/with-servers"))
}

fn main() {
    let run = std::process::id();
    destination_conformance::<S3Driver>(DestinationSubject::new(
        "s3",
        concat!(env!("CARGO_MANIFEST_DIR"), "/options.schema.json"),
        move |name| {
            json!({
                "bucket": variable("BUCKET"), "prefix": format!("conformance-{run}/{name}"),
                "endpoint": variable("ENDPOINT"), "access_key": variable("ACCESS_KEY"), "secret_key": variable("SECRET_KEY"),
                "transfer": {"part_size_mb": 5, "parts_in_flight": 3, "abandoned_after_s": 0},
            })
        },
        5 << 20,
    ));
}
