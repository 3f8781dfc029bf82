//! Putting right what a killed process left, and giving up what nobody will finish.

use std::collections::{BTreeMap, BTreeSet};

use rivet_sdk::{Destination, Result};

use super::commit_run::finalize;
use super::decision::{Decision, Tombstone, decide_abandoned, decision};
use super::keys::{RunKey, parse_part};
use super::removal::remove_abandoned;
use super::replace::remove_replaced;
use super::runs::{list_runs, read_plan, status};
use super::success::{is_foreign, latest, own_success, write_success};
use crate::crash::crash_point;
use crate::plan::Manifest;

/// Gives up an unfinished run and deletes its parts. Where its commit was faster, that commit
/// is finished instead; the decision that stands is returned.
pub fn abandon(dest: &mut dyn Destination, run: &RunKey, by: &str) -> Result<Decision> {
    loop {
        let found = decision(dest, run)?;
        match &found {
            Decision::Undecided => {
                let data_prefix = read_plan(dest, run)?.destination.data_prefix;
                crash_point("abandon.decide");
                decide_abandoned(dest, run, Tombstone::new(run, &data_prefix, by))?;
                continue;
            }
            Decision::Committed { manifest, .. } => finalize(dest, run, manifest)?,
            Decision::Abandoned(tombstone) => {
                remove_abandoned(dest, run, &tombstone.data_prefix)?;
            }
            Decision::Replaced(tombstone) => {
                remove_replaced(dest, run, &tombstone.data_prefix, &tombstone.by)?;
                write_success(dest, run.export(), &tombstone.data_prefix)?;
            }
        }
        return Ok(found);
    }
}

/// Finishes what a killed commit left; None if the run has no manifest.
pub fn finish(dest: &mut dyn Destination, run: &RunKey) -> Result<Option<Manifest>> {
    match decision(dest, run)? {
        Decision::Committed { manifest, .. } => {
            finalize(dest, run, &manifest)?;
            Ok(Some(*manifest))
        }
        _ => Ok(None),
    }
}

/// What a fresh run does first, under the lease: every unfinished run is abandoned, every half
/// removed one removed, and the latest commit finished. Newest first, down to the newest run
/// whose commit is complete: whatever is older was put right before that one began.
pub fn recover(dest: &mut dyn Destination, export: &str, by: &str) -> Result<Vec<(RunKey, Decision)>> {
    let mut touched = Vec::new();
    let mut complete = false;
    let runs = list_runs(dest, export)?;
    let stands: BTreeSet<String> =
        runs.iter().filter(|run| !run.is_tombstone()).map(|run| run.key.run_id().to_owned()).collect();
    for run in runs.into_iter().rev() {
        if run.is_tombstone() || !(run.has_plan || run.has_decision) || (complete && run.has_decision) {
            continue;
        }
        if let Decision::Committed { manifest, .. } = decision(dest, &run.key)? {
            let success = match own_success(dest, export, &manifest.data_prefix) {
                Err(error) if is_foreign(&error) => None,
                success => success?,
            };
            // What a repair took over from must be gone, too, whatever `_SUCCESS` names.
            let in_place = manifest.repairs.as_ref().is_none_or(|repairs| !stands.contains(&repairs.run_id));
            complete = in_place && success.is_some() && success == latest(dest, export, &manifest.data_prefix)?;
            if complete {
                continue;
            }
        }
        match abandon(dest, &run.key, by) {
            Ok(decision) => touched.push((run.key, decision)),
            // All but `_SUCCESS` is as it should be: `check_destination` refuses a run that would
            // go to that prefix.
            Err(error) if is_foreign(&error) => log::warn!("{error}"),
            Err(error) => return Err(error),
        }
    }
    Ok(touched)
}

/// What `clean` did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Parts of decided runs that no manifest names.
    pub parts: Vec<String>,
    /// Parts of unfinished runs, left alone: resume or abandon those runs.
    pub unfinished: Vec<String>,
    /// Parts of runs that the destination knows nothing of, left alone.
    pub unknown: Vec<String>,
}

/// Removes the parts of decided runs that no manifest names, under `data_prefix`: those of an
/// attempt that was killed after its run was decided. With `dry_run` it only says which.
pub fn clean(dest: &mut dyn Destination, export: &str, data_prefix: &str, dry_run: bool) -> Result<Cleaned> {
    let mut by_run: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for object in dest.list(data_prefix)? {
        if let Some(part) = parse_part(export, &object.key) {
            by_run.entry(part.run_id).or_default().push(object.key);
        }
    }
    let known: BTreeMap<RunKey, Decision> =
        status(dest, export)?.into_iter().map(|run| (run.objects.key, run.decision)).collect();
    let mut named: BTreeSet<&str> = BTreeSet::new();
    for decision in known.values() {
        if let Decision::Committed { manifest, .. } = decision {
            named.extend(manifest.parts.iter().map(|part| part.part.key.as_str()));
        }
    }
    let mut cleaned = Cleaned::default();
    for (run_id, mut parts) in by_run {
        let run = RunKey::new(export, &run_id)?;
        match known.get(&run) {
            Some(Decision::Undecided) => cleaned.unfinished.append(&mut parts),
            None => cleaned.unknown.append(&mut parts),
            // A repair may have taken parts of a replaced run over.
            Some(_) => cleaned.parts.extend(parts.into_iter().filter(|key| !named.contains(key.as_str()))),
        }
    }
    if !dry_run {
        for key in &cleaned.parts {
            dest.delete(key)?;
        }
    }
    Ok(cleaned)
}
