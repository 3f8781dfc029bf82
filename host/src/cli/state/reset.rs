//! `rivet state reset` and `reset-chunks`: what the next run of an export is not to build on.
//! Each takes the export's lease, so that no run of it is going on.

use std::time::Duration;

use rivet_sdk::{Error, Result};
use serde_json::{Value, json};

use super::super::arguments::{Global, StateResetArguments};
use super::super::exit::Outcome;
use super::super::{load, open_session, print};
use super::{values_json, values_text};
use crate::state::State;
use crate::stop::Stop;
use crate::{commit, config};

pub fn watermarks(arguments: &StateResetArguments) -> Outcome {
    let config = load(&arguments.selection())?;
    let known: Vec<&str> = config.exports.iter().map(|export| export.name.as_str()).collect();
    let state = State::look(&config.state)?;
    let reset = |name: &String| {
        let state = match &state {
            Some(state) => state,
            None if config.export(name).is_some() => &State::of(&config.state)?,
            None => return Ok(None),
        };
        if config.export(name).is_none() && state.watermark(name)?.is_none() {
            return Ok(None);
        }
        let _lease = state.acquire(name, Duration::ZERO)?;
        state.reset_watermark(name)
    };
    let mut documents: Vec<Value> = Vec::new();
    for name in &arguments.export {
        let forgotten = reset(name)?;
        match &forgotten {
            Some(watermark) => print::note(&format!(
                "{name}: forgot {}; its next incremental run begins anew",
                values_text(&watermark.cursor, &watermark.values)
            )),
            None if config.export(name).is_some() => {
                print::note(&format!("{name}: has no watermark; its next incremental run begins anew"))
            }
            None => {
                let error = Error::config(format!("no export is called `{name}`, and none of it is remembered"));
                let hint = config::nearest(name, known.iter().copied());
                return Err(error.with_hint(hint.unwrap_or_else(|| "see `rivet state show`".to_owned())).into());
            }
        }
        let watermark = forgotten.map(|watermark| {
            json!({
                "cursor": watermark.cursor, "values": values_json(&watermark.values), "run_id": watermark.run_id,
            })
        });
        documents.push(json!({ "export": name, "forgotten": watermark }));
    }
    if arguments.json {
        print::json(&json!({ "exports": documents }))?;
    }
    Ok(())
}

pub fn chunks(arguments: &StateResetArguments, global: &Global, stop: Stop) -> Outcome {
    let session = open_session(&arguments.selection(), global, stop)?;
    let exports = session.exports(&arguments.export)?;
    let state = State::of(&session.config.state)?;
    let mut documents: Vec<Value> = Vec::new();
    for export in exports {
        let name = &export.name;
        let finalize = || -> Result<_> {
            let lease = state.acquire(name, Duration::ZERO)?;
            let (_, mut destination) = session.open_destination(export)?;
            let finalized = commit::recover(&mut *destination, name, "rivet state reset-chunks")?;
            lease.check(&state)?;
            Ok(finalized)
        };
        let finalized = finalize().map_err(|error| error.with_context("export", name.clone()))?;
        if finalized.is_empty() {
            print::note(&format!("{name}: has no unfinished run"));
        }
        let runs: Vec<Value> = finalized
            .iter()
            .map(|(run, decision)| {
                print::note(&format!("{name}: run {} is now {}", run.run_id(), decision.word()));
                json!({ "run_id": run.run_id(), "state": decision.word() })
            })
            .collect();
        documents.push(json!({ "export": name, "runs": runs }));
    }
    if arguments.json {
        print::json(&json!({ "exports": documents }))?;
    }
    Ok(())
}
