//! Instances behind the boundary, as the traits their authors implemented.

mod batches;
mod destination;
mod raw;
mod schema;
mod source;

pub(crate) use destination::RemoteDestination;
pub use raw::{RawDestination, RawSource};
pub(crate) use source::RemoteSource;

use rivet_abi::AbiResult;
use rivet_abi::stable::{RErr, ROk, RString};
use rivet_sdk::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;

const UNSUPPORTED_HINT: &str = "do without it, or use a plugin or a version of it that offers it";

/// What came of a method that every source and destination has an answer to without knowing it: what the
/// trait says by default. `Unsupported` is the answer of a plugin that is older than the method.
fn or_default<T: Default>(result: Result<T>) -> Result<T> {
    match result {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            log::debug!("goes on without it: {error}");
            Ok(T::default())
        }
        result => result,
    }
}

/// The plugin's answer; an error names the plugin where the fault is the plugin's own.
pub(crate) fn answer<T>(plugin: &str, result: AbiResult<T>) -> Result<T> {
    match result {
        ROk(value) => Ok(value),
        RErr(error) => {
            let error = match text(&error) {
                Ok(error) => Error::from_json(error),
                Err(_) => broken("failed with a text that is not UTF-8"),
            };
            let own_fault = matches!(error.kind(), ErrorKind::Panic | ErrorKind::Protocol | ErrorKind::Internal);
            // What it does not know is not its fault, but whose answer it is must be said.
            let refused = error.kind() == ErrorKind::Unsupported && error.hint().is_none();
            let named = error.context().iter().any(|(name, _)| name == "plugin");
            let error = if (own_fault || refused) && !named { error.with_context("plugin", plugin) } else { error };
            Err(if refused { error.with_hint(UNSUPPORTED_HINT) } else { error })
        }
    }
}

/// The answer behind a text. Bytes are read, not a `str`: a plugin in another language may have sent
/// what is not UTF-8, and the parser looks.
fn parse<T: DeserializeOwned>(plugin: &str, method: &str, text: &RString) -> Result<T> {
    serde_json::from_slice(text.as_bytes()).map_err(|error| {
        broken(&format!("answered `{method}` with what cannot be read: {error}")).with_context("plugin", plugin)
    })
}

/// A text from a plugin, if it is one.
fn text(text: &RString) -> std::result::Result<&str, std::str::Utf8Error> {
    std::str::from_utf8(text.as_bytes())
}

/// The fault of a plugin that broke the boundary's contract.
fn broken(what: &str) -> Error {
    Error::protocol(format!("the plugin {what}")).with_hint("this is a defect of the plugin; report it to its author")
}

fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::internal(format!("arguments to JSON: {error}")))
}
