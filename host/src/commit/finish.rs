//! The commit: all reports in, parts verified, one decision, then everything else put right.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use rivet_sdk::{Destination, Error, ErrorKind, OneReadPoint, Result};

use super::attempt::{check_report, read_report};
use super::chain::{check_chain, withdraw_rivals};
use super::decision::{Decision, decide_committed, decided, decision};
use super::keys::{RunKey, parse_part};
use super::quality;
use super::replace::settle_replaced;
use super::success::write_success;
use super::text::now;
use super::ties;
use super::verify::verify_parts;
use crate::crash::crash_point;
use crate::plan::{ColumnCounts, Consistency, MadeBy, Manifest, ManifestPart, Part, Plan, Report};

/// The version of the manifest's JSON this host writes.
pub const MANIFEST_VERSION: u32 = 1;

/// Commits a run whose chunks all have reports, and does everything that follows a commit.
/// Repeating it, or doing it twice at once, ends in the same state and the same manifest.
pub fn commit(dest: &mut dyn Destination, plan: &Plan) -> Result<Manifest> {
    let run = RunKey::of(plan)?;
    let manifest = loop {
        crash_point("commit.begin");
        match decision(dest, &run)? {
            Decision::Committed { manifest, .. } => break *manifest,
            Decision::Undecided => {}
            other => return Err(decided(&run, &other)),
        }
        let prepared = prepare(dest, &run, plan);
        let manifest = match prepared {
            Ok(manifest) => manifest,
            // Reports and parts of a run that was decided meanwhile may be gone.
            Err(error) => match decision(dest, &run)? {
                Decision::Undecided => return Err(error),
                _ => continue,
            },
        };
        crash_point("commit.manifest");
        if decide_committed(dest, &run, &manifest)? {
            break manifest;
        }
    };
    settle(dest, &run, &manifest)?;
    Ok(manifest)
}

/// Everything after the manifest: dead attempts' parts, replaced runs, `_SUCCESS`.
pub(super) fn settle(dest: &mut dyn Destination, run: &RunKey, manifest: &Manifest) -> Result<()> {
    crash_point("commit.sweep");
    let keep: HashSet<&str> = manifest.parts.iter().map(|part| part.part.key.as_str()).collect();
    let prefix = &manifest.data_prefix;
    sweep(dest, run.export(), &[run.run_id()], prefix, &keep, "commit.dead_part")?;
    settle_replaced(dest, run, manifest)?;
    write_success(dest, run.export(), prefix)
}

/// Deletes every part of the runs but those to keep; the keys that went.
pub(super) fn sweep(
    dest: &mut dyn Destination,
    export: &str,
    runs: &[&str],
    data_prefix: &str,
    keep: &HashSet<&str>,
    point: &'static str,
) -> Result<Vec<String>> {
    let mut gone = Vec::new();
    for object in dest.list(data_prefix)? {
        let theirs = parse_part(export, &object.key).is_some_and(|part| runs.contains(&part.run_id.as_str()));
        if theirs && !keep.contains(object.key.as_str()) {
            crash_point(point);
            dest.delete(&object.key)?;
            gone.push(object.key);
        }
    }
    Ok(gone)
}

fn prepare(dest: &mut dyn Destination, run: &RunKey, plan: &Plan) -> Result<Manifest> {
    crash_point("commit.reports");
    let reports = read_reports(dest, run, plan)?;
    crash_point("commit.verify");
    let parts: Vec<&Part> = reports.iter().flat_map(|report| &report.parts).collect();
    verify_parts(dest, &plan.destination.data_prefix, &parts, plan.destination.verify)?;
    let manifest = manifest_of(plan, &reports)?;
    quality::check(plan, &manifest, &reports)?;
    check_chain(dest, plan)?;
    withdraw_rivals(dest, plan)?;
    Ok(manifest)
}

