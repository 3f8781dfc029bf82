//! The document that a plan was read from, and the id by which reports and manifests know it.

use std::sync::Arc;

use rivet_sdk::{Error, Result};
use serde_json::{Map, Value};

use crate::seal::{self, Seal};

/// The version of the plan's JSON this host writes…
pub const PLAN_VERSION: u32 = 1;
/// …and of a plan whose rows depend on keys that came later: it lists them under `requires`. A version that does not
/// know this number refuses the plan, one that does not know a key refuses it by that key's name.
pub const PLAN_VERSION_REQUIRING: u32 = 2;

/// The JSON that a plan was read from; nothing for one that was just made. It is no part of what the plan says.
#[derive(Debug, Clone, Default)]
pub struct AsRead(pub(super) Option<Arc<Document>>);

impl PartialEq for AsRead {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A plan's JSON, checked.
#[derive(Debug)]
pub(super) struct Document {
    pub body: Vec<u8>,
    pub seal: Seal,
    pub id: String,
}

impl Document {
    pub fn of(body: &[u8], seal: Seal) -> Result<Self> {
        let value: Value =
            serde_json::from_slice(body).map_err(|error| Error::internal(format!("a plan's JSON: {error}")))?;
        let body = [body.trim_ascii_end(), b"\n"].concat();
        let of_version_1 = value.get("plan_version").and_then(Value::as_u64) == Some(PLAN_VERSION.into());
        let id = if of_version_1 { first_id(&value) } else { seal.hash.clone() };
        Ok(Self { body, seal, id })
    }
}

/// The keys of a plan of version 1 by their places, in their order. What came later is not in the id, so that rivet
/// 0.1, which drops what it does not know, comes to the same.
const FIRST_KEYS: [(&str, &[&str]); 9] = [
    (
        "",
        &[
            "plan_version",
            "run_id",
            "export",
            "created_at",
            "config_fingerprint",
            "source",
            "relation",
            "columns",
            "conditions",
            "order_by",
            "incremental",
            "repairs",
            "chunks",
            "strategy",
            "consistency",
            "one_read_point",
            "on_unrepresentable",
            "quality",
            "output",
            "destination",
            "execution",
        ],
    ),
    ("source", &["plugin", "options", "identity", "product"]),
    ("columns", &["mapping", "output_name", "wanted"]),
    ("incremental", &["cursor", "coalesced", "fingerprint", "after", "from", "to", "at_risk", "recount"]),
    ("repairs", &["run_id", "first", "first_committed_at", "manifest_checksum", "chunks"]),
    ("chunks", &["index", "condition", "beside", "estimated_rows"]),
    ("strategy", &["name", "key", "reason", "method"]),
    (
        "output",
        &["format", "compression", "max_file_size_bytes", "skip_empty", "partition", "exported_at_us", "row_hash"],
    ),
    ("destination", &["plugin", "options", "data_prefix", "write_mode", "verify"]),
];

/// The id that rivet 0.1 computes of a plan.
pub(super) fn first_id(plan: &Value) -> String {
    seal::checksum(first_form(plan, "").to_string().as_bytes())
}

/// A value of the plan, with the keys of version 1 only.
fn first_form(value: &Value, place: &str) -> Value {
    let known = FIRST_KEYS.iter().find(|(of, _)| *of == place).map(|(_, keys)| *keys);
    match (value, known) {
        (Value::Array(items), Some(_)) => items.iter().map(|item| first_form(item, place)).collect(),
        (Value::Object(entries), Some(known)) => {
            let child = |key: &str| if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
            let kept = known.iter().filter_map(|key| Some((*key, entries.get(*key)?)));
            Value::Object(
                kept.map(|(key, value)| (key.to_owned(), first_form(value, &child(key)))).collect::<Map<_, _>>(),
            )
        }
        _ => value.clone(),
    }
}
