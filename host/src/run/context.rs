//! What a run works with from its plan to its last note, whichever command began it.

use std::time::Instant;

use rivet_sdk::{Destination, ErrorKind, Result};

use super::instance::Endpoints;
use super::journal::Journal;
use super::watch::Watch;
use crate::config::OnSchemaDrift;
use crate::source::InstanceContext;
use crate::stop::Stop;

/// What a run of one export works with. Its steps ([`super::sequence`]) take it as it is.
pub(super) struct RunContext<'a> {
    /// Where rows come from, where parts go, the memory for both.
    pub endpoints: Endpoints,
    /// The export's lease and its journal. None for standard output, of which nothing is recorded, and for a plan that
    /// is applied without a state store.
    pub journal: Option<Journal>,
    /// The instance that plans, reports and manifests go through; parts go through the workers' own.
    pub destination: Box<dyn Destination>,
    /// What is done where the columns are not those of the export's last run. None: they are not compared, for the plan
    /// was made before.
    pub on_schema_drift: Option<OnSchemaDrift>,
    /// Rows are counted at the run's own read point, too.
    pub count: bool,
    pub stop: &'a Stop,
    pub watch: &'a mut dyn Watch,
    pub started: Instant,
}

impl RunContext<'_> {
    /// What an instance outside the pool of workers is opened with: it ends once stopping is wanted.
    pub fn instance_context(&self) -> InstanceContext {
        self.endpoints.instance_context(self.stop)
    }

    /// Removes what dead writers left unfinished. A store may keep that right from us: nothing of it is visible, and
    /// its owner may clean up by a rule.
    pub fn tidy(&mut self, export: &str) -> Result<()> {
        match self.destination.tidy() {
            Ok(removed) => {
                log::info!("{export}: removed {removed} unfinished objects of dead writers");
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::Permission | ErrorKind::Unsupported) => {
                log::info!("{export}: unfinished objects of dead writers stay: {error}");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
