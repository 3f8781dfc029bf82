//! A plugin's options, read from the JSON Schema it publishes, as rows for people.

use serde_json::Value;

/// One option.
#[derive(Debug, PartialEq, Eq)]
pub struct PluginOption {
    /// `tls.mode`.
    pub path: String,
    /// What its value must be.
    pub kind: String,
    /// What applies without it; `required` if it must be given.
    pub default: String,
    /// Its description's first paragraph, on one line.
    pub meaning: String,
}

/// How deep blocks in blocks are followed: a schema may refer to itself.
const DEPTH_LIMIT: usize = 6;

/// Every option of `schema`, blocks before their keys.
pub fn of_schema(schema: &Value) -> Vec<PluginOption> {
    let mut options = Vec::new();
    collect(schema, schema, "", 0, &mut options);
    options
}

fn collect(root: &Value, schema: &Value, path: &str, depth: usize, options: &mut Vec<PluginOption>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, written) in properties {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let meant = resolve(root, written);
        let text = |key: &str| written.get(key).or_else(|| meant.get(key)).and_then(Value::as_str).unwrap_or("");
        let default = match written.get("default") {
            _ if required.contains(&name.as_str()) => "required".to_owned(),
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let paragraph = text("description").split("\n\n").next().unwrap_or("");
        options.push(PluginOption {
            path: path.clone(),
            kind: kind(root, written),
            default,
            meaning: paragraph.split_whitespace().collect::<Vec<_>>().join(" "),
        });
        if depth < DEPTH_LIMIT {
            collect(root, meant, &path, depth + 1, options);
        }
    }
}

/// `schema` without references and the `null` of an optional value.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut at = schema;
    for _ in 0..DEPTH_LIMIT {
        if let Some(pointer) = at.get("$ref").and_then(Value::as_str) {
            match pointer.strip_prefix('#').and_then(|pointer| root.pointer(pointer)) {
                Some(next) => at = next,
                None => break,
            }
        } else if let Some(inner) = only_alternative(at) {
            at = inner;
        } else {
            break;
        }
    }
    at
}

/// The one alternative that is not `null`, where there is one.
fn only_alternative(schema: &Value) -> Option<&Value> {
    let alternatives = ["anyOf", "oneOf", "allOf"].into_iter().find_map(|key| schema.get(key)?.as_array())?;
    let mut real =
        alternatives.iter().filter(|alternative| alternative.get("type").and_then(Value::as_str) != Some("null"));
    match (real.next(), real.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

fn kind(root: &Value, written: &Value) -> String {
    let schema = resolve(root, written);
    let words = words(schema);
    if !words.is_empty() {
        return words.join(", ");
    }
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let secret = schema.get("writeOnly").and_then(Value::as_bool) == Some(true);
    let names: Vec<String> = types
        .into_iter()
        .filter(|name| *name != "null")
        .map(|name| match name {
            "string" if secret => "text, secret".to_owned(),
            "string" => "text".to_owned(),
            "integer" => "whole number".to_owned(),
            "boolean" => "true, false".to_owned(),
            "object" => "block".to_owned(),
            "array" => {
                format!("list of {}", schema.get("items").map_or("anything".to_owned(), |items| kind(root, items)))
            }
            other => other.to_owned(),
        })
        .collect();
    if names.is_empty() { "anything".to_owned() } else { names.join(" or ") }
}

/// The words of an enumeration, written as `enum`, `const` or a `oneOf` of them.
fn words(schema: &Value) -> Vec<String> {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    }
    let each = |one: &Value| one.get("const").and_then(Value::as_str).map(str::to_owned);
    if let Some(word) = each(schema) {
        return vec![word];
    }
    let inner = ["oneOf", "anyOf"].into_iter().find_map(|key| schema.get(key)?.as_array());
    inner.into_iter().flatten().flat_map(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_optionals_words_and_blocks_are_followed() {
        let schema = json!({
            "type": "object",
            "required": ["host"],
            "properties": {
                "host": { "type": "string", "description": "The server.\n\nMore." },
                "password": { "anyOf": [{ "$ref": "#/$defs/Secret" }, { "type": "null" }] },
                "port": { "type": ["integer", "null"], "default": 5432 },
                "tls": { "anyOf": [{ "$ref": "#/$defs/Tls" }, { "type": "null" }] },
            },
            "$defs": {
                "Secret": { "type": "string", "writeOnly": true },
                "Tls": { "type": "object", "properties": { "mode": { "$ref": "#/$defs/Mode", "default": "full" } } },
                "Mode": { "oneOf": [{ "const": "none" }, { "const": "full" }] },
            },
        });
        let rows: Vec<String> = of_schema(&schema)
            .into_iter()
            .map(|option| format!("{} | {} | {} | {}", option.path, option.kind, option.default, option.meaning))
            .collect();
        assert_eq!(
            rows,
            [
                "host | text | required | The server.",
                "password | text, secret |  | ",
                "port | whole number | 5432 | ",
                "tls | block |  | ",
                "tls.mode | none, full | full | ",
            ]
        );
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({ "properties": { "a": { "$ref": "#" } } });
        assert_eq!(of_schema(&schema).len(), DEPTH_LIMIT + 1);
    }
}
