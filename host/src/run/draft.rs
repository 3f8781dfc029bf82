//! Plans that nobody runs yet: for `check` and `plan`.

use rivet_sdk::Result;

use super::journal::Journal;
use super::place;
use super::planning::Planner;
use super::watermark::Start;
use crate::commit;
use crate::config::{ExportConfig, Mode};
use crate::planner::Planned;
use crate::session::Session;
use crate::state::State;

/// Makes a plan without looking at the destination: for `check`. Its run never happens.
pub fn draft_export(session: &Session, export: &ExportConfig) -> Result<Planned> {
    let planner = Planner::new(session, export, &session.source_factory(export)?);
    // Only an incremental export is planned from what landed before.
    let start = match &export.mode {
        Mode::Incremental(_) => Journal::peek(session, export, &mut *session.open_destination(export)?.1)?,
        Mode::Full | Mode::TimeWindow(_) => Start::default(),
    };
    Ok(planner.plan(&ulid::Ulid::generate().to_string(), &start)?.answer)
}

/// Makes a plan and shows it to nobody: for `plan`.
pub fn plan_export(session: &Session, export: &ExportConfig) -> Result<Planned> {
    let planner = Planner::new(session, export, &session.source_factory(export)?);
    let (factory, mut destination) = session.open_destination(export)?;
    let (run_id, start) = if factory.is_stdout() {
        (ulid::Ulid::generate().to_string(), Start::default())
    } else {
        let start = match &export.mode {
            Mode::Incremental(_) => Journal::peek(session, export, &mut *destination)?,
            _ => Start { place: Some(place::of(&*destination)), ..Start::default() },
        };
        (commit::new_run_id(&mut *destination, &export.name)?, start)
    };
    let mut planned = planner.plan(&run_id, &start)?.answer;
    if !matches!(export.mode, Mode::Incremental(_)) {
        let state = State::look(&session.config.state)?;
        planned.warnings.extend(place::warnings(state.as_ref(), &planned.plan)?);
    }
    Ok(planned)
}
