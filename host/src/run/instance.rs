//! Both ends of a run, and instances of them outside the pool of workers.

use std::sync::Arc;

use rivet_sdk::{Result, Source};

use super::Stop;
use crate::budget::Budget;
use crate::source::{DestinationEnd, Lent, SourceEnd};

/// Both ends of a run, and the memory it may use.
#[derive(Debug, Clone)]
pub struct Ends {
    /// Where rows come from.
    pub source: SourceEnd,
    /// Where parts go.
    pub destination: DestinationEnd,
    /// The process's memory.
    pub budget: Arc<Budget>,
}

impl Ends {
    /// What an instance outside the pool of workers gets: it ends once stopping is wanted.
    pub(super) fn lent(&self, stop: &Stop) -> Lent {
        Lent::until(stop.wish(), &self.budget)
    }
}

/// An instance, and what it was lent. The flag in that is this instance's alone: a worker whose it becomes sets it once
/// it is to stop.
pub(super) struct Instance {
    pub source: Box<dyn Source>,
    pub lent: Lent,
}

impl Instance {
    /// Opens one, which ends what it does once stopping is wanted, too.
    pub fn open(end: &SourceEnd, budget: &Arc<Budget>, stop: &Stop) -> Result<Self> {
        let lent = Lent { stop: Some(stop.wish()), ..Lent::new(budget) };
        Ok(Self { source: end.open(&lent)?, lent })
    }
}
