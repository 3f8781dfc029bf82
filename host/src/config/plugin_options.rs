//! A plugin's options against the JSON Schema it publishes, with the places of what is wrong.
//!
//! Checked is what people get wrong: unknown keys, types, words, required keys. The plugin
//! reads its options itself afterwards and has the last word.

use std::collections::VecDeque;

use rivet_sdk::{Error, Result};
use serde_json::Value as Json;

use super::diagnostic::{Diagnostic, join, nearest};
use super::tree::{Entry, Node, Value};
use super::tuning::Environment;

/// What `schema` says against `options`. Values are never shown: they may be secret.
/// `host_keys` stand beside the options and belong to the host; they are offered as nearest
/// names too.
pub fn validate(schema: &Json, options: &Node, path: &str, host_keys: &[&str]) -> Vec<Diagnostic> {
    let mut check = Check { root: schema, host_keys, faults: Vec::new() };
    check.node(schema, options, path, 0);
    check.faults
}

/// Whether `path` (`tls.ca_file`) is the exact name of an option.
pub fn is_exact_key(schema: &Json, path: &str) -> bool {
    let mut at = schema;
    path.split('.').all(|key| match property(schema, at, key) {
        Some(inner) => {
            at = inner;
            true
        }
        None => false,
    })
}

/// Turns texts that came out of references into the numbers and booleans that `schema` wants.
pub fn coerce(schema: &Json, options: &mut Json) {
    coerce_at(schema, schema, options);
}

/// Demands encryption in production where the plugin has a `tls` option: one that the user wrote must demand it, too,
/// and where there is none it is added. `resolved` fills the references of the user's block in.
pub fn require_tls(
    schema: &Json,
    environment: Option<Environment>,
    options: &mut Json,
    resolved: impl FnOnce(&Json) -> Result<Json>,
) -> Result<()> {
    if environment != Some(Environment::Production) || !is_exact_key(schema, "tls.mode") {
        return Ok(());
    }
    let Some(options) = options.as_object_mut() else { return Ok(()) };
    let Some(tls) = options.get("tls").filter(|tls| !tls.is_null()) else {
        options.insert("tls".to_owned(), serde_json::json!({ "mode": "require" }));
        return Ok(());
    };
    match resolved(tls)?.get("mode").and_then(Json::as_str) {
        Some(mode @ ("disable" | "prefer")) => {
            Err(Error::config(format!("`environment: production` and `tls: {{ mode: {mode} }}` contradict each other"))
                .with_hint(
                    "in production a connection is encrypted: take `mode` out (verify-full), or write require; \
                            `environment: replica` with `tuning: { profile: safe }` is as gentle and demands no TLS",
                ))
        }
        _ => Ok(()),
    }
}

fn coerce_at(root: &Json, schema: &Json, options: &mut Json) {
    match options {
        Json::Object(entries) => {
            for (key, value) in entries {
                if let Some(inner) = property(root, schema, key) {
                    coerce_at(root, inner, value);
                }
            }
        }
        Json::String(text) if !allows(root, schema, "string") => {
            if (allows(root, schema, "integer") || allows(root, schema, "number"))
                && let Ok(number @ Json::Number(_)) = serde_json::from_str(text)
            {
                *options = number;
            } else if allows(root, schema, "boolean")
                && let Ok(value) = text.parse::<bool>()
            {
                *options = value.into();
            }
        }
        _ => {}
    }
}

const DEPTH_LIMIT: usize = 32;
const ALTERNATIVES_LIMIT: usize = 500;

