//! Sealed plans: making, applying and committing them.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{Progress, Selection, parse_param, parse_wait};

#[derive(Debug, Args)]
pub struct PlanArguments {
    #[command(flatten)]
    pub selection: Selection,
    /// Seal the plan of one export into this file, for `rivet apply`
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// How the plan is shown
    #[arg(long, value_enum, default_value = "pretty")]
    pub format: PlanFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    Pretty,
    Json,
}

/// A sealed plan.
#[derive(Debug, Clone, Args)]
pub struct PlanFile {
    /// The plan, as `rivet plan -o` wrote it
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Take the ends' options from this configuration instead of the plan
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A value for ${KEY} (repeatable)
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = parse_param)]
    pub param: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub struct ApplyArguments {
    #[command(flatten)]
    pub file: PlanFile,
    /// Run only this chunk; without a value, the one that $JOB_COMPLETION_INDEX names
    #[arg(long, value_name = "INDEX", num_args = 0..=1, default_missing_value = "env")]
    pub chunk: Option<String>,
    /// Refuse a plan that was made longer ago than this: 30m, 12h, 7d; a plain number is seconds
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = parse_wait)]
    pub max_age: Duration,
    /// Wait so long for another run of the same export, where a state store is known: 30s, 10m
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_wait)]
    pub lock_wait: Duration,
    /// Memory to use, in MB
    #[arg(long, value_name = "MB", default_value_t = 512)]
    pub memory_limit_mb: u64,
    /// Write the summary as JSON to stdout
    #[arg(long)]
    pub json: bool,
    /// How progress is shown
    #[arg(long, value_enum, default_value = "auto", value_name = "HOW")]
    pub progress: Progress,
}

#[derive(Debug, Args)]
pub struct CommitArguments {
    #[command(flatten)]
    pub file: PlanFile,
    /// Wait so long for another run of the same export, where a state store is known: 30s, 10m
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_wait)]
    pub lock_wait: Duration,
}

#[derive(Debug, Args)]
pub struct StatusArguments {
    #[command(flatten)]
    pub file: PlanFile,
    /// Write JSON to stdout
    #[arg(long)]
    pub json: bool,
}
