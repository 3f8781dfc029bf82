//! `rivet run`: plan, every chunk, commit.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rivet_sdk::{Error, Result};

use super::arguments::{Global, RunArguments};
use super::exit::{Failed, Outcome};
use super::notify::notify;
use super::progress::Display;
use super::{open_session, print, summary};
use crate::config::ExportConfig;
use crate::run::{Finished, RunOptions, Stop, run_export};
use crate::session::Session;

pub fn run(arguments: &RunArguments, global: &Global, stop: Stop) -> Outcome {
    let session = open_session(&arguments.selection, global, stop.clone())?;
    let exports = session.exports(&arguments.selection.export)?;
    let together = arguments.parallel_exports
        || arguments.parallel_export_processes
        || session.config.parallel_exports
        || session.config.parallel_export_processes;
    let alone = !together || exports.len() == 1;
    let one = |export: &ExportConfig| {
        let run = || run_one(&session, export, arguments, global, alone);
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(Error::internal("an export's thread panicked")))
    };
    // A queue's exports run one after the other, the queues beside each other.
    let queues = if alone { vec![exports.clone()] } else { by_group(&exports) };
    let run_queue = |queue: &[&ExportConfig]| -> Vec<(String, Result<Finished>)> {
        let wanted = queue.iter().take_while(|_| !stop.is_wanted());
        wanted.map(|export| (export.name.clone(), one(export))).collect()
    };
    let mut results: Vec<(String, Result<Finished>)> = match queues.as_slice() {
        [queue] => run_queue(queue),
        queues => std::thread::scope(|scope| {
            let threads: Vec<_> = queues.iter().map(|queue| scope.spawn(|| run_queue(queue))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
        }),
    };
    results.sort_by_key(|(name, _)| exports.iter().position(|export| export.name == *name));
    finish(&results, arguments)?;
    let errors: Vec<Error> = results.into_iter().flat_map(|(_, result)| errors_of(result)).collect();
    match stop.reason() {
        Some(reason) => Err(Failed::Stopped(reason, errors)),
        None if errors.is_empty() => Ok(()),
        None => Err(Failed::Errors(errors)),
    }
}

/// One queue for the exports of each `source_group`, and one for each export without.
fn by_group<'a>(exports: &[&'a ExportConfig]) -> Vec<Vec<&'a ExportConfig>> {
    let mut queues: Vec<Vec<&ExportConfig>> = Vec::new();
    for export in exports {
        let same = |queue: &&mut Vec<&ExportConfig>| {
            export.source_group.is_some() && queue.iter().all(|other| other.source_group == export.source_group)
        };
        match queues.iter_mut().find(same) {
            Some(queue) => queue.push(export),
            None => queues.push(vec![export]),
        }
    }
    queues
}

fn run_one(
    session: &Session,
    export: &ExportConfig,
    arguments: &RunArguments,
    global: &Global,
    alone: bool,
) -> Result<Finished> {
    let mut display = Display::new(arguments.progress, global, alone);
    let options = RunOptions {
        resume: arguments.resume,
        lock_wait: arguments.lock_wait,
        validate: arguments.validate,
        reconcile: arguments.reconcile,
    };
    let result = run_export(session, export, options, &mut display);
    drop(display);
    if let Ok(finished) = &result
        && !global.quiet
    {
        summary::print(finished);
    }
    notify(session, export, &result);
    result
}

/// What went wrong: the run, or what was looked at after its commit.
fn errors_of(result: Result<Finished>) -> Vec<Error> {
    match result {
        Ok(finished) => finished.checks.errors,
        Err(error) => vec![error],
    }
}

/// Summaries as JSON. Where an export itself goes to stdout, its summary does not.
fn finish(results: &[(String, Result<Finished>)], arguments: &RunArguments) -> Result<()> {
    let summaries: Vec<serde_json::Value> = results
        .iter()
        .map(|(export, result)| match result {
            Ok(finished) => summary::to_json(finished),
            Err(error) => summary::failed(export, error),
        })
        .collect();
    let document = serde_json::json!({ "exports": summaries });
    if let Some(path) = &arguments.summary_output {
        std::fs::write(path, document.to_string())
            .map_err(|error| Error::new(rivet_sdk::ErrorKind::Other, format!("{}: {error}", path.display())))?;
    }
    if arguments.json {
        let finished = results.iter().filter_map(|(_, result)| result.as_ref().ok());
        let to_stdout = finished.into_iter().any(|finished| finished.plan.destination.plugin == "stdout");
        if to_stdout {
            print::note(&document.to_string());
        } else {
            print::json(&document)?;
        }
    }
    Ok(())
}
