//! What an earlier run left, and whether its plan still holds.

use std::collections::BTreeSet;

use rivet_sdk::{Destination, Error, ErrorKind, Result, Source};

use super::execute::Prepared;
use super::export::inputs;
use super::journal::Journal;
use super::planning::{self, Looked};
use super::read_point;
use crate::commit::{self, Decision};
use crate::config::ExportConfig;
use crate::plan::{self, Plan};
use crate::session::Session;

/// What there is to resume.
pub(super) enum Resumed {
    /// A run without its manifest.
    Unfinished(Box<Prepared>),
    /// A run with its manifest, killed before its commit was complete or noted.
    Uncommitted(Box<Plan>),
    Nothing,
}

/// The newest run, if it is unfinished and its plan still is what the configuration asks for.
pub(super) fn resumable(
    session: &Session,
    export: &ExportConfig,
    destination: &mut dyn Destination,
    journal: Option<&Journal>,
) -> Result<Resumed> {
    let runs = commit::list_runs(destination, &export.name)?;
    let Some(newest) = runs.iter().rev().find(|run| run.has_plan) else { return Ok(Resumed::Nothing) };
    let plan = commit::read_plan(destination, &newest.key)?;
    if newest.has_decision {
        let Decision::Committed { .. } = commit::decision(destination, &newest.key)? else {
            return Ok(Resumed::Nothing);
        };
        let said = match commit::own_success(destination, &export.name, &plan.destination.data_prefix) {
            // The commit, which comes to the same, tells what stands.
            Err(error) if commit::is_foreign(&error) => None,
            said => said?,
        };
        let named = said.is_some_and(|success| success.run_id == plan.run_id);
        let noted = match journal {
            Some(journal) => !journal.is_open(&plan.run_id)?,
            None => true,
        };
        return Ok(if named && noted { Resumed::Nothing } else { Resumed::Uncommitted(Box::new(plan)) });
    }
    let source_end = session.source_end(export)?;
    let now = inputs(session, export, &source_end, plan.run_id.clone());
    if !plan.configuration().is_of(&plan::configuration_fingerprint(&now)?) {
        return Err(Error::config(format!("the configuration changed since run {} began", plan.run_id))
            .with_hint("run without --resume to abandon that run and start afresh")
            .with_context("export", export.name.clone()));
    }
    plan.check_chunks()?;
    let looked = planning::look(session, export, &source_end, |source| check_drift(&plan, source))?;
    let Looked { instance, .. } = looked;
    let mut warnings = Vec::new();
    if let Some(difference) = plan.made_by.as_ref().and_then(|made_by| made_by.difference(&now.made_by)) {
        warnings.push(format!("the run was begun by other versions: {difference}"));
    }
    let rereads = read_point::is_needed(&plan);
    if rereads && plan.chunks.len() > 1 {
        // The read point is gone. Chunks of another one must not be mixed in.
        commit::abandon(destination, &newest.key, "resume without its snapshot")?;
        log::warn!("the snapshot of run {} is gone: every chunk is read again in a new run", plan.run_id);
        return Ok(Resumed::Nothing);
    }
    let done = match done_chunks(&plan, destination) {
        Err(error) if error.code() == Some(commit::REPAIRED_RUN_GONE) => {
            log::warn!("{}: {error}", plan.export);
            return Ok(Resumed::Nothing);
        }
        done => done?,
    };
    if !done.is_empty() {
        warnings.push(format!(
            "resumed: {} of {} chunks were read earlier, at other read points",
            done.len(),
            plan.chunks.len()
        ));
    }
    Ok(Resumed::Unfinished(Box::new(Prepared { plan, done, source: Some(instance), warnings })))
}

/// The chunks that have their reports; in a repair, those taken over included.
pub(super) fn done_chunks(plan: &Plan, destination: &mut dyn Destination) -> Result<BTreeSet<u32>> {
    commit::take_over(destination, plan)?;
    commit::resume_point(destination, plan)
}

/// The database must be the one the plan was made for.
pub(super) fn check_identity(plan: &Plan, source: &mut dyn Source) -> Result<()> {
    let identity = source.identity()?;
    if identity.id == plan.source.identity {
        return Ok(());
    }
    let (planned, found) = (&plan.source.identity, identity.id);
    Err(drift(plan, format!("the plan was made for another database ({planned}), this is {found}")))
}

fn drift(plan: &Plan, what: String) -> Error {
    Error::new(ErrorKind::Conflict, what)
        .with_code("schema_drift")
        .with_hint("make a new plan")
        .with_context("export", plan.export.clone())
}

/// The table must still be the one the plan was made for.
pub(super) fn check_drift(plan: &Plan, source: &mut dyn Source) -> Result<()> {
    check_identity(plan, source)?;
    let drift = |what: String| drift(plan, what);
    let Some(first) = plan.chunks.first() else { return Err(Error::config("the plan has no chunks")) };
    let found = source.type_mappings(&plan.request(first)).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::Config => {
            drift(format!("{} changed since the plan was made: {}", plan.relation, error.message()))
        }
        _ => error,
    })?;
    for (planned, found) in plan.columns.iter().zip(&found) {
        if planned.mapping != *found {
            return Err(drift(format!(
                "the column `{}` of {} is now {}, the plan was made for {}",
                planned.mapping.name, plan.relation, found.source_type, planned.mapping.source_type
            )));
        }
    }
    Ok(())
}
