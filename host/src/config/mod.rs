//! What the user wrote: parsed, checked, every fault with its line, column and remedy.
//!
//! [`load`] turns YAML into a spanned tree ([`tree`]), checks it against the one table of keys
//! ([`grammar`]), and reads the typed [`Config`] from what is left. The JSON Schema ([`schema`])
//! and the reference page ([`reference`]) are made from the same table.
//!
//! A relative `query_file`, `*_file`, `state.path` or folder of plugins starts at the
//! configuration's folder; a destination's `path` starts at the working directory.

mod check;
mod columns;
mod connections;
mod destination;
mod diagnostic;
mod export;
mod fields;
pub mod grammar;
pub mod keys;
mod local_path;
mod mode;
mod notifications;
mod output;
mod overlap;
mod plugin_block;
pub mod plugin_options;
mod quality;
pub mod reference;
mod relation;
pub mod schema;
mod secrets;
mod source;
mod state;
mod table_columns;
mod tables;
mod template;
#[cfg(test)]
mod tests;
pub mod tree;
mod tuning;
mod units;
mod variables;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

pub use connections::exports_by_cores;
pub use destination::DestinationConfig;
pub use diagnostic::{Diagnostic, Diagnostics, Position, nearest};
pub use export::{ChunkBy, ChunkSize, Chunking, ExportConfig, OnSchemaDrift, PartitionBy};
pub use fields::Named;
pub use mode::{Incremental, Mode, OnCursorTies, OnNullCursor, TimeWindow};
pub use output::OutputConfig;
pub use overlap::{LeftOut, Overlap};
pub use plugin_block::PluginBlock;
pub use secrets::{Resolved, inline_secret, resolve_secrets, without_secrets};
pub use source::{SourceConfig, SourcePlugin, scheme_of};
pub use state::{StateConfig, in_environment as state_in_environment};
pub use table_columns::{ColumnsOf, named_columns};
pub use tables::{Family, Globs, is_spelled_out, is_stored};
pub use template::{Tokens, expand};
pub use tuning::{Environment, Profile, Tuning};
pub use units::duration_ms;
pub use variables::Variables;

use crate::files::out_of_files;
use crate::notify::Hooks;
use check::Check;
use fields::Fields;
use local_path::local_path;
use rivet_sdk::{Error, TableName, TableSummary};

/// A configuration without faults.
#[derive(Debug)]
pub struct Config {
    /// The file.
    pub file: PathBuf,
    /// Where rows come from.
    pub source: SourceConfig,
    /// What is exported, as far as the file alone tells.
    pub exports: Vec<ExportConfig>,
    /// What is exported besides, once the source has told its tables.
    pub families: Vec<Family>,
    /// Folders of plugins, absolute or relative to the working directory.
    pub plugin_dirs: Vec<PathBuf>,
    /// The plugins' lock file.
    pub plugin_lock: PathBuf,
    /// The budget of memory.
    pub memory_limit_mb: u64,
    /// Where state is kept.
    pub state: StateConfig,
    /// Who is told how a run ended.
    pub notifications: Hooks,
    /// How many exports run at once.
    pub exports_at_once: usize,
    /// Tables that `tables` matches and whose rows other exports deliver; known with the tables.
    pub left_out: Vec<LeftOut>,
}

impl Config {
    /// The export of this name; or what is known of it before the source has told its tables.
    pub fn export(&self, name: &str) -> Option<&ExportConfig> {
        let family = || self.families.iter().find(|family| family.may_name(name)).map(|family| &family.template);
        self.exports.iter().find(|export| export.name == name).or_else(family)
    }

    /// Every entry of `exports`, whatever it will make.
    pub fn entries(&self) -> impl Iterator<Item = &ExportConfig> {
        self.exports.iter().chain(self.families.iter().map(|family| &family.template))
    }

    /// Adds the exports of the tables that `listed` holds.
    pub fn add_tables(&mut self, listed: &[TableSummary], columns_of: &mut ColumnsOf<'_>) -> Result<(), Error> {
        for family in &self.families {
            let (mut exports, left_out) = family.exports(listed)?;
            table_columns::fit(&family.template, &mut exports, columns_of)?;
            self.left_out.extend(left_out);
            for export in exports {
                if let Some(earlier) = self.exports.iter().find(|earlier| earlier.name == export.name) {
                    let message =
                        format!("{} and {} are both the export `{}`", earlier.relation, export.relation, export.name);
                    let hint = "give one entry another name, or leave the table out of the other with a glob that begins with `!`";
                    return Err(Error::config(message).with_hint(hint));
                }
                self.exports.push(export);
            }
        }
        // Another entry may name it in full.
        let is_exported = |table: &TableName| self.exports.iter().any(|export| export.relation.table() == Some(table));
        self.left_out.retain(|left_out| !is_exported(&left_out.table));
        self.left_out.sort();
        self.left_out.dedup();
        Ok(())
    }
}

