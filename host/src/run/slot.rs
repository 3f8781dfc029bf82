//! The place of a worker's instance of the source, which may be the planner's before and after.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rivet_sdk::Source;

use super::instance::Instance;
use crate::source::InstanceContext;

/// An instance in its slot, and the read point it reads at, if it is one that chunks share.
pub(super) struct Slotted {
    pub source: Box<dyn Source>,
    pub read_point: Option<String>,
}

/// Where a worker has its instance. The planner's is put there where one worker reads it all, and is taken back from
/// there once the chunks are read: who may have one connection only exports with it.
#[derive(Clone)]
pub(super) struct InstanceSlot {
    slotted: Arc<Mutex<Option<Slotted>>>,
    /// What an instance in it was opened with.
    pub context: InstanceContext,
}

impl InstanceSlot {
    /// With an instance, which reads at `read_point` if it holds one for itself.
    pub fn of(instance: Instance, read_point: Option<String>) -> Self {
        let Instance { source, context } = instance;
        Self { slotted: Arc::new(Mutex::new(Some(Slotted { source, read_point }))), context }
    }

    /// For an instance that its worker has yet to open.
    pub fn empty(context: InstanceContext) -> Self {
        Self { slotted: Arc::default(), context }
    }

    /// Waits until no other thread works with the instance.
    pub fn lock(&self) -> MutexGuard<'_, Option<Slotted>> {
        self.slotted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The instance, unless it was lost, or its worker hangs.
    pub fn take_back(&self) -> Option<Box<dyn Source>> {
        self.slotted.try_lock().ok()?.take().map(|slotted| slotted.source)
    }
}
