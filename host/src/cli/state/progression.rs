//! `rivet state progression`: how watermarks moved, newest first.

use serde_json::{Value, json};

use super::super::arguments::HistoryArguments;
use super::super::exit::Outcome;
use super::super::{journal, load, print, table};
use super::{values_json, values_text};
use crate::state::{Advance, State};

pub fn progression(arguments: &HistoryArguments) -> Outcome {
    let config = load(&arguments.selection)?;
    let mut moves = match State::look(&config.state)? {
        Some(state) => journal::each(&arguments.selection.export, |export| state.advances(export, arguments.limit))?,
        None => Vec::new(),
    };
    moves.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| b.step.cmp(&a.step)));
    if arguments.json {
        let moves: Vec<Value> = moves.iter().map(to_json).collect();
        return Ok(print::json(&json!({ "moves": moves }))?);
    }
    if moves.is_empty() {
        print::note("no watermark has moved yet");
        return Ok(());
    }
    Ok(print::out(&to_text(&moves))?)
}

fn to_json(moved: &Advance) -> Value {
    json!({
        "export": moved.export, "step": moved.step, "run_id": moved.run_id, "cursor": moved.cursor,
        "from": moved.from.as_deref().map(values_json), "to": moved.to.as_deref().map(values_json), "at": moved.at,
    })
}

fn to_text(moves: &[Advance]) -> String {
    let rows: Vec<[String; 6]> = moves
        .iter()
        .map(|moved| {
            let values = |values: &Option<Vec<_>>| values.as_ref().map(|values| values_text(&moved.cursor, values));
            [
                moved.export.clone(),
                moved.step.to_string(),
                table::second(&moved.at),
                values(&moved.from).unwrap_or_else(|| "the beginning".to_owned()),
                values(&moved.to).unwrap_or_else(|| "reset".to_owned()),
                table::or_dash(moved.run_id.clone().unwrap_or_default()),
            ]
        })
        .collect();
    table::render("", ["export", "step", "when", "from", "to", "run"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rivet_sdk::Scalar;

    #[test]
    fn a_move_says_from_where_to_where() {
        let first = Advance {
            export: "orders".into(),
            step: 1,
            run_id: Some("01A".into()),
            cursor: vec!["at".into(), "id".into()],
            from: None,
            to: Some(vec![Scalar::Date("2026-01-02".into()), Scalar::Integer(7)]),
            at: "2026-01-02T03:04:05.678Z".into(),
        };
        let second = Advance { step: 2, run_id: None, from: first.to.clone(), to: None, ..first.clone() };
        let expected = "\
EXPORT  STEP  WHEN                  FROM                     TO                       RUN
orders  2     2026-01-02T03:04:05Z  at = 2026-01-02, id = 7  reset                    -
orders  1     2026-01-02T03:04:05Z  the beginning            at = 2026-01-02, id = 7  01A
";
        assert_eq!(to_text(&[second, first]), expected);
    }
}
