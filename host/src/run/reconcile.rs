//! Counts at the source against the rows in a manifest, chunk by chunk: `--reconcile`, and
//! `rivet reconcile`.
//!
//! After a run, the counts are taken at the run's own read point where its chunks shared one: a
//! table that is written to meanwhile does not differ then. Otherwise they are taken later, at
//! one read point where the source gives one; which of these it was stands in the result.

use std::collections::BTreeMap;

use rivet_sdk::{Destination, Error, ErrorKind, Result, Snapshot, Source, capability};

use super::plan_check::check_identity;
use super::reconciliation::{ChunkRows, Compared, Counted, CountedAt, RECONCILIATION_VERSION, Reconciliation};
use crate::commit::{self, RunKey};
use crate::config::ExportConfig;
use crate::plan::{Chunk, Manifest, Plan, StrategyKind};
use crate::session::Session;
use crate::source::{InstanceContext, SourceFactory};

/// Counts the chunks of the newest committed run of `export` at its source.
pub fn reconcile(session: &Session, export: &ExportConfig) -> Result<Reconciliation> {
    let source_factory = session.source_factory(export)?;
    let (destination_factory, mut destination) = session.open_destination(export)?;
    check_possible(export, &source_factory, destination_factory.is_stdout())?;
    let Newest { plan, manifest, .. } = newest(&mut *destination, export)?;
    let counted = count_later(&plan, &source_factory, &session.instance_context())?;
    compare(&plan, &manifest, &counted)
}

/// Refuses, before a run begins, what could not be reconciled after it.
pub(super) fn check_possible(export: &ExportConfig, source: &SourceFactory, is_stdout: bool) -> Result<()> {
    let refused =
        |what: String, hint: &str| Err(Error::config(what).with_hint(hint).with_context("export", export.name.clone()));
    if is_stdout {
        return refused("standard output has no manifest to reconcile".to_owned(), "write to a folder or a store");
    }
    if can_count(source) {
        return Ok(());
    }
    refused(
        format!("the plugin `{}` cannot count rows", source.manifest().name),
        "leave `reconcile_required` and --reconcile out",
    )
}

/// Whether the source counts rows.
pub(super) fn can_count(source: &SourceFactory) -> bool {
    source.manifest().capabilities.iter().any(|capability| capability == capability::COUNT)
}

/// The newest run that was committed.
pub(super) struct Newest {
    pub plan: Plan,
    pub manifest: Manifest,
    /// Of the manifest's bytes.
    pub checksum: String,
}

/// The newest committed run.
pub(super) fn newest(destination: &mut dyn Destination, export: &ExportConfig) -> Result<Newest> {
    if let Some((manifest, checksum)) = commit::newest_committed(destination, &export.name, |_| true)? {
        let plan = commit::read_plan(destination, &RunKey::new(&export.name, &manifest.run_id)?)?;
        plan.warn_of_versions(None);
        return Ok(Newest { plan, manifest, checksum });
    }
    Err(Error::new(ErrorKind::NotFound, "no committed run at the destination")
        .with_hint("`rivet run` makes one; `rivet journal` shows what happened")
        .with_context("export", export.name.clone())
        .with_context("destination", destination.location()))
}

/// The counts beside the manifest's rows.
pub(super) fn compare(plan: &Plan, manifest: &Manifest, counted: &Counted) -> Result<Reconciliation> {
    let mut landed: BTreeMap<u32, u64> = BTreeMap::new();
    for part in &manifest.parts {
        *landed.entry(part.chunk).or_default() += part.part.rows;
    }
    // What runs before delivered is at the source, too.
    for (chunk, left_out) in &manifest.left_out {
        *landed.entry(*chunk).or_default() += left_out;
    }
    let rows = |chunk: u32| {
        // A chunk without parts has no rows; one that nobody counted is not one without rows.
        let source = counted.rows.get(&chunk).copied();
        let source = source.ok_or_else(|| Error::internal(format!("chunk {chunk} was not counted at the source")))?;
        Ok(ChunkRows { chunk, manifest: landed.get(&chunk).copied().unwrap_or_default(), source })
    };
    let chunks: Vec<ChunkRows> = plan.chunks.iter().map(|chunk| rows(chunk.index)).collect::<Result<_>>()?;
    let moves = plan.strategy.kind == StrategyKind::Native && counted.at != CountedAt::Run;
    Ok(Reconciliation {
        reconciliation_version: RECONCILIATION_VERSION,
        export: plan.export.clone(),
        run_id: plan.run_id.clone(),
        counted_at: counted.at,
        read_point: counted.read_point.clone(),
        manifest_rows: manifest.rows + manifest.left_out.values().sum::<u64>(),
        source_rows: chunks.iter().map(|chunk| chunk.source).sum(),
        whole_rows: Some(counted.whole),
        compared: if moves { Compared::Total } else { Compared::Chunks },
        chunks,
    })
}

