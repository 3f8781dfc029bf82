//! The commit: all reports in, parts verified, one decision, then everything else put right.

use std::collections::HashSet;

use rivet_sdk::{Destination, Error, ErrorKind, Result};

use super::attempt::{check_report, read_report};
use super::chain::{check_chain, withdraw_rivals};
use super::decision::{Decision, decide_committed, decided, decision};
use super::keys::RunKey;
use super::manifest::manifest_of;
use super::quality;
use super::removal::remove_parts;
use super::replace::remove_superseded;
use super::success::write_success;
use super::verify::verify_parts;
use crate::crash::crash_point;
use crate::plan::{Manifest, Part, Plan, Report};

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
    finalize(dest, &run, &manifest)?;
    Ok(manifest)
}

/// Everything after the manifest: dead attempts' parts, replaced runs, `_SUCCESS`.
pub(super) fn finalize(dest: &mut dyn Destination, run: &RunKey, manifest: &Manifest) -> Result<()> {
    crash_point("commit.sweep");
    let named: HashSet<&str> = manifest.parts.iter().map(|part| part.part.key.as_str()).collect();
    let prefix = &manifest.data_prefix;
    remove_parts(dest, run.export(), prefix, "commit.dead_part", |key, part| {
        part.run_id == run.run_id() && !named.contains(key)
    })?;
    remove_superseded(dest, run, manifest)?;
    write_success(dest, run.export(), prefix)
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
