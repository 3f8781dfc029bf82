//! `rivet plugin info`: what a plugin says of itself, without running it.

use rivet_loader::{Inspected, PluginManifest};
use rivet_sdk::SDK_VERSION;
use serde_json::json;

use super::super::arguments::PluginInfoArguments;
use super::super::exit::Outcome;
use super::super::print;
use super::super::table::{self, or_dash};
use super::options;
use crate::source::Plugins;

pub fn info(arguments: &PluginInfoArguments, plugins: &Plugins) -> Outcome {
    let found = plugins.find(&arguments.name)?;
    for path in &found.shadowed {
        log::warn!("{} is shadowed and not used", path.display());
    }
    let plugin = &found.inspected;
    if arguments.json {
        return Ok(print::json(&json!({
            "path": plugin.path,
            "sha256": plugin.sha256()?,
            "size_bytes": plugin.size_bytes,
            "abi": format!("{}.{}", plugin.abi.0, plugin.abi.1),
            "sdk": plugin.manifest.sdk_version(),
            "lacks": plugin.manifest.lacks(),
            "shadowed": found.shadowed,
            "manifest": plugin.manifest,
        }))?);
    }
    Ok(print::out(&to_text(plugin)?)?)
}

/// The SDK it was built with, beside this rivet's where they differ.
fn sdk(manifest: &PluginManifest) -> String {
    match manifest.sdk_version() {
        same if same == SDK_VERSION => same.to_owned(),
        other => format!("{other} (this rivet has {SDK_VERSION})"),
    }
}

fn to_text(plugin: &Inspected) -> rivet_sdk::Result<String> {
    let manifest = &plugin.manifest;
    let mut out = format!("{} {}\n", manifest.name, manifest.version);
    for (name, text) in [
        ("about", manifest.description.clone()),
        ("license", manifest.license.clone()),
        ("homepage", manifest.homepage.clone()),
        ("kinds", manifest.kinds.join(", ")),
        ("schemes", manifest.schemes.join(", ")),
        ("capabilities", manifest.capabilities.join(", ")),
        ("ABI", format!("{}.{}", plugin.abi.0, plugin.abi.1)),
        ("SDK", sdk(manifest)),
        ("lacks", manifest.lacks().join(", ")),
        ("file", plugin.path.display().to_string()),
        ("size", print::bytes(plugin.size_bytes)),
        ("sha256", plugin.sha256()?),
    ] {
        out.push_str(&format!("  {name:<13} {}\n", or_dash(text)));
    }
    for (role, schema) in [("source", &manifest.options.source), ("destination", &manifest.options.destination)] {
        let Some(schema) = schema else { continue };
        let rows: Vec<[String; 4]> = options::of_schema(schema)
            .into_iter()
            .map(|option| [option.path, option.kind, or_dash(option.default), option.meaning])
            .collect();
        if rows.is_empty() {
            out.push_str(&format!("\nThe {role} names no options.\n"));
        } else {
            out.push_str(&format!("\nOptions of the {role}; any text x may be given as x_env or x_file:\n"));
            out.push_str(&table::render("  ", ["option", "value", "default", "meaning"], &rows));
        }
    }
    Ok(out)
}
