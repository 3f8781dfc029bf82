//! Counts at the source against the rows in a manifest, chunk by chunk: `--reconcile`, and
//! `rivet reconcile`.
//!
//! After a run, the counts are taken at the run's own read point where its chunks shared one: a
//! table that is written to meanwhile does not differ then. Otherwise they are taken later, at
//! one read point where the source gives one; which of these it was stands in the result.

use std::collections::BTreeMap;

use rivet_sdk::{Destination, Error, ErrorKind, Result, Snapshot, Source, capability};
use serde::{Deserialize, Serialize};

use super::resume::check_identity;
use crate::commit::{self, RunKey};
use crate::config::ExportConfig;
use crate::plan::{Chunk, Manifest, Plan};
use crate::session::Session;
use crate::source::{Lent, SourceEnd};

/// The version of the result's JSON this host writes.
pub(super) const RECONCILIATION_VERSION: u32 = 1;

/// What counting found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciliation {
    /// Version of this JSON.
    pub reconciliation_version: u32,
    /// The export.
    pub export: String,
    /// The run whose manifest it is.
    pub run_id: String,
    /// Whose read point the counts were taken at.
    pub counted_at: CountedAt,
    /// The read point; where there is none, when it was.
    pub read_point: String,
    /// Rows in the manifest, those included that were read and left out because earlier runs delivered them.
    pub manifest_rows: u64,
    /// Rows at the source, chunk by chunk.
    pub source_rows: u64,
    /// Rows at the source, counted at once, whatever the chunks are; None in what rivet 0.1 printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_rows: Option<u64>,
    /// Whether each chunk must agree, or only the sum: physical ranges lose rows to each other.
    pub compared: Compared,
    /// Every chunk of the plan.
    pub chunks: Vec<ChunkRows>,
}

/// Whose read point counts were taken at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CountedAt {
    /// The one that the run's chunks were read at.
    Run,
    /// A later one, shared by all counts.
    Later,
    /// Later, each chunk at a point of its own.
    LaterPerChunk,
}

/// What must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    /// Each chunk.
    Chunks,
    /// The sum.
    Total,
}

/// One chunk's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkRows {
    /// The chunk.
    pub chunk: u32,
    /// Rows in the manifest, those included that were left out.
    pub manifest: u64,
    /// Rows at the source.
    pub source: u64,
}

impl Reconciliation {
    /// Chunks whose counts must agree and do not.
    pub fn differing(&self) -> Vec<ChunkRows> {
        match self.compared {
            Compared::Chunks => self.chunks.iter().filter(|chunk| chunk.manifest != chunk.source).copied().collect(),
            Compared::Total => Vec::new(),
        }
    }

    /// Whether everything agrees that must.
    pub fn agrees(&self) -> bool {
        self.manifest_rows == self.source_rows && self.differing().is_empty() && self.chunks_make_up_the_whole()
    }

    /// Whether the chunks' counts add up to the count of all rows: else rows are in no chunk, or in two.
    pub fn chunks_make_up_the_whole(&self) -> bool {
        self.whole_rows.is_none_or(|whole| whole == self.source_rows)
    }

    /// An error that says what differs, or Ok.
    pub fn result(&self) -> Result<()> {
        if self.agrees() {
            return Ok(());
        }
        let place = match &self.differing()[..] {
            [] => String::new(),
            [one] => format!(", in chunk {}", one.chunk),
            several => format!(", in {} of {} chunks", several.len(), self.chunks.len()),
        };
        let counted = self.whole_rows.unwrap_or(self.source_rows);
        let place = if self.chunks_make_up_the_whole() {
            place
        } else {
            format!("; chunk by chunk it counts {}{place}", self.source_rows)
        };
        let text = format!("the source counts {counted} rows, the manifest has {}{place}", self.manifest_rows);
        let hint = match self.counted_at {
            CountedAt::Run => "both are of one read point, so rows are missing or too many: run the export again",
            CountedAt::Later | CountedAt::LaterPerChunk => {
                "the source was counted after it was read: rows written since then explain it, else run the export again"
            }
        };
        Err(Error::integrity(text)
            .with_code("count_mismatch")
            .with_hint(hint)
            .with_context("export", self.export.clone())
            .with_context("counted at", self.read_point.clone()))
    }
}

