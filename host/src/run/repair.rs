//! `rivet repair`: the chunks of the newest committed run that differ, read again into a new manifest.
//!
//! What differs is found by counting at the source, as `rivet reconcile` does, and by looking at
//! the parts. The repair itself is a run whose plan names the one it repairs; its chunks go the
//! way of every other chunk, and the commit takes the untouched parts over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rivet_sdk::{Error, ErrorKind, Result};
use serde::Serialize;

use super::context::RunContext;
use super::finished::Finished;
use super::instance::{Endpoints, Instance};
use super::journal::Journal;
use super::plan_check;
use super::planning::Planner;
use super::prepared::{Prepared, done_chunks};
use super::reconcile::{self, Newest};
use super::reconciliation::{Compared, CountedAt, RECONCILIATION_VERSION, Reconciliation};
use super::sequence::carry_out;
use super::watch::Watch;
use crate::commit::{self, Depth, RunKey};
use crate::config::ExportConfig;
use crate::plan::{AsRead, ConsistencyPolicy, MadeBy, OutputSpec, Plan, Repairs, StrategyKind};
use crate::session::Session;

/// How to go about it.
#[derive(Debug, Clone, Copy)]
pub struct RepairOptions<'a> {
    /// What an earlier `reconcile` found; None: count now.
    pub report: Option<&'a Reconciliation>,
    /// How thoroughly parts are looked at.
    pub depth: Depth,
    /// Repair; otherwise only say what would be done.
    pub execute: bool,
    /// How long to wait for another run of the same export.
    pub lock_wait: Duration,
}

/// What differs, and what became of it.
#[derive(Debug)]
pub struct Repaired {
    /// The run that was looked at.
    pub run_id: String,
    /// Its chunks in all.
    pub chunks: usize,
    /// Those that differ.
    pub differing: Vec<Differing>,
    /// The repair; None if it was not asked for, or nothing differs.
    pub finished: Option<Finished>,
}

/// A chunk that is not what it should be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Differing {
    pub chunk: u32,
    /// Rows in the manifest.
    pub manifest: u64,
    /// Rows at the source; None where they were not counted.
    pub source: Option<u64>,
    /// Its parts that are missing or changed.
    pub parts: Vec<String>,
}

/// Finds the chunks of the newest committed run of `export` that differ, and reads them again if
/// that is asked for.
pub fn repair(
    session: &Session,
    export: &ExportConfig,
    options: RepairOptions<'_>,
    watch: &mut dyn Watch,
) -> Result<Repaired> {
    let started = Instant::now();
    let source = session.source_factory(export)?;
    let (destination_factory, destination) = session.open_destination(export)?;
    if destination_factory.is_stdout() {
        reconcile::check_possible(export, &source, true)?;
    }
    let journal = if options.execute { Some(Journal::open(session, export, options.lock_wait)?) } else { None };
    let planner = Planner::new(session, export, &source);
    let mut context = RunContext {
        endpoints: Endpoints { source, destination: destination_factory, budget: Arc::clone(&session.budget) },
        journal,
        destination,
        // The columns are those of the run that is repaired.
        on_schema_drift: None,
        count: false,
        stop: &session.stop,
        watch,
        started,
    };
    if context.journal.is_some() {
        context.tidy(&export.name)?;
        for (run, decision) in commit::recover(&mut *context.destination, &export.name, "a repair")? {
            log::info!("the earlier run {} is now {}", run.run_id(), decision.word());
        }
    }
    let newest = reconcile::newest(&mut *context.destination, export)?;
    // The count has an instance of its own, and the login maybe one connection.
    drop(planner.ask(|source| plan_check::check_source(&newest.plan, source))?);
    let differing = differing(&mut context, &newest, options)?;
    let mut repaired =
        Repaired { run_id: newest.plan.run_id.clone(), chunks: newest.plan.chunks.len(), differing, finished: None };
    if repaired.differing.is_empty() {
        return Ok(repaired);
    }
    check_repairable(&planner, &newest.plan, &repaired.differing)?;
    if context.journal.is_some() {
        let chunks = repaired.differing.iter().map(|differing| differing.chunk).collect();
        let prepared = plan(&planner, &mut context, newest, chunks)?;
        repaired.finished = Some(carry_out(&mut context, prepared)?);
    }
    Ok(repaired)
}

/// Plans the repair: `chunks` of the run it repairs. Its plan stands at the destination then.
fn plan(planner: &Planner<'_>, context: &mut RunContext<'_>, newest: Newest, chunks: Vec<u32>) -> Result<Prepared> {
    let destination = &mut *context.destination;
    let run_id = commit::new_run_id(destination, &planner.export.name)?;
    let plan = plan_of(newest, run_id, chunks, planner.made_by()).sealed()?;
    commit::check_destination(destination, &plan)?;
    commit::publish_plan(destination, &plan)?;
    let done = done_chunks(&plan, destination)?;
    let source = Instance::open(&planner.source, &planner.session.budget, &planner.session.stop)?;
    Ok(Prepared { plan, done, source, warnings: Vec::new() })
}

