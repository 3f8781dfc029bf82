//! `rivet state move`: a watermark goes on at the place that is configured now.

use std::time::Duration;

use rivet_sdk::{Error, Result};
use serde_json::{Value, json};

use super::super::arguments::{Global, StateResetArguments};
use super::super::exit::Outcome;
use super::super::{open_session, print};
use crate::run::{Moved, move_watermark};
use crate::state::State;
use crate::stop::Stop;

pub fn move_to_configured(arguments: &StateResetArguments, global: &Global, stop: Stop) -> Outcome {
    let session = open_session(&arguments.selection(), global, stop)?;
    let exports = session.exports(&arguments.export)?;
    let state = State::of(&session.config.state)?;
    let mut documents: Vec<Value> = Vec::new();
    for export in exports {
        let name = &export.name;
        let moved = || -> Result<Moved> {
            let lease = state.acquire(name, Duration::ZERO)?;
            let (_, mut destination) = session.open_destination(export)?;
            let moved = move_watermark(&state, export, &mut *destination)?;
            lease.check(&state)?;
            Ok(moved)
        };
        let moved = moved().map_err(|error: Error| error.with_context("export", name.clone()))?;
        let (from, to) = match &moved {
            Moved::Nothing => {
                print::note(&format!("{name}: has no watermark that belongs to a place; its next run gives it one"));
                (None, None)
            }
            Moved::Stays(at) => {
                print::note(&format!("{name}: goes on in {at}, as before"));
                (Some(at), Some(at))
            }
            Moved::From(from, to) => {
                print::note(&format!("{name}: goes on in {to}; what it wrote before stays in {from}"));
                (Some(from), Some(to))
            }
        };
        documents.push(json!({ "export": name, "from": from, "to": to }));
    }
    if arguments.json {
        print::json(&json!({ "exports": documents }))?;
    }
    Ok(())
}
