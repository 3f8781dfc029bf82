//! The conformance suite over the hostile plugin, as long as nobody asks it to misbehave.

use rivet_plugin_hostile::HostileDriver;
use rivet_sdk::Relation;
use rivet_sdk::TableName;
use rivet_testkit::{SourceSubject, conformance};

fn main() {
    conformance::<HostileDriver>(SourceSubject {
        plugin: "hostile",
        options_schema: concat!(env!("CARGO_MANIFEST_DIR"), "/options.schema.json"),
        options: Box::new(|| rivet_sdk::serde_json::json!({ "rows": 10_000 })),
        relations: vec![Relation::Table(TableName::unqualified("numbers"))],
        missing_relation: Relation::Table(TableName::unqualified("nothing_here")),
    });
}
