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

/// Both forms of one fingerprint, as stored side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// The first form; where something is used that it does not know, the second.
    pub first: String,
    /// The second form. What rivet 0.1 wrote has none.
    pub second: Option<String>,
}

impl Fingerprint {
    /// As read from a document or a row.
    pub fn stored(first: &str, second: Option<&str>) -> Self {
        Self { first: first.to_owned(), second: second.map(str::to_owned) }
    }

    fn of(first: Option<String>, second: String) -> Self {
        Self { first: first.unwrap_or_else(|| second.clone()), second: Some(second) }
    }

    /// Whether both name the same thing, in either form.
    pub fn is_of(&self, other: &Self) -> bool {
        self.first == other.first || (self.second.is_some() && self.second == other.second)
    }

    /// Whether it can be told that they name different things: both were written with the same forms.
    pub fn is_comparable(&self, other: &Self) -> bool {
        self.second.is_some() == other.second.is_some()
    }
}

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
