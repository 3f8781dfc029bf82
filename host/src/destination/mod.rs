//! The host's own destinations: a local folder and standard output.

mod kind;
mod local;
mod local_error;
mod stdout;
mod writeback;

use rivet_sdk::{Destination, Error, Result};

pub use kind::DestinationKind;
pub use local::{Local, LocalOptions};
pub use stdout::Stdout;

/// The names of the destinations that need no plugin.
pub const BUILT_IN: &[&str] = &["local", "stdout"];

/// The JSON Schema of a built-in destination's options; None for a plugin's name.
pub fn built_in_schema(plugin: &str) -> Option<serde_json::Value> {
    let (properties, required) = match plugin {
        "local" => (
            serde_json::json!({ "path": { "type": "string", "description": "The folder; made if it is not there." } }),
            serde_json::json!(["path"]),
        ),
        "stdout" => (serde_json::json!({}), serde_json::json!([])),
        _ => return None,
    };
    Some(serde_json::json!({
        "type": "object", "additionalProperties": false, "properties": properties, "required": required,
    }))
}

/// Opens a folder.
pub fn open_local(options: &serde_json::Value) -> Result<Box<dyn Destination>> {
    let options: LocalOptions = serde_json::from_value(options.clone())
        .map_err(|error| Error::config(format!("options of the local destination: {error}")))?;
    Ok(Box::new(Local::open(options)?))
}
