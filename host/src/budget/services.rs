//! What the host lends to a plugin's instance.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rivet_sdk::{HostServices, Result};

use super::{Share, Use};

/// What the host lends to one plugin instance: its cancel flag and a share of the budget.
#[derive(Debug, Clone)]
pub struct InstanceServices {
    share: Share,
    of: Use,
    cancelled: Arc<AtomicBool>,
}

impl InstanceServices {
    /// A source's services over a share; they cancel once `cancelled` is set.
    pub fn of_source(share: Share, cancelled: Arc<AtomicBool>) -> Self {
        Self { share, of: Use::Source, cancelled }
    }

    /// A destination's, whose reservations are many uploads' and never one large value's.
    pub fn of_destination(share: Share, cancelled: Arc<AtomicBool>) -> Self {
        Self { share, of: Use::Other, cancelled }
    }
}

impl HostServices for InstanceServices {
    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn reserve(&self, bytes: u64) -> Result<()> {
        if self.share.0.wait_for(bytes, self.of, &self.cancelled)? {
            self.share.0.held().large.push(bytes);
        }
        Ok(())
    }

    fn try_reserve(&self, bytes: u64) -> bool {
        self.share.0.take_free(bytes, self.of)
    }

    fn release(&self, bytes: u64) {
        let large = {
            let mut held = self.share.0.held();
            let at = held.large.iter().position(|large| *large == bytes);
            at.map(|at| held.large.swap_remove(at)).is_some()
        };
        self.share.0.give_back(bytes, self.of, large);
    }
}
