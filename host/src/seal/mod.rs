//! The seal of a document: the SHA-256 of what it says, in the document itself.
//!
//! It is computed over the canonical form of the JSON as it was read, the key `seal` left out and keys that this
//! version does not know included. So any version, and any other tool, can check it: `docs/reference/seals.md`. It
//! shows accidents and edits, not forgery: whoever can write a document can seal it.

mod canonical;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use rivet_sdk::{Error, Result};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use canonical::Document;

/// The key that holds it.
pub const SEAL: &str = "seal";
/// What stands only in documents that are sealed.
const SEALED_ONLY: &str = "made_by";

/// What a document's seal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// `sha256:` and 64 digits, of the document as it is.
    pub hash: String,
    /// Whether the document holds it. Rivet 0.1 sealed nothing.
    pub is_there: bool,
}

/// The error's code for a document that is not what was sealed.
pub const BROKEN_SEAL: &str = "broken_seal";

/// `sha256:` and 64 hex digits.
pub fn checksum(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// The hash of a value's canonical form.
pub fn hash_of(value: &Value) -> Result<String> {
    let unreadable = |error: String| Error::internal(format!("a value in its canonical form: {error}"));
    Ok(checksum(Document::parse(&value.to_string()).map_err(unreadable)?.text(None).as_bytes()))
}

/// A document with its seal, the last of its keys.
pub fn sealed(document: &impl Serialize) -> Result<Value> {
    let mut value =
        serde_json::to_value(document).map_err(|error| Error::internal(format!("a document to JSON: {error}")))?;
    let Some(entries) = value.as_object_mut() else { return Err(Error::internal("only an object can be sealed")) };
    entries.shift_remove(SEAL);
    let hash = hash_of(&value)?;
    value[SEAL] = hash.into();
    Ok(value)
}

/// The bytes of a sealed document: readable JSON and a newline.
pub fn to_json(document: &impl Serialize) -> Result<Vec<u8>> {
    let mut body = serde_json::to_vec_pretty(&sealed(document)?)
        .map_err(|error| Error::internal(format!("a document to JSON: {error}")))?;
    body.push(b'\n');
    Ok(body)
}

/// Describes the key in a document's JSON Schema; no type holds it.
pub fn described(schema: &mut schemars::Schema) {
    let entries = schema.ensure_object();
    let properties = entries.entry("properties").or_insert_with(|| serde_json::json!({}));
    properties[SEAL] = serde_json::json!({
        "description": "`sha256:` of the document's canonical form without this key. Absent in what rivet 0.1 wrote.",
        "type": "string",
    });
}

/// Compares a document with its seal. `what` names it in the error.
pub fn check(what: &str, body: &[u8]) -> Result<Seal> {
    let broken = |why: String| {
        Error::integrity(format!("{what} is not what was written: {why}"))
            .with_code(BROKEN_SEAL)
            .with_hint("it was changed or damaged; restore it, or make it again")
    };
    let text = std::str::from_utf8(body).map_err(|error| broken(error.to_string()))?;
    let document = Document::parse(text).map_err(broken)?;
    let hash = checksum(document.text(Some(SEAL)).as_bytes());
    match document.get(SEAL) {
        Some(found) if found == format!("\"{hash}\"") => Ok(Seal { hash, is_there: true }),
        Some(found) => Err(broken(format!("its seal is {found}, its content has {hash}"))),
        None if document.get(SEALED_ONLY).is_some() => Err(broken("its seal is gone".to_owned())),
        None => Ok(Seal { hash, is_there: false }),
    }
}

/// As [`check`]; one without a seal is told of, the first of its `kind` in this process.
pub fn check_or_warn(kind: &'static str, what: &str, body: &[u8]) -> Result<Seal> {
    static TOLD: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    let seal = check(what, body)?;
    if !seal.is_there && TOLD.lock().unwrap_or_else(PoisonError::into_inner).insert(kind) {
        log::warn!(
            "{what} has no seal: an older rivet wrote it, and it is taken as it is (others of its kind are not named)"
        );
    }
    Ok(seal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(value: &Value) -> Vec<u8> {
        serde_json::to_vec_pretty(value).unwrap()
    }

    #[test]
    fn a_document_is_sealed_over_all_it_says() {
        let sealed = sealed(&json!({"b": [1, 2.50], "a": "x", "seal": "of before"})).unwrap();
        // printf '%s' '{"a":"x","b":[1,2.5]}' | sha256sum
        assert_eq!(sealed["seal"], "sha256:66efddae6a97500318e4c6cdc4bc04149f340a165a7ef2d830393048b67b7a31");
        assert!(check("it", &text(&sealed)).unwrap().is_there);
        assert!(check("it", sealed.to_string().as_bytes()).unwrap().is_there, "however it is printed");
        for changed in [json!({"c": 1}), json!({"a": "y"}), json!({"b": [1, 2]})] {
            let mut other = sealed.clone();
            other.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
            let error = check("it", &text(&other)).unwrap_err();
            assert_eq!(error.code(), Some(BROKEN_SEAL), "{other}");
        }
    }

    #[test]
    fn one_without_a_seal_is_an_older_versions() {
        let seal = check("it", b"{\"b\": 1, \"a\": 2}").unwrap();
        assert_eq!(seal, Seal { hash: checksum(b"{\"a\":2,\"b\":1}"), is_there: false });
        check("it", b"{\"made_by\": {}}").unwrap_err();
    }
}
