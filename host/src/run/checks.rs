//! What is looked at once more after the commit: `run --validate`.
//!
//! The run's lease is still held, so that no later run takes the parts away meanwhile. What is
//! committed stays committed, whatever is found.

use rivet_sdk::{Destination, Error, Result};

use super::{Finished, RunOptions};
use crate::commit::{self, Depth, RunKey, Validation};

/// What the checks after a commit saw.
#[derive(Debug, Default)]
pub struct Checks {
    /// The manifest against the destination, where that was asked for.
    pub validation: Option<Validation>,
    /// What is wrong, or could not be found out.
    pub errors: Vec<Error>,
}

/// Does what `options` ask for beyond the run itself.
pub(super) fn after_commit(destination: &mut dyn Destination, finished: &Finished, options: RunOptions) -> Checks {
    let mut checks = Checks::default();
    if options.validate {
        if finished.manifest.is_some() {
            match validate(destination, finished) {
                Ok(validation) => {
                    checks.errors.extend(validation.result().err());
                    checks.validation = Some(validation);
                }
                Err(error) => checks.errors.push(error),
            }
        } else {
            log::warn!("{}: standard output has no manifest; nothing is validated", finished.plan.export);
        }
    }
    checks.errors = std::mem::take(&mut checks.errors)
        .into_iter()
        .map(|error| {
            error
                .with_context("export", finished.plan.export.clone())
                .with_context("committed run", finished.plan.run_id.clone())
        })
        .collect();
    checks
}

fn validate(destination: &mut dyn Destination, finished: &Finished) -> Result<Validation> {
    commit::validate(destination, &RunKey::of(&finished.plan)?, Depth::Sample)
}
