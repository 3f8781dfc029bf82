//! What the workers of one run share.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use rivet_sdk::{Result, Snapshot};

use super::governor::Allowance;
use super::instance::Endpoints;
use crate::batch::Counters;
use crate::budget::Budget;
use crate::plan::Plan;
use crate::source::{DestinationFactory, SourceFactory};

/// Everything the workers of one run share.
pub(super) struct Job {
    pub plan: Arc<Plan>,
    pub plan_id: String,
    /// Its seal, where it has one.
    pub plan_seal: Option<String>,
    /// The schema every chunk must deliver.
    pub schema: SchemaRef,
    /// Where rows come from.
    pub source: SourceFactory,
    /// Where parts go.
    pub destination: DestinationFactory,
    /// The process's memory.
    pub budget: Arc<Budget>,
    /// What has come through so far.
    pub counters: Arc<Counters>,
    /// How many workers may take a chunk.
    pub allowance: Arc<Allowance>,
    /// The read point all workers join, if there is one.
    pub snapshot: Option<Snapshot>,
    /// Standard output: no reports, nothing to commit.
    pub unrecorded: bool,
}

impl Job {
    /// The chunks of `plan`, read at `snapshot` if there is one.
    pub fn new(
        plan: Arc<Plan>,
        endpoints: Endpoints,
        counters: Arc<Counters>,
        snapshot: Option<Snapshot>,
    ) -> Result<Self> {
        Ok(Self {
            plan_id: plan.id()?,
            plan_seal: plan.seal()?,
            schema: plan.source_schema()?,
            unrecorded: endpoints.destination.is_stdout(),
            allowance: Allowance::of(plan.execution.parallel),
            plan,
            source: endpoints.source,
            destination: endpoints.destination,
            budget: endpoints.budget,
            counters,
            snapshot,
        })
    }
}
