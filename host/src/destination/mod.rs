//! The host's own destinations: a local folder and standard output.

mod local;
mod local_error;
mod stdout;

use rivet_sdk::{Destination, Error, Result};

pub use local::{Local, LocalOptions};
pub use stdout::Stdout;

/// The names of the destinations that need no plugin.
pub const BUILT_IN: &[&str] = &["local", "stdout"];

/// Opens a built-in destination; None for a plugin's name.
pub fn open_built_in(plugin: &str, options: &serde_json::Value) -> Option<Result<Box<dyn Destination>>> {
    match plugin {
        "local" => Some(open_local(options)),
        "stdout" => Some(Ok(Box::new(Stdout::of_process()))),
        _ => None,
    }
}

fn open_local(options: &serde_json::Value) -> Result<Box<dyn Destination>> {
    let options: LocalOptions = serde_json::from_value(options.clone())
        .map_err(|error| Error::config(format!("options of the local destination: {error}")))?;
    Ok(Box::new(Local::open(options)?))
}
