//! The runs at a destination: what there is, what is unfinished, what is done. Reads only.

use std::collections::{BTreeMap, BTreeSet};

use rivet_sdk::{Destination, Error, ErrorKind, Result};

use super::decision::{Decision, decision};
use super::keys::{ControlObject, RunKey, export_folder, parse_control};
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
