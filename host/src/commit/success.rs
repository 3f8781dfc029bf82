//! `_SUCCESS`: names the latest committed run at a data prefix.

use rivet_sdk::{Destination, Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::keys::{RunKey, success};
use super::runs::newest_committed;
use super::text::to_json;
use crate::crash::crash_point;

/// The body of `_SUCCESS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Success {
    /// The latest committed run.
    pub run_id: String,
    /// Its export.
    pub export: String,
    /// The manifest's key.
    pub manifest: String,
    /// `sha256:` of the manifest's bytes.
    pub manifest_checksum: String,
}

/// What `_SUCCESS` says; None where there is none, `AlreadyExists` where it is not ours.
pub fn read_success(dest: &mut dyn Destination, data_prefix: &str) -> Result<Option<Success>> {
    let key = success(data_prefix);
    let Some(body) = dest.get(&key)? else { return Ok(None) };
    serde_json::from_slice(&body).map(Some).map_err(|_| {
        Error::new(ErrorKind::AlreadyExists, "the `_SUCCESS` there was not written by rivet")
            .with_code("foreign_success")
            .with_hint("give this export a folder of its own, or remove that `_SUCCESS` if nothing needs it")
            .with_context("object", key)
    })
}

/// Writes `_SUCCESS` for the latest committed run and looks again: a run committed meanwhile,
/// or a slower writer's older word, is put right.
pub(super) fn write_success(dest: &mut dyn Destination, export: &str, data_prefix: &str) -> Result<()> {
    crash_point("success.choose");
    let mut chosen = latest(dest, export, data_prefix)?;
    while let Some(success_of) = chosen {
        crash_point("success.put");
        dest.put(&success(data_prefix), &to_json(&success_of)?)?;
        crash_point("success.recheck");
        let again = latest(dest, export, data_prefix)?;
        chosen = again.filter(|again| *again != success_of);
    }
    Ok(())
}

/// What `_SUCCESS` should say.
pub(super) fn latest(dest: &mut dyn Destination, export: &str, data_prefix: &str) -> Result<Option<Success>> {
    let newest = newest_committed(dest, export, |manifest| manifest.data_prefix == data_prefix)?;
    let Some((manifest, manifest_checksum)) = newest else { return Ok(None) };
    let run = RunKey::new(export, &manifest.run_id)?;
    Ok(Some(Success { run_id: manifest.run_id, export: manifest.export, manifest: run.manifest(), manifest_checksum }))
}
