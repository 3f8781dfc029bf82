//! The part of `source` and `destination` that belongs to a plugin: kept with its places, and
//! as JSON for the plan with every reference unexpanded.

use std::fmt;

use serde_json::Value as Json;

use super::diagnostic::{Diagnostic, join};
use super::schema::Role;
use super::tree::{Entry, Node, Value};
use super::variables::{self, Variables};
use super::{grammar, plugin_options, secrets};

/// Options as configured, for a plugin to understand.
#[derive(Clone, PartialEq)]
pub struct PluginBlock {
    role: Role,
    /// The block's path: `source`, `exports[0].destination`.
    pub path: String,
    /// For the plan: `*_env`, `*_file` and `${VAR}` stand unexpanded, except that parameters
    /// are filled in where no secret is expected.
    pub options: Json,
    pub(super) node: Node,
}

impl PluginBlock {
    pub(super) fn new(role: Role, path: &str, node: Node, variables: &Variables, faults: &mut Vec<Diagnostic>) -> Self {
        check_references(&node, path, variables, faults);
        let mut options = node.to_json();
        fill_params(&mut options, "", variables);
        Self { role, path: path.to_owned(), options, node }
    }

    /// What the plugin's JSON Schema says against these options.
    pub fn validate(&self, schema: &Json) -> Vec<Diagnostic> {
        let block = match self.role {
            Role::Source => &grammar::SOURCE,
            Role::Destination => &grammar::DESTINATION,
        };
        let host_keys: Vec<&str> = block.keys.iter().map(|key| key.name).collect();
        plugin_options::validate(schema, &self.node, &self.path, &host_keys)
    }

    /// The key of a secret that stands in the configuration itself, if there is one.
    pub fn inline_secret(&self) -> Option<String> {
        secrets::inline_secret(&self.options).map(|key| join(&self.path, &key))
    }
}

impl fmt::Debug for PluginBlock {
    /// The options' names only: a secret may stand among their values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&String> = self.options.as_object().into_iter().flat_map(|options| options.keys()).collect();
        write!(f, "{} {keys:?}", self.path)
    }
}

/// The entry of this key.
pub(super) fn entry<'a>(entries: &'a [Entry], key: &str) -> Option<&'a Entry> {
    entries.iter().find(|entry| entry.key == key)
}

fn check_references(node: &Node, path: &str, variables: &Variables, faults: &mut Vec<Diagnostic>) {
    match &node.value {
        Value::Text { text, .. } => {
            if let Err(error) = variables.expand(text) {
                let (message, hint) = error.texts();
                faults.push(Diagnostic::invalid(node.at, path, message).with_hint(hint));
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                check_references(item, &format!("{path}[{index}]"), variables, faults);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                check_references(&entry.node, &join(path, &entry.key), variables, faults);
            }
        }
        _ => {}
    }
}

fn fill_params(options: &mut Json, key: &str, variables: &Variables) {
    match options {
        Json::String(text) if !secrets::may_hold_secret(key, text) => {
            if !variables::names(text).is_empty()
                && let Ok(filled) = variables.expand_params(text)
            {
                *text = filled;
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| fill_params(item, key, variables)),
        Json::Object(entries) => entries.iter_mut().for_each(|(key, value)| fill_params(value, key, variables)),
        _ => {}
    }
}
