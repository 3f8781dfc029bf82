//! `rivet schema`: what a configuration may hold, for editors and tools.

use rivet_loader::PluginManifest;

use super::arguments::{Global, SchemaCommand};
use super::exit::Outcome;
use super::print;
use crate::config::schema::{PluginSchema, Role, document};
use crate::destination::{BUILT_IN, built_in_schema};
use crate::source::Plugins;

pub fn schema(command: &SchemaCommand, global: &Global) -> Outcome {
    match command {
        SchemaCommand::Config => {
            let plugins = Plugins::new(&global.plugin_dir, &[], global.untrusted_plugins);
            let mut schemas: Vec<PluginSchema> = BUILT_IN.iter().filter_map(|name| built_in(name)).collect();
            for candidate in plugins.search().list() {
                match candidate.inspected {
                    Ok(inspected) if candidate.wins => schemas.extend(of_plugin(inspected.manifest)),
                    Ok(_) => {}
                    Err(error) => log::warn!("plugin `{}` is left out: {error}", candidate.name),
                }
            }
            Ok(print::json(&document(&schemas))?)
        }
    }
}

fn built_in(name: &str) -> Option<PluginSchema> {
    Some(PluginSchema { name: name.to_owned(), role: Role::Destination, schema: built_in_schema(name)? })
}

fn of_plugin(manifest: PluginManifest) -> Vec<PluginSchema> {
    let roles = [(Role::Source, manifest.options.source), (Role::Destination, manifest.options.destination)];
    let schemas = roles.into_iter().filter_map(|(role, schema)| Some((role, schema?)));
    schemas.map(|(role, schema)| PluginSchema { name: manifest.name.clone(), role, schema }).collect()
}
