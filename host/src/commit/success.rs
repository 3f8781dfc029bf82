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
    let Some(body) = dest.get(&success(data_prefix))? else { return Ok(None) };
    serde_json::from_slice(&body).map(Some).map_err(|_| foreign(data_prefix, "was not written by rivet"))
}

/// [`read_success`] for an export: `AlreadyExists` where it is another one's, too.
pub(super) fn own_success(dest: &mut dyn Destination, export: &str, data_prefix: &str) -> Result<Option<Success>> {
    match read_success(dest, data_prefix).map_err(|error| error.with_context("export", export))? {
        Some(found) if found.export != export => {
            let why = format!("belongs to the export {:?}", found.export);
            Err(foreign(data_prefix, &why).with_context("export", export))
        }
        found => Ok(found),
    }
}

/// Whether an error says that `_SUCCESS` is not this export's.
pub(super) fn is_foreign(error: &Error) -> bool {
    error.code() == Some(FOREIGN)
}

const FOREIGN: &str = "foreign_success";

fn foreign(data_prefix: &str, why: &str) -> Error {
    Error::new(ErrorKind::AlreadyExists, format!("the `_SUCCESS` there {why}"))
        .with_code(FOREIGN)
        .with_hint("give this export a folder of its own, or remove that `_SUCCESS` if nothing needs it")
        .with_context("object", success(data_prefix))
}

/// Writes `_SUCCESS` for the latest committed run and looks again: a run committed meanwhile,
/// or a slower writer's older word, is put right. One that is not ours stays: two exports that
/// began at one prefix at the same time did not see each other before.
pub(super) fn write_success(dest: &mut dyn Destination, export: &str, data_prefix: &str) -> Result<()> {
    crash_point("success.choose");
    let mut chosen = latest(dest, export, data_prefix)?;
    while let Some(success_of) = chosen {
        crash_point("success.put");
        put_success(dest, &success_of, data_prefix).map_err(|error| match is_foreign(&error) {
            true => committed_all_the_same(&error, &success_of, data_prefix),
            false => error,
        })?;
        crash_point("success.recheck");
        let again = latest(dest, export, data_prefix)?;
        chosen = again.filter(|again| *again != success_of);
    }
    Ok(())
}

fn put_success(dest: &mut dyn Destination, success_of: &Success, data_prefix: &str) -> Result<()> {
    let (key, body) = (success(data_prefix), to_json(success_of)?);
    while own_success(dest, &success_of.export, data_prefix)?.is_none() {
        // Whose is the one that was put there meanwhile?
        if dest.put_if_absent(&key, &body)? {
            return Ok(());
        }
    }
    dest.put(&key, &body).map(|_| ())
}

fn committed_all_the_same(error: &Error, success_of: &Success, data_prefix: &str) -> Error {
    let text = format!("{}; run {} is committed and its manifest stands", error.message(), success_of.run_id);
    Error::new(ErrorKind::AlreadyExists, text)
        .with_code(FOREIGN)
        .with_hint(
            "its rows count, though no `_SUCCESS` names them; before the next run, give this export a folder of its \
             own, or remove that `_SUCCESS` if nothing needs it",
        )
        .with_context("object", success(data_prefix))
        .with_context("manifest", &success_of.manifest)
        .with_context("export", &success_of.export)
}

/// What `_SUCCESS` should say.
pub(super) fn latest(dest: &mut dyn Destination, export: &str, data_prefix: &str) -> Result<Option<Success>> {
    let newest = newest_committed(dest, export, |manifest| manifest.data_prefix == data_prefix)?;
    let Some((manifest, manifest_checksum)) = newest else { return Ok(None) };
    let run = RunKey::new(export, &manifest.run_id)?;
    Ok(Some(Success { run_id: manifest.run_id, export: manifest.export, manifest: run.manifest(), manifest_checksum }))
}
