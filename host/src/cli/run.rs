//! `rivet run`: plan, every chunk, commit.

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
    let one = |export: &ExportConfig| run_one(&session, export, arguments, global, alone);
    let results: Vec<Result<Finished>> = if alone {
        exports.iter().take_while(|_| !stop.is_wanted()).map(|export| one(export)).collect()
    } else {
        std::thread::scope(|scope| {
            let threads: Vec<_> = exports.iter().map(|export| scope.spawn(|| one(export))).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, Result<Finished>>| {
                thread.join().unwrap_or_else(|_| Err(Error::internal("an export's thread panicked")))
            };
            threads.into_iter().map(join).collect()
        })
    };
    finish(&results, &exports, arguments)?;
    let errors: Vec<Error> = results.into_iter().flat_map(errors_of).collect();
    match stop.reason() {
        Some(reason) => Err(Failed::Stopped(reason, errors)),
        None if errors.is_empty() => Ok(()),
        None => Err(Failed::Errors(errors)),
    }
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
fn finish(results: &[Result<Finished>], exports: &[&ExportConfig], arguments: &RunArguments) -> Result<()> {
    let summaries: Vec<serde_json::Value> = results
        .iter()
        .zip(exports)
        .map(|(result, export)| match result {
            Ok(finished) => summary::to_json(finished),
            Err(error) => summary::failed(&export.name, error),
        })
        .collect();
    let document = serde_json::json!({ "exports": summaries });
    if let Some(path) = &arguments.summary_output {
        std::fs::write(path, document.to_string())
            .map_err(|error| Error::new(rivet_sdk::ErrorKind::Other, format!("{}: {error}", path.display())))?;
    }
    if arguments.json {
        let to_stdout = results.iter().flatten().any(|finished| finished.plan.destination.plugin == "stdout");
        if to_stdout {
            print::note(&document.to_string());
        } else {
            print::json(&document)?;
        }
    }
    Ok(())
}
