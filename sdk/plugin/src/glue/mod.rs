//! The plugin's side of the boundary: wraps safe traits into trait objects of the ABI.
//!
//! Nothing in here is for authors; [`crate::plugin!`] uses it.

mod destination;
mod guard;
mod host;
mod json;
mod manifest;
mod source;

pub use crate::mapping::format_fault;
pub use destination::open_destination;
pub use host::init;
pub use manifest::{ManifestParts, write_manifest};
pub use rivet_abi as abi;
pub use source::open_source;

use rivet_abi::stable::{CheckTypeLayout, LibHeader, RErr, ROk, RStr, RString, RootModuleResult};
use rivet_abi::{AbiResult, ContextRef, DestinationBox, PluginModule_Ref, SourceBox};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, ErrorKind, Result};

/// The library header around a module's constructor.
///
/// # Safety
///
/// `load` returns a [`PluginModule_Ref`]: hosts take what it returns for one.
pub const unsafe fn library_header(load: extern "C" fn() -> RootModuleResult) -> LibHeader {
    // SAFETY: the caller's promise.
    unsafe { LibHeader::from_constructor::<PluginModule_Ref>(load, CheckTypeLayout::Yes) }
}

/// `open_source` of a plugin without a source.
pub extern "C" fn no_source(_: RStr<'_>, _: ContextRef) -> AbiResult<SourceBox> {
    RErr(Error::new(ErrorKind::Unsupported, "this plugin opens no sources").to_json().into())
}

/// `open_destination` of a plugin without a destination.
pub extern "C" fn no_destination(_: RStr<'_>, _: ContextRef) -> AbiResult<DestinationBox> {
    RErr(Error::new(ErrorKind::Unsupported, "this plugin opens no destinations").to_json().into())
}

pub(crate) fn to_abi<T>(result: Result<T>) -> AbiResult<T> {
    match result {
        Ok(value) => ROk(value),
        Err(error) => RErr(error.to_json().into()),
    }
}

fn to_json(value: &impl Serialize) -> Result<RString> {
    let text = serde_json::to_string(value).map_err(|error| Error::internal(format!("answer to JSON: {error}")))?;
    Ok(text.into())
}

fn parse_options<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::config(format!("options: {error}")))
}

/// The answer to a method or a variant that came after this SDK.
fn unknown(what: &str) -> Error {
    Error::unsupported(format!(
        "this plugin does not know `{what}`: it was built with rivet-sdk {}",
        crate::SDK_VERSION
    ))
    .with_hint("use a newer version of the plugin, or rebuild it against a newer rivet-sdk")
}
