//! The place that an incremental export's rows are in: a run that would go on at another one is refused.

use std::path::Path;

use rivet_sdk::{Error, Result};

use super::fingerprint;
use crate::config::DestinationConfig;

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

    /// Refuses a run that would go on in `location`, where that is another place; or may be, since the destination is
    /// configured otherwise (`is_as_known` is false). A folder is told by its path alone.
    pub(super) fn check(
        &self,
        configured: &DestinationConfig,
        export: &str,
        location: &str,
        is_as_known: bool,
    ) -> Result<()> {
        let is_local = configured.plugin == "local";
        let options = fingerprint::of_destination(&configured.plugin, &configured.block.options)?;
        if self.is_at(location) && (is_as_known || is_local || self.destination.as_ref() == Some(&options)) {
            return Ok(());
        }
        let here = match is_local {
            true => format!(
                "a relative `path` starts at the working directory: `path: {}` is the place of before from everywhere; ",
                self.location
            ),
            false => String::new(),
        };
        Err(Error::config(format!(
            "the rows up to the watermark are in `{}`, and this run would go on in `{location}`{}",
            self.location,
            if self.is_at(location) { ", with other options" } else { "" }
        ))
        .with_code("another_place")
        .with_hint(format!(
            "{here}`rivet state move -e {export}` goes on in `{location}` without reading a row again; `rivet state \
             reset -e {export}` has every row read into it"
        )))
    }
}
