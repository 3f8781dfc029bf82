//! The watermark of an incremental export: where a run begins, and its move after the commit.
//!
//! The manifests at the destination are the truth: each says from where to where its run went.
//! The state store remembers the end of the last one. Where a run was killed between its commit
//! and the store's move, or another machine's store is used, the newest manifest puts it right.

use rivet_sdk::{Destination, Error, ErrorKind, Result};

use super::place;
use crate::commit;
use crate::crash::crash_point;
use crate::plan::ties::Ties;
use crate::plan::{IncrementalSpec, Manifest, Plan};
use crate::planner::StandsAt;
use crate::state::{State, Watermark};

/// Where an incremental export's next run begins.
#[derive(Debug, Default, Clone)]
pub(super) struct Start {
    /// The watermark; None before the first run, and after a reset.
    pub stands_at: Option<StandsAt>,
    /// The newest committed run, which the next one follows.
    pub follows: Option<String>,
    /// The destination as it calls itself.
    pub place: Option<String>,
}

/// Where the export stands. Moves the store's watermark if the newest manifest is ahead of it.
pub(super) fn stands_at(state: &State, export: &str, destination: &mut dyn Destination) -> Result<Start> {
    let stored = state.watermark(export)?;
    let newest = commit::newest_incremental(destination, export)?;
    if let Some(ahead) = ahead(Some(state), stored.as_ref(), newest.as_ref())? {
        log::warn!(
            "{export}: the newest manifest's watermark, of run {}, is taken: the state store's is behind",
            ahead.run_id
        );
        crash_point("watermark.advance");
        state.advance(stored.as_ref(), &ahead)?;
    }
    start(Some(state), state.watermark(export)?, newest.as_ref(), destination)
}

/// As [`stands_at`], for plans that nobody runs yet: nothing is moved, the store may be missing.
pub(super) fn peek(state: Option<&State>, export: &str, destination: &mut dyn Destination) -> Result<Start> {
    let stored = state.map(|state| state.watermark(export)).transpose()?.flatten();
    let newest = commit::newest_incremental(destination, export)?;
    let ahead = ahead(state, stored.as_ref(), newest.as_ref())?;
    start(state, ahead.or(stored), newest.as_ref(), destination)
}

/// Refuses a sealed plan that begins elsewhere than where the export stands now.
pub(super) fn check_start(state: &State, plan: &Plan, destination: &mut dyn Destination) -> Result<()> {
    let (Some(incremental), None) = (&plan.incremental, &plan.repairs) else { return Ok(()) };
    let Start { stands_at, place, .. } = stands_at(state, &plan.export, destination)?;
    if let (Some(known), Some(location)) = (&stands_at, &place)
        && let Some(before) = known.place.as_ref().filter(|before| !known.is_here && !before.is_at(location))
    {
        return Err(Error::config(format!(
            "the rows up to the watermark are in `{}`, and this plan would go on in `{location}`",
            before.location
        ))
        .with_code("another_place")
        .with_hint(format!(
            "`rivet state move -e {}` goes on there without reading a row again; make a new plan then",
            plan.export
        ))
        .with_context("export", plan.export.clone()));
    }
    let known = stands_at.as_ref().and_then(|stands_at| stands_at.ties.as_ref());
    let values = stands_at.as_ref().and_then(|stands_at| stands_at.values.as_ref());
    if values == incremental.from.as_ref() && knows(incremental, known) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Conflict, "the watermark was moved or reset since the plan was made")
        .with_code("watermark_moved")
        .with_hint("make a new plan; `rivet state show` tells where the watermark stands")
        .with_context("export", plan.export.clone()))
}

/// Whether the rows at the watermark that a plan leaves out are those that were delivered there.
fn knows(plan: &IncrementalSpec, known: Option<&Ties>) -> bool {
    plan.ties.as_ref().is_none_or(|ties| ties.goes_on_from(known))
}

fn start(
    state: Option<&State>,
    watermark: Option<Watermark>,
    newest: Option<&Manifest>,
    destination: &dyn Destination,
) -> Result<Start> {
    Ok(Start {
        stands_at: watermark.map(|watermark| standing(state, watermark, newest)).transpose()?,
        follows: newest.map(|manifest| manifest.first().to_owned()),
        place: Some(place::of(destination)),
    })
}

