//! `rivet state`: what is remembered between runs, in the store and at the destinations.

mod places;
mod progression;
mod reset;
mod runs;
mod show;

use rivet_sdk::Scalar;
use serde_json::{Value, json};

use super::arguments::{Global, StateCommand};
use super::exit::Outcome;
use crate::stop::Stop;

pub fn state(command: &StateCommand, global: &Global, stop: Stop) -> Outcome {
    match command {
        StateCommand::Show(arguments) => show::show(arguments),
        StateCommand::Reset(arguments) => reset::watermarks(arguments),
        StateCommand::Move(arguments) => places::move_to_configured(arguments, global, stop),
        StateCommand::Files(arguments) => runs::files(arguments, global, stop),
        StateCommand::Chunks(arguments) => runs::chunks(arguments, global, stop),
        StateCommand::ResetChunks(arguments) => reset::chunks(arguments, global, stop),
        StateCommand::Progression(arguments) => progression::progression(arguments),
    }
}

/// `updated_at = 2026-01-02 03:04:05, id = 7`.
fn values_text(cursor: &[String], values: &[Scalar]) -> String {
    let pairs: Vec<String> = cursor.iter().zip(values).map(|(column, value)| format!("{column} = {value}")).collect();
    pairs.join(", ")
}

/// Typed, as in plans.
fn values_json(values: &[Scalar]) -> Value {
    json!(values)
}
