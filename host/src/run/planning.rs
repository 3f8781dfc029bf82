//! How one export is planned: what its plans are made from. Planning begins again where its connection is lost.

use std::time::{Duration, Instant};

use rivet_sdk::{Error, Result, Source};

use super::instance::Instance;
use super::retry::{self, Next};
use super::watermark::Start;
use crate::config::ExportConfig;
use crate::plan::{MadeBy, Plan};
use crate::planner::{self, Inputs, Planned};
use crate::session::Session;
use crate::source::SourceFactory;
use crate::stop::interrupted;

/// How often a pause looks at the wish to stop.
const TICK: Duration = Duration::from_millis(50);

/// Plans the runs of one export.
pub(super) struct Planner<'a> {
    pub session: &'a Session,
    pub export: &'a ExportConfig,
    /// Where the export's rows come from.
    pub source: SourceFactory,
}

/// An instance of the source, and what came of asking it.
pub(super) struct Asked<T> {
    pub instance: Instance,
    pub answer: T,
}

impl<'a> Planner<'a> {
    pub fn new(session: &'a Session, export: &'a ExportConfig, source: &SourceFactory) -> Self {
        Self { session, export, source: source.clone() }
    }

    /// A plan of now, for a run of this id.
    pub fn plan(&self, run_id: &str, start: &Start) -> Result<Asked<Planned>> {
        self.ask(|source| planner::build(source, &self.inputs(run_id, start.clone())))
    }

    /// Whether a plan is what the configuration asks for now.
    pub fn is_as_configured(&self, plan: &Plan) -> Result<bool> {
        let now = planner::configuration_fingerprint(&self.inputs(&plan.run_id, Start::default()))?;
        Ok(plan.configuration().is_of(&now))
    }

    /// By whom its plans are made.
    pub fn made_by(&self) -> MadeBy {
        MadeBy::this(Some(self.source.manifest()))
    }

    fn inputs(&self, run_id: &str, start: Start) -> Inputs<'_> {
        Inputs {
            export: self.export,
            source_plugin: &self.session.source_plugin,
            source_options: &self.session.config.source.block.options,
            capabilities: &self.source.manifest().capabilities,
            run_id: run_id.to_owned(),
            memory_limit_bytes: self.session.budget.limit(),
            stands_at: start.stands_at,
            follows: start.follows,
            place: start.place,
            made_by: self.made_by(),
            now: jiff::Timestamp::now(),
        }
    }

    /// Opens the source and has `ask` ask it. What is lost there, or fails for now, is tried as often as a chunk is,
    /// with its pauses. A source that cannot be opened in the first place is an error at once: it may be the wrong one.
    pub fn ask<T>(&self, mut ask: impl FnMut(&mut dyn Source) -> Result<T>) -> Result<Asked<T>> {
        let Self { session, export, source } = self;
        let mut opened = false;
        let mut once = |opened: &mut bool| {
            let mut instance = Instance::open(source, &session.budget, &session.stop)?;
            *opened = true;
            let answer = ask(&mut *instance.source)?;
            Ok(Asked { instance, answer })
        };
        for attempt in 1.. {
            let error: Error = match once(&mut opened) {
                Ok(asked) => return Ok(asked),
                Err(error) => error,
            };
            let next = retry::next(&error, attempt, export.max_attempts, export.tuning.retry_backoff_ms);
            if next == Next::Permanent || !opened || session.stop.is_wanted() {
                return Err(error);
            }
            let Next::After(delay) = next else { return Err(error.with_context("attempts", attempt.to_string())) };
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
}
