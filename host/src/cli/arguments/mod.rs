//! Every command and flag, defined once: help, man page and completions come from here.

mod plans;
mod tools;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{duration_ms, exports_by_cores};
pub use plans::*;
pub use tools::*;

/// Exports database tables to Parquet and CSV, through plugins.
#[derive(Debug, Parser)]
#[command(name = "rivet", version, max_term_width = 100)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Look for plugins here first (repeatable)
    #[arg(long, global = true, value_name = "DIR")]
    pub plugin_dir: Vec<PathBuf>,
    /// Load only plugins that are as the lock file pins them: rivet.lock beside the configuration
    #[arg(long, global = true)]
    pub locked: bool,
    /// Check every value that a plugin delivers, not only its structure
    #[arg(long, global = true)]
    pub untrusted_plugins: bool,
    /// Write errors as JSON, one object a line
    #[arg(long, global = true)]
    pub json_errors: bool,
    /// How log lines are written
    #[arg(long, global = true, value_enum, default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    pub color: Color,
    /// Say more (repeatable)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// The lock file of a command without a configuration.
pub const DEFAULT_LOCK: &str = "rivet.lock";

impl Global {
    /// The lock file that holds, if one does.
    pub fn lock<'a>(&self, file: &'a Path) -> Option<&'a Path> {
        self.locked.then_some(file)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Plan, read and commit exports
    Run(RunArguments),
    /// Show or seal what a run would do
    Plan(PlanArguments),
    /// Run a sealed plan, or one chunk of it, from any machine
    Apply(ApplyArguments),
    /// Commit a plan whose chunks were applied one by one
    Commit(CommitArguments),
    /// Show which chunks of a plan are done
    Status(StatusArguments),
    /// Remove what dead attempts left of a plan's run
    Clean(PlanFile),
    /// Compare the last run's manifest with what is at the destination
    Validate(ValidateArguments),
    /// Count the last run's chunks at the source and compare with its manifest
    Reconcile(ReconcileArguments),
    /// Find the last run's chunks that differ from their source or at the destination, and read them again
    Repair(RepairArguments),
    /// Look at a database and write a configuration that runs as it is
    Init(InitArguments),
    /// Check every plugin, login, destination and the state store
    Doctor(DoctorArguments),
    /// Show how each export would be read, and what could be better
    Check(CheckArguments),
    /// Show the runs that this configuration's state store remembers, and how they ended
    Journal(HistoryArguments),
    /// Show what each run took: time, rows, files, memory, the longest statement
    Metrics(HistoryArguments),
    /// Show and reset what is remembered between runs
    #[command(subcommand)]
    State(StateCommand),
    /// Show and check plugins; needs no configuration
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Print schemas for editors and tools
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// Print a shell's completion script
    Completions(CompletionsArguments),
    /// Write a manual page a command into a folder, for packages
    #[command(hide = true)]
    Man(ManArguments),
}

/// Which configuration, and what of it.
#[derive(Debug, Clone, Args)]
pub struct Selection {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = "rivet.yaml")]
    pub config: PathBuf,
    /// Only this export (repeatable)
    #[arg(short, long, value_name = "NAME")]
    pub export: Vec<String>,
    /// A value for ${KEY} in the configuration (repeatable)
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = parse_param)]
    pub param: Vec<(String, String)>,
}

fn parse_param(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// As `parallel_exports` in a configuration.
fn parse_exports(text: &str) -> Result<usize, &'static str> {
    match text {
        "true" => Ok(exports_by_cores()),
        "false" => Ok(1),
        number => {
            number.parse().ok().filter(|exports| (1..=1024).contains(exports)).ok_or("write a number from 1 to 1024")
        }
    }
}

fn parse_wait(text: &str) -> Result<Duration, &'static str> {
    match text.parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => duration_ms(text).map(Duration::from_millis),
    }
}

#[derive(Debug, Args)]
pub struct RunArguments {
    #[command(flatten)]
    pub selection: Selection,
    /// Continue the unfinished run instead of abandoning it
    #[arg(long)]
    pub resume: bool,
    /// After the commit, compare the manifest with the destination and read some parts back
    #[arg(long)]
    pub validate: bool,
    /// Count every chunk at the source and compare with the manifest
    #[arg(long)]
    pub reconcile: bool,
    /// Run so many exports at once; without a number, as many as there are cores, 2 to 8
    #[arg(
        long,
        value_name = "N",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = parse_exports
    )]
    pub parallel_exports: Option<usize>,
    /// As --parallel-exports
    #[arg(long, hide = true)]
    pub parallel_export_processes: bool,
    /// Wait so long for another run of the same export: 30s, 10m; a plain number is seconds
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_wait)]
    pub lock_wait: Duration,
    /// Write the summary as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub summary_output: Option<PathBuf>,
    /// Write the summary as JSON to stdout
    #[arg(long)]
    pub json: bool,
    /// How progress is shown; auto: a bar on a terminal, a line now and then elsewhere
    #[arg(long, value_enum, default_value = "auto", value_name = "HOW")]
    pub progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    Auto,
    Bar,
    Json,
    None,
}

