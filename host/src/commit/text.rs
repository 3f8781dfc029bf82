//! Small shared pieces: JSON bodies, the time.

use rivet_sdk::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::seal;

/// The bytes of a control object without a seal: readable JSON and a newline.
pub(super) fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut body = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::internal(format!("a control object to JSON: {error}")))?;
    body.push(b'\n');
    Ok(body)
}

/// A control object read back: one that is not what was sealed is refused. `kind` says what it is.
pub(super) fn parse<T: DeserializeOwned>(kind: &'static str, key: &str, body: &[u8]) -> Result<T> {
    let named = |error: Error| error.with_context("object", key);
    let value = serde_json::from_slice(body).map_err(|error| {
        named(Error::integrity(format!("a control object cannot be read: {error}")).with_hint(format!(
            "it was changed by something else, or written by a newer rivet (then use that one): {}",
            remedy(kind)
        )))
    })?;
    seal::check_or_warn(kind, &format!("`{key}`"), body)
        .map_err(|error| named(error.with_hint(format!("it was changed or damaged: {}", remedy(kind)))))?;
    Ok(value)
}

/// What puts a damaged control object right.
fn remedy(kind: &str) -> &'static str {
    match kind {
        "manifest" => {
            "restore it from a copy, or from the store's earlier version of it; where its run is the export's newest, \
             remove it, and `rivet run --resume` makes it again of the plan and the reports beside it (without \
             --resume, that run's files would be removed)"
        }
        "report" => "restore it; or remove it, and `rivet run --resume` reads its chunk again",
        _ => "restore it from a copy",
    }
}

/// Now, RFC 3339, UTC.
pub(super) fn now() -> String {
    jiff::Timestamp::now().to_string()
}
