//! The runs of an incremental export follow each other: each begins where the last one ended.

use rivet_sdk::{Destination, Error, ErrorKind, Result};

use super::decision::{Decision, decision};
use super::runs::list_runs;
use crate::plan::{Manifest, Plan};

/// The newest committed run of an incremental export.
pub fn newest_incremental(dest: &mut dyn Destination, export: &str) -> Result<Option<Manifest>> {
    for run in list_runs(dest, export)?.iter().rev().filter(|run| run.has_decision) {
        if let Decision::Committed { manifest, .. } = decision(dest, &run.key)?
            && manifest.incremental.is_some()
        {
            return Ok(Some(*manifest));
        }
    }
    Ok(None)
}

/// Refuses an incremental plan that does not begin where the newest committed run ended: two
/// plans made at the same watermark would deliver the same rows.
pub fn check_chain(dest: &mut dyn Destination, plan: &Plan) -> Result<()> {
    let Some(incremental) = &plan.incremental else { return Ok(()) };
    let Some(manifest) = newest_incremental(dest, &plan.export)? else { return Ok(()) };
    let Some(last) = &manifest.incremental else { return Ok(()) };
    // A plan from the very beginning is one after a reset: it takes everything, knowingly.
    let follows = manifest.run_id == plan.run_id || incremental.from == last.to || incremental.from.is_none();
    if follows || incremental.fingerprint != last.fingerprint {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Conflict, format!("run {} has delivered rows of this plan already", manifest.run_id))
        .with_code("watermark_moved")
        .with_hint("make a new plan; this one begins before that run's end")
        .with_context("export", plan.export.clone()))
}
