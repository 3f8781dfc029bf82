//! One attempt at one chunk, in two halves that run on two threads: one reads, one encodes and
//! publishes the report. The reading half is free for its next chunk while the other finishes.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;

use rivet_sdk::{Destination, Error, ErrorKind, ExportStats, Result, Source};

use super::job::Job;
use crate::batch::{Receiver, Sender};
use crate::budget::Lane;
use crate::commit::{self, RunKey};
use crate::plan::{Chunk, ColumnCounts, MadeBy, Part, Plan, Report};
use crate::redact;
use crate::sink::{SinkSpec, TieFilter, Written, write_chunk};

/// The version of the report's JSON this host writes.
const REPORT_VERSION: u32 = 1;

/// What the reading half knows at its end: the source's own account, and the rows that came.
pub(super) type Exported = Result<(ExportStats, u64)>;

/// A chunk on its way from the reading half to the writing one.
pub(super) struct Reading {
    pub chunk: Chunk,
    pub batches: Receiver,
    /// The worker's part of the memory budget.
    pub lane: Lane,
    /// Answers once, after the last batch.
    pub exported: mpsc::Receiver<Exported>,
    /// The read point its rows come from, if it is one that chunks share.
    pub read_point: Option<String>,
    pub started_at: jiff::Timestamp,
}

/// Reads `chunk` into the queue.
pub(super) fn read(job: &Job, chunk: &Chunk, source: &mut dyn Source, mut sender: Sender) -> Exported {
    let exported = catch_unwind(AssertUnwindSafe(|| source.export(&job.plan.request(chunk), &mut sender)))
        .unwrap_or_else(|payload| Err(panicked("reading", &*payload)));
    let exported = exported.and_then(|stats| {
        let rows = sender.rows();
        if stats.rows != rows {
            return Err(Error::protocol(format!("the plugin says it sent {} rows, {rows} came", stats.rows)));
        }
        sender.complete()?;
        Ok((stats, rows))
    });
    exported.map_err(|error| blame(error, &job.plan.source.plugin))
}

/// A worker's own instances of the destination.
pub(super) struct Destinations {
    /// Parts go through this one…
    pub parts: Box<dyn Destination>,
    /// …and the run's control objects through this one, meanwhile.
    pub control: Box<dyn Destination>,
}

/// Encodes what the other half reads. The report counts once it is published; if another
/// attempt was first, this one's parts are gone again and None is returned.
pub(super) fn write(job: &Job, reading: Reading, destinations: &mut Destinations) -> Result<Option<Box<Report>>> {
    let plan = &*job.plan;
    let Reading { chunk, batches, lane, exported, read_point, started_at } = reading;
    let Destinations { parts, control } = destinations;
    let attempt = if job.unrecorded { plan.run_id.clone() } else { commit::begin_attempt(&mut **control, plan)? };
    let key = RunKey::of(plan)?;
    let sink = SinkSpec {
        columns: &plan.columns,
        output: &plan.output,
        part_when_empty: plan.chunks.len() == 1 && !plan.output.skip_empty,
        share: lane.share(),
        part_key: Box::new(|folder, index| {
            key.part(
                &format!("{}{folder}", plan.destination.data_prefix),
                chunk.index,
                &attempt,
                index + 1,
                commit::keys::extension(&plan.output),
            )
        }),
        on_part: Box::new(|_: &Part| {
            if job.unrecorded { Ok(()) } else { commit::fence(&mut **control, plan, chunk.index, &attempt) }
        }),
    };
    let mut ties = TieFilter::new(plan, &chunk)?;
    let filter = ties.as_mut();
    let written = catch_unwind(AssertUnwindSafe(move || {
        // Dropped here, whatever happens: that stops a source whose rows nobody takes any more.
        let mut batches = batches;
        write_chunk(sink, plan.quality.as_ref(), filter, plan.chunks.len(), &mut **parts, &mut batches)
    }))
    .unwrap_or_else(|payload| Err(panicked("encoding", &*payload)));
    let exported = exported.recv().unwrap_or_else(|_| Err(Error::internal("the reading half of a worker is gone")));
    let (stats, rows, written) = both_halves(exported, written)?;
    let left_out = ties.as_ref().map_or(0, TieFilter::left_out);
    if written.rows + left_out != rows {
        let text = format!("{rows} rows were read, {} written and {left_out} left out", written.rows);
        return Err(Error::new(ErrorKind::Integrity, text));
    }
    let report = Report {
        report_version: REPORT_VERSION,
        run_id: plan.run_id.clone(),
        export: plan.export.clone(),
        plan_id: job.plan_id.clone(),
        chunk: chunk.index,
        attempt,
        read_point,
        started_at: started_at.to_string(),
        finished_at: jiff::Timestamp::now().to_string(),
        rows: written.rows,
        parts: written.parts,
        columns: counts(plan, written.columns, &stats),
        unique: written.unique,
        longest_statement_ms: millis(stats.longest_statement),
        warnings: stats.warnings.iter().map(|warning| redact::clean(warning).into_owned()).collect(),
        left_out,
        ties: ties.and_then(TieFilter::end),
        plan_seal: job.plan_seal.clone(),
        made_by: Some(MadeBy::this(Some(job.source.manifest()))),
    };
    if job.unrecorded {
        return Ok(Some(Box::new(report)));
    }
    match commit::publish_report(&mut **control, plan, &report)? {
        commit::Outcome::Won => Ok(Some(Box::new(report))),
        commit::Outcome::Lost => Ok(None),
    }
}

/// The result of both sides. Where one stopped the other, the first cause is the one to tell.
fn both_halves(
    exported: Result<(ExportStats, u64)>,
    written: Result<Option<Written>>,
) -> Result<(ExportStats, u64, Written)> {
    match (exported, written) {
        (Ok((stats, rows)), Ok(Some(written))) => Ok((stats, rows, written)),
        (Err(stopped), Err(cause)) if stopped.kind() == ErrorKind::Cancelled => Err(cause),
        (Err(cause), _) | (Ok(_), Err(cause)) => Err(cause),
        (Ok(_), Ok(None)) => Err(Error::cancelled("the attempt was stopped")),
    }
}

/// A broken contract is the plugin's fault, whoever of us noticed it.
fn blame(error: Error, plugin: &str) -> Error {
    if error.kind() != ErrorKind::Protocol {
        return error;
    }
    let named = error.context().iter().any(|(name, _)| name == "plugin");
    let error = if named { error } else { error.with_context("plugin", plugin) };
    match error.hint() {
        Some(_) => error,
        None => error.with_hint("this is a defect of the plugin; report it to its author"),
    }
}

pub(super) fn panicked(what: &str, payload: &(dyn std::any::Any + Send)) -> Error {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no text");
    Error::new(ErrorKind::Panic, format!("rivet panicked while {what}: {text}"))
        .with_hint("this is a defect of rivet; please report it")
}

/// The sink counts NULLs by output name, the source its own counters by source name.
fn counts(
    plan: &Plan,
    mut columns: BTreeMap<String, ColumnCounts>,
    stats: &ExportStats,
) -> BTreeMap<String, ColumnCounts> {
    for counted in &stats.columns {
        let planned = plan.columns.iter().find(|column| column.mapping.name == counted.name);
        let Some(planned) = planned else { continue };
        let column = columns.entry(planned.output_name.clone()).or_default();
        column.unrepresentable += counted.unrepresentable;
        column.rounded += counted.rounded;
    }
    columns
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
