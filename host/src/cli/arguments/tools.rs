//! Arguments of the commands around exports: state and history, plugins, schemas, completions.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{Selection, parse_param};

#[derive(Debug, Args)]
pub struct HistoryArguments {
    #[command(flatten)]
    pub selection: Selection,
    /// At most so many of each export
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub limit: u32,
    /// Write JSON to stdout
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Show each export's watermark, last run, remembered schema, and who runs it now
    Show(StateShowArguments),
    /// Forget an export's watermark: its next incremental run begins anew
    Reset(StateResetArguments),
    /// Go on at the place that is configured now, from the watermark that an export has; its files stay where they are
    Move(StateResetArguments),
    /// Show the files of an export's newest run at the destination
    Files(StateRunArguments),
    /// Show the chunks of an export's newest run, and which are done
    Chunks(StateRunArguments),
    /// Give up an export's unfinished run and remove its files; a commit that was cut off is finished
    ResetChunks(StateResetArguments),
    /// Show how each export's watermark moved, newest first
    Progression(HistoryArguments),
}

#[derive(Debug, Args)]
pub struct StateShowArguments {
    #[command(flatten)]
    pub selection: Selection,
    /// Write JSON to stdout
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct StateRunArguments {
    #[command(flatten)]
    pub selection: Selection,
    /// Another run than the newest: its id, or the beginning of it
    #[arg(long, value_name = "ID")]
    pub run_id: Option<String>,
    /// Write JSON to stdout
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct StateResetArguments {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = "rivet.yaml")]
    pub config: PathBuf,
    /// The export (repeatable)
    #[arg(short, long, value_name = "NAME", required = true)]
    pub export: Vec<String>,
    /// A value for ${KEY} in the configuration (repeatable)
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = parse_param)]
    pub param: Vec<(String, String)>,
    /// Write JSON to stdout
    #[arg(long)]
    pub json: bool,
}

impl StateResetArguments {
    /// As the other commands have it.
    pub fn selection(&self) -> Selection {
        Selection { config: self.config.clone(), export: self.export.clone(), param: self.param.clone() }
    }
}

#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Every plugin that was found, used or not, and why not; -v shows where was searched
    List(PluginListArguments),
    /// What a plugin says of itself, and its options
    Info(PluginInfoArguments),
    /// Load a plugin and check each step on the way
    Verify(PluginVerifyArguments),
    /// Pin version and SHA-256 of the configuration's plugins, for --locked
    Lock(PluginLockArguments),
    /// Begin a plugin of your own: a crate that builds, passes the conformance suite and exports
    New(PluginNewArguments),
    /// Tell cargo where this machine has the SDK, for a plugin's crate that came from another
    Sdk(PluginSdkArguments),
}

#[derive(Debug, Args)]
pub struct PluginListArguments {
    /// Write JSON to stdout
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct PluginInfoArguments {
    /// The plugin
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Write JSON to stdout
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct PluginLockArguments {
    /// The configuration whose plugins are pinned
    #[arg(short, long, value_name = "FILE", default_value = "rivet.yaml")]
    pub config: PathBuf,
    /// A value for ${KEY} in the configuration (repeatable)
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = parse_param)]
    pub param: Vec<(String, String)>,
    /// Pin every plugin that is found; needs no configuration
    #[arg(long, conflicts_with = "config")]
    pub all: bool,
    /// The lock file; the configuration's `plugins.lock` if absent
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct PluginNewArguments {
    /// Its name: lower-case letters, digits and `_`
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What it is
    #[arg(long, value_enum)]
    pub kind: PluginKind,
    /// The folder to make; rivet-plugin-NAME if absent
    #[arg(long, value_name = "DIR")]
    pub path: Option<PathBuf>,
    /// The SDK to build against: share/rivet/sdk of a package of rivet, or sdk of a checkout; that of this
    /// program's own package or checkout if absent
    #[arg(long, value_name = "DIR")]
    pub sdk: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct PluginSdkArguments {
    /// The plugin's crate, whose .cargo/config.toml is written
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub path: PathBuf,
    /// The SDK to build against: share/rivet/sdk of a package of rivet, or sdk of a checkout; that of this
    /// program's own package or checkout if absent
    #[arg(long, value_name = "DIR")]
    pub sdk: Option<PathBuf>,
}

/// A role of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PluginKind {
    /// Reads from a database
    Source,
    /// Writes to a store
    Destination,
}

#[derive(Debug, Args)]
pub struct PluginVerifyArguments {
    /// The plugin, or the path of its file
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Run the conformance kit with this configuration's options: a source's tables are read several
    /// times, a destination gets a folder of its own that is removed afterwards
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Only this export's table and destination (repeatable)
    #[arg(short, long, value_name = "NAME", requires = "config")]
    pub export: Vec<String>,
    /// A value for ${KEY} in the configuration (repeatable)
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = parse_param, requires = "config")]
    pub param: Vec<(String, String)>,
    /// Write JSON to stdout
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum SchemaCommand {
    /// The configuration's JSON Schema, with the options of every plugin that was found
    Config,
    /// The JSON Schema of a sealed plan
    Plan,
    /// The JSON Schema of a chunk's report
    Report,
    /// The JSON Schema of a run's manifest
    Manifest,
    /// The JSON Schema of what a plugin says of itself
    PluginManifest,
    /// The JSON Schema of `rivet.lock`
    PluginLock,
}

#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub struct ManArguments {
    /// The folder to write to
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}
