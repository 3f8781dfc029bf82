//! `destination`: which plugin, its options, and the path cut at its first token.

use super::diagnostic::Diagnostic;
use super::fields::Fields;
use super::local_path::local_path;
use super::plugin_block::PluginBlock;
use super::schema::Role;
use super::template;
use super::tree::{Entry, Node, Value};
use super::variables::{Variables, escape};
use crate::destination::DestinationKind;

/// Where files go.
#[derive(Debug, Clone, PartialEq)]
pub struct DestinationConfig {
    /// `local`, `stdout`, or a plugin's name.
    pub plugin: String,
    /// Which of them it is.
    pub kind: DestinationKind,
    /// Its options, references unexpanded; `path` or `prefix` is cut at the folder before the
    /// first token.
    pub block: PluginBlock,
    /// The rest of the path, for [`super::expand`]: empty, or ends with `/`.
    pub template: String,
    /// Which option holds the path, if one does.
    pub path_key: Option<&'static str>,
}

/// Reads an export's `destination`.
pub fn read(export: &Fields, variables: &Variables, faults: &mut Vec<Diagnostic>) -> Option<DestinationConfig> {
    let fields = export.fields("destination")?;
    let mut entries = fields.rest.clone();
    let mut template = String::new();
    let path_key = ["path", "prefix"].into_iter().find(|key| fields.has(key));
    if fields.has("path") && fields.has("prefix") {
        faults.push(fields.fault("prefix", "`path` and `prefix` are both given").with_hint("keep one of them"));
    }
    if let Some(key) = path_key
        && let Some(path) = fields.text(key)
    {
        let is_local = key == "path" && fields.text("type").map(DestinationKind::of) == Some(DestinationKind::Local);
        let path = match local_path(path, variables) {
            Ok(meant) if is_local => meant,
            Err((message, hint)) if is_local => {
                faults.push(fields.fault(key, message).with_hint(hint));
                return None;
            }
            _ => path.to_owned(),
        };
        let cut = match template::parse(&path) {
            Ok(cut) => cut,
            Err((message, hint)) => {
                faults.push(fields.fault(key, message).with_hint_if(hint));
                return None;
            }
        };
        check_tokens(export, fields, key, &cut.tokens, faults);
        let prefix = if cut.prefix.is_empty() && key == "path" { "./" } else { &cut.prefix };
        let value = Value::Text { text: escape(prefix), plain: false };
        let at = fields.at(key);
        entries.push(Entry { key: key.to_owned(), at, node: Node { at, value } });
        template = cut.rest;
    }
    let node = Node { at: fields.at, value: Value::Map(entries) };
    let block = PluginBlock::new(Role::Destination, &fields.path, node, variables, faults);
    let plugin = fields.text("type")?.to_owned();
    Some(DestinationConfig { kind: DestinationKind::of(&plugin), plugin, block, template, path_key })
}

fn check_tokens(export: &Fields, fields: &Fields, key: &str, tokens: &[&str], faults: &mut Vec<Diagnostic>) {
    if tokens.contains(&"table") && !export.has("table") && !export.has("tables") {
        let message = "`{table}` needs an export with `table`";
        faults.push(fields.fault(key, message).with_hint("use {export} for a query"));
    }
    if tokens.contains(&"partition") {
        let path = fields.text(key).unwrap_or_default();
        let folders = path.split('/').filter(|folder| folder.contains("{partition}"));
        if !export.has("partition_by") {
            faults.push(fields.fault(key, "`{partition}` needs `partition_by`"));
        } else if folders.clone().count() > 1 || folders.into_iter().any(|folder| folder != "{partition}") {
            let fault = fields.fault(key, "`{partition}` stands for a whole folder, once");
            faults.push(fault.with_hint("write it between slashes: `out/{partition}/`"));
        } else if path.split_once("{partition}").is_some_and(|(_, after)| after.contains('{')) {
            let fault = fields.fault(key, "no token can follow `{partition}`");
            faults.push(fault.with_hint("put the other tokens before it"));
        }
    }
}
