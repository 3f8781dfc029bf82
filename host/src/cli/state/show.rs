//! `rivet state show`: where each export stands.

use std::collections::BTreeSet;

use rivet_sdk::Result;
use serde_json::{Value, json};

use super::super::arguments::StateShowArguments;
use super::super::exit::Outcome;
use super::super::{load, print, table};
use super::{values_json, values_text};
use crate::config::Config;
use crate::state::{RunRecord, SeenSchema, State, Watermark};

/// What the store knows of an export.
struct Standing {
    export: String,
    watermark: Option<Watermark>,
    /// Where the watermark's rows are.
    place: Option<String>,
    schema: Option<SeenSchema>,
    held_by: Option<String>,
    last_run: Option<RunRecord>,
}

pub fn show(arguments: &StateShowArguments) -> Outcome {
    let config = load(&arguments.selection)?;
    let state = State::look(&config.state)?;
    let exports = match &state {
        Some(state) => standings(state, &config, &arguments.selection.export)?,
        None => Vec::new(),
    };
    if arguments.json {
        let exports: Vec<Value> = exports.iter().map(to_json).collect();
        return Ok(print::json(&json!({ "state": state.map(|state| state.place()), "exports": exports }))?);
    }
    let Some(state) = state else {
        print::note("no state yet: nothing has run");
        return Ok(());
    };
    print::note(&format!("state: {}", state.place()));
    Ok(print::out(&to_text(&exports))?)
}

/// The named exports; or all of the configuration, and those with a watermark that it has lost.
fn standings(state: &State, config: &Config, names: &[String]) -> Result<Vec<Standing>> {
    let mut exports: Vec<String> = names.to_vec();
    if names.is_empty() {
        exports.extend(config.exports.iter().map(|export| export.name.clone()));
        let known: BTreeSet<&String> = exports.iter().collect();
        let stored = state.watermarks()?.into_iter().map(|watermark| watermark.export);
        let lost: Vec<String> = stored.filter(|export| !known.contains(export)).collect();
        exports.extend(lost);
    }
    let standing = |export: String| {
        let watermark = state.watermark(&export)?;
        let place = watermark.as_ref().map(|watermark| state.place_of(&watermark.run_id)).transpose()?.flatten();
        Ok(Standing {
            place: place.map(|place| place.location),
            watermark,
            schema: state.schema(&export)?,
            held_by: state.holder(&export)?,
            last_run: state.runs(Some(&export), 1)?.into_iter().next(),
            export,
        })
    };
    exports.into_iter().map(standing).collect()
}

fn to_json(of: &Standing) -> Value {
    json!({
        "export": of.export,
        "watermark": of.watermark.as_ref().map(|watermark| json!({
            "cursor": watermark.cursor, "values": values_json(&watermark.values),
            "fingerprint": watermark.fingerprint, "run_id": watermark.run_id, "updated_at": watermark.updated_at,
            "place": of.place,
        })),
        "schema": of.schema.as_ref().map(|schema| json!({ "run_id": schema.run_id, "seen_at": schema.seen_at })),
        "held_by": of.held_by,
        "last_run": of.last_run.as_ref().map(|run| json!({ "run_id": run.run_id, "status": run.status.word() })),
    })
}

fn to_text(exports: &[Standing]) -> String {
    let rows: Vec<[String; 5]> = exports
        .iter()
        .map(|of| {
            let watermark = of.watermark.as_ref();
            let values = watermark.map(|watermark| values_text(&watermark.cursor, &watermark.values));
            let run = of.last_run.as_ref().map(|run| format!("{} {}", run.run_id, run.status.word()));
            [
                of.export.clone(),
                table::or_dash(values.unwrap_or_default()),
                table::or_dash(watermark.map(|watermark| table::second(&watermark.updated_at)).unwrap_or_default()),
                table::or_dash(run.unwrap_or_default()),
                table::or_dash(of.held_by.clone().unwrap_or_default()),
            ]
        })
        .collect();
    table::render("", ["export", "watermark", "moved", "last run", "running at"], &rows)
}