/// Rows at the source by chunk, and where they were counted.
#[derive(Debug)]
pub(super) struct Counted {
    at: CountedAt,
    read_point: String,
    rows: BTreeMap<u32, u64>,
    whole: u64,
}

/// Counts the chunks of the newest committed run of `export` at its source.
pub fn reconcile(session: &Session, export: &ExportConfig) -> Result<Reconciliation> {
    let source_end = session.source_end(export)?;
    let (destination_end, mut destination) = session.open_destination(export)?;
    check_possible(export, &source_end, destination_end.is_stdout())?;
    let Newest { plan, manifest, .. } = newest(&mut *destination, export)?;
    let counted = count_later(&plan, &source_end, &session.lent())?;
    compare(&plan, &manifest, &counted)
}

/// Refuses, before a run begins, what could not be reconciled after it.
pub(super) fn check_possible(export: &ExportConfig, source: &SourceEnd, is_stdout: bool) -> Result<()> {
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
pub(super) fn can_count(source: &SourceEnd) -> bool {
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
        plan.tell_versions(None);
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
    let moves = plan.strategy.name == "native" && counted.at != CountedAt::Run;
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
pub(super) fn count_at(plan: &Plan, snapshot: &Snapshot, source: &SourceEnd, lent: &Lent) -> Result<Counted> {
    let mut source = source.open(lent)?;
    source.join(snapshot)?;
    count_there(plan, snapshot, &mut *source)
}

/// The same with an instance that reads there.
pub(super) fn count_there(plan: &Plan, snapshot: &Snapshot, source: &mut dyn Source) -> Result<Counted> {
    let (rows, whole) = count(plan, source)?;
    Ok(Counted { at: CountedAt::Run, read_point: snapshot.read_point.clone(), rows, whole })
}

/// Counts now: at one read point where the source gives one and the plan did not want otherwise.
pub(super) fn count_later(plan: &Plan, source: &SourceEnd, lent: &Lent) -> Result<Counted> {
    let mut holder = source.open(lent)?;
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
    let mut counter = source.open(lent)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn reconciliation(compared: Compared, chunks: &[(u64, u64)]) -> Reconciliation {
        let chunks: Vec<ChunkRows> = (0..)
            .zip(chunks)
            .map(|(chunk, (manifest, source))| ChunkRows { chunk, manifest: *manifest, source: *source })
            .collect();
        Reconciliation {
            reconciliation_version: 1,
            export: "e".into(),
            run_id: "r".into(),
            counted_at: CountedAt::Later,
            read_point: "noon".into(),
            manifest_rows: chunks.iter().map(|chunk| chunk.manifest).sum(),
            source_rows: chunks.iter().map(|chunk| chunk.source).sum(),
            whole_rows: None,
            compared,
            chunks,
        }
    }

    #[test]
    fn chunks_that_make_up_for_each_other_still_differ() {
        let error = reconciliation(Compared::Chunks, &[(5, 4), (5, 6), (1, 1)]).result().unwrap_err();
        assert_eq!(error.message(), "the source counts 11 rows, the manifest has 11, in 2 of 3 chunks");
        assert_eq!((error.kind(), error.code()), (ErrorKind::Integrity, Some("count_mismatch")));
    }

    #[test]
    fn rows_that_are_in_no_chunk_or_in_two_differ_though_every_chunk_agrees() {
        for whole in [11, 13] {
            let of = |whole_rows| Reconciliation { whole_rows, ..reconciliation(Compared::Chunks, &[(5, 5), (7, 7)]) };
            assert!(of(Some(12)).agrees() && of(None).agrees());
            let error = of(Some(whole)).result().unwrap_err();
            let text = format!("the source counts {whole} rows, the manifest has 12; chunk by chunk it counts 12");
            assert_eq!(error.message(), text);
        }
    }

    #[test]
    fn rows_may_move_between_physical_ranges_but_not_vanish() {
        assert!(reconciliation(Compared::Total, &[(5, 4), (5, 6)]).agrees());
        let error = reconciliation(Compared::Total, &[(5, 4), (5, 5)]).result().unwrap_err();
        assert_eq!(error.message(), "the source counts 9 rows, the manifest has 10");
    }
}
