//! `rivet reconcile`: what the source counts against what the last run's manifest holds.

use rivet_sdk::{Error, Result};
use serde_json::{Value, json};

use super::arguments::{Global, ReconcileArguments};
use super::exit::{Failed, Outcome};
use super::{open_session, print, table};
use crate::redact;
use crate::run::{self, Compared, CountedAt, Reconciliation};
use crate::stop::Stop;

pub fn reconcile(arguments: &ReconcileArguments, global: &Global, stop: Stop) -> Outcome {
    let session = open_session(&arguments.selection, global, stop.clone())?;
    let mut errors: Vec<Error> = Vec::new();
    let mut documents = Vec::new();
    for export in session.exports(&arguments.selection.export)? {
        let reconciliation = match run::reconcile(&session, export) {
            Ok(found) => found,
            Err(error) if stop.is_wanted() => {
                errors.push(error);
                break;
            }
            Err(error) => {
                errors.push(error.with_context("export", export.name.clone()));
                continue;
            }
        };
        if !arguments.json {
            print::out(&to_text(&reconciliation))?;
        }
        documents.push(to_json(&reconciliation)?);
        errors.extend(reconciliation.result().err());
    }
    if arguments.json {
        print::json(&json!({ "exports": documents }))?;
    }
    match stop.reason() {
        Some(reason) => Err(Failed::Stopped(reason, errors)),
        None if errors.is_empty() => Ok(()),
        None => Err(Failed::Errors(errors)),
    }
}

/// As JSON: for tools, and in a run's summary.
pub fn to_json(reconciliation: &Reconciliation) -> Result<Value> {
    let mut document = serde_json::to_value(reconciliation)
        .map_err(|error| Error::internal(format!("a reconciliation to JSON: {error}")))?;
    document["agrees"] = reconciliation.agrees().into();
    Ok(document)
}

/// Where the source was counted, in words.
pub fn read_point(reconciliation: &Reconciliation) -> String {
    let point = redact::clean(&reconciliation.read_point).into_owned();
    match reconciliation.counted_at {
        CountedAt::Run => format!("at the run's own read point, {point}"),
        CountedAt::Later => format!("at one later read point, {point}"),
        CountedAt::LaterPerChunk => format!("later, each chunk by itself, {point}"),
    }
}

fn to_text(reconciliation: &Reconciliation) -> String {
    let line = |name: String, manifest: u64, source: u64| {
        let difference = i128::from(source) - i128::from(manifest);
        let difference = if difference == 0 { String::new() } else { format!("{difference:+}") };
        [name, manifest.to_string(), source.to_string(), difference]
    };
    let chunks = reconciliation.chunks.iter();
    let mut rows: Vec<[String; 4]> =
        chunks.map(|chunk| line(chunk.chunk.to_string(), chunk.manifest, chunk.source)).collect();
    rows.push(line("total".to_owned(), reconciliation.manifest_rows, reconciliation.source_rows));
    if let Some(whole) = reconciliation.whole_rows.filter(|whole| *whole != reconciliation.source_rows) {
        rows.push(line("whole".to_owned(), reconciliation.manifest_rows, whole));
    }
    let moves = match reconciliation.compared {
        Compared::Chunks => "",
        Compared::Total => "  rows move between physical ranges: only the total must agree\n",
    };
    format!(
        "{} run {}: counted {}\n{moves}{}",
        reconciliation.export,
        reconciliation.run_id,
        read_point(reconciliation),
        table::render("  ", ["chunk", "manifest", "source", "difference"], &rows)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::ChunkRows;

    #[test]
    fn differences_carry_their_sign() {
        let chunks = vec![
            ChunkRows { chunk: 0, manifest: 100, source: 98 },
            ChunkRows { chunk: 1, manifest: 5, source: 5 },
            ChunkRows { chunk: 2, manifest: 0, source: 3 },
        ];
        let reconciliation = Reconciliation {
            reconciliation_version: 1,
            export: "orders".into(),
            run_id: "01A".into(),
            counted_at: CountedAt::Later,
            read_point: "LSN 0/1".into(),
            manifest_rows: 105,
            source_rows: 106,
            whole_rows: Some(107),
            compared: Compared::Chunks,
            chunks,
        };
        let expected = "\
orders run 01A: counted at one later read point, LSN 0/1
  CHUNK  MANIFEST  SOURCE  DIFFERENCE
  0      100       98      -2
  1      5         5
  2      0         3       +3
  total  105       106     +1
  whole  105       107     +2
";
        assert_eq!(to_text(&reconciliation), expected);
    }
}
