//! One attempt at one chunk: when it must stop, and how it reports.

use rivet_sdk::{Destination, Error, Result};

use super::decision::{Decision, decided, decision};
use super::keys::{RunKey, new_attempt_id, parse_part};
use super::removal::remove_parts;
use super::text::parse;
use crate::crash::crash_point;
use crate::plan::{Plan, Report};
use crate::seal::to_json;

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// This attempt counts for its chunk.
    Won,
    /// Another attempt was first; this one's parts are gone.
    Lost,
}

/// A new attempt's id, unless the run is decided already.
pub fn begin_attempt(dest: &mut dyn Destination, plan: &Plan) -> Result<String> {
    crash_point("attempt.fence");
    let run = RunKey::of(plan)?;
    match decision(dest, &run)? {
        Decision::Undecided => Ok(new_attempt_id()),
        found => Err(decided(&run, &found)),
    }
}

/// Asks, after each part, whether the run is decided already. A late
/// attempt deletes its own parts here and gets a `Conflict` with code `run_decided`.
pub fn fence(dest: &mut dyn Destination, plan: &Plan, chunk: u32, attempt: &str) -> Result<()> {
    crash_point("part.fence");
    let run = RunKey::of(plan)?;
    match decision(dest, &run)? {
        Decision::Undecided => Ok(()),
        found => {
            if !found.counts(attempt) {
                discard_attempt(dest, plan, chunk, attempt)?;
            }
            Err(decided(&run, &found))
        }
    }
}

/// Deletes every part this attempt made visible. Never call it after [`publish_report`]
/// failed with an error: that report may stand.
pub fn discard_attempt(dest: &mut dyn Destination, plan: &Plan, chunk: u32, attempt: &str) -> Result<()> {
    let run = RunKey::of(plan)?;
    remove_parts(dest, run.export(), &plan.destination.data_prefix, "attempt.discard", |_, part| {
        part.run_id == run.run_id() && part.chunk == chunk && part.attempt == attempt
    })?;
    Ok(())
}

/// Puts the report of a finished attempt; the first attempt of a chunk wins. A loser's parts
/// are deleted here. On an error nothing is: the report may have arrived, and calling again
/// finds out.
pub fn publish_report(dest: &mut dyn Destination, plan: &Plan, report: &Report) -> Result<Outcome> {
    let run = RunKey::of(plan)?;
    check_report(&run, plan, report)?;
    let key = run.report(report.chunk);
    let body = to_json(report)?;
    crash_point("report.put");
    let put = match dest.put_if_absent(&key, &body) {
        Err(error) if error.is_transient() && dest.get(&key)?.is_none() => dest.put_if_absent(&key, &body),
        put => put,
    };
    if let Ok(true) = put {
        return Ok(Outcome::Won);
    }
    let won = match dest.get(&key)? {
        Some(found) => parse::<Report>("report", &key, &found)?.attempt == report.attempt,
        None => match decision(dest, &run)? {
            Decision::Undecided => {
                return Err(put
                    .err()
                    .unwrap_or_else(|| Error::integrity("a report vanished").with_context("object", key)));
            }
            found => found.counts(&report.attempt),
        },
    };
    if won {
        return Ok(Outcome::Won);
    }
    discard_attempt(dest, plan, report.chunk, &report.attempt)?;
    Ok(Outcome::Lost)
}

/// The report of a chunk; None where there is none yet.
pub fn read_report(dest: &mut dyn Destination, run: &RunKey, chunk: u32) -> Result<Option<Report>> {
    let key = run.report(chunk);
    dest.get(&key)?.map(|body| parse("report", &key, &body)).transpose()
}

/// A report must be about this plan and name only its own attempt's parts.
pub(super) fn check_report(run: &RunKey, plan: &Plan, report: &Report) -> Result<()> {
    let bad = |what: &str| {
        Err(Error::integrity(format!("a report {what}"))
            .with_hint("the plan was changed after the run began; start a new run")
            .with_context("object", run.report(report.chunk)))
    };
    // An older version takes the plan's seal away as it passes it on: then the id must do.
    let seal = if report.plan_seal.is_some() { plan.seal()? } else { None };
    let of_another = match (&report.plan_seal, &seal) {
        (Some(known), Some(seal)) => known != seal,
        _ => report.plan_id != plan.id()?,
    };
    if report.run_id != plan.run_id || report.export != plan.export || of_another {
        return bad("belongs to another plan");
    }
    if !plan.chunks.iter().any(|chunk| chunk.index == report.chunk) {
        return bad("names a chunk that the plan does not have");
    }
    let taken_over = plan.repairs.as_ref().is_some_and(|repairs| !repairs.chunks.contains(&report.chunk));
    let own = |key: &str| {
        key.starts_with(&plan.destination.data_prefix)
            && parse_part(run.export(), key).is_some_and(|part| {
                let of_run = part.run_id == run.run_id() || taken_over;
                of_run && part.chunk == report.chunk && part.attempt == report.attempt
            })
    };
    if !report.parts.iter().all(|part| own(&part.key)) {
        return bad("names a part that is not its own");
    }
    if report.parts.iter().map(|part| part.rows).sum::<u64>() != report.rows {
        return bad("counts other rows than its parts");
    }
    Ok(())
}
