//! `rivet run`: plan, every chunk, commit.

use std::time::{Duration, Instant};

use rivet_sdk::{Error, Result};

use super::arguments::{Global, RunArguments};
use super::exit::{Failed, Outcome};
use super::notify::notify;
use super::outcomes::{Ended, Outcomes};
use super::progress::Progress;
use super::{open_session, print, summary};
use crate::config::{Config, ExportConfig, LeftOut, exports_by_cores};
use crate::destination::DestinationKind;
use crate::run::{Finished, Limits, RunOptions, Waiting, run_export, run_queue};
use crate::session::Session;
use crate::source::ConnectionPermit;
use crate::stop::Stop;

pub fn run(arguments: &RunArguments, global: &Global, stop: Stop) -> Outcome {
    let session = open_session(&arguments.selection, global, stop.clone())?;
    let exports = session.exports(&arguments.selection.export)?;
    let limits =
        Limits { exports: at_once(arguments, &session.config), connections: session.config.source.max_connections };
    let waiting: Vec<Waiting<'_, &ExportConfig>> =
        exports.iter().map(|export| waiting(export, limits.connections, arguments)).collect::<Result<_>>()?;
    let to_stdout = exports.iter().any(|export| export.destination.kind == DestinationKind::Stdout);
    let outcomes = Outcomes::new(global, exports.len());
    let progress = Progress::new(arguments.progress, global, exports.len(), to_stdout);
    let results = run_queue(&waiting, limits, &stop, |export, permit| {
        Ok(run_one(&session, export, arguments, &progress, &outcomes, permit))
    });
    drop(progress);
    let begun = exports.iter().zip(results);
    let ended: Vec<Ended> = begun
        .filter_map(|(export, result)| {
            let panicked = |error| Ended { export: export.name.clone(), result: Err(error), elapsed: Duration::ZERO };
            Some(result?.unwrap_or_else(panicked))
        })
        .collect();
    outcomes.conclude(&ended);
    let left_out = session.left_out(&exports);
    if !global.quiet {
        summary::left_out(&left_out).iter().for_each(|line| print::note(line));
    }
    finish(&ended, &left_out, arguments)?;
    let errors: Vec<Error> = ended.into_iter().flat_map(|one| errors_of(one.result)).collect();
    match stop.reason() {
        Some(reason) => Err(Failed::Stopped(reason, errors)),
        None if errors.is_empty() => Ok(()),
        None => Err(Failed::Errors(errors)),
    }
}

/// How many exports at once: the command line's word counts before the configuration's.
fn at_once(arguments: &RunArguments, config: &Config) -> usize {
    match arguments.parallel_exports {
        Some(exports) => exports,
        None if arguments.parallel_export_processes => exports_by_cores(),
        None => config.exports_at_once,
    }
}

/// An export, and what it needs; an error where it needs more than there is.
fn waiting<'a>(
    export: &'a ExportConfig,
    limit: Option<u32>,
    arguments: &RunArguments,
) -> Result<Waiting<'a, &'a ExportConfig>> {
    if let Some((message, hint)) = export.too_many_connections(limit, arguments.reconcile) {
        return Err(Error::config(message).with_hint(hint).with_context("export", export.name.clone()));
    }
    let connections = export.connections(arguments.reconcile);
    Ok(Waiting { item: export, group: export.source_group.as_deref(), connections })
}

fn run_one(
    session: &Session,
    export: &ExportConfig,
    arguments: &RunArguments,
    progress: &Progress,
    outcomes: &Outcomes<'_>,
    permit: ConnectionPermit,
) -> Ended {
    let begun = Instant::now();
    let mut display = progress.of(&export.name);
    let options = RunOptions {
        resume: arguments.resume,
        lock_wait: arguments.lock_wait,
        validate: arguments.validate,
        reconcile: arguments.reconcile,
    };
    let result = run_export(session, export, options, permit, &mut display);
    let ended = Ended { export: export.name.clone(), result, elapsed: begun.elapsed() };
    display.end(ended.has_failed());
    outcomes.tell(&ended);
    notify(session, export, &ended.result);
    ended
}

/// What went wrong: the run, or what was looked at after its commit.
fn errors_of(result: Result<Finished>) -> Vec<Error> {
    match result {
        Ok(finished) => finished.checks.errors,
        Err(error) => vec![error],
    }
}

/// Summaries as JSON. Where an export itself goes to stdout, its summary does not.
fn finish(ended: &[Ended], left_out: &[LeftOut], arguments: &RunArguments) -> Result<()> {
    let summaries: Vec<serde_json::Value> = ended
        .iter()
        .map(|one| match &one.result {
            Ok(finished) => summary::to_json(finished),
            Err(error) => summary::failed(&one.export, error),
        })
        .collect();
    let mut document = serde_json::json!({ "exports": summaries });
    if !left_out.is_empty() {
        document["left_out"] = summary::left_out_json(left_out).into();
    }
    if let Some(path) = &arguments.summary_output {
        std::fs::write(path, document.to_string())
            .map_err(|error| Error::new(rivet_sdk::ErrorKind::Other, format!("{}: {error}", path.display())))?;
    }
    if arguments.json {
        let finished = ended.iter().filter_map(|one| one.result.as_ref().ok());
        let to_stdout =
            finished.into_iter().any(|finished| finished.plan.destination.kind() == DestinationKind::Stdout);
        if to_stdout {
            print::note(&document.to_string());
        } else {
            print::json(&document)?;
        }
    }
    Ok(())
}
