//! What a configuration and a watermark are known by, in this version and in others.
//!
//! A fingerprint has two forms. The first is what rivet 0.1 stored, [`old`]; the second the hash of a documented JSON,
//! [`form`]: `docs/reference/seals.md`. Both are computed, and what either names is the same thing.

mod form;
mod old;
#[cfg(test)]
mod tests;

use rivet_sdk::{Relation, Result};
use serde_json::Value;

use crate::config::{ExportConfig, Incremental, without_secrets};
use crate::plan::Fingerprint;

/// Everything in the configuration that decides which rows land where, and how. A run is resumed only under the same.
pub fn of_configuration(export: &ExportConfig, source_plugin: &str, source_options: &Value) -> Result<Fingerprint> {
    let source_options = without_secrets(source_options);
    let destination_options = without_secrets(&export.destination.block.options);
    let first = old::configuration(export, source_plugin, &source_options, &destination_options);
    let second = form::hash(&form::configuration(export, source_plugin, source_options, destination_options))?;
    Ok(Fingerprint::of(first, second))
}

/// What a watermark's rows are: the database, what is read, and the cursor. `of_watermark` without where it lands.
pub fn of_rows(identity: &str, relation: &Relation, cursor: &[String], coalesced: bool) -> Result<String> {
    form::hash(&form::rows(identity, relation, cursor, coalesced))
}

/// Where a watermark's rows land, as it is configured.
pub fn of_destination(plugin: &str, options: &Value) -> Result<String> {
    form::hash(&form::destination(plugin, without_secrets(options)))
}

/// What a watermark belongs to: the database, what is read, the cursor, and where it lands.
pub fn of_watermark(
    export: &ExportConfig,
    identity: &str,
    relation: &Relation,
    incremental: &Incremental,
) -> Result<Fingerprint> {
    let plugin = &export.destination.plugin;
    let options = without_secrets(&export.destination.block.options);
    let Incremental { cursor, coalesced, settle_ms: _, on_null: _, on_ties: _ } = incremental;
    let first = old::watermark(identity, relation, cursor, *coalesced, plugin, &options);
    let second = form::hash(&form::watermark(identity, relation, cursor, *coalesced, plugin, options))?;
    Ok(Fingerprint::of(first, second))
}
