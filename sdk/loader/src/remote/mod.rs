//! Instances behind the boundary, as the traits their authors implemented.

mod batches;
mod destination;
mod source;

pub(crate) use destination::RemoteDestination;
pub(crate) use source::RemoteSource;

use rivet_abi::AbiResult;
use rivet_abi::stable::{RErr, ROk};
use rivet_sdk::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;

/// The plugin's answer; an error names the plugin where the fault is the plugin's own.
pub(crate) fn answer<T>(plugin: &str, result: AbiResult<T>) -> Result<T> {
    match result {
        ROk(value) => Ok(value),
        RErr(error) => {
            let error = Error::from_json(&error);
            let own_fault = matches!(error.kind(), ErrorKind::Panic | ErrorKind::Protocol | ErrorKind::Internal);
            let named = error.context().iter().any(|(name, _)| name == "plugin");
            Err(if own_fault && !named { error.with_context("plugin", plugin) } else { error })
        }
    }
}

fn parse<T: DeserializeOwned>(plugin: &str, method: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| {
        Error::protocol(format!("the plugin's answer to `{method}` cannot be read: {error}"))
            .with_context("plugin", plugin)
    })
}

fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::internal(format!("arguments to JSON: {error}")))
}
