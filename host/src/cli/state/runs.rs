//! `rivet state files` and `chunks`: an export's newest run, as the destination knows it.

use std::collections::BTreeMap;

use rivet_sdk::{Destination, Error, Result};
use serde_json::{Value, json};

use super::super::arguments::{Global, StateRunArguments};
use super::super::exit::{Failed, Outcome};
use super::super::print::{self, bytes, thousands};
use super::super::{open_session, table};
use crate::commit::{self, Decision, RunKey};
use crate::plan::{Manifest, ManifestPart, Plan};
use crate::stop::Stop;

pub fn files(arguments: &StateRunArguments, global: &Global, stop: Stop) -> Outcome {
    show(arguments, global, stop, files_json, files_text)
}

pub fn chunks(arguments: &StateRunArguments, global: &Global, stop: Stop) -> Outcome {
    show(arguments, global, stop, chunks_json, chunks_text)
}

/// Finds and shows the run of each export; one that fails does not stop the others.
fn show(
    arguments: &StateRunArguments,
    global: &Global,
    stop: Stop,
    to_json: fn(&Found) -> Value,
    to_text: fn(&Found) -> String,
) -> Outcome {
    let session = open_session(&arguments.selection, global, stop)?;
    let mut errors: Vec<Error> = Vec::new();
    let mut documents = Vec::new();
    for export in session.exports(&arguments.selection.export)? {
        let look = || {
            let (_, mut destination) = session.open_destination(export)?;
            Found::look(&mut *destination, &export.name, arguments.run_id.as_deref())
        };
        match look() {
            Ok(Some(found)) if arguments.json => documents.push(to_json(&found)),
            Ok(Some(found)) => print::out(&format!(
                "{} run {}: {}\n{}",
                export.name,
                found.run.run_id(),
                found.state,
                to_text(&found)
            ))?,
            Ok(None) => print::note(&format!("{}: has no run at its destination", export.name)),
            Err(error) => errors.push(error.with_context("export", export.name.clone())),
        }
    }
    if arguments.json {
        print::json(&json!({ "exports": documents }))?;
    }
    if errors.is_empty() { Ok(()) } else { Err(Failed::Errors(errors)) }
}

/// A run at the destination.
struct Found {
    run: RunKey,
    state: &'static str,
    /// None where the run was given up: its plan is gone with its parts.
    plan: Option<Plan>,
    /// By the chunk.
    done: BTreeMap<u32, Done>,
    parts: Vec<ManifestPart>,
}

/// What a chunk's report says.
struct Done {
    attempt: String,
    rows: u64,
    bytes: u64,
    files: usize,
}

impl Found {
    /// The run whose id begins with `text`; or the newest that was not given up.
    fn look(destination: &mut dyn Destination, export: &str, text: Option<&str>) -> Result<Option<Self>> {
        if text.is_some() {
            let run = commit::find_run(destination, export, text)?;
            return Self::read(destination, run).map(Some);
        }
        for run in commit::list_runs(destination, export)?.into_iter().rev() {
            if !run.is_tombstone() && (run.has_plan || run.has_decision) {
                return Self::read(destination, run.key).map(Some);
            }
        }
        Ok(None)
    }

    fn read(destination: &mut dyn Destination, run: RunKey) -> Result<Self> {
        let decision = commit::decision(destination, &run)?;
        let state = decision.word();
        let (plan, (done, parts)) = match decision {
            Decision::Committed { manifest, .. } => (Some(commit::read_plan(destination, &run)?), committed(*manifest)),
            Decision::Undecided => {
                let plan = commit::read_plan(destination, &run)?;
                let reported = reported(destination, &run, &plan)?;
                (Some(plan), reported)
            }
            Decision::Abandoned(_) | Decision::Replaced(_) => (None, Counted::default()),
        };
        Ok(Self { run, state, plan, done, parts })
    }
}

type Counted = (BTreeMap<u32, Done>, Vec<ManifestPart>);

fn committed(manifest: Manifest) -> Counted {
    let none = |attempt| Done { attempt, rows: 0, bytes: 0, files: 0 };
    let mut done: BTreeMap<u32, Done> = (0..).zip(manifest.attempts.into_iter().map(none)).collect();
    for part in &manifest.parts {
        if let Some(done) = done.get_mut(&part.chunk) {
            done.rows += part.part.rows;
            done.bytes += part.part.size_bytes;
            done.files += 1;
        }
    }
    (done, manifest.parts)
}

fn reported(destination: &mut dyn Destination, run: &RunKey, plan: &Plan) -> Result<Counted> {
    let (mut done, mut parts) = Counted::default();
    for chunk in commit::resume_point(destination, plan)? {
        let Some(report) = commit::read_report(destination, run, chunk)? else { continue };
        let bytes = report.parts.iter().map(|part| part.size_bytes).sum();
        let attempt = report.attempt.clone();
        done.insert(chunk, Done { attempt, rows: report.rows, bytes, files: report.parts.len() });
        let part = |part| ManifestPart { chunk, attempt: report.attempt.clone(), part };
        parts.extend(report.parts.iter().cloned().map(part));
    }
    Ok((done, parts))
}

fn files_json(found: &Found) -> Value {
    json!({
        "export": found.run.export(), "run_id": found.run.run_id(), "state": found.state, "files": found.parts,
    })
}

fn files_text(found: &Found) -> String {
    let rows: Vec<[String; 4]> = found
        .parts
        .iter()
        .map(|part| {
            [part.chunk.to_string(), thousands(part.part.rows), bytes(part.part.size_bytes), part.part.key.clone()]
        })
        .collect();
    table::render("  ", ["chunk", "rows", "size", "file"], &rows)
}

fn chunks_json(found: &Found) -> Value {
    let planned = found.plan.as_ref().map_or(&[][..], |plan| &plan.chunks);
    let chunks: Vec<Value> = planned
        .iter()
        .map(|chunk| {
            let done = found.done.get(&chunk.index);
            json!({
                "chunk": chunk.index, "condition": chunk.condition, "estimated_rows": chunk.estimated_rows,
                "done": done.is_some(), "attempt": done.map(|done| &done.attempt), "rows": done.map(|done| done.rows),
                "bytes": done.map(|done| done.bytes), "files": done.map(|done| done.files),
            })
        })
        .collect();
    json!({ "export": found.run.export(), "run_id": found.run.run_id(), "state": found.state, "chunks": chunks })
}

fn chunks_text(found: &Found) -> String {
    let planned = found.plan.as_ref().map_or(&[][..], |plan| &plan.chunks);
    let rows: Vec<[String; 6]> = planned
        .iter()
        .map(|chunk| {
            let done = found.done.get(&chunk.index);
            let cell = |text: Option<String>| table::or_dash(text.unwrap_or_default());
            [
                chunk.index.to_string(),
                if done.is_some() { "done" } else { "missing" }.to_owned(),
                cell(
                    done.map(|done| thousands(done.rows))
                        .or(chunk.estimated_rows.map(|rows| format!("~{}", thousands(rows)))),
                ),
                cell(done.map(|done| bytes(done.bytes))),
                cell(done.map(|done| done.files.to_string())),
                cell(done.map(|done| done.attempt.clone())),
            ]
        })
        .collect();
    table::render("  ", ["chunk", "state", "rows", "size", "files", "attempt"], &rows)
}
