//! `rivet state move`: an export's watermark belongs to another place.

use std::path::{Path, PathBuf};

use rivet_sdk::{Destination, Result};

use super::{place, watermark};
use crate::config::ExportConfig;
use crate::destination::{Local, LocalOptions};
use crate::planner::fingerprint::of_destination;
use crate::state::State;

/// What became of a watermark's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    /// No watermark, or none of which it is known where its rows are.
    Nothing,
    /// It was there already.
    Stays(String),
    /// From where to where.
    From(String, String),
}

/// Has an export's watermark belong to the destination that is configured now. The caller holds the export's lease.
pub fn move_watermark(state: &State, export: &ExportConfig, destination: &mut dyn Destination) -> Result<Moved> {
    let Some(mut watermark) = state.watermark(&export.name)? else { return Ok(Moved::Nothing) };
    let Some(mut known) = state.place_of(&watermark.run_id)? else { return Ok(Moved::Nothing) };
    let before = known.location.clone();
    // The last run's commit there may be ahead of the store, where it was killed right after.
    if Path::new(&before).is_dir() {
        let mut folder = Local::open(LocalOptions { path: PathBuf::from(&before) })?;
        watermark::stands_at(state, &export.name, &mut folder)?;
        if let Some(moved) = state.watermark(&export.name)?.filter(|moved| moved.run_id != watermark.run_id) {
            watermark = moved;
        }
    }
    let configured = &export.destination;
    known.location = place::of(destination);
    known.destination = Some(of_destination(&configured.plugin, &configured.block.options)?);
    state.note_place(&watermark.run_id, &known)?;
    let now = known.location;
    Ok(if before == now { Moved::Stays(now) } else { Moved::From(before, now) })
}
