//! `rivet run`: plan, every chunk, commit.

use rivet_sdk::{Error, Result};

use super::arguments::{Global, RunArguments};
use super::exit::{Failed, Outcome};
use super::notify::notify;
use super::progress::Display;
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
    let alone = limits.exports == 1 || exports.len() == 1;
    let results = run_queue(&waiting, limits, &stop, |export, permit| {
        run_one(&session, export, arguments, global, alone, permit)
    });
    let begun = exports.iter().zip(results);
    let results: Vec<(String, Result<Finished>)> =
        begun.filter_map(|(export, result)| Some((export.name.clone(), result?))).collect();
    let left_out = session.left_out(&exports);
    if !global.quiet {
        summary::left_out(&left_out).iter().for_each(|line| print::note(line));
    }
    finish(&results, &left_out, arguments)?;
    let errors: Vec<Error> = results.into_iter().flat_map(|(_, result)| errors_of(result)).collect();
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
    global: &Global,
    alone: bool,
    permit: ConnectionPermit,
) -> Result<Finished> {
    let mut display = Display::new(arguments.progress, global, alone);
    let options = RunOptions {
        resume: arguments.resume,
        lock_wait: arguments.lock_wait,
        validate: arguments.validate,
        reconcile: arguments.reconcile,
    };
    let result = run_export(session, export, options, permit, &mut display);
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
fn finish(results: &[(String, Result<Finished>)], left_out: &[LeftOut], arguments: &RunArguments) -> Result<()> {
    let summaries: Vec<serde_json::Value> = results
        .iter()
        .map(|(export, result)| match result {
            Ok(finished) => summary::to_json(finished),
            Err(error) => summary::failed(export, error),
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
        let finished = results.iter().filter_map(|(_, result)| result.as_ref().ok());
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
