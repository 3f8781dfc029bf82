//! The manifest of a run, made of its plan and its reports.

use std::collections::{BTreeMap, BTreeSet};

use rivet_sdk::{OneReadPoint, Result};

use super::keys::{RunKey, parse_part};
use super::text::now;
use super::ties;
use crate::plan::{ColumnCounts, Consistency, MadeBy, Manifest, ManifestPart, Plan, Report};

/// The version of the manifest's JSON this host writes.
pub const MANIFEST_VERSION: u32 = 1;

/// What a run's reports add up to.
pub(super) fn manifest_of(plan: &Plan, reports: &[Report]) -> Result<Manifest> {
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

/// The other runs whose parts a manifest names.
pub(super) fn taken_over(run: &RunKey, manifest: &Manifest) -> Vec<String> {
    let named = manifest.parts.iter().filter_map(|part| parse_part(run.export(), &part.part.key));
    let others = named.map(|part| part.run_id).filter(|id| id != run.run_id());
    others.collect::<BTreeSet<_>>().into_iter().collect()
}
