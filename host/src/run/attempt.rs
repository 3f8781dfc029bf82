//! One attempt at one chunk: read, encode, publish the report.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rivet_sdk::{Destination, Error, ErrorKind, ExportStats, Result, Source};

use super::pool::Job;
use crate::batch::{ChannelSpec, Receiver, channel};
use crate::commit::{self, RunKey};
use crate::plan::{Chunk, ColumnCounts, Part, Plan, Report};
use crate::redact;
use crate::sink::{ChunkSink, SinkSpec, Written};

/// Bytes that wait between a source and its encoder: enough to overlap the two.
const QUEUE_BYTES: u64 = 16 << 20;

/// The version of the report's JSON this host writes.
const REPORT_VERSION: u32 = 1;

/// What an attempt works with.
pub(super) struct Tools<'a> {
    pub source: &'a mut dyn Source,
    /// Parts are written through this one…
    pub destination: &'a mut dyn Destination,
    /// …and the run's control objects are read and written through this one, meanwhile.
    pub control: &'a mut dyn Destination,
    /// Set to stop this attempt.
    pub fence: Arc<AtomicBool>,
    pub read_point: Option<String>,
}

/// Reads and writes `chunk`. The report counts once it is published; if another attempt was
/// first, this one's parts are gone again and None is returned.
pub(super) fn run(job: &Job, chunk: &Chunk, tools: Tools<'_>) -> Result<Option<Report>> {
    let plan = &*job.plan;
    let started_at = jiff::Timestamp::now();
    let Tools { source, destination, control, fence, read_point } = tools;
    let attempt = if job.unrecorded { plan.run_id.clone() } else { commit::begin_attempt(control, plan)? };

    let (mut sender, receiver) = channel(ChannelSpec {
        schema: Arc::clone(&job.schema),
        share: job.lent_budget.share(),
        capacity_bytes: QUEUE_BYTES.min(job.lent_budget.limit() / 8),
        fence,
        counters: Arc::clone(&job.counters),
    });
    let key = RunKey::of(plan)?;
    let sink = SinkSpec {
        columns: &plan.columns,
        output: &plan.output,
        part_when_empty: plan.chunks.len() == 1 && !plan.output.skip_empty,
        share: job.lent_budget.share(),
        part_key: Box::new(|index| {
            key.part(
                &plan.destination.data_prefix,
                chunk.index,
                &attempt,
                index + 1,
                commit::keys::extension(&plan.output),
            )
        }),
        on_part: Box::new(
            |_: &Part| if job.unrecorded { Ok(()) } else { commit::fence(control, plan, chunk.index, &attempt) },
        ),
    };
    let (exported, written) = std::thread::scope(|scope| {
        let encoder = scope.spawn(move || encode(sink, destination, receiver));
        let exported = catch_unwind(AssertUnwindSafe(|| source.export(&plan.request(chunk), &mut sender)))
            .unwrap_or_else(|payload| Err(panicked("reading", &*payload)));
        let exported = exported.and_then(|stats| {
            let rows = sender.rows();
            if stats.rows != rows {
                return Err(Error::protocol(format!("the plugin says it sent {} rows, {rows} came", stats.rows)));
            }
            sender.complete()?;
            Ok((stats, rows))
        });
        let exported = exported.map_err(|error| blame(error, &plan.source.plugin));
        let written = encoder.join().unwrap_or_else(|payload| Err(panicked("encoding", &*payload)));
        (exported, written)
    });
    let (stats, rows, written) = settle(exported, written)?;
    if written.rows != rows {
        return Err(Error::new(ErrorKind::Integrity, format!("{rows} rows were read and {} written", written.rows)));
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
        rows,
        parts: written.parts,
        columns: counts(plan, written.columns, &stats),
        longest_statement_ms: millis(stats.longest_statement),
        warnings: stats.warnings.iter().map(|warning| redact::clean(warning).into_owned()).collect(),
    };
    if job.unrecorded {
        return Ok(Some(report));
    }
    match commit::publish_report(control, plan, &report)? {
        commit::Outcome::Won => Ok(Some(report)),
        commit::Outcome::Lost => Ok(None),
    }
}

fn encode(spec: SinkSpec<'_>, destination: &mut dyn Destination, mut receiver: Receiver) -> Result<Option<Written>> {
    let mut sink = ChunkSink::new(spec, destination)?;
    for queued in receiver.by_ref() {
        sink.write(&queued.batch)?;
    }
    // A source that failed says why itself; the dropped sink takes its parts away again.
    if !receiver.is_complete() {
        return Ok(None);
    }
    sink.finish().map(Some)
}

/// The result of both sides. Where one stopped the other, the first cause is the one to tell.
fn settle(
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

fn panicked(what: &str, payload: &(dyn std::any::Any + Send)) -> Error {
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
