//! `rivet validate`: the manifest against what is at the destination.

use rivet_sdk::Error;
use serde_json::{Value, json};

use super::arguments::{Global, ValidateArguments, ValidateDepth};
use super::exit::{Failed, Outcome};
use super::summary::validation_json;
use super::{open_session, print};
use crate::commit::{self, Depth};
use crate::stop::Stop;

impl From<ValidateDepth> for Depth {
    fn from(depth: ValidateDepth) -> Self {
        match depth {
            ValidateDepth::List => Self::List,
            ValidateDepth::Sample => Self::Sample,
            ValidateDepth::Full => Self::Full,
        }
    }
}

pub fn validate(arguments: &ValidateArguments, global: &Global, stop: Stop) -> Outcome {
    let session = open_session(&arguments.selection, global, stop)?;
    let depth = Depth::from(arguments.depth);
    let mut errors: Vec<Error> = Vec::new();
    let mut documents = Vec::new();
    for export in session.exports(&arguments.selection.export)? {
        let look = || {
            let (_, mut destination) = session.open_destination(export)?;
            let run = commit::find_run(&mut *destination, &export.name, arguments.run_id.as_deref())?;
            let validation = commit::validate(&mut *destination, &run, depth)?;
            Ok((run, validation))
        };
        let (run, validation) = match look() {
            Ok(found) => found,
            Err(error) => {
                let error: Error = error;
                errors.push(error.with_context("export", export.name.clone()));
                continue;
            }
        };
        let mut document = json!({ "export": export.name, "run_id": run.run_id() });
        if let (Some(document), Value::Object(seen)) = (document.as_object_mut(), validation_json(&validation)) {
            document.extend(seen);
        }
        documents.push(document);
        if !arguments.json {
            print::line(&format!(
                "{} run {}: {} parts, {} read, {} problems",
                export.name,
                run.run_id(),
                validation.parts,
                validation.read,
                validation.problems.len()
            ))?;
            for stray in &validation.strays {
                print::line(&format!("  stray: {stray}"))?;
            }
            for problem in &validation.problems {
                print::line(&format!("  {}: expected {}, found {}", problem.key, problem.expected, problem.found))?;
            }
        }
        errors.extend(validation.result().err().map(|error| error.with_context("export", export.name.clone())));
    }
    if arguments.json {
        print::json(&json!({ "exports": documents }))?;
    }
    if errors.is_empty() { Ok(()) } else { Err(Failed::Errors(errors)) }
}
