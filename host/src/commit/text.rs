//! Small shared pieces: JSON bodies, checksums, the time.

use rivet_sdk::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

/// The bytes of a control object: readable JSON and a newline.
pub(super) fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut body = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::internal(format!("a control object to JSON: {error}")))?;
    body.push(b'\n');
    Ok(body)
}

/// A control object read back.
pub(super) fn parse<T: DeserializeOwned>(key: &str, body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        Error::integrity(format!("a control object cannot be read: {error}"))
            .with_hint("it was changed by something else, or written by a newer rivet")
            .with_context("object", key)
    })
}

/// `sha256:` and 64 hex digits.
pub(super) fn checksum(body: &[u8]) -> String {
    let hex: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Now, RFC 3339, UTC.
pub(super) fn now() -> String {
    jiff::Timestamp::now().to_string()
}