#[derive(Debug, Args)]
pub struct ValidateArguments {
    #[command(flatten)]
    pub selection: Selection,
    /// A run's id, or its beginning; the latest run if absent
    #[arg(long, value_name = "ID")]
    pub run_id: Option<String>,
    /// list: sizes; sample: some parts are read; full: every part is read
    #[arg(long, value_enum, default_value = "list")]
    pub depth: ValidateDepth,
    /// Write JSON to stdout
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ValidateDepth {
    List,
    Sample,
    Full,
}

#[derive(Debug, Args)]
pub struct ReconcileArguments {
    #[command(flatten)]
    pub selection: Selection,
    /// Write JSON to stdout
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RepairArguments {
    #[command(flatten)]
    pub selection: Selection,
    /// What `rivet reconcile --json` printed; without it, the source is counted now
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Read the chunks that differ again, and commit a new manifest; without it, only say which
    #[arg(long)]
    pub execute: bool,
    /// How parts are looked at: list: sizes; sample: some are read; full: every one is read
    #[arg(long, value_enum, default_value = "full")]
    pub depth: ValidateDepth,
    /// Wait so long for another run of the same export: 30s, 10m; a plain number is seconds
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_wait)]
    pub lock_wait: Duration,
    /// Write JSON to stdout
    #[arg(long)]
    pub json: bool,
    /// How progress is shown
    #[arg(long, value_enum, default_value = "auto", value_name = "HOW")]
    pub progress: Progress,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("from").required(true).args(["source", "source_env", "source_file"])))]
#[command(group(clap::ArgGroup::new("to").args(["s3_bucket", "gcs_bucket", "azure_container"])))]
pub struct InitArguments {
    /// The database's URL; a password in it is used and not written
    #[arg(long, value_name = "URL")]
    pub source: Option<String>,
    /// The environment variable that holds the URL
    #[arg(long, value_name = "VAR")]
    pub source_env: Option<String>,
    /// The file that holds the URL
    #[arg(long, value_name = "FILE")]
    pub source_file: Option<PathBuf>,
    /// Only this table: orders, public.orders (repeatable)
    #[arg(long, value_name = "TABLE")]
    pub table: Vec<String>,
    /// Only this schema's tables
    #[arg(long, value_name = "SCHEMA", conflicts_with = "table")]
    pub schema: Option<String>,
    /// Only tables like this, with or without their schema: 'sales.*' (repeatable)
    #[arg(long, value_name = "GLOB", conflicts_with = "table")]
    pub include: Vec<String>,
    /// No tables like this (repeatable)
    #[arg(long, value_name = "GLOB", conflicts_with = "table")]
    pub exclude: Vec<String>,
    /// Print tables, sizes and keys as JSON and write nothing
    #[arg(long)]
    pub discover: bool,
    /// The file to write; - is stdout
    #[arg(short, long, value_name = "FILE", default_value = "rivet.yaml", conflicts_with = "discover")]
    pub output: PathBuf,
    /// Overwrite the file
    #[arg(long)]
    pub force: bool,
    /// Export into this S3 bucket
    #[arg(long, value_name = "BUCKET")]
    pub s3_bucket: Option<String>,
    /// Export into this Google Cloud Storage bucket
    #[arg(long, value_name = "BUCKET")]
    pub gcs_bucket: Option<String>,
    /// Export into this Azure Blob Storage container
    #[arg(long, value_name = "CONTAINER")]
    pub azure_container: Option<String>,
}

#[derive(Debug, Args)]
pub struct DoctorArguments {
    #[command(flatten)]
    pub selection: Selection,
    /// Write JSON to stdout
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct CheckArguments {
    #[command(flatten)]
    pub selection: Selection,
    /// Show every column's types and what the mapping keeps of its values
    #[arg(long, visible_alias = "type-report")]
    pub types: bool,
    /// Fail if a column loses anything on the way
    #[arg(long, requires = "types")]
    pub strict: bool,
    /// Say how this warehouse loads each column; the export's own `target` if absent
    #[arg(long, value_enum, value_name = "WAREHOUSE", requires = "types")]
    pub target: Option<Warehouse>,
    /// Write JSON to stdout
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Warehouse {
    #[value(name = "bigquery")]
    BigQuery,
    #[value(name = "snowflake")]
    Snowflake,
    #[value(name = "duckdb")]
    DuckDb,
    #[value(name = "clickhouse")]
    ClickHouse,
}