/// The chunks whose rows or parts are not what the manifest says.
fn differing(context: &mut RunContext<'_>, newest: &Newest, options: RepairOptions<'_>) -> Result<Vec<Differing>> {
    let Newest { plan, manifest, .. } = newest;
    let source = &context.endpoints.source;
    let counted = match options.report {
        Some(report) => {
            check_report(plan, report)?;
            Some(report.clone())
        }
        None if reconcile::can_count(source) => {
            let counted = reconcile::count_later(plan, source, &context.instance_context())?;
            Some(reconcile::compare(plan, manifest, &counted)?)
        }
        None => {
            log::warn!("{}: this source cannot count rows: only the parts are looked at", plan.export);
            None
        }
    };
    let mut rows: BTreeMap<u32, u64> = plan.chunks.iter().map(|chunk| (chunk.index, 0)).collect();
    for part in &manifest.parts {
        *rows.entry(part.chunk).or_default() += part.part.rows;
    }
    for (chunk, left_out) in &manifest.left_out {
        *rows.entry(*chunk).or_default() += left_out;
    }
    let mut found: BTreeMap<u32, Differing> = BTreeMap::new();
    let chunk = |index: u32| Differing {
        chunk: index,
        manifest: rows.get(&index).copied().unwrap_or_default(),
        ..Differing::default()
    };
    if let Some(counted) = &counted {
        if counted.compared == Compared::Total && !counted.agrees() {
            return Err(moved(plan));
        }
        if !counted.chunks_make_up_the_whole() {
            // Counts at several points differ where rows are written meanwhile.
            if counted.counted_at != CountedAt::LaterPerChunk {
                return Err(unrepairable(plan, "rows of its table are in none of its chunks, or in two")
                    .with_hint("run the export again"));
            }
            log::warn!("{}: the chunks' counts do not add up to the count of all rows", plan.export);
        }
        for differs in counted.differing() {
            found.entry(differs.chunk).or_insert_with(|| chunk(differs.chunk)).source = Some(differs.source);
        }
    }
    let run = RunKey::of(plan)?;
    for problem in commit::validate(&mut *context.destination, &run, options.depth)?.problems {
        let Some(part) = manifest.parts.iter().find(|part| part.part.key == problem.key) else { continue };
        let text = format!("{}: expected {}, found {}", problem.key, problem.expected, problem.found);
        found.entry(part.chunk).or_insert_with(|| chunk(part.chunk)).parts.push(text);
    }
    for differing in found.values_mut().filter(|differing| differing.source.is_none()) {
        let counts = counted.iter().flat_map(|counted| &counted.chunks);
        differing.source = counts.clone().find(|counts| counts.chunk == differing.chunk).map(|counts| counts.source);
    }
    Ok(found.into_values().collect())
}

/// An earlier result must be about the run that would be repaired.
fn check_report(plan: &Plan, report: &Reconciliation) -> Result<()> {
    let what = if report.reconciliation_version > RECONCILIATION_VERSION {
        "the report was written by a newer rivet".to_owned()
    } else if report.run_id != plan.run_id {
        format!("the report is about run {}, the newest committed one is {}", report.run_id, plan.run_id)
    } else if report.chunks.len() != plan.chunks.len() {
        format!("the report has {} chunks, the run {}", report.chunks.len(), plan.chunks.len())
    } else {
        return Ok(());
    };
    Err(Error::config(what).with_hint("run `rivet reconcile --json` again").with_context("export", plan.export.clone()))
}

/// Refuses what reading the chunks again would not put right.
fn check_repairable(planner: &Planner<'_>, plan: &Plan, differing: &[Differing]) -> Result<()> {
    if plan.strategy.kind == StrategyKind::Native && plan.chunks.len() > 1 {
        return Err(moved(plan));
    }
    if plan.consistency == ConsistencyPolicy::Snapshot && differing.len() < plan.chunks.len() {
        return Err(unrepairable(plan, "`consistency: snapshot` asks for one read point, which is gone")
            .with_hint("run the export again; or use `consistency: auto`, whose runs can be repaired"));
    }
    if !planner.is_as_configured(plan)? {
        return Err(unrepairable(plan, "the configuration changed since it was planned")
            .with_hint("undo the change; or run the export again"));
    }
    Ok(())
}

fn moved(plan: &Plan) -> Error {
    unrepairable(plan, "its chunks are physical ranges, and rows have moved between them since")
        .with_hint("run the export again; `chunk_by: range` or `keyset` makes runs that can be repaired")
}

fn unrepairable(plan: &Plan, why: &str) -> Error {
    Error::new(ErrorKind::Config, format!("run {} cannot be repaired: {why}", plan.run_id))
        .with_code("unrepairable")
        .with_context("export", plan.export.clone())
}

/// The run's own plan once more, with a new id: the same chunks, of which only `chunks` are read.
fn plan_of(newest: Newest, run_id: String, chunks: Vec<u32>, made_by: MadeBy) -> Plan {
    let Newest { plan, manifest, checksum } = newest;
    let now = jiff::Timestamp::now();
    let repairs = Repairs {
        run_id: manifest.run_id.clone(),
        first: manifest.first().to_owned(),
        first_committed_at: manifest.first_committed_at().to_owned(),
        manifest_checksum: checksum,
        chunks,
    };
    Plan {
        run_id,
        created_at: now.to_string(),
        repairs: Some(repairs),
        output: OutputSpec { exported_at_us: plan.output.exported_at_us.map(|_| now.as_microsecond()), ..plan.output },
        made_by: Some(made_by),
        as_read: AsRead::default(),
        ..plan
    }
}
