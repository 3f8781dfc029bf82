//! How `run` was asked to go about it.

use std::time::Duration;

/// How `run` was asked to go about it.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunOptions {
    /// Continue the unfinished run instead of abandoning it.
    pub resume: bool,
    /// How long to wait for another run of the same export.
    pub lock_wait: Duration,
    /// After the commit, compare the manifest with the destination.
    pub validate: bool,
    /// Compare the source's counts with the manifest; an export may ask for it too.
    pub reconcile: bool,
}
