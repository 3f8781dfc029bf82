//! The plugin manifest, composed while the plugin compiles.

use rivet_abi::{KIND_DESTINATION, KIND_SOURCE};

/// What [`crate::plugin!`] knows of a plugin.
#[derive(Debug)]
pub struct ManifestParts {
    /// Its name.
    pub name: &'static str,
    /// Its crate's version.
    pub version: &'static str,
    /// Its crate's description.
    pub description: &'static str,
    /// Its crate's licence.
    pub license: &'static str,
    /// Its crate's home page.
    pub homepage: &'static str,
    /// URL schemes it answers to.
    pub schemes: &'static [&'static str],
    /// What its source can do.
    pub capabilities: &'static [&'static str],
    /// `KIND_SOURCE`, `KIND_DESTINATION`.
    pub kinds: u32,
    /// JSON Schema of a source's options; empty if it opens none.
    pub source_options: &'static str,
    /// JSON Schema of a destination's options; empty if it opens none.
    pub destination_options: &'static str,
}

/// Writes the manifest's JSON into `out` and returns its length. An `out` that is too short
/// only counts.
pub const fn write_manifest(parts: &ManifestParts, out: &mut [u8]) -> usize {
    let mut at = 0;
    at = push_member(out, at, "{\"name\":", parts.name);
    at = push_member(out, at, ",\"version\":", parts.version);
    at = push_member(out, at, ",\"sdk\":", crate::SDK_VERSION);
    at = push_member(out, at, ",\"description\":", parts.description);
    at = push_member(out, at, ",\"license\":", parts.license);
    at = push_member(out, at, ",\"homepage\":", parts.homepage);
    at = push_list(out, at, ",\"schemes\":", parts.schemes);
    at = push_list(out, at, ",\"capabilities\":", parts.capabilities);
    at = push_list(out, at, ",\"kinds\":", kinds(parts.kinds));
    at = push(out, at, ",\"options\":{");
    if !parts.source_options.is_empty() {
        at = push(out, at, "\"source\":");
        at = push(out, at, parts.source_options);
    }
    if !parts.destination_options.is_empty() {
        at = push(out, at, if parts.source_options.is_empty() { "\"destination\":" } else { ",\"destination\":" });
        at = push(out, at, parts.destination_options);
    }
    push(out, at, "}}")
}

const fn kinds(kinds: u32) -> &'static [&'static str] {
    match (kinds & KIND_SOURCE != 0, kinds & KIND_DESTINATION != 0) {
        (true, true) => &["source", "destination"],
        (true, false) => &["source"],
        (false, true) => &["destination"],
        (false, false) => &[],
    }
}

const fn push(out: &mut [u8], mut at: usize, text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        if at < out.len() {
            out[at] = bytes[index];
        }
        at += 1;
        index += 1;
    }
    at
}

const fn push_text(out: &mut [u8], at: usize, text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        assert!(
            bytes[index] >= b' ' && bytes[index] != b'"' && bytes[index] != b'\\',
            "no quotes, backslashes or control characters in a plugin's name, version, description, licence, homepage or schemes"
        );
        index += 1;
    }
    let at = push(out, at, "\"");
    let at = push(out, at, text);
    push(out, at, "\"")
}

const fn push_member(out: &mut [u8], at: usize, name: &str, text: &str) -> usize {
    let at = push(out, at, name);
    push_text(out, at, text)
}

const fn push_list(out: &mut [u8], at: usize, name: &str, texts: &[&str]) -> usize {
    let mut at = push(out, at, name);
    at = push(out, at, "[");
    let mut index = 0;
    while index < texts.len() {
        if index > 0 {
            at = push(out, at, ",");
        }
        at = push_text(out, at, texts[index]);
        index += 1;
    }
    push(out, at, "]")
}
