//! A run's source and destination, and instances of them outside the pool of workers.

use std::sync::Arc;

use rivet_sdk::{Result, Source};

use crate::budget::Budget;
use crate::source::{DestinationFactory, InstanceContext, SourceFactory};
use crate::stop::Stop;

/// Where a run reads and where it writes, and the memory it may use for that.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// Where rows come from.
    pub source: SourceFactory,
    /// Where parts go.
    pub destination: DestinationFactory,
    /// The process's memory.
    pub budget: Arc<Budget>,
}

impl Endpoints {
    /// What an instance outside the pool of workers is opened with: it ends once stopping is wanted.
    pub(super) fn instance_context(&self, stop: &Stop) -> InstanceContext {
        InstanceContext::until(stop.flag(), &self.budget)
    }
}

/// An instance, and what it was opened with. The flag in that is this instance's alone: a worker whose it becomes
/// sets it once it is to stop.
pub(super) struct Instance {
    pub source: Box<dyn Source>,
    pub context: InstanceContext,
}

impl Instance {
    /// Opens one, which ends what it does once stopping is wanted, too.
    pub fn open(factory: &SourceFactory, budget: &Arc<Budget>, stop: &Stop) -> Result<Self> {
        let context = InstanceContext { stop: Some(stop.flag()), ..InstanceContext::new(budget) };
        Ok(Self { source: factory.open(&context)?, context })
    }
}
