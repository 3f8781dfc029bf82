//! The right to run an export, and the note of how it went.

use std::time::Duration;

use rivet_sdk::{Destination, Error, Result};

use super::finished::Finished;
use super::{place, watermark};
use crate::config::{ExportConfig, StateConfig};
use crate::plan::Plan;
use crate::redact;
use crate::session::Session;
use crate::state::{Lease, RunNumbers, RunStatus, State};
use crate::stop::Stop;

/// A run's place in the state store: its lease, held until this is dropped, and its journal.
pub(super) struct Journal {
    /// The store, for watermarks and schemas.
    pub state: State,
    /// By which factor values may grow unmentioned; 0 where nobody asked.
    pub growth: f64,
    /// Dropping it gives the export free.
    lease: Lease,
}

impl Journal {
    /// Takes the export's lease, waiting up to `wait` for another run of it.
    pub fn open(session: &Session, export: &ExportConfig, wait: Duration) -> Result<Self> {
        let journal = Self::of(&session.config.state, &export.name, wait)?;
        Ok(Self { growth: export.shape_drift_warn_factor, ..journal })
    }

    /// The same where there is no session: for a sealed plan.
    pub fn of(state: &StateConfig, export: &str, wait: Duration) -> Result<Self> {
        let state = State::of(state)?;
        let lease = state.acquire(export, wait)?;
        Ok(Self { state, growth: 0.0, lease })
    }

    /// Where the export stands, without taking its lease or making a state store.
    pub fn peek(
        session: &Session,
        export: &ExportConfig,
        destination: &mut dyn Destination,
    ) -> Result<watermark::Start> {
        let state = match &session.config.state {
            StateConfig::Sqlite(path) if !path.exists() => None,
            state => Some(State::of(state)?),
        };
        watermark::peek(state.as_ref(), &export.name, destination)
    }

    /// Moves the export's watermark to where a committed run ended.
    pub fn advance(&self, finished: &Finished) -> Result<()> {
        finished.manifest.as_ref().map_or(Ok(()), |manifest| watermark::advance(&self.state, manifest))
    }

    /// Fails once another run holds the export's lease: this one must not commit.
    pub fn check(&self) -> Result<()> {
        self.lease.check(&self.state)
    }

    /// Notes that the run begins.
    pub fn begin(&self, plan: &Plan) -> Result<()> {
        self.state.run_started(&plan.run_id, &plan.export, &plan.id()?)?;
        place::note(&self.state, plan)
    }

    /// Whether the journal knows this run, and not that it succeeded.
    pub fn is_open(&self, run_id: &str) -> Result<bool> {
        Ok(self.status(run_id)?.is_some_and(|status| status != RunStatus::Succeeded))
    }

    /// What the journal knows of a run.
    pub fn status(&self, run_id: &str) -> Result<Option<RunStatus>> {
        let runs = self.state.runs(None, u32::MAX)?;
        Ok(runs.into_iter().find(|run| run.run_id == run_id).map(|run| run.status))
    }

    /// Notes how it ended.
    pub fn end(&self, run_id: &str, result: &Result<&Finished, &Error>, stop: &Stop) -> Result<()> {
        match result {
            Ok(finished) => {
                let manifest = finished.manifest.as_ref();
                let numbers = RunNumbers {
                    rows: Some(finished.rows),
                    bytes: manifest.map(|manifest| manifest.bytes),
                    parts: manifest.and_then(|manifest| u64::try_from(manifest.parts.len()).ok()),
                    retries: Some(finished.retries),
                    elapsed_ms: u64::try_from(finished.elapsed.as_millis()).ok(),
                    longest_statement_ms: manifest.map(|manifest| manifest.longest_statement_ms),
                    peak_memory_bytes: crate::peak::resident_bytes(),
                };
                let incremental = finished.plan.incremental.as_ref();
                let at_risk = incremental.and_then(|incremental| incremental.at_risk.as_deref());
                self.state.run_succeeded(run_id, &numbers, at_risk)
            }
            Err(error) => {
                let status = if stop.is_wanted() { RunStatus::Interrupted } else { RunStatus::Failed };
                self.state.run_failed(run_id, status, &redact::clean(&error.to_string()))
            }
        }
    }
}