/// The schemas that `schema` stands for: itself without its references and alternatives.
fn alternatives<'a>(root: &'a Json, schema: &'a Json) -> Vec<&'a Json> {
    let mut open = VecDeque::from([schema]);
    let mut found = Vec::new();
    // Enough for any enumeration, and an end for a schema that refers to itself.
    for _ in 0..ALTERNATIVES_LIMIT {
        let Some(next) = open.pop_front() else { break };
        if let Some(pointer) = next.get("$ref").and_then(Json::as_str) {
            open.extend(pointer.strip_prefix('#').and_then(|pointer| root.pointer(pointer)));
            continue;
        }
        let inner = ["anyOf", "oneOf", "allOf"].iter().filter_map(|key| next.get(key)?.as_array()).flatten();
        let before = open.len();
        open.extend(inner);
        if open.len() == before || next.get("properties").is_some() || next.get("type").is_some() {
            found.push(next);
        }
    }
    found
}

fn property<'a>(root: &'a Json, schema: &'a Json, key: &str) -> Option<&'a Json> {
    alternatives(root, schema).into_iter().find_map(|alternative| alternative.get("properties")?.get(key))
}

fn types(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(name)) => vec![name],
        Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether a value of this type is allowed. A schema without a type allows the types of its
/// words, or all.
fn allows(root: &Json, schema: &Json, wanted: &str) -> bool {
    alternatives(root, schema).into_iter().any(|alternative| {
        let types = types(alternative);
        let words = words(alternative);
        match types.is_empty() {
            false => types.contains(&wanted) || (wanted == "integer" && types.contains(&"number")),
            true => words.is_empty() || wanted == "string",
        }
    })
}

fn words(schema: &Json) -> Vec<&str> {
    let listed = schema.get("enum").and_then(Json::as_array).into_iter().flatten();
    listed.chain(schema.get("const")).filter_map(Json::as_str).collect()
}

struct Check<'a> {
    root: &'a Json,
    host_keys: &'a [&'a str],
    faults: Vec<Diagnostic>,
}

impl<'a> Check<'a> {
    fn node(&mut self, schema: &'a Json, node: &Node, path: &str, depth: usize) {
        if depth > DEPTH_LIMIT || schema.as_bool() == Some(true) {
            return;
        }
        match &node.value {
            Value::Null => {}
            Value::Map(entries) if allows(self.root, schema, "object") => {
                self.object(schema, entries, node, path, depth);
            }
            Value::List(items) if allows(self.root, schema, "array") => {
                let inner =
                    alternatives(self.root, schema).into_iter().find_map(|alternative| alternative.get("items"));
                for (index, item) in items.iter().enumerate() {
                    if let Some(inner) = inner {
                        self.node(inner, item, &format!("{path}[{index}]"), depth + 1);
                    }
                }
            }
            value => self.scalar(schema, value, node, path),
        }
    }

