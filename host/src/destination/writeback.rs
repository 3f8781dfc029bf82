//! Sends a growing file to the disk while it still grows, so that the last sync is short.

use std::fs::File;
use std::io;
use std::thread::{self, JoinHandle};

/// Bytes between two syncs.
const EVERY: u64 = 16 << 20;

/// Syncs on a thread of its own, one at a time. What fails there is told here: the system
/// reports a lost write once, to whoever syncs first.
#[derive(Debug, Default)]
pub(super) struct Writeback {
    since: u64,
    running: Option<JoinHandle<io::Result<()>>>,
}

impl Writeback {
    /// Notes that `bytes` were written to `file`.
    pub fn wrote(&mut self, file: &File, bytes: u64) -> io::Result<()> {
        self.since += bytes;
        if self.since < EVERY || self.running.as_ref().is_some_and(|running| !running.is_finished()) {
            return Ok(());
        }
        self.wait()?;
        self.since = 0;
        let file = file.try_clone()?;
        // Without a thread to spare, the last sync does it all.
        self.running = thread::Builder::new().name("writeback".into()).spawn(move || file.sync_data()).ok();
        Ok(())
    }

    /// Waits for the sync under way and gives its result. The caller syncs what came after.
    pub fn wait(&mut self) -> io::Result<()> {
        match self.running.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the sync ended in a panic")),
            None => Ok(()),
        }
    }
}
