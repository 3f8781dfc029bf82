//! `rivet metrics`: what each run took.

use std::time::Duration;

use serde_json::{Value, json};

use super::arguments::HistoryArguments;
use super::exit::Outcome;
use super::print::{self, bytes, duration, thousands};
use super::{journal, table};
use crate::state::RunRecord;

pub fn metrics(arguments: &HistoryArguments) -> Outcome {
    let runs = journal::recent(arguments)?;
    if arguments.json {
        let runs: Vec<Value> = runs.iter().map(to_json).collect();
        return Ok(print::json(&json!({ "runs": runs }))?);
    }
    if runs.is_empty() {
        print::note("no runs yet");
        return Ok(());
    }
    Ok(print::out(&to_text(&runs))?)
}

fn to_json(run: &RunRecord) -> Value {
    let numbers = run.numbers;
    json!({
        "run_id": run.run_id, "export": run.export, "status": run.status.word(), "started_at": run.started_at,
        "rows": numbers.rows, "rows_per_second": rows_per_second(run), "bytes": numbers.bytes, "files": numbers.parts,
        "retries": numbers.retries, "elapsed_ms": numbers.elapsed_ms,
        "longest_statement_ms": numbers.longest_statement_ms, "peak_memory_bytes": numbers.peak_memory_bytes,
        "at_risk": run.at_risk,
    })
}

/// None where nothing could be measured.
fn rows_per_second(run: &RunRecord) -> Option<u64> {
    let rows = u128::from(run.numbers.rows?) * 1000;
    u64::try_from(rows.checked_div(u128::from(run.numbers.elapsed_ms?))?).ok()
}

fn to_text(runs: &[RunRecord]) -> String {
    let time = |milliseconds: u64| duration(Duration::from_millis(milliseconds));
    let cell = |number: Option<u64>, text: &dyn Fn(u64) -> String| table::or_dash(number.map(text).unwrap_or_default());
    let rows: Vec<[String; 11]> = runs
        .iter()
        .map(|run| {
            let numbers = run.numbers;
            [
                run.run_id.clone(),
                run.export.clone(),
                run.status.word().to_owned(),
                cell(numbers.elapsed_ms, &time),
                cell(numbers.rows, &thousands),
                cell(rows_per_second(run), &thousands),
                cell(numbers.bytes, &bytes),
                cell(numbers.parts, &thousands),
                cell(numbers.retries, &thousands),
                cell(numbers.longest_statement_ms, &time),
                cell(numbers.peak_memory_bytes, &bytes),
            ]
        })
        .collect();
    let header = [
        "run",
        "export",
        "status",
        "time",
        "rows",
        "rows/s",
        "size",
        "files",
        "retries",
        "longest statement",
        "memory",
    ];
    table::render("", header, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{RunNumbers, RunStatus};

    #[test]
    fn what_was_not_measured_is_a_dash() {
        let run = |numbers| RunRecord {
            run_id: "01A".into(),
            export: "orders".into(),
            plan_id: String::new(),
            started_at: String::new(),
            finished_at: None,
            status: RunStatus::Succeeded,
            numbers,
            error: None,
            at_risk: None,
        };
        let numbers = RunNumbers { rows: Some(3000), elapsed_ms: Some(2000), parts: Some(2), ..RunNumbers::default() };
        let text = to_text(&[run(numbers), run(RunNumbers { rows: Some(1), elapsed_ms: Some(0), ..numbers })]);
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
            .collect();
        assert_eq!(lines[1], ["01A", "orders", "succeeded", "2.0 s", "3 000", "1 500", "-", "2", "-", "-", "-"]);
        assert_eq!(lines[2][5], "-");
    }
}
