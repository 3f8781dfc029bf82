//! The JSON Schema of the configuration, made from the table of keys.

use serde_json::{Map, Value, json};

use super::grammar;
use super::keys::{Block, Key, Kind};

/// The role in which a plugin's options stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `source`.
    Source,
    /// `exports[].destination`.
    Destination,
}

/// A plugin and the JSON Schema of its options.
#[derive(Debug, Clone)]
pub struct PluginSchema {
    /// The plugin's name, as `type` gives it.
    pub name: String,
    /// Where its options stand.
    pub role: Role,
    /// The schema it publishes.
    pub schema: Value,
}

/// The whole grammar. Options of the given plugins are checked where `type` names them.
pub fn document(plugins: &[PluginSchema]) -> Value {
    let mut definitions = Map::new();
    for block in grammar::ROOT.all().into_iter().skip(1) {
        let mut schema = object(block);
        let role = match block.path {
            "source" => Some(Role::Source),
            "exports[].destination" => Some(Role::Destination),
            _ => None,
        };
        let cases: Vec<Value> =
            plugins.iter().filter(|plugin| Some(plugin.role) == role).map(|plugin| case(block, plugin)).collect();
        if !cases.is_empty() {
            schema["allOf"] = cases.into();
        }
        definitions.insert(name(block), schema);
    }
    let mut root = object(&grammar::ROOT);
    root["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    root["title"] = "rivet configuration".into();
    root["$defs"] = definitions.into();
    root
}

fn name(block: &Block) -> String {
    block.path.replace("[]", "").replace('.', "_")
}

fn object(block: &Block) -> Value {
    let mut properties = Map::new();
    for key in block.keys {
        properties.insert(key.name.to_owned(), property(key));
        if matches!(key.kind, Kind::Text | Kind::Secret) {
            for (suffix, from) in [("env", "the environment variable of this name"), ("file", "this file")] {
                let name = format!("{}_{suffix}", key.name);
                if block.key(&name).is_none() {
                    let doc = format!("`{}`, from {from}.", key.name);
                    properties.insert(name, json!({ "type": "string", "description": doc }));
                }
            }
        }
    }
    let mut schema = json!({ "type": "object", "description": block.doc, "properties": properties });
    if !block.open {
        schema["additionalProperties"] = false.into();
    }
    // A required text may come from a variable or a file; the parser decides that.
    let required: Vec<&str> = block
        .keys
        .iter()
        .filter(|key| key.required && !matches!(key.kind, Kind::Text | Kind::Secret))
        .map(|key| key.name)
        .collect();
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

fn property(key: &Key) -> Value {
    let mut schema = kind(key.kind);
    let mut doc = key.doc.to_owned();
    if !key.default.is_empty() {
        doc.push_str(&format!(" Default: {}.", key.default));
    }
    schema["description"] = doc.into();
    schema
}

fn kind(kind: Kind) -> Value {
    // `${VAR}` may stand for any scalar.
    let reference = json!({ "type": "string", "pattern": "\\$\\{" });
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Secret => json!({ "type": "string", "writeOnly": true }),
        Kind::Character => json!({ "type": "string", "minLength": 1 }),
        Kind::Bool => json!({ "anyOf": [{ "type": "boolean" }, reference] }),
        Kind::FlagOrInteger(least, most) => {
            let number = json!({ "type": "integer", "minimum": least, "maximum": most });
            json!({ "anyOf": [{ "type": "boolean" }, number, reference] })
        }
        Kind::Integer(least, i64::MAX) => json!({ "anyOf": [{ "type": "integer", "minimum": least }, reference] }),
        Kind::Integer(least, most) => {
            json!({ "anyOf": [{ "type": "integer", "minimum": least, "maximum": most }, reference] })
        }
        Kind::Number(least) => json!({ "anyOf": [{ "type": "number", "minimum": least }, reference] }),
        Kind::Choice(words) => {
            let null = words.contains(&"null").then_some(Value::Null);
            let words: Vec<Value> = words.iter().map(|word| (*word).into()).chain(null).collect();
            json!({ "anyOf": [{ "enum": words }, reference] })
        }
        Kind::Size => json!({ "type": ["string", "integer"] }),
        Kind::Duration => json!({ "type": "string" }),
        Kind::Texts => texts,
        Kind::TextOrTexts => json!({ "anyOf": [{ "type": "string" }, texts] }),
        Kind::Choices(words) => json!({ "type": "array", "items": { "enum": words } }),
        Kind::TextByName => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Kind::NumberByName => json!({ "type": "object", "additionalProperties": { "type": "number", "minimum": 0 } }),
        Kind::Block(block) => json!({ "$ref": format!("#/$defs/{}", name(block)) }),
        Kind::Blocks(block) => {
            json!({ "type": "array", "minItems": 1, "items": { "$ref": format!("#/$defs/{}", name(block)) } })
        }
    }
}

/// What holds where `type` names the plugin. Its own `$id` keeps its `$ref`s inside it.
fn case(block: &Block, plugin: &PluginSchema) -> Value {
    let mut options = plugin.schema.clone();
    let id = format!("rivet:{}:{}", name(block), plugin.name);
    with_references(&mut options);
    if let Some(schema) = options.as_object_mut() {
        schema.insert("$id".to_owned(), id.into());
        schema.remove("$schema");
        schema.remove("required");
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            for key in block.keys {
                properties.entry(key.name).or_insert(true.into());
                properties.entry(format!("{}_env", key.name)).or_insert(true.into());
                properties.entry(format!("{}_file", key.name)).or_insert(true.into());
            }
        }
    }
    json!({
        "if": { "properties": { "type": { "const": plugin.name } }, "required": ["type"] },
        "then": options,
    })
}

/// Adds `x_env` and `x_file` for every option that takes text, at any depth.
fn with_references(schema: &mut Value) {
    match schema {
        Value::Object(entries) => {
            if let Some(Value::Object(properties)) = entries.get_mut("properties") {
                let texts: Vec<String> = properties
                    .iter()
                    .filter(|(_, property)| property.get("type").is_none_or(|kind| kind.to_string().contains("string")))
                    .map(|(key, _)| key.clone())
                    .collect();
                for key in texts {
                    for suffix in ["env", "file"] {
                        properties.entry(format!("{key}_{suffix}")).or_insert(json!({ "type": "string" }));
                    }
                }
            }
            entries.values_mut().for_each(with_references);
        }
        Value::Array(items) => items.iter_mut().for_each(with_references),
        _ => {}
    }
}
