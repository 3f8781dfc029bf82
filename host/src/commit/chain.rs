//! The runs of an incremental export follow each other: each begins where the last one ended.

use rivet_sdk::{Destination, Error, ErrorKind, Result};

use super::keys::RunKey;
use super::removal::withdraw;
use super::runs::newest_committed;
use crate::crash::crash_point;
use crate::plan::{Manifest, Plan};

/// The newest committed run of an incremental export.
pub fn newest_incremental(dest: &mut dyn Destination, export: &str) -> Result<Option<Manifest>> {
    let newest = newest_committed(dest, export, |manifest| manifest.incremental.is_some())?;
    Ok(newest.map(|(manifest, _)| manifest))
}

/// Refuses an incremental plan that does not begin where the newest committed run ended: two
/// plans made at the same watermark would deliver the same rows.
pub fn check_chain(dest: &mut dyn Destination, plan: &Plan) -> Result<()> {
    // A repair delivers the rows of a link again, and stands in its place.
    let (Some(incremental), None) = (&plan.incremental, &plan.repairs) else { return Ok(()) };
    let Some(manifest) = newest_incremental(dest, &plan.export)? else { return Ok(()) };
    let Some(last) = &manifest.incremental else { return Ok(()) };
    // A plan from the very beginning takes everything, knowingly: it was made after a reset, and
    // after the newest run.
    let by_run = incremental.after.as_deref() == Some(manifest.first());
    // Where rows at the watermark are left out, two runs may end at one value, and only the run before tells them
    // apart; and which rows are left out must be what that run, or its last repair, delivered there.
    let follows = match (&incremental.from, &incremental.ties) {
        (Some(_), Some(ties)) => by_run && incremental.from == last.to && ties.goes_on_from(manifest.ties.as_ref()),
        (Some(_), None) => incremental.from == last.to,
        (None, _) => by_run,
    };
    if manifest.run_id == plan.run_id || follows {
        return Ok(());
    }
    let (ours, theirs) = (incremental.belongs_to(), last.belongs_to());
    if !ours.is_of(&theirs) && ours.is_comparable(&theirs) {
        log::warn!(
            "{}: the newest run {} is of another database, table, cursor or destination: nothing says that this one \
             follows it",
            plan.export,
            manifest.run_id
        );
        return Ok(());
    }
    if !ours.is_of(&theirs) {
        // One of them was written by a version that knew one form only: the two may well be the same.
        let text = format!("whether run {} has delivered rows of this plan cannot be told", manifest.run_id);
        return Err(Error::new(ErrorKind::Conflict, text)
            .with_code("watermark_moved")
            .with_hint("one of them was made by an older rivet; make a new plan with this one, after a run or a reset")
            .with_context("export", plan.export.clone()));
    }
    Err(Error::new(ErrorKind::Conflict, format!("run {} has delivered rows of this plan already", manifest.run_id))
        .with_code("watermark_moved")
        .with_hint("make a new plan; this one begins before that run's end")
        .with_context("export", plan.export.clone()))
}

/// Right before a link's decision: abandons every other one that is undecided, then looks at the
/// chain again. Of two runs that began at one watermark, on machines that share no lease, the
/// second to come here finds the first one abandoned or committed.
pub(super) fn withdraw_rivals(dest: &mut dyn Destination, plan: &Plan) -> Result<()> {
    let (Some(incremental), None) = (&plan.incremental, &plan.repairs) else { return Ok(()) };
    crash_point("chain.list");
    withdraw(dest, &RunKey::of(plan)?, "chain.withdraw", "another run from the same watermark commits", |rival| {
        let same =
            rival.incremental.as_ref().is_some_and(|theirs| theirs.belongs_to().is_of(&incremental.belongs_to()));
        same && rival.repairs.is_none()
    })?;
    crash_point("chain.check");
    check_chain(dest, plan)
}
