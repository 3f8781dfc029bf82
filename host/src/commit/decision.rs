//! The one object per run that says what became of it: `manifest.json`.
//!
//! It is created put-if-absent, so a run is either committed or abandoned, never both. Only a
//! committed run's object is ever overwritten, by the tombstone of its replacement. A tombstone
//! is never deleted: without it, a late commit could write a second manifest.

use rivet_sdk::{Destination, Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::keys::RunKey;
use super::text::{now, parse};
use crate::plan::Manifest;
use crate::seal::{checksum, to_json};

/// What became of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing yet: it runs, or was killed.
    Undecided,
    /// Its rows are out.
    Committed {
        /// What was committed.
        manifest: Box<Manifest>,
        /// `sha256:` of the manifest's bytes, as `_SUCCESS` cites it.
        checksum: String,
    },
    /// It will never be committed.
    Abandoned(Tombstone),
    /// It was committed; a later run took its place.
    Replaced(Tombstone),
}

impl Decision {
    /// The word `status` prints.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Undecided => "unfinished",
            Self::Committed { .. } => "committed",
            Self::Abandoned(_) => "abandoned",
            Self::Replaced(_) => "replaced",
        }
    }

    /// Whether `attempt` is one of those whose parts count.
    pub fn counts(&self, attempt: &str) -> bool {
        matches!(self, Self::Committed { manifest, .. } if manifest.attempts.iter().any(|winner| winner == attempt))
    }
}

/// Stands in the manifest's place for a run whose parts must not be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The run.
    pub run_id: String,
    /// The export.
    pub export: String,
    /// Where its parts are to be swept.
    pub data_prefix: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// Why, or by which run.
    pub by: String,
    /// Other runs of whose parts it had taken some over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owned: Vec<String>,
}

impl Tombstone {
    /// One made now, for a run whose parts lie under `data_prefix`; `by` says why, or by which run.
    pub(super) fn new(run: &RunKey, data_prefix: &str, by: &str) -> Self {
        Self {
            run_id: run.run_id().to_owned(),
            export: run.export().to_owned(),
            data_prefix: data_prefix.to_owned(),
            at: now(),
            by: by.to_owned(),
            owned: Vec::new(),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Object {
    Abandoned { abandoned: Tombstone },
    Replaced { replaced: Tombstone },
    Committed(Box<Manifest>),
}

/// Reads the decision of a run.
pub fn decision(dest: &mut dyn Destination, run: &RunKey) -> Result<Decision> {
    let key = run.manifest();
    let Some(body) = dest.get(&key)? else { return Ok(Decision::Undecided) };
    // An untagged enum would hide which field is wrong.
    let value: serde_json::Value = parse("manifest", &key, &body)?;
    if value.get("abandoned").is_some() || value.get("replaced").is_some() {
        return Ok(match parse("manifest", &key, &body)? {
            Object::Abandoned { abandoned } => Decision::Abandoned(abandoned),
            Object::Replaced { replaced } => Decision::Replaced(replaced),
            Object::Committed(_) => return Err(Error::integrity("a manifest with a tombstone's field")),
        });
    }
    let manifest: Box<Manifest> = parse("manifest", &key, &body)?;
    if manifest.run_id != run.run_id() || manifest.export != run.export() {
        return Err(Error::integrity(format!("a manifest names run {} of {}", manifest.run_id, manifest.export))
            .with_hint("it was copied or changed by something else; restore it")
            .with_context("object", key));
    }
    Ok(Decision::Committed { manifest, checksum: checksum(&body) })
}

/// Puts the manifest, if nothing is decided yet. False: read the decision again.
pub(super) fn decide_committed(dest: &mut dyn Destination, run: &RunKey, manifest: &Manifest) -> Result<bool> {
    decide(dest, run, &to_json(manifest)?)
}

/// Puts the tombstone of an abandoned run, if nothing is decided yet.
pub(super) fn decide_abandoned(dest: &mut dyn Destination, run: &RunKey, tombstone: Tombstone) -> Result<bool> {
    decide(dest, run, &to_json(&Object::Abandoned { abandoned: tombstone })?)
}

/// Overwrites a committed run's manifest. Its parts go next.
pub(super) fn mark_replaced(dest: &mut dyn Destination, run: &RunKey, tombstone: Tombstone) -> Result<()> {
    dest.put(&run.manifest(), &to_json(&Object::Replaced { replaced: tombstone })?)?;
    Ok(())
}

fn decide(dest: &mut dyn Destination, run: &RunKey, body: &[u8]) -> Result<bool> {
    match dest.put_if_absent(&run.manifest(), body) {
        // The answer may have been lost on the way: what is there decides.
        Err(error) => match dest.get(&run.manifest()) {
            Ok(Some(found)) => Ok(found == body),
            _ => Err(error),
        },
        done => done,
    }
}

/// The error of whoever still works on a decided run.
pub(super) fn decided(run: &RunKey, decision: &Decision) -> Error {
    let (by, hint) = match decision {
        Decision::Abandoned(tombstone) | Decision::Replaced(tombstone) => {
            (format!(" ({})", tombstone.by), "start a new run with `rivet run`")
        }
        _ => (String::new(), "nothing is left to do for this run"),
    };
    Error::new(ErrorKind::Conflict, format!("run {} is already {}{by}", run.run_id(), decision.word()))
        .with_code("run_decided")
        .with_hint(hint)
        .with_context("export", run.export())
}
