//! `rivet schema`: what a configuration may hold, and what rivet's own files do, for editors and tools.

use rivet_loader::PluginManifest;
use schemars::{Schema, schema_for};

use super::arguments::{Global, SchemaCommand};
use super::exit::Outcome;
use super::print;
use crate::config::schema::{PluginSchema, Role, document};
use crate::destination::{BUILT_IN, built_in_schema};
use crate::plan::{Manifest, Plan, Report};
use crate::source::{PluginLock, Plugins};

pub fn schema(command: &SchemaCommand, global: &Global) -> Outcome {
    let of_file = match command {
        SchemaCommand::Config => return Ok(print::json(&of_config(global))?),
        SchemaCommand::Plan => "plan",
        SchemaCommand::Report => "report",
        SchemaCommand::Manifest => "manifest",
        SchemaCommand::PluginManifest => "plugin-manifest",
        SchemaCommand::PluginLock => "plugin-lock",
    };
    let schema = of_files().into_iter().find(|(name, _)| *name == of_file);
    let (_, schema) = schema.ok_or_else(|| rivet_sdk::Error::internal(format!("no schema of {of_file}")))?;
    Ok(print::json(&schema)?)
}

/// The files rivet writes, and what a plugin says of itself.
pub(super) fn of_files() -> [(&'static str, Schema); 5] {
    [
        ("plan", schema_for!(Plan)),
        ("report", schema_for!(Report)),
        ("manifest", schema_for!(Manifest)),
        ("plugin-manifest", schema_for!(PluginManifest)),
        ("plugin-lock", PluginLock::schema()),
    ]
}

fn of_config(global: &Global) -> serde_json::Value {
    let plugins = Plugins::new(&global.plugin_dir, &[], global.untrusted_plugins);
    let mut schemas: Vec<PluginSchema> = BUILT_IN.iter().filter_map(|name| built_in(name)).collect();
    for candidate in plugins.search().list() {
        match candidate.inspected {
            Ok(inspected) if candidate.wins => schemas.extend(of_plugin(inspected.manifest)),
            Ok(_) => {}
            Err(error) => log::warn!("plugin `{}` is left out: {error}", candidate.name),
        }
    }
    document(&schemas)
}

fn built_in(name: &str) -> Option<PluginSchema> {
    Some(PluginSchema { name: name.to_owned(), role: Role::Destination, schema: built_in_schema(name)? })
}

fn of_plugin(manifest: PluginManifest) -> Vec<PluginSchema> {
    let roles = [(Role::Source, manifest.options.source), (Role::Destination, manifest.options.destination)];
    let schemas = roles.into_iter().filter_map(|(role, schema)| Some((role, schema?)));
    schemas.map(|(role, schema)| PluginSchema { name: manifest.name.clone(), role, schema }).collect()
}
