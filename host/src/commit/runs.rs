//! The runs at a destination: what there is, what is unfinished, what can be cleaned away.

use std::collections::{BTreeMap, BTreeSet};

use rivet_sdk::{Destination, Error, ErrorKind, Result};

use super::decision::{Decision, decide_abandoned, decision};
use super::finish::settle;
use super::keys::{ControlObject, RunKey, export_folder, parse_control, parse_part};
use super::replace::{remove_abandoned, remove_replaced, tombstone};
use super::success::{is_foreign, latest, own_success, write_success};
use crate::crash::crash_point;
use crate::plan::{Manifest, Plan};

/// What a listing shows of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunObjects {
    /// Which run.
    pub key: RunKey,
    /// Whether its plan is there.
    pub has_plan: bool,
    /// Whether it is decided.
    pub has_decision: bool,
    /// The chunks with a report.
    pub reports: BTreeSet<u32>,
}

impl RunObjects {
    /// Only the decision is left of it: nothing more to do.
    pub fn is_tombstone(&self) -> bool {
        self.has_decision && !self.has_plan && self.reports.is_empty()
    }
}

/// A run and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunState {
    /// What the listing shows.
    pub objects: RunObjects,
    /// What became of it.
    pub decision: Decision,
}

/// Every run of an export, oldest first, by one listing.
pub fn list_runs(dest: &mut dyn Destination, export: &str) -> Result<Vec<RunObjects>> {
    let mut runs: BTreeMap<RunKey, RunObjects> = BTreeMap::new();
    for object in dest.list(&export_folder(export))? {
        let Some((key, kind)) = parse_control(export, &object.key) else { continue };
        let run = runs.entry(key.clone()).or_insert_with(|| RunObjects {
            key,
            has_plan: false,
            has_decision: false,
            reports: BTreeSet::new(),
        });
        match kind {
            ControlObject::Plan => run.has_plan = true,
            ControlObject::Manifest => run.has_decision = true,
            ControlObject::Report(chunk) => {
                run.reports.insert(chunk);
            }
        }
    }
    Ok(runs.into_values().collect())
}

/// Every run of an export with its decision, oldest first.
pub fn status(dest: &mut dyn Destination, export: &str) -> Result<Vec<RunState>> {
    let runs = list_runs(dest, export)?;
    runs.into_iter().map(|objects| Ok(RunState { decision: decision(dest, &objects.key)?, objects })).collect()
}

/// The committed run of the highest standing among those `wanted`, and its manifest's checksum.
pub fn newest_committed(
    dest: &mut dyn Destination,
    export: &str,
    wanted: impl Fn(&Manifest) -> bool,
) -> Result<Option<(Manifest, String)>> {
    let mut newest: Option<(Manifest, String)> = None;
    for run in list_runs(dest, export)?.into_iter().rev().filter(|run| run.has_plan && run.has_decision) {
        // What is older than the run that the newest repairs cannot stand higher.
        if newest.as_ref().is_some_and(|(manifest, _)| run.key.run_id() < manifest.first()) {
            break;
        }
        if let Decision::Committed { manifest, checksum } = decision(dest, &run.key)?
            && wanted(&manifest)
            && newest.as_ref().is_none_or(|(found, _)| manifest.standing() > found.standing())
        {
            newest = Some((*manifest, checksum));
        }
    }
    Ok(newest)
}

/// The runs that neither committed nor were abandoned, oldest first.
pub fn unfinished(dest: &mut dyn Destination, export: &str) -> Result<Vec<RunObjects>> {
    Ok(list_runs(dest, export)?.into_iter().filter(|run| run.has_plan && !run.has_decision).collect())
}

/// The sealed plan of a run.
pub fn read_plan(dest: &mut dyn Destination, run: &RunKey) -> Result<Plan> {
    let body = dest.get(&run.plan())?.ok_or_else(|| {
        Error::not_found(format!("no plan of run {} at the destination", run.run_id()))
            .with_hint("see `rivet journal` for the runs there")
            .with_context("object", run.plan())
    })?;
    let key = run.plan();
    let named = |error: Error| error.with_context("object", key.clone());
    let plan = Plan::read(&format!("`{key}`"), &body).map_err(named)?;
    if plan.run_id != run.run_id() || plan.export != run.export() {
        return Err(named(
            Error::integrity(format!("a plan names run {} of {}", plan.run_id, plan.export))
                .with_hint("it was copied or changed by something else; start a new run"),
        ));
    }
    Ok(plan)
}

/// The chunks that need no work: those with a report.
pub fn resume_point(dest: &mut dyn Destination, plan: &Plan) -> Result<BTreeSet<u32>> {
    let run = RunKey::of(plan)?;
    let found = list_runs(dest, run.export())?.into_iter().find(|found| found.key == run);
    Ok(found.map(|found| found.reports).unwrap_or_default())
}

/// Gives up an unfinished run and deletes its parts. Where its commit was faster, that commit
/// is finished instead; the decision that stands is returned.
pub fn abandon(dest: &mut dyn Destination, run: &RunKey, by: &str) -> Result<Decision> {
    loop {
        let found = decision(dest, run)?;
        match &found {
            Decision::Undecided => {
                let data_prefix = read_plan(dest, run)?.destination.data_prefix;
                crash_point("abandon.decide");
                decide_abandoned(dest, run, tombstone(run, &data_prefix, by))?;
                continue;
            }
            Decision::Committed { manifest, .. } => settle(dest, run, manifest)?,
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
            settle(dest, run, &manifest)?;
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
    let mut settled = false;
    let runs = list_runs(dest, export)?;
    let stands: BTreeSet<String> =
        runs.iter().filter(|run| !run.is_tombstone()).map(|run| run.key.run_id().to_owned()).collect();
    for run in runs.into_iter().rev() {
        if run.is_tombstone() || !(run.has_plan || run.has_decision) || (settled && run.has_decision) {
            continue;
        }
        if let Decision::Committed { manifest, .. } = decision(dest, &run.key)? {
            let said = match own_success(dest, export, &manifest.data_prefix) {
                Err(error) if is_foreign(&error) => None,
                said => said?,
            };
            // What a repair took over from must be gone, too, whatever `_SUCCESS` names.
            let in_place = manifest.repairs.as_ref().is_none_or(|repairs| !stands.contains(&repairs.run_id));
            settled = in_place && said.is_some() && said == latest(dest, export, &manifest.data_prefix)?;
            if settled {
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

/// The run whose id starts with `text`, or the latest; for `validate` and `status --run`.
pub fn find_run(dest: &mut dyn Destination, export: &str, text: Option<&str>) -> Result<RunKey> {
    let mut runs = list_runs(dest, export)?;
    if text.is_none() && runs.iter().any(|run| !run.is_tombstone()) {
        runs.retain(|run| !run.is_tombstone());
    }
    let mut found: Vec<RunKey> = runs.into_iter().map(|run| run.key).collect();
    found.retain(|run| text.is_none_or(|text| run.run_id().starts_with(text)));
    match (found.pop(), text) {
        (Some(run), None) => Ok(run),
        (Some(run), Some(_)) if found.is_empty() => Ok(run),
        (Some(_), Some(text)) => Err(Error::new(ErrorKind::Config, format!("several runs start with {text:?}"))
            .with_hint("give more of the run id")
            .with_context("export", export)),
        (None, _) => Err(Error::not_found("no such run at the destination")
            .with_hint("see `rivet journal`")
            .with_context("export", export)
            .with_context("destination", dest.location())),
    }
}
