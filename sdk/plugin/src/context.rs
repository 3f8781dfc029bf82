//! What the host lends to an instance: a cancel flag and a share of the memory budget.

use std::fmt;
use std::sync::Arc;

use crate::{Error, Result};

/// What the host offers while an instance lives. Cheap to clone, and usable on any thread.
#[derive(Clone)]
pub struct Context {
    host: Arc<dyn HostServices>,
}

/// The host's side of a [`Context`].
pub trait HostServices: Send + Sync {
    /// True once the work of this instance is no longer wanted.
    fn is_cancelled(&self) -> bool;
    /// Takes bytes from the process-wide budget, waiting until they are free. `Cancelled` where the work is no longer
    /// wanted meanwhile.
    fn reserve(&self, bytes: u64) -> Result<()>;
    /// Takes them if they are free now; says whether it did.
    fn try_reserve(&self, bytes: u64) -> bool;
    /// Gives them back.
    fn release(&self, bytes: u64);
}

impl Context {
    /// A context over the host's services.
    pub fn new(host: Arc<dyn HostServices>) -> Self {
        Self { host }
    }

    /// A context that never cancels and has no memory limit: for tests and in-process use.
    pub fn detached() -> Self {
        Self::new(Arc::new(Detached))
    }

    /// The host's side of it, to lend it on.
    pub fn services(&self) -> Arc<dyn HostServices> {
        Arc::clone(&self.host)
    }

    /// True once the work is no longer wanted.
    pub fn is_cancelled(&self) -> bool {
        self.host.is_cancelled()
    }

    /// Fails with kind `Cancelled` once the work is no longer wanted. Call it in every loop
    /// that neither waits for the network nor feeds the sink.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            return Err(Error::cancelled("interrupted"));
        }
        Ok(())
    }

    /// Takes `bytes` from the memory budget until the reservation is dropped, and waits for them to be free. For buffers
    /// beyond the batch being built: prefetch, upload parts.
    ///
    /// # Errors
    /// `Cancelled` where the work is no longer wanted meanwhile. However large, it is granted in the end.
    pub fn reserve(&self, bytes: u64) -> Result<Reservation> {
        self.host.reserve(bytes)?;
        Ok(Reservation { host: Arc::clone(&self.host), bytes })
    }

    /// As [`Context::reserve`], but never waits: None where the bytes are not free now. For what
    /// can go on with less.
    pub fn try_reserve(&self, bytes: u64) -> Option<Reservation> {
        self.host.try_reserve(bytes).then(|| Reservation { host: Arc::clone(&self.host), bytes })
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("cancelled", &self.is_cancelled()).finish()
    }
}

/// Bytes taken from the memory budget, given back when dropped.
pub struct Reservation {
    host: Arc<dyn HostServices>,
    bytes: u64,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.host.release(self.bytes);
    }
}

struct Detached;

impl HostServices for Detached {
    fn is_cancelled(&self) -> bool {
        false
    }

    fn reserve(&self, _: u64) -> Result<()> {
        Ok(())
    }

    fn try_reserve(&self, _: u64) -> bool {
        true
    }

    fn release(&self, _: u64) {}
}
