//! `_SUCCESS`: names the latest committed run at a data prefix.

use rivet_sdk::{Destination, Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::decision::{Decision, decision};
use super::keys::{RunKey, success};
use super::runs::{list_runs, newest_committed};
use super::text::to_json;
use crate::crash::crash_point;
use crate::plan::Manifest;

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

impl Success {
    fn of(manifest: &Manifest, checksum: String) -> Result<Self> {
        let key = RunKey::new(&manifest.export, &manifest.run_id)?.manifest();
        let (run_id, export) = (manifest.run_id.clone(), manifest.export.clone());
        Ok(Self { run_id, export, manifest: key, manifest_checksum: checksum })
    }

    /// One that is ours and was cut off: it names no run.
    fn cut_off(export: &str) -> Self {
        let nothing = String::new;
        Self { run_id: nothing(), export: export.to_owned(), manifest: nothing(), manifest_checksum: nothing() }
    }

    /// Whether it names a run. One that was cut off does not, and is written anew by whoever may.
    pub fn is_whole(&self) -> bool {
        !self.run_id.is_empty()
    }
}

/// What `_SUCCESS` says; None where there is none, `AlreadyExists` where it is not this export's. The beginning of what
/// a committed run of the export would have written is its own, as a crash of the machine or of a copy leaves it. An
/// empty one says nothing of whose it is.
pub fn own_success(dest: &mut dyn Destination, export: &str, data_prefix: &str) -> Result<Option<Success>> {
    let Some(body) = dest.get(&success(data_prefix))? else { return Ok(None) };
    match serde_json::from_slice::<Success>(&body) {
        Ok(found) if found.export == export => Ok(Some(found)),
        Ok(found) => {
            let why = format!("belongs to the export {:?}", found.export);
            Err(foreign(data_prefix, &why).with_context("export", export))
        }
        Err(_) if is_beginning(dest, export, data_prefix, &body)? => Ok(Some(Success::cut_off(export))),
        Err(_) => Err(foreign(data_prefix, "was not written by rivet").with_context("export", export)),
    }
}

/// Whether a text is the beginning of what one of the export's committed runs writes.
fn is_beginning(dest: &mut dyn Destination, export: &str, data_prefix: &str, body: &[u8]) -> Result<bool> {
    if body.is_empty() {
        return Ok(false);
    }
    for run in list_runs(dest, export)?.into_iter().filter(|run| run.has_decision) {
        // A damaged manifest is somebody else's trouble: it says nothing here.
        if let Ok(Decision::Committed { manifest, checksum }) = decision(dest, &run.key)
            && manifest.data_prefix == data_prefix
            && to_json(&Success::of(&manifest, checksum)?)?.starts_with(body)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether an error says that `_SUCCESS` is not this export's.
pub fn is_foreign(error: &Error) -> bool {
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
    newest.map(|(manifest, checksum)| Success::of(&manifest, checksum)).transpose()
}
