//! `rivet check`: how each export would be read, and what could be better. Nothing is written.

mod advice;
mod names;
mod types;
mod warehouse;

use rivet_sdk::{Error, Key, Result};
use serde_json::{Value, json};

use super::arguments::{CheckArguments, Global};
use super::exit::{Failed, Outcome, code_of};
use super::print::{bytes, thousands};
use super::{open_session, print, summary};
use crate::config::ExportConfig;
use crate::plan::{IncrementalSpec, Plan};
use crate::planner::Planned;
use crate::run::draft_export;
use crate::stop::Stop;

pub fn check(arguments: &CheckArguments, global: &Global, stop: Stop) -> Outcome {
    let session = open_session(&arguments.selection, global, stop)?;
    let mut errors: Vec<Error> = Vec::new();
    let mut documents = Vec::new();
    let exports = session.exports(&arguments.selection.export)?;
    for export in &exports {
        match draft_export(&session, export) {
            Ok(planned) => {
                let checked = Checked::new(export, &planned, arguments)?;
                if !arguments.json {
                    print::out(&checked.to_text()?)?;
                }
                documents.push(checked.to_json()?);
                errors.extend(checked.refusal(arguments));
            }
            Err(error) => {
                if !arguments.json {
                    print::line(&format!("{}: fails", export.name))?;
                }
                documents.push(json!({
                    "export": export.name, "verdict": "fails", "error": error.to_string(),
                    "kind": error.kind().to_string(), "hint": error.hint(), "exit": code_of(&error),
                }));
                errors.push(error);
            }
        }
        if session.stop.is_wanted() {
            break;
        }
    }
    let left_out = &session.left_out(&exports);
    if arguments.json {
        let mut document = json!({ "exports": documents });
        if !left_out.is_empty() {
            document["left_out"] = summary::left_out_json(left_out).into();
        }
        print::json(&document)?;
    } else {
        for line in summary::left_out(left_out) {
            print::line(&line)?;
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Failed::Errors(errors)) }
}

/// One export, planned and judged.
struct Checked<'a> {
    export: &'a ExportConfig,
    planned: &'a Planned,
    advice: Vec<String>,
    types: Option<Vec<types::ColumnTypes>>,
}

impl<'a> Checked<'a> {
    fn new(export: &'a ExportConfig, planned: &'a Planned, arguments: &CheckArguments) -> Result<Self> {
        let types = if arguments.types {
            let target = arguments.target.or_else(|| warehouse::named(export.target.as_deref()?));
            Some(types::report(&planned.plan, target)?)
        } else {
            None
        };
        Ok(Self { export, planned, advice: advice::advice(export, planned), types })
    }

    fn verdict(&self) -> &'static str {
        if self.advice.is_empty() { "ready" } else { "ready, with advice" }
    }

    /// What makes the command fail although the plan could be made.
    fn refusal(&self, arguments: &CheckArguments) -> Option<Error> {
        let named = |error: Error| error.with_context("export", self.export.name.clone());
        self.types.as_deref().filter(|_| arguments.strict).and_then(types::strict).map(named)
    }

    fn to_text(&self) -> Result<String> {
        let plan = &self.planned.plan;
        let description = &self.planned.description;
        let mut out = format!("{}: {}\n", plan.export, self.verdict());
        let mut row = |name: &str, text: String| out.push_str(&format!("  {name:<12} {text}\n"));
        row("reads", format!("{} ({}) of {}", plan.relation, description.kind, plan.source.product));
        row("size", size(description.rows, description.bytes));
        row("key", key(&description.keys));
        row("strategy", format!("{}: {}", plan.strategy.kind.word(), plan.strategy.reason));
        row("chunks", chunks(plan));
        row("workers", plan.execution.parallel.to_string());
        row("consistency", self.planned.consistency_text());
        if let Some(incremental) = &plan.incremental {
            row("ties", incremental.ties_text());
        }
        for text in &self.advice {
            row("advice", text.clone());
        }
        if let Some(types) = &self.types {
            out.push_str(&types::to_text(types));
        }
        Ok(out)
    }

    fn to_json(&self) -> Result<Value> {
        let plan = &self.planned.plan;
        let description = &self.planned.description;
        Ok(json!({
            "export": plan.export,
            "verdict": self.verdict(),
            "relation": plan.relation.to_string(),
            "kind": description.kind,
            "source": plan.source.product,
            "rows": description.rows,
            "bytes": description.bytes,
            "keys": description.keys,
            "strategy": plan.strategy,
            "chunks": plan.chunks.len(),
            "rows_per_chunk": rows_per_chunk(plan),
            "parallel": plan.execution.parallel,
            "consistency": self.planned.consistency_text(),
            "ties": plan.incremental.as_ref().map(IncrementalSpec::ties_text),
            "advice": self.advice,
            "columns": self.types.as_ref().map(|types| types::to_json(types)),
        }))
    }
}

fn size(rows: Option<u64>, size_bytes: Option<u64>) -> String {
    match (rows, size_bytes) {
        (Some(rows), Some(size)) => format!("about {} rows, {}", thousands(rows), bytes(size)),
        (Some(rows), None) => format!("about {} rows", thousands(rows)),
        (None, Some(size)) => format!("about {}, rows unknown", bytes(size)),
        (None, None) => "unknown".to_owned(),
    }
}

fn key(keys: &[Key]) -> String {
    let best = keys.iter().min_by_key(|key| (!key.primary, !key.unique));
    best.map_or_else(
        || "none".to_owned(),
        |key| {
            let columns: Vec<&str> = key.columns.iter().map(|column| column.name.as_str()).collect();
            let what = match (key.primary, key.unique) {
                (true, _) => "primary key",
                (false, true) => "unique",
                (false, false) => "index, not unique",
            };
            format!("{} ({what} {})", columns.join(", "), key.name)
        },
    )
}

fn chunks(plan: &Plan) -> String {
    let count = plan.chunks.len();
    match rows_per_chunk(plan) {
        Some(rows) if count > 1 => format!("{count}, about {} rows each", thousands(rows)),
        _ => count.to_string(),
    }
}

fn rows_per_chunk(plan: &Plan) -> Option<u64> {
    let rows: u64 = plan.chunks.iter().map(|chunk| chunk.estimated_rows).sum::<Option<u64>>()?;
    Some(rows.div_ceil(plan.chunks.len().max(1) as u64))
}
