//! `rivet journal`: the runs that the state store remembers, newest first.

use rivet_sdk::Result;
use serde_json::{Value, json};

use super::arguments::HistoryArguments;
use super::exit::{Failed, Outcome};
use super::print::{self, bytes, thousands};
use super::{load, table};
use crate::state::{RunRecord, State};

pub fn journal(arguments: &HistoryArguments) -> Outcome {
    let runs = recent(arguments)?;
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

/// The runs that a history shows.
pub fn recent(arguments: &HistoryArguments) -> Result<Vec<RunRecord>, Failed> {
    let config = load(&arguments.selection)?;
    let Some(state) = State::look(&config.state)? else { return Ok(Vec::new()) };
    let mut runs = each(&arguments.selection.export, |export| state.runs(export, arguments.limit))?;
    // A run's id begins with its time.
    runs.sort_by(|a, b| b.run_id.cmp(&a.run_id));
    Ok(runs)
}

/// What `read` finds for each of the named exports, also of those that the configuration has
/// lost; or at once for all.
pub fn each<T>(names: &[String], read: impl Fn(Option<&str>) -> Result<Vec<T>>) -> Result<Vec<T>> {
    if names.is_empty() {
        return read(None);
    }
    let mut found = Vec::new();
    for name in names {
        found.extend(read(Some(name))?);
    }
    Ok(found)
}

fn to_json(run: &RunRecord) -> Value {
    json!({
        "run_id": run.run_id, "export": run.export, "plan_id": run.plan_id, "status": run.status.word(),
        "started_at": run.started_at, "finished_at": run.finished_at, "rows": run.numbers.rows, "bytes": run.numbers.bytes,
        "error": run.error, "at_risk": run.at_risk,
    })
}

fn to_text(runs: &[RunRecord]) -> String {
    let rows: Vec<[String; 7]> = runs
        .iter()
        .map(|run| {
            [
                run.run_id.clone(),
                run.export.clone(),
                run.status.word().to_owned(),
                table::second(&run.started_at),
                table::or_dash(run.numbers.rows.map(thousands).unwrap_or_default()),
                table::or_dash(run.numbers.bytes.map(bytes).unwrap_or_default()),
                remark(run),
            ]
        })
        .collect();
    table::render("", ["run", "export", "status", "started", "rows", "size", "remark"], &rows)
}

/// Why it failed; else what its reader should know, without the advice that follows.
fn remark(run: &RunRecord) -> String {
    let risk = || run.at_risk.as_deref().and_then(|risk| risk.split(';').next()).map(|risk| format!("at risk: {risk}"));
    run.error.clone().or_else(risk).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{RunNumbers, RunStatus};

    #[test]
    fn a_run_that_goes_on_has_no_numbers() {
        let run = RunRecord {
            run_id: "01A".into(),
            export: "orders".into(),
            plan_id: String::new(),
            started_at: "2026-01-02T03:04:05.678Z".into(),
            finished_at: None,
            status: RunStatus::Running,
            numbers: RunNumbers::default(),
            error: None,
            at_risk: None,
        };
        let expected = "\
RUN  EXPORT  STATUS   STARTED               ROWS  SIZE  REMARK
01A  orders  running  2026-01-02T03:04:05Z  -     -
";
        assert_eq!(to_text(std::slice::from_ref(&run)), expected);
        let late = RunRecord { at_risk: Some("late commits: 2 rows; a remedy".into()), ..run };
        assert!(to_text(&[late]).ends_with("at risk: late commits: 2 rows\n"));
    }
}
