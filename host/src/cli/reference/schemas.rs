//! `docs/reference/schemas`: JSON Schemas of the files rivet writes, each with an example that every
//! later version must read.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cli::schema::of_files;
use crate::plan::{Manifest, Plan, Report};

#[test]
fn the_published_schemas_are_fresh() {
    for (name, schema) in of_files() {
        let text = serde_json::to_string_pretty(&schema).unwrap();
        super::assert_fresh(&format!("schemas/{name}.schema.json"), &format!("{text}\n"));
    }
}

/// Reads an example, and writes it as this version would: a key that was renamed or dropped shows.
fn survives<T: Serialize + DeserializeOwned>(name: &str) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/schemas");
    let text = std::fs::read_to_string(folder.join(format!("{name}.example.json"))).unwrap();
    let written: Value = serde_json::from_str(&text).unwrap();
    let read: T = serde_json::from_str(&text).unwrap();
    lost(&written, &crate::seal::sealed(&read).unwrap(), name);
}

/// Fails where `now` lacks something that was written; more may be there.
fn lost(written: &Value, now: &Value, place: &str) {
    match (written, now) {
        (Value::Object(written), Value::Object(now)) => {
            for (key, value) in written {
                let found = now.get(key).unwrap_or_else(|| panic!("{place}.{key} is lost"));
                lost(value, found, &format!("{place}.{key}"));
            }
        }
        (Value::Array(written), Value::Array(now)) => {
            assert_eq!(written.len(), now.len(), "{place}");
            written
                .iter()
                .zip(now)
                .enumerate()
                .for_each(|(at, (written, now))| lost(written, now, &format!("{place}[{at}]")));
        }
        _ => assert_eq!(written, now, "{place}"),
    }
}

#[test]
fn the_examples_are_read_and_nothing_of_them_is_lost() {
    survives::<Plan>("plan");
    survives::<Report>("report");
    survives::<Manifest>("manifest");
}
