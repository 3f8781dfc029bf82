//! The conformance suite over Azurite that `tests/with-servers` starts.

use rivet_plugin_azure::AzureDriver;
use rivet_testkit::{DestinationSubject, destination_conformance};
use serde_json::json;

fn variable(name: &str) -> String {
    let name = format!("RIVET_TEST_AZURE_{name}");
    std::env::var(&name).unwrap_or_else(|_| panic!("{name} is not set: run this with tests/with-servers"))
}

fn main() {
    let run = std::process::id();
    destination_conformance::<AzureDriver>(DestinationSubject::new(
        "azure",
        concat!(env!("CARGO_MANIFEST_DIR"), "/options.schema.json"),
        move |name| {
            json!({
                "bucket": variable("BUCKET"), "prefix": format!("conformance-{run}/{name}"),
                "endpoint": variable("ENDPOINT"), "account_name": variable("ACCOUNT"), "account_key": variable("KEY"),
                "transfer": {"part_size_mb": 5, "parts_in_flight": 3, "abandoned_after_s": 0},
            })
        },
        5 << 20,
    ));
}
