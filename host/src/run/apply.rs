//! A sealed plan, carried out as a whole or a chunk at a time.

use std::sync::Arc;
use std::time::Instant;

use rivet_sdk::{Error, Result};

use super::export::{Ends, Finished, Prepared, Watch, committed, execute, job};
use super::resume::{check_drift, done_chunks};
use super::{Stop, run_chunks};
use crate::batch::Counters;
use crate::commit::{self, Decision, RunKey};
use crate::plan::{ConsistencyPolicy, Plan};

/// Runs what is left of a sealed plan, and commits it.
pub fn apply(plan: Plan, ends: Ends, stop: &Stop, watch: &mut dyn Watch) -> Result<Finished> {
    let started = Instant::now();
    let lent = ends.lent();
    let mut destination = ends.destination.open(&lent)?;
    let run = RunKey::of(&plan)?;
    if let Decision::Committed { .. } = commit::decision(&mut *destination, &run)? {
        return committed(plan, &mut *destination, started);
    }
    let mut source = ends.source.open(&lent)?;
    let guard = stop.guard(source.interrupt());
    check_drift(&plan, &mut *source)?;
    commit::check_destination(&mut *destination, &plan)?;
    commit::check_chain(&mut *destination, &plan)?;
    commit::publish_plan(&mut *destination, &plan)?;
    let done = done_chunks(&plan, &mut *destination)?;
    let prepared = Prepared { plan, done, source: Some(source), warnings: Vec::new(), guard };
    execute(prepared, ends, &mut *destination, None, false, stop, watch, started)
}

/// Runs one chunk of a sealed plan, from any machine. The commit is somebody else's.
pub fn apply_chunk(plan: Plan, index: u32, ends: Ends, stop: &Stop, watch: &mut dyn Watch) -> Result<u64> {
    let chunk = plan.chunks.iter().find(|chunk| chunk.index == index).cloned().ok_or_else(|| {
        Error::config(format!("the plan has no chunk {index}"))
            .with_hint(format!("its chunks are 0 to {}", plan.chunks.len() - 1))
    })?;
    if plan.consistency == ConsistencyPolicy::Snapshot {
        return Err(Error::config("a chunk run on its own cannot share a snapshot with the others")
            .with_hint("plan with `consistency: auto`, or apply the plan as a whole"));
    }
    let lent = ends.lent();
    let mut destination = ends.destination.open(&lent)?;
    if plan.strategy.name == "native" && plan.chunks.len() > 1 {
        return Err(Error::config(
            "physical ranges need a snapshot that all chunks share; a chunk run on its own has none",
        )
        .with_hint("plan with `chunk_by: range`"));
    }
    let mut source = ends.source.open(&lent)?;
    check_drift(&plan, &mut *source)?;
    drop(source);
    commit::check_destination(&mut *destination, &plan)?;
    commit::publish_plan(&mut *destination, &plan)?;
    let counters = Arc::<Counters>::default();
    watch.planned(&plan, 0, &counters);
    let job = job(Arc::new(plan), ends, counters, None)?;
    let reports = run_chunks(job, [chunk], stop, &mut || Ok(()), &mut |event| watch.chunk(event))?;
    Ok(reports.iter().map(|report| report.rows).sum())
}