    fn object(&mut self, schema: &'a Json, entries: &[Entry], node: &Node, path: &str, depth: usize) {
        let objects = alternatives(self.root, schema);
        let mut known: Vec<&str> = Vec::new();
        let mut required: Vec<&str> = Vec::new();
        let mut closed = false;
        let mut tagged = false;
        for alternative in &objects {
            known.extend(
                alternative
                    .get("properties")
                    .and_then(Json::as_object)
                    .into_iter()
                    .flatten()
                    .map(|(key, _)| key.as_str()),
            );
            required.extend(
                alternative.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str),
            );
            closed |= alternative.get("additionalProperties").and_then(Json::as_bool) == Some(false);
            tagged |= alternative.get("oneOf").is_some();
        }
        let mut given: Vec<&str> = Vec::new();
        for entry in entries.iter().filter(|entry| entry.node.value != Value::Null) {
            let path = join(path, &entry.key);
            let base = if known.contains(&entry.key.as_str()) { None } else { reference(&entry.key, &known) };
            let name = base.unwrap_or(&entry.key);
            if given.contains(&name) {
                let message = format!("`{name}` is given twice");
                self.faults.push(Diagnostic::invalid(entry.at, &path, message).with_hint("keep one of them"));
            }
            given.push(name);
            match (base, property(self.root, schema, &entry.key)) {
                (Some(_), _) if matches!(entry.node.value, Value::Text { .. }) => {}
                (Some(_), _) => {
                    let message = format!("expected text, found {}", entry.node.value.described());
                    self.faults.push(Diagnostic::invalid(entry.node.at, path, message));
                }
                (None, Some(inner)) => self.node(inner, &entry.node, &path, depth + 1),
                (None, None) if closed => {
                    let beside = if depth == 0 { self.host_keys } else { &[] };
                    // A key of the host's that this block does not take is no remedy for itself.
                    let others = known.iter().chain(beside).copied().filter(|known| *known != entry.key);
                    let hint = nearest(&entry.key, others);
                    let hint = hint.unwrap_or_else(|| format!("the plugin's options are {}", known.join(", ")));
                    self.faults.push(Diagnostic::invalid(entry.at, path, "unknown key").with_hint(hint));
                }
                (None, None) => {}
            }
        }
        // Of several alternatives, each has required keys of its own: the plugin decides.
        if !tagged && objects.len() == 1 {
            for key in required.iter().filter(|key| !given.contains(key)) {
                self.faults.push(Diagnostic::invalid(node.at, join(path, key), "this key is required"));
            }
        }
    }

    fn scalar(&mut self, schema: &'a Json, value: &Value, node: &Node, path: &str) {
        let found = match value {
            Value::Text { text, .. } if !super::variables::names(text).is_empty() => return,
            Value::Text { .. } => "string",
            Value::Bool(_) => "boolean",
            Value::Integer(_) => "integer",
            Value::Number(_) => "number",
            Value::List(_) => "array",
            Value::Map(_) | Value::Null => "object",
        };
        if !allows(self.root, schema, found) {
            let wanted: Vec<&str> = alternatives(self.root, schema)
                .into_iter()
                .flat_map(types)
                .filter(|name| *name != "null")
                .map(described)
                .collect();
            let wanted = if wanted.is_empty() { "something else".to_owned() } else { wanted.join(" or ") };
            let fault = Diagnostic::invalid(node.at, path, format!("expected {wanted}, found {}", value.described()));
            let quotable = wanted == "text" && !matches!(value, Value::List(_) | Value::Map(_));
            self.faults.push(fault.with_hint_if(quotable.then(|| "put it in quotes".to_owned())));
            return;
        }
        self.limits(schema, value, node, path);
    }

    fn limits(&mut self, schema: &'a Json, value: &Value, node: &Node, path: &str) {
        let all = alternatives(self.root, schema);
        let fits = |value: f64| {
            let bound = |alternative: &Json, key: &str| alternative.get(key).and_then(Json::as_f64);
            all.iter().all(|alternative| {
                bound(alternative, "minimum").is_none_or(|least| value >= least)
                    && bound(alternative, "maximum").is_none_or(|most| value <= most)
            })
        };
        match value {
            Value::Integer(number) => {
                // Beyond 2^53 only the sign and the rough size count.
                #[allow(clippy::cast_precision_loss)]
                let number = *number as f64;
                if !fits(number) {
                    self.faults.push(Diagnostic::invalid(node.at, path, "out of range"));
                }
            }
            Value::Number(number) if !fits(*number) => {
                self.faults.push(Diagnostic::invalid(node.at, path, "out of range"));
            }
            Value::Text { text, .. } => {
                let words: Vec<&str> = all.iter().flat_map(|alternative| words(alternative)).collect();
                let free = all
                    .iter()
                    .any(|alternative| types(alternative).contains(&"string") && self::words(alternative).is_empty());
                if !words.is_empty() && !free && !words.contains(&text.as_str()) {
                    let message = format!("must be one of {}", words.join(", "));
                    let hint = nearest(text, words.iter().copied());
                    self.faults.push(Diagnostic::invalid(node.at, path, message).with_hint_if(hint));
                }
            }
            _ => {}
        }
    }
}

/// The known option that `password_env` or `password_file` stands for.
fn reference<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let base = key.strip_suffix("_env").or_else(|| key.strip_suffix("_file"))?;
    known.iter().find(|name| **name == base).copied()
}

fn described(name: &str) -> &str {
    match name {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a block of keys",
        other => other,
    }
}