/// Counts at the read point that a run's chunks were read at, while that is still held.
pub(super) fn count_at(
    plan: &Plan,
    snapshot: &Snapshot,
    source: &SourceFactory,
    context: &InstanceContext,
) -> Result<Counted> {
    let mut source = source.open(context)?;
    source.join(snapshot)?;
    count_there(plan, snapshot, &mut *source)
}

/// The same with an instance that reads there.
pub(super) fn count_there(plan: &Plan, snapshot: &Snapshot, source: &mut dyn Source) -> Result<Counted> {
    let (rows, whole) = count(plan, source)?;
    Ok(Counted { at: CountedAt::Run, read_point: snapshot.read_point.clone(), rows, whole })
}

/// Counts now: at one read point where the source gives one and the plan did not want otherwise.
pub(super) fn count_later(plan: &Plan, source: &SourceFactory, context: &InstanceContext) -> Result<Counted> {
    let mut holder = source.open(context)?;
    check_identity(plan, &mut *holder)?;
    let useful = plan.chunks.len() > 1 && plan.reads_at_one_point();
    let alone = source.manifest().can(capability::SNAPSHOT_ALONE);
    let Some(snapshot) = (if useful { holder.snapshot(u32::from(!alone))? } else { None }) else {
        let from = jiff::Timestamp::now();
        let (rows, whole) = count(plan, &mut *holder)?;
        let until = jiff::Timestamp::now();
        let (at, read_point) = match rows.len() {
            1 => (CountedAt::Later, format!("{from}")),
            _ => (CountedAt::LaterPerChunk, format!("{from} to {until}")),
        };
        return Ok(Counted { at, read_point, rows, whole });
    };
    if alone {
        let counted = count_there(plan, &snapshot, &mut *holder)?;
        return Ok(Counted { at: CountedAt::Later, ..counted });
    }
    let mut counter = source.open(context)?;
    counter.join(&snapshot)?;
    if !snapshot.rejoinable {
        // What cannot be joined later holds a lock: it goes at once.
        holder.release()?;
    }
    let (rows, whole) = count(plan, &mut *counter)?;
    if snapshot.rejoinable {
        holder.release()?;
    }
    Ok(Counted { at: CountedAt::Later, read_point: snapshot.read_point, rows, whole })
}

/// The rows of each chunk, and all rows that meet the plan's own conditions or stand beside them.
fn count(plan: &Plan, source: &mut dyn Source) -> Result<(BTreeMap<u32, u64>, u64)> {
    let named = |error: Error, chunk: u32| error.with_context("counting chunk", chunk.to_string());
    let mut rows = BTreeMap::new();
    for chunk in &plan.chunks {
        let found = source.count(&plan.request(chunk)).map_err(|error| named(error, chunk.index))?;
        rows.insert(chunk.index, found);
    }
    let beside: u64 = plan.chunks.iter().filter(|chunk| chunk.beside).filter_map(|chunk| rows.get(&chunk.index)).sum();
    let all = Chunk::whole();
    // One chunk that is everything was counted already.
    let counted = plan.chunks.iter().find(|chunk| !chunk.beside && chunk.condition.is_none());
    let whole = match counted.and_then(|chunk| rows.get(&chunk.index)) {
        Some(rows) => *rows,
        None => source.count(&plan.request(&all)).map_err(|error| error.with_context("counting", "all rows"))?,
    };
    Ok((rows, whole + beside))
}
