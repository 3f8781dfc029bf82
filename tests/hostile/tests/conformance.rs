//! The conformance suite over the hostile plugin, as long as nobody asks it to misbehave.

use rivet_plugin_hostile::HostileDriver;
use rivet_sdk::Relation;
use rivet_sdk::TableName;
use rivet_testkit::{SourceSubject, conformance};

fn main() {
    conformance::<HostileDriver>(SourceSubject::new(
        "hostile",
        concat!(env!("CARGO_MANIFEST_DIR"), "/options.schema.json"),
        || rivet_sdk::serde_json::json!({ "rows": 10_000 }),
        vec![Relation::Table(TableName::unqualified("numbers"))],
        Relation::Table(TableName::unqualified("nothing_here")),
    ));
}
