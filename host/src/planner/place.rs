//! An incremental export goes on where its rows are: at another place it is refused.

use rivet_sdk::{Error, Result};

use super::fingerprint;
use crate::config::DestinationConfig;
use crate::destination::DestinationKind;
use crate::plan::KnownPlace;

/// Refuses a run that would go on in `location`, where that is another place; or may be, since the destination is
/// configured otherwise (`is_as_known` is false). A folder is told by its path alone.
pub(super) fn check(
    known: &KnownPlace,
    configured: &DestinationConfig,
    export: &str,
    location: &str,
    is_as_known: bool,
) -> Result<()> {
    let is_local = configured.kind == DestinationKind::Local;
    let options = fingerprint::of_destination(&configured.plugin, &configured.block.options)?;
    if known.is_at(location) && (is_as_known || is_local || known.destination.as_ref() == Some(&options)) {
        return Ok(());
    }
    let here = match is_local {
        true => format!(
            "a relative `path` starts at the working directory: `path: {}` is the place of before from everywhere; ",
            known.location
        ),
        false => String::new(),
    };
    Err(Error::config(format!(
        "the rows up to the watermark are in `{}`, and this run would go on in `{location}`{}",
        known.location,
        if known.is_at(location) { ", with other options" } else { "" }
    ))
    .with_code("another_place")
    .with_hint(format!(
        "{here}`rivet state move -e {export}` goes on in `{location}` without reading a row again; `rivet state \
         reset -e {export}` has every row read into it"
    )))
}
