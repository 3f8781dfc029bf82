//! A plan that stands at the destination, ready to be executed.

use std::collections::BTreeSet;

use rivet_sdk::{Destination, Result};

use super::instance::Instance;
use super::planning::Asked;
use crate::commit;
use crate::plan::Plan;
use crate::planner::Planned;

/// A plan, and what is there to execute it with.
pub(super) struct Prepared {
    pub plan: Plan,
    /// Chunks that have their reports already.
    pub done: BTreeSet<u32>,
    /// The planner's instance; it holds the snapshot while workers read, or reads itself.
    pub source: Instance,
    /// For the summary.
    pub warnings: Vec<String>,
}

impl Prepared {
    /// A new plan, of which nothing is done.
    pub fn of(asked: Asked<Planned>) -> Self {
        let Asked { instance, answer: Planned { plan, warnings, .. } } = asked;
        Self { plan, done: BTreeSet::new(), source: instance, warnings }
    }
}

/// The chunks that have their reports; in a repair, those taken over included.
pub(super) fn done_chunks(plan: &Plan, destination: &mut dyn Destination) -> Result<BTreeSet<u32>> {
    commit::take_over(destination, plan)?;
    commit::resume_point(destination, plan)
}
