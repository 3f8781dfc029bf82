//! What a run has come to.

use std::time::Duration;

use rivet_sdk::Error;

use super::reconciliation::{Counted, Reconciliation};
use crate::commit::Validation;
use crate::plan::{Manifest, Plan};

/// A finished run.
#[derive(Debug)]
pub struct Finished {
    /// What was done.
    pub plan: Plan,
    /// What landed; None for standard output.
    pub manifest: Option<Manifest>,
    /// Where.
    pub location: String,
    /// Rows of standard output, or of the manifest.
    pub rows: u64,
    /// Failed attempts that were tried again.
    pub retries: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// Things the user should know.
    pub warnings: Vec<String>,
    /// The columns are not those of the last run, and `on_schema_drift: warn` let that pass.
    pub schema_changed: bool,
    /// The run was complete before: nothing was done.
    pub already_committed: bool,
    /// The fewest workers that the source's pressure left; None without `adaptive`, and where it could not be read.
    pub lowest_workers: Option<u32>,
    /// What was looked at after the commit.
    pub checks: Checks,
    /// The source's counts at the run's own read point.
    pub(super) counted: Option<Counted>,
}

/// What the checks after a commit saw.
#[derive(Debug, Default)]
pub struct Checks {
    /// The manifest against the destination, where that was asked for.
    pub validation: Option<Validation>,
    /// The source's counts against the manifest, where that was asked for.
    pub reconciliation: Option<Reconciliation>,
    /// What is wrong, or could not be found out.
    pub errors: Vec<Error>,
}
