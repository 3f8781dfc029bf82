//! What a run ends with: one summary an export, for people and as JSON.

use rivet_sdk::Error;
use serde_json::{Value, json};

use super::exit::code_of;
use super::print::{self, bytes, duration, thousands};
use super::reconcile;
use crate::commit::Validation;
use crate::config::LeftOut;
use crate::files::explained;
use crate::peak;
use crate::plan::{Consistency, Manifest};
use crate::redact;
use crate::run::Finished;

/// The summary as JSON.
pub fn to_json(finished: &Finished) -> Value {
    let manifest = finished.manifest.as_ref();
    let mut summary = json!({
        "export": finished.plan.export,
        "run_id": finished.plan.run_id,
        "status": status(finished),
        "rows": finished.rows,
        "parts": manifest.map(|manifest| manifest.parts.len()),
        "bytes": manifest.map(|manifest| manifest.bytes),
        "seconds": finished.elapsed.as_secs_f64(),
        "peak_memory_bytes": peak::resident_bytes(),
        "longest_statement_ms": manifest.map(|manifest| manifest.longest_statement_ms),
        "retries": finished.retries,
        "workers": { "most": finished.plan.execution.parallel, "lowest": finished.lowest_workers },
        "chunks": finished.plan.chunks.len(),
        "strategy": finished.plan.strategy,
        "repairs": finished.plan.repairs,
        "consistency": manifest.map(|manifest| manifest.consistency),
        "read_points": manifest.map(|manifest| &manifest.read_points),
        "columns": manifest.map(|manifest| &manifest.columns),
        "warnings": warnings(finished),
        "location": finished.location,
        "data_prefix": finished.plan.destination.data_prefix,
    });
    if let Some(validation) = &finished.checks.validation {
        summary["validation"] = validation_json(validation);
    }
    if let Some(Ok(reconciliation)) = finished.checks.reconciliation.as_ref().map(reconcile::to_json) {
        summary["reconciliation"] = reconciliation;
    }
    if let Some(error) = finished.checks.errors.first() {
        add_error(&mut summary, error);
    }
    summary
}

/// How it ended, in a word.
pub fn status(finished: &Finished) -> &'static str {
    match (finished.checks.errors.is_empty(), finished.already_committed) {
        (false, _) => "committed, failed its checks",
        (true, true) => "already committed",
        (true, false) => "succeeded",
    }
}

/// The summary of an export that failed, as JSON.
pub fn failed(export: &str, error: &Error) -> Value {
    let mut summary = json!({ "export": export, "status": "failed" });
    add_error(&mut summary, error);
    summary
}

fn add_error(summary: &mut Value, error: &Error) {
    let error = explained(redact::clean_error(error.clone()));
    summary["error"] = redact::clean(&error.to_string()).into();
    summary["kind"] = error.kind().to_string().into();
    summary["code"] = error.code().into();
    summary["hint"] = error.hint().into();
    summary["exit"] = code_of(&error).into();
}

/// What `validate` saw, as JSON.
pub fn validation_json(validation: &Validation) -> Value {
    let problems: Vec<Value> = validation
        .problems
        .iter()
        .map(|problem| json!({ "part": problem.key, "expected": problem.expected, "found": problem.found }))
        .collect();
    json!({ "parts": validation.parts, "read": validation.read, "problems": problems, "strays": validation.strays })
}

