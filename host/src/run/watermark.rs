//! The watermark of an incremental export: where a run begins, and its move after the commit.
//!
//! The manifests at the destination are the truth: each says from where to where its run went.
//! The state store remembers the end of the last one. Where a run was killed between its commit
//! and the store's move, or another machine's store is used, the newest manifest puts it right.

use rivet_sdk::{Destination, Error, ErrorKind, Result};

use crate::commit::{self, Decision};
use crate::crash::crash_point;
use crate::plan::{Manifest, Plan, StandsAt};
use crate::state::{State, Watermark};

/// Where the export stands. Moves the store's watermark if the newest manifest is ahead of it.
pub(super) fn stands_at(state: &State, export: &str, destination: &mut dyn Destination) -> Result<Option<StandsAt>> {
    let stored = state.watermark(export)?;
    let newest = newest(destination, export)?;
    match (&stored, newest) {
        (Some(stored), Some(manifest)) if is_next(stored, &manifest) => advance(state, &manifest)?,
        (None, Some(manifest)) if !was_reset_after(state, export, &manifest)? => {
            log::warn!(
                "{export}: the state store knows no watermark; the newest manifest's, of run {}, is taken",
                manifest.run_id
            );
            if let Some(watermark) = end_of(&manifest) {
                crash_point("watermark.advance");
                state.advance(None, &watermark)?;
            }
        }
        _ => {}
    }
    let standing = state.watermark(export)?;
    Ok(standing.map(|watermark| StandsAt { fingerprint: watermark.fingerprint, values: Some(watermark.values) }))
}

/// As [`stands_at`], for plans that nobody runs yet: nothing is moved, the store may be missing.
pub(super) fn peek(state: Option<&State>, export: &str, destination: &mut dyn Destination) -> Result<Option<StandsAt>> {
    let stored = state.map(|state| state.watermark(export)).transpose()?.flatten();
    let newest = newest(destination, export)?;
    let ahead = match (&stored, newest) {
        (Some(stored), Some(manifest)) if is_next(stored, &manifest) => end_of(&manifest),
        (None, Some(manifest)) => {
            let reset = state.map(|state| was_reset_after(state, export, &manifest)).transpose()?;
            end_of(&manifest).filter(|_| reset != Some(true))
        }
        _ => None,
    };
    let standing = ahead.or(stored);
    Ok(standing.map(|watermark| StandsAt { fingerprint: watermark.fingerprint, values: Some(watermark.values) }))
}

/// Moves the store's watermark to where a committed run ended. Repeatable.
pub(super) fn advance(state: &State, manifest: &Manifest) -> Result<()> {
    let Some(incremental) = &manifest.incremental else { return Ok(()) };
    let Some(to) = end_of(manifest) else { return Ok(()) };
    crash_point("watermark.advance");
    let stored = state.watermark(&manifest.export)?;
    if stored.as_ref().is_some_and(|stored| stored.fingerprint == to.fingerprint && stored.values == to.values) {
        return Ok(());
    }
    let expected = match (&incremental.from, stored) {
        (None, None) => None,
        (Some(from), Some(stored)) if stored.values == *from => Some(stored),
        _ => return Err(moved(manifest)),
    };
    if state.advance(expected.as_ref(), &to)? { Ok(()) } else { Err(moved(manifest)) }
}

/// An incremental plan must begin where the newest committed run ended: two plans made at the
/// same watermark would deliver the same rows.
pub(super) fn check_chain(plan: &Plan, destination: &mut dyn Destination) -> Result<()> {
    let Some(incremental) = &plan.incremental else { return Ok(()) };
    let Some(manifest) = newest(destination, &plan.export)? else { return Ok(()) };
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

fn moved(manifest: &Manifest) -> Error {
    Error::new(ErrorKind::Conflict, "the watermark was moved by somebody else while this run worked")
        .with_code("watermark_moved")
        .with_hint(format!(
            "the rows are committed in run {}; `rivet state show` tells where the watermark stands",
            manifest.run_id
        ))
        .with_context("export", manifest.export.clone())
}

/// Whether a manifest goes on from where the store stands: its run was killed before its move.
fn is_next(stored: &Watermark, manifest: &Manifest) -> bool {
    manifest.incremental.as_ref().is_some_and(|incremental| {
        manifest.run_id != stored.run_id
            && incremental.fingerprint == stored.fingerprint
            && incremental.from.as_ref() == Some(&stored.values)
            && incremental.to != incremental.from
    })
}

fn was_reset_after(state: &State, export: &str, manifest: &Manifest) -> Result<bool> {
    let last = state.advances(Some(export), 1)?.into_iter().next();
    let instant = |text: &str| text.parse::<jiff::Timestamp>().ok();
    Ok(last.is_some_and(|last| last.run_id.is_none() && instant(&last.at) >= instant(&manifest.committed_at)))
}

fn end_of(manifest: &Manifest) -> Option<Watermark> {
    let incremental = manifest.incremental.as_ref()?;
    Some(Watermark {
        export: manifest.export.clone(),
        fingerprint: incremental.fingerprint.clone(),
        cursor: incremental.cursor.clone(),
        values: incremental.to.clone()?,
        run_id: manifest.run_id.clone(),
        updated_at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
    })
}

/// The newest committed incremental run's manifest.
fn newest(destination: &mut dyn Destination, export: &str) -> Result<Option<Manifest>> {
    for run in commit::list_runs(destination, export)?.iter().rev().filter(|run| run.has_decision) {
        if let Decision::Committed { manifest, .. } = commit::decision(destination, &run.key)?
            && manifest.incremental.is_some()
        {
            return Ok(Some(*manifest));
        }
    }
    Ok(None)
}
