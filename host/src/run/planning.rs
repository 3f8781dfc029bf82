//! Planning, which begins again where its connection is lost.

use std::time::{Duration, Instant};

use rivet_sdk::{Error, Result, Retry, Source};

use super::instance::Instance;
use super::pool::{backoff, interrupted};
use crate::config::ExportConfig;
use crate::session::Session;
use crate::source::SourceEnd;

/// How often a pause looks at the wish to stop.
const TICK: Duration = Duration::from_millis(50);

/// An instance of the source, and what the planner made of it.
pub(super) struct Looked<T> {
    pub instance: Instance,
    pub found: T,
}

/// Opens the source and has `look` look at it. What is lost there, or fails for now, is tried as often as a chunk is,
/// with its pauses. A source that cannot be opened in the first place is an error at once: it may be the wrong one.
pub(super) fn look<T>(
    session: &Session,
    export: &ExportConfig,
    end: &SourceEnd,
    mut look: impl FnMut(&mut dyn Source) -> Result<T>,
) -> Result<Looked<T>> {
    let mut opened = false;
    let mut once = |opened: &mut bool| {
        let mut instance = Instance::open(end, &session.budget, &session.stop)?;
        *opened = true;
        let found = look(&mut *instance.source)?;
        Ok(Looked { instance, found })
    };
    for attempt in 1.. {
        let error: Error = match once(&mut opened) {
            Ok(looked) => return Ok(looked),
            Err(error) => error,
        };
        let Retry::Transient(asked) = error.retry() else { return Err(error) };
        if !opened || session.stop.is_wanted() {
            return Err(error);
        }
        if attempt >= export.max_attempts {
            return Err(error.with_context("attempts", attempt.to_string()));
        }
        let delay = asked.unwrap_or_else(|| backoff(export.tuning.retry_backoff_ms, attempt));
        log::warn!("{}: planning begins again in {} ms: {error}", export.name, delay.as_millis());
        let due = Instant::now() + delay;
        while Instant::now() < due {
            if session.stop.is_wanted() {
                return Err(interrupted());
            }
            std::thread::sleep(TICK.min(due.saturating_duration_since(Instant::now())));
        }
    }
    Err(Error::internal("the attempts of planning are not countable"))
}