/// Reads `file` with the `--param` values `params` over the process's environment.
pub fn load(file: &Path, params: BTreeMap<String, String>) -> Result<Config, Diagnostics> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        let exhausted = out_of_files(error.raw_os_error());
        let message = match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            _ if exhausted.is_some() => format!("the file cannot be read: {error}"),
            kind => format!("the file cannot be read: {kind}"),
        };
        let fault = Diagnostic::invalid(Position { line: 1, column: 1 }, "", message);
        let hint = exhausted.unwrap_or("name it with --config, or let `rivet init` write one");
        Diagnostics::new(file, vec![fault.with_hint(hint)])
    })?;
    parse(&text, file, &variables(file, params))
}

/// The variables of the configuration in `file`, also for [`resolve_secrets`].
pub fn variables(file: &Path, params: BTreeMap<String, String>) -> Variables {
    let base_dir = file.parent().unwrap_or(Path::new(""));
    Variables::new(params, base_dir)
}

/// Reads a configuration's text. `file` is its name in messages.
pub fn parse(text: &str, file: &Path, variables: &Variables) -> Result<Config, Diagnostics> {
    let mut faults = Vec::new();
    let config = tree::parse(text, &mut faults).and_then(|node| {
        let mut check = Check::new(variables);
        let root = check.block(&node, &grammar::ROOT, "");
        faults.append(&mut check.faults);
        let mut later = Vec::new();
        let config = root.and_then(|root| read(&root, file, variables, &mut later));
        check.redact(&mut later);
        faults.append(&mut later);
        config
    });
    Diagnostics::none_or(file, faults, config)
}

fn read(root: &Fields, file: &Path, variables: &Variables, faults: &mut Vec<Diagnostic>) -> Option<Config> {
    let source = root.fields("source");
    let source_config = source.and_then(|source| source::read(source, variables, faults));
    let memory_limit_mb = root.integer("memory_limit_mb").unwrap_or(512);
    let around = export::Around {
        variables,
        environment: source_config.as_ref().and_then(|source| source.environment),
        source_tuning: source.and_then(|source| source.fields("tuning")),
        memory_limit_mb,
    };
    let entries = root.many("exports");
    let (mut exports, mut families) = (Vec::new(), Vec::new());
    for entry in entries {
        let Some(export) = export::read(entry, &around, faults) else { continue };
        if entry.has("tables") {
            families.push(Family::new(entry, export, faults));
        } else {
            exports.push(export);
        }
    }
    check_names(entries, faults);
    check_folders(&exports, faults);
    let limit = source.and_then(|source| source.integer("max_connections"));
    connections::check(entries, exports.iter().chain(families.iter().map(|family| &family.template)), limit, faults);
    let state = state::read(root, variables, faults);
    let notifications = notifications::read(root, faults);

    let plugins = root.fields("plugins");
    let mut beside = |key: &str, path: &str| {
        let path = local_path(path, variables).unwrap_or_else(|(message, hint)| {
            faults.extend(plugins.map(|plugins| plugins.fault(key, message).with_hint(hint)));
            String::new()
        });
        variables.base_dir().join(path)
    };
    let plugin_dirs = plugins.map_or(&[][..], |plugins| plugins.texts("dirs"));
    let plugin_dirs = plugin_dirs.iter().map(|dir| beside("dirs", &dir.name)).collect();
    let lock = plugins.and_then(|plugins| plugins.text("lock")).unwrap_or("rivet.lock");
    let plugin_lock = beside("lock", lock);
    Some(Config {
        file: file.to_owned(),
        source: source_config?,
        exports,
        families,
        left_out: Vec::new(),
        plugin_dirs,
        plugin_lock,
        memory_limit_mb,
        state,
        notifications,
        exports_at_once: connections::exports_at_once(root),
    })
}

/// Two exports in one folder would take each other's `_SUCCESS`; standard output takes one.
fn check_folders(exports: &[ExportConfig], faults: &mut Vec<Diagnostic>) {
    for (index, export) in exports.iter().enumerate() {
        let ours = &export.destination;
        let own = ["{export}", "{table}", "{run_id}"].iter().any(|token| ours.template.contains(token));
        let same = |other: &&ExportConfig| {
            let theirs = &other.destination;
            (&ours.plugin, &ours.block.options, &ours.template)
                == (&theirs.plugin, &theirs.block.options, &theirs.template)
        };
        let Some(earlier) = exports.iter().take(index).find(same).filter(|_| !own) else { continue };
        let message = format!("`{}` and `{}` have the same destination", earlier.name, export.name);
        let hint =
            "give each export a folder of its own, e.g. with `{export}` in the path; standard output takes one export";
        faults.push(Diagnostic::invalid(export.at, ours.block.path.clone(), message).with_hint(hint));
    }
}

fn check_names(exports: &[Fields], faults: &mut Vec<Diagnostic>) {
    let mut first: HashMap<&str, Position> = HashMap::new();
    for export in exports {
        let Some(name) = export.text("name") else { continue };
        if let Some(earlier) = first.get(name) {
            let message = format!("`{name}` is the name of an export already, on line {}", earlier.line);
            faults.push(export.fault("name", message).with_hint("names are unique"));
        } else {
            first.insert(name, export.at("name"));
        }
    }
}
