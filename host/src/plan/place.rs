//! The place that an export's rows are in.

use std::path::Path;

/// The place that an export's rows landed in, and what they are of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPlace {
    /// The destination as it called itself, a folder by its absolute path.
    pub location: String,
    /// The fingerprint of what is read.
    pub rows: Option<String>,
    /// The fingerprint of the destination as it was configured.
    pub destination: Option<String>,
    /// The database that the run read, as its driver knows it again; None where an older rivet noted the place.
    pub source: Option<String>,
}

impl KnownPlace {
    /// Whether the destination that now calls itself `location` is this one. A folder is known by its files, too:
    /// another path may lead to it.
    pub fn is_at(&self, location: &str) -> bool {
        let canonical = |place: &str| Path::new(place).is_absolute().then(|| Path::new(place).canonicalize().ok())?;
        self.location == location || canonical(&self.location).is_some_and(|ours| canonical(location) == Some(ours))
    }
}