/// One report for each chunk, in order; an error that lists the chunks without one.
fn read_reports(dest: &mut dyn Destination, run: &RunKey, plan: &Plan) -> Result<Vec<Report>> {
    let mut reports = Vec::with_capacity(plan.chunks.len());
    let mut missing = Vec::new();
    for chunk in &plan.chunks {
        match read_report(dest, run, chunk.index)? {
            Some(report) => {
                check_report(run, plan, &report)?;
                reports.push(report);
            }
            None => missing.push(chunk.index),
        }
    }
    if missing.is_empty() {
        return Ok(reports);
    }
    Err(Error::new(ErrorKind::NotFound, format!("no report yet for {}", chunks_text(&missing)))
        .with_code("missing_reports")
        .with_hint("run these chunks (`rivet run --resume`, or `rivet apply --chunk`), then commit")
        .with_context("run", run.run_id())
        .with_context("export", run.export()))
}

fn chunks_text(missing: &[u32]) -> String {
    let named: Vec<String> = missing.iter().take(20).map(u32::to_string).collect();
    let more = missing.len().saturating_sub(named.len());
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("chunk{} {}{tail}", if missing.len() == 1 { "" } else { "s" }, named.join(", "))
}

fn manifest_of(plan: &Plan, reports: &[Report]) -> Result<Manifest> {
    let mut columns: BTreeMap<String, ColumnCounts> = BTreeMap::new();
    for (name, counts) in reports.iter().flat_map(|report| &report.columns) {
        columns.entry(name.clone()).or_default().add(counts);
    }
    let parts: Vec<ManifestPart> = reports
        .iter()
        .flat_map(|report| {
            report.parts.iter().map(|part| ManifestPart {
                chunk: report.chunk,
                attempt: report.attempt.clone(),
                part: part.clone(),
            })
        })
        .collect();
    Ok(Manifest {
        manifest_version: MANIFEST_VERSION,
        run_id: plan.run_id.clone(),
        export: plan.export.clone(),
        plan_id: plan.id()?,
        committed_at: now(),
        consistency: consistency(plan, reports),
        read_points: distinct(reports.iter().filter_map(|report| report.read_point.clone())),
        data_prefix: plan.destination.data_prefix.clone(),
        place: plan.destination.place.clone(),
        write_mode: plan.destination.write_mode,
        chunks: u32::try_from(reports.len()).unwrap_or(u32::MAX),
        attempts: reports.iter().map(|report| report.attempt.clone()).collect(),
        incremental: plan.incremental.clone(),
        repairs: plan.repairs.clone(),
        rows: reports.iter().map(|report| report.rows).sum(),
        bytes: parts.iter().map(|part| part.part.size_bytes).sum(),
        parts,
        columns,
        longest_statement_ms: reports.iter().map(|report| report.longest_statement_ms).max().unwrap_or(0),
        warnings: distinct(reports.iter().flat_map(|report| report.warnings.clone())),
        left_out: reports
            .iter()
            .filter(|report| report.left_out > 0)
            .map(|report| (report.chunk, report.left_out))
            .collect(),
        ties: ties::of(plan, reports)?,
        plan_seal: plan.seal()?,
        made_by: Some(MadeBy::with_plugin_of(
            reports.iter().filter_map(|report| report.made_by.as_ref()).next_back().or(plan.made_by.as_ref()),
        )),
    })
}

/// What the rows share: no more than the source says it can give.
fn consistency(plan: &Plan, reports: &[Report]) -> Consistency {
    let mut points = reports.iter().map(|report| report.read_point.as_deref());
    let first = points.next().flatten();
    let shared = first.is_some() && points.all(|point| point == first);
    match plan.one_read_point {
        OneReadPoint::None => Consistency::None,
        _ if reports.len() == 1 => Consistency::Snapshot,
        OneReadPoint::Snapshot if shared => Consistency::Snapshot,
        _ => Consistency::PerChunk,
    }
}

fn distinct(texts: impl Iterator<Item = String>) -> Vec<String> {
    texts.collect::<BTreeSet<_>>().into_iter().collect()
}