/// The watermark, what the run that ended there counted before it, and where its rows landed.
fn standing(state: Option<&State>, watermark: Watermark, newest: Option<&Manifest>) -> Result<StandsAt> {
    let place = state.map(|state| state.place_of(&watermark.run_id)).transpose()?.flatten();
    let rows = place.as_ref().and_then(|place| place.rows.as_ref());
    let ends_there = |manifest: &Manifest| {
        manifest.incremental.as_ref().is_some_and(|end| {
            let is_of = end.belongs_to().is_of(&watermark.belongs_to())
                || (rows.is_some() && end.rows_fingerprint.as_ref() == rows);
            is_of && end.to.as_ref() == Some(&watermark.values)
        })
    };
    let ended_there = newest.filter(|manifest| ends_there(manifest));
    Ok(StandsAt {
        is_here: ended_there.is_some_and(|manifest| manifest.first() >= watermark.run_id.as_str()),
        recount: ended_there.and_then(|manifest| manifest.incremental.as_ref()?.recount.clone()),
        fingerprint: watermark.belongs_to(),
        values: Some(watermark.values),
        ties: watermark.ties,
        place,
    })
}

/// The end of the newest committed run, where the store does not know of it: that run was killed
/// before its move, ran with another store, or the store was lost. Not after a reset.
fn ahead(state: Option<&State>, stored: Option<&Watermark>, newest: Option<&Manifest>) -> Result<Option<Watermark>> {
    let Some((manifest, end)) = newest.and_then(|manifest| Some((manifest, end_of(manifest)?))) else {
        return Ok(None);
    };
    let news = match (stored, state) {
        // Later runs have greater ids. Another fingerprint is the planner's to refuse.
        (Some(stored), state) => {
            let rows = state.map(|state| state.place_of(&stored.run_id)).transpose()?.flatten();
            let rows = rows.and_then(|place| place.rows);
            let is_of_rows =
                || rows.is_some() && manifest.incremental.as_ref().is_some_and(|end| end.rows_fingerprint == rows);
            let is_of = stored.belongs_to().is_of(&end.belongs_to()) || is_of_rows();
            let other_ties = stored.ties != end.ties;
            // A repair may have delivered further rows at the end of the run that it repairs.
            let is_later = stored.run_id < end.run_id && (stored.values != end.values || other_ties);
            let is_repair = stored.run_id == end.run_id && stored.values == end.values && other_ties;
            is_of && (is_later || is_repair)
        }
        (None, Some(state)) => !was_reset_after(state, manifest)?,
        (None, None) => true,
    };
    Ok(Some(end).filter(|_| news))
}

/// Moves the store's watermark to where a committed run ended. Repeatable. A repair goes no further
/// than the run it repairs: where that one's move is owed, the next run's start makes it.
pub(super) fn advance(state: &State, manifest: &Manifest) -> Result<()> {
    let Some(incremental) = &manifest.incremental else { return Ok(()) };
    let Some(to) = end_of(manifest) else { return Ok(()) };
    crash_point("watermark.advance");
    let stored = state.watermark(&manifest.export)?;
    let is_there = |stored: &Watermark| stored.belongs_to().is_of(&to.belongs_to()) && stored.values == to.values;
    if stored.as_ref().is_some_and(|stored| is_there(stored) && stored.ties == to.ties) {
        return Ok(());
    }
    let expected = match (&incremental.from, stored) {
        // It knows better which rows at the end were delivered.
        (_, Some(stored)) if manifest.repairs.is_some() && is_there(&stored) && stored.run_id == to.run_id => {
            Some(stored)
        }
        _ if manifest.repairs.is_some() => return Ok(()),
        (None, None) => None,
        (Some(from), Some(stored)) if stored.values == *from && knows(incremental, stored.ties.as_ref()) => {
            Some(stored)
        }
        _ => return Err(moved(manifest)),
    };
    if state.advance(expected.as_ref(), &to)? { Ok(()) } else { Err(moved(manifest)) }
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

fn was_reset_after(state: &State, manifest: &Manifest) -> Result<bool> {
    let export = &manifest.export;
    let Some(last) = state.advances(Some(export), 1)?.into_iter().next() else { return Ok(false) };
    let instant = |text: &str| {
        text.parse::<jiff::Timestamp>().map_err(|error| {
            Error::integrity(format!("`{text}` is no time: {error}")).with_context("export", export.clone())
        })
    };
    Ok(last.run_id.is_none() && instant(&last.at)? >= instant(manifest.first_committed_at())?)
}

fn end_of(manifest: &Manifest) -> Option<Watermark> {
    let incremental = manifest.incremental.as_ref()?;
    Some(Watermark {
        export: manifest.export.clone(),
        fingerprint: incremental.fingerprint.clone(),
        fingerprint_v2: incremental.fingerprint_v2.clone(),
        cursor: incremental.cursor.clone(),
        values: incremental.to.clone()?,
        run_id: manifest.first().to_owned(),
        updated_at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
        ties: manifest.ties.clone(),
    })
}