/// The summary for people.
pub fn print(finished: &Finished) {
    let plan = &finished.plan;
    if finished.already_committed {
        print::note(&format!("{}: run {} was committed before; nothing to do", plan.export, plan.run_id));
        return;
    }
    let Some(manifest) = &finished.manifest else {
        print::note(&format!("{}: {} rows in {}", plan.export, thousands(finished.rows), duration(finished.elapsed)));
        return;
    };
    print::note(&format!("{}: done", plan.export));
    let row = |name: &str, text: String| print::note(&format!("  {name:<12} {text}"));
    row("rows", thousands(finished.rows));
    row("parts", format!("{} ({})", manifest.parts.len(), bytes(manifest.bytes)));
    row("where", format!("{}/{}", finished.location.trim_end_matches('/'), plan.destination.data_prefix));
    row("time", duration(finished.elapsed));
    if let Some(peak) = peak::resident_bytes() {
        row("peak memory", bytes(peak));
    }
    row("statements", format!("longest {:.1} s, {} retries", seconds(manifest.longest_statement_ms), finished.retries));
    row("chunks", format!("{} by {} ({})", plan.chunks.len(), plan.strategy.kind.word(), plan.strategy.reason));
    if let Some(repairs) = &plan.repairs {
        row("repairs", format!("run {}: {} chunks were read again", repairs.run_id, repairs.chunks.len()));
    }
    if let Some(lowest) = finished.lowest_workers {
        let most = plan.execution.parallel;
        row("workers", format!("{most}, by the source's pressure no fewer than {lowest}"));
    }
    row("consistency", consistency(manifest).to_owned());
    row("run", plan.run_id.clone());
    if let Some(validation) = &finished.checks.validation {
        let wrong = validation.problems.len();
        let found = validation.parts.saturating_sub(wrong);
        let wrong = if wrong == 0 { String::new() } else { format!(", {wrong} not") };
        row("validated", format!("{found} parts as the manifest says{wrong}; {} read back", validation.read));
    }
    if let Some(counts) = &finished.checks.reconciliation {
        let source = thousands(counts.source_rows);
        let wrong = if counts.agrees() { "as in the manifest" } else { "not as in the manifest" };
        row("reconciled", format!("{source} rows at the source, {wrong}; {}", reconcile::read_point(counts)));
    }
    for warning in all_warnings(finished) {
        row("warning", warning);
    }
}

/// For people: at how many points of time the rows were read.
pub fn consistency(manifest: &Manifest) -> &'static str {
    match manifest.consistency {
        Consistency::Snapshot => "one snapshot",
        Consistency::PerChunk => "each chunk consistent in itself",
        Consistency::None => "none: rows that moved while they were read may be missing or there twice",
    }
}

/// For people: what values lost on the way, and [`warnings`].
pub fn all_warnings(finished: &Finished) -> Vec<String> {
    let columns = finished.manifest.iter().flat_map(|manifest| &manifest.columns);
    let lost = columns.flat_map(|(column, counts)| {
        let unrepresentable = (counts.unrepresentable > 0).then(|| {
            format!("`{column}`: {} values became NULL (on_unrepresentable: null)", thousands(counts.unrepresentable))
        });
        let rounded = (counts.rounded > 0).then(|| {
            format!("`{column}`: {} values lost digits below the type's resolution", thousands(counts.rounded))
        });
        unrepresentable.into_iter().chain(rounded)
    });
    lost.chain(warnings(finished)).collect()
}

/// Tables named in one line of [`left_out`].
const SHOWN: usize = 5;

/// Which tables `tables` matches and no export reads, for people: their rows are those of another one.
pub fn left_out(tables: &[LeftOut]) -> Vec<String> {
    let mut tables: Vec<&LeftOut> = tables.iter().collect();
    tables.sort_by_key(|part| (&part.within, &part.table));
    let of_one = tables.chunk_by(|one, other| one.within == other.within);
    let line = |parts: &[&LeftOut]| {
        let first = parts.first()?;
        let mut names: Vec<String> = parts.iter().take(SHOWN).map(|part| part.table.to_string()).collect();
        if parts.len() > SHOWN {
            names.push(format!("{} more", thousands((parts.len() - SHOWN) as u64)));
        }
        Some(format!("left out, for their rows are those of {}: {}", first.within, names.join(", ")))
    };
    of_one.filter_map(line).collect()
}

/// The same as JSON.
pub fn left_out_json(tables: &[LeftOut]) -> Vec<Value> {
    let one = |part: &LeftOut| json!({ "table": part.table.to_string(), "within": part.within.to_string() });
    tables.iter().map(one).collect()
}

#[allow(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

/// Everything the user should know, without secrets.
pub fn warnings(finished: &Finished) -> Vec<String> {
    let reported = finished.manifest.iter().flat_map(|manifest| manifest.warnings.iter().cloned());
    // Their texts may be a plugin's.
    finished.warnings.iter().cloned().chain(reported).map(|text| redact::clean(&text).into_owned()).collect()
}
