//! Taking a committed run away, once a later one took its place.
//!
//! Runs are ordered by their standing: by their ids, a repair right after the run it repairs. A
//! committed run is superseded by its repair, and by any later committed run with
//! `write_mode: replace` at the same data prefix. Every committer applies this rule after its
//! own manifest is in place, so whoever comes last sees all, in whatever order they commit.

use std::collections::BTreeSet;

use rivet_sdk::{Destination, Result};

use super::decision::{Decision, Tombstone, decided, decision, mark_replaced};
use super::keys::{RunKey, success};
use super::manifest::taken_over;
use super::removal::{remove_control, remove_parts, withdraw_repairs};
use super::runs::list_runs;
use super::success::{is_foreign, own_success};
use crate::crash::crash_point;
use crate::plan::{Manifest, WriteMode};

/// Removes the runs that this committed run supersedes, or itself if another one supersedes it.
pub(super) fn remove_superseded(dest: &mut dyn Destination, run: &RunKey, manifest: &Manifest) -> Result<()> {
    crash_point("replace.runs");
    let prefix = &manifest.data_prefix;
    for other in list_runs(dest, run.export())?.into_iter().filter(|other| other.has_decision && !other.is_tombstone())
    {
        // An appended run leaves all that stand before it alone.
        let before = other.key.run_id() < manifest.first();
        if other.key == *run || (before && manifest.write_mode == WriteMode::Append) {
            continue;
        }
        match decision(dest, &other.key)? {
            Decision::Committed { manifest: theirs, .. } if theirs.data_prefix == *prefix => {
                if supersedes(&theirs, manifest) {
                    remove_replaced(dest, run, prefix, other.key.run_id())?;
                } else if supersedes(manifest, &theirs) {
                    remove_replaced(dest, &other.key, prefix, run.run_id())?;
                }
            }
            // Its removal stopped half way.
            Decision::Replaced(tombstone) if other.key < *run => {
                remove_replaced(dest, &other.key, &tombstone.data_prefix, &tombstone.by)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether one committed run takes the place of another at the same data prefix.
fn supersedes(manifest: &Manifest, replaced: &Manifest) -> bool {
    let repairs = manifest.first() == replaced.first() && manifest.run_id > replaced.run_id;
    repairs || (manifest.write_mode == WriteMode::Replace && manifest.first() > replaced.first())
}

/// Takes a committed run away; its export's `_SUCCESS` goes first, so that it never stands over a
/// mixture.
/// Parts that a committed repair has taken over stay.
pub(super) fn remove_replaced(dest: &mut dyn Destination, run: &RunKey, data_prefix: &str, by: &str) -> Result<()> {
    crash_point("replace.success");
    match own_success(dest, run.export(), data_prefix) {
        Ok(Some(_)) => dest.delete(&success(data_prefix))?,
        Ok(None) => {}
        Err(error) if is_foreign(&error) => {}
        Err(error) => return Err(error),
    }
    crash_point("replace.mark");
    let tombstone = match decision(dest, run)? {
        Decision::Replaced(tombstone) => tombstone,
        Decision::Committed { manifest, .. } => {
            let by = format!("replaced by run {by}");
            let tombstone = Tombstone { owned: taken_over(run, &manifest), ..Tombstone::new(run, data_prefix, &by) };
            mark_replaced(dest, run, tombstone.clone())?;
            tombstone
        }
        other => return Err(decided(run, &other)),
    };
    // From here on no repair of this run begins; those that began are stopped, or committed.
    withdraw_repairs(dest, run)?;
    crash_point("replace.list");
    let keep = kept(dest, run)?;
    let runs: Vec<&str> = tombstone.owned.iter().map(String::as_str).chain([run.run_id()]).collect();
    remove_parts(dest, run.export(), data_prefix, "replace.part", |key, part| {
        runs.contains(&part.run_id.as_str()) && !keep.contains(key)
    })?;
    remove_control(dest, run, "replace.reports", "replace.plan")
}

/// The parts that committed repairs name. Oldest first: a repair of a repair that commits
/// meanwhile has taken over nothing that the one before had not.
fn kept(dest: &mut dyn Destination, run: &RunKey) -> Result<BTreeSet<String>> {
    let mut keep = BTreeSet::new();
    for other in list_runs(dest, run.export())?.into_iter().filter(|other| other.has_decision && other.key > *run) {
        if other.has_plan
            && let Decision::Committed { manifest, .. } = decision(dest, &other.key)?
            && manifest.repairs.is_some()
        {
            keep.extend(manifest.parts.into_iter().map(|part| part.part.key));
        }
    }
    Ok(keep)
}
