//! What is looked at once more after the commit: `run --validate` and `--reconcile`.
//!
//! The run's lease is still held, so that no later run takes the parts away meanwhile. What is
//! committed stays committed, whatever is found.

use rivet_sdk::{Destination, Result};

use super::context::RunContext;
use super::finished::{Checks, Finished};
use super::options::RunOptions;
use super::reconcile;
use super::reconciliation::Reconciliation;
use crate::commit::{self, Depth, RunKey, Validation};
use crate::plan::Manifest;

/// Does what `options` ask for beyond the run itself.
pub(super) fn after_commit(context: &mut RunContext<'_>, finished: &Finished, options: RunOptions) -> Checks {
    let mut checks = Checks::default();
    if options.validate {
        if finished.manifest.is_some() {
            match validate(&mut *context.destination, finished) {
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
    if options.reconcile
        && let Some(manifest) = &finished.manifest
    {
        match counts(context, finished, manifest) {
            Ok(reconciliation) => {
                checks.errors.extend(reconciliation.result().err());
                checks.reconciliation = Some(reconciliation);
            }
            Err(error) => checks.errors.push(error),
        }
    }
    checks.errors = std::mem::take(&mut checks.errors)
        .into_iter()
        .map(|error| {
            let named = error.context().iter().any(|(name, _)| name == "export");
            let error = if named { error } else { error.with_context("export", finished.plan.export.clone()) };
            error.with_context("committed run", finished.plan.run_id.clone())
        })
        .collect();
    checks
}

fn counts(context: &RunContext<'_>, finished: &Finished, manifest: &Manifest) -> Result<Reconciliation> {
    let plan = &finished.plan;
    if let Some(counted) = &finished.counted {
        return reconcile::compare(plan, manifest, counted);
    }
    let counted = reconcile::count_later(plan, &context.endpoints.source, &context.instance_context())?;
    reconcile::compare(plan, manifest, &counted)
}

fn validate(destination: &mut dyn Destination, finished: &Finished) -> Result<Validation> {
    commit::validate(destination, &RunKey::of(&finished.plan)?, Depth::Sample)
}
