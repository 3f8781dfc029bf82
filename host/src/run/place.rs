//! Where an export's files land: a place that the journal remembers, so that a relative path does not quietly name
//! another one from another folder.

use std::path::{Path, PathBuf};

use rivet_sdk::{Destination, Result};

use crate::destination::DestinationKind;
use crate::plan::{KnownPlace, Plan};
use crate::planner::fingerprint::of_destination;
use crate::state::State;

/// The destination as it calls itself; a folder without a slash at its end.
pub(super) fn of(destination: &dyn Destination) -> String {
    let location = destination.location();
    if !Path::new(&location).is_absolute() {
        return location;
    }
    Path::new(&location).components().collect::<PathBuf>().display().to_string()
}

/// Notes where a run's files are to land. Not for a repair: its run's place is known.
pub(super) fn note(state: &State, plan: &Plan) -> Result<()> {
    of_plan(plan)?.map_or(Ok(()), |place| state.note_place(&plan.run_id, &place))
}

fn of_plan(plan: &Plan) -> Result<Option<KnownPlace>> {
    let Some(location) = &plan.destination.place else { return Ok(None) };
    Ok(Some(KnownPlace {
        location: location.clone(),
        rows: plan.incremental.as_ref().and_then(|incremental| incremental.rows_fingerprint.clone()),
        destination: Some(of_destination(&plan.destination.plugin, &plan.destination.options)?),
        source: Some(plan.source.identity.clone()),
    }))
}

/// A watermark that has no place, or whose place was found under another name, is from now on at that of the plan that
/// goes on from it.
pub(super) fn take_over(state: &State, plan: &Plan) -> Result<()> {
    let (Some(watermark), Some(place)) = (state.watermark(&plan.export)?, of_plan(plan)?) else { return Ok(()) };
    if state.place_of(&watermark.run_id)?.as_ref() == Some(&place) {
        return Ok(());
    }
    state.note_place(&watermark.run_id, &place)
}

/// What is to be told where the export's last run wrote to another place, or read another database.
pub(super) fn warnings(state: Option<&State>, plan: &Plan) -> Result<Vec<String>> {
    let (Some(state), Some(location)) = (state, &plan.destination.place) else { return Ok(Vec::new()) };
    let Some(before) = state.last_place(&plan.export)? else { return Ok(Vec::new()) };
    let now = &plan.source.identity;
    let read = before.source.as_ref().filter(|read| *read != now).map(|read| {
        format!(
            "another database: the last run read `{read}`, this run reads `{now}`; it was moved, or a relative path \
             leads elsewhere from this working directory"
        )
    });
    let moved = (!before.is_at(location)).then(|| {
        let hint = match plan.destination.kind() {
            DestinationKind::Local => {
                "; a relative `path` starts at the working directory, an absolute one is the same from everywhere"
            }
            _ => "",
        };
        format!("another place: the last run's files are in `{}`, this run's in `{location}`{hint}", before.location)
    });
    Ok(moved.into_iter().chain(read).collect())
}
