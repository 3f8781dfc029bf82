//! `rivet repair`: which chunks of the last run differ, and, if asked to, those chunks anew.

use std::path::Path;

use rivet_sdk::{Error, Result};
use serde_json::{Value, json};

use super::arguments::{Global, RepairArguments};
use super::exit::{Failed, Outcome};
use super::progress::Progress;
use super::{open_session, print, summary, table};
use crate::config::ExportConfig;
use crate::redact;
use crate::run::{self, Reconciliation, RepairOptions, Repaired};
use crate::session::Session;
use crate::stop::Stop;

pub fn repair(arguments: &RepairArguments, global: &Global, stop: Stop) -> Outcome {
    let session = open_session(&arguments.selection, global, stop.clone())?;
    let reports = arguments.report.as_deref().map(read).transpose()?;
    let mut errors: Vec<Error> = Vec::new();
    let mut documents = Vec::new();
    let exports = session.exports(&arguments.selection.export)?;
    // Nothing is written to standard output: such an export has no run that could be repaired.
    let progress = Progress::new(arguments.progress, global, exports.len(), false);
    for export in exports {
        match repair_export(&session, export, arguments, reports.as_deref(), global, &progress) {
            Ok(document) => documents.push(document),
            Err(error) if stop.is_wanted() => {
                errors.push(error);
                break;
            }
            Err(error) => errors.push(error.with_context("export", export.name.clone())),
        }
    }
    drop(progress);
    if arguments.json {
        print::json(&json!({ "exports": documents }))?;
    }
    match stop.reason() {
        Some(reason) => Err(Failed::Stopped(reason, errors)),
        None if errors.is_empty() => Ok(()),
        None => Err(Failed::Errors(errors)),
    }
}

fn repair_export(
    session: &Session,
    export: &ExportConfig,
    arguments: &RepairArguments,
    reports: Option<&[Reconciliation]>,
    global: &Global,
    progress: &Progress,
) -> Result<Value> {
    let report = match reports {
        None => None,
        Some(reports) => Some(reports.iter().find(|report| report.export == export.name).ok_or_else(|| {
            Error::config(format!("the report says nothing of `{}`", export.name))
                .with_hint("run `rivet reconcile --json` for it, or repair without --report")
        })?),
    };
    let options = RepairOptions {
        report,
        depth: arguments.depth.into(),
        execute: arguments.execute,
        lock_wait: arguments.lock_wait,
    };
    let mut display = progress.of(&export.name);
    let repaired = run::repair(session, export, options, &mut display);
    display.end(repaired.is_err());
    let repaired = repaired?;
    if !arguments.json {
        print::out(&to_text(&export.name, &repaired, arguments.execute))?;
    }
    if let Some(finished) = &repaired.finished
        && !global.quiet
    {
        summary::print(finished);
    }
    Ok(to_json(&export.name, &repaired))
}

/// What `reconcile --json` printed.
fn read(path: &Path) -> Result<Vec<Reconciliation>> {
    let bad = |what: String| {
        Error::config(format!("{}: {what}", path.display())).with_hint("`rivet reconcile --json > FILE` writes one")
    };
    let text = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
    let mut document: Value =
        serde_json::from_slice(&text).map_err(|error| bad(format!("not a reconciliation: {error}")))?;
    serde_json::from_value(document["exports"].take()).map_err(|error| bad(format!("not a reconciliation: {error}")))
}

fn to_json(export: &str, repaired: &Repaired) -> Value {
    json!({
        "export": export, "run_id": repaired.run_id, "chunks": repaired.chunks, "differing": repaired.differing,
        "repair": repaired.finished.as_ref().map(summary::to_json),
    })
}

fn to_text(export: &str, repaired: &Repaired, execute: bool) -> String {
    let Repaired { run_id, chunks, differing, .. } = repaired;
    if differing.is_empty() {
        return format!("{export} run {run_id}: nothing differs; {chunks} chunks were looked at\n");
    }
    let rows: Vec<[String; 4]> = differing
        .iter()
        .map(|chunk| {
            let source = table::or_dash(chunk.source.map(|rows| rows.to_string()).unwrap_or_default());
            let parts = if chunk.parts.is_empty() { String::new() } else { format!("{} changed", chunk.parts.len()) };
            [chunk.chunk.to_string(), chunk.manifest.to_string(), source, parts]
        })
        .collect();
    let parts: String =
        differing.iter().flat_map(|chunk| &chunk.parts).map(|part| format!("  {}\n", redact::clean(part))).collect();
    let what = if execute { "were read again" } else { "would be read again; --execute does it" };
    format!(
        "{export} run {run_id}: {} of {chunks} chunks differ and {what}\n{}{parts}",
        differing.len(),
        table::render("  ", ["chunk", "manifest", "source", "parts"], &rows)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Differing;

    #[test]
    fn a_dry_run_says_which_chunks_and_why() {
        let differing = vec![
            Differing { chunk: 3, manifest: 100, source: Some(98), parts: Vec::new() },
            Differing { chunk: 7, manifest: 5, source: None, parts: vec!["a: expected 1 bytes, found no file".into()] },
        ];
        let repaired = Repaired { run_id: "01A".into(), chunks: 9, differing, finished: None };
        let expected = "\
orders run 01A: 2 of 9 chunks differ and would be read again; --execute does it
  CHUNK  MANIFEST  SOURCE  PARTS
  3      100       98
  7      5         -       1 changed
  a: expected 1 bytes, found no file
";
        assert_eq!(to_text("orders", &repaired, false), expected);
    }
}
