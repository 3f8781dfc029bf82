//! What a command ends with: its exit code, and the error's text.

use std::process::ExitCode;
use std::time::Duration;

use rivet_sdk::{Error, ErrorKind};
use serde_json::json;

use super::arguments::{Color, Global};
use super::print;
use crate::config::Diagnostics;
use crate::files::explained;
use crate::redact;
use crate::stop::{Stop, StopReason};

/// How a command ended.
pub type Outcome = Result<(), Failed>;

/// Why a command failed.
#[derive(Debug)]
pub enum Failed {
    /// Faults in the configuration.
    Faults(Diagnostics),
    /// One error a failed export.
    Errors(Vec<Error>),
    /// The command's own output told of these already.
    Reported(Vec<Error>),
    /// A signal stopped it.
    Stopped(StopReason, Vec<Error>),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Errors(vec![error])
    }
}

/// The exit codes, as the documentation lists them.
pub mod code {
    /// An export failed.
    pub const FAILED: u8 = 1;
    /// Usage or configuration.
    pub const USAGE: u8 = 2;
    /// What landed is not what was read.
    pub const INTEGRITY: u8 = 3;
    /// The source's schema is not the plan's.
    pub const DRIFT: u8 = 4;
    /// Another run holds the export.
    pub const BUSY: u8 = 5;
    /// Temporary; try again.
    pub const TEMPORARY: u8 = 75;
}

/// Every exit code, and what it means.
pub fn codes() -> [(u8, &'static str); 9] {
    [
        (0, "All exports succeeded."),
        (code::FAILED, "An export failed."),
        (code::USAGE, "The command line or the configuration is wrong."),
        (code::INTEGRITY, "What landed is not what was read: verification, quality, reconcile."),
        (code::DRIFT, "The source's schema is not the plan's."),
        (code::BUSY, "Another run holds the export."),
        (code::TEMPORARY, "Temporary, and retries are used up: try again later."),
        (StopReason::Interrupt.exit_code(), "Interrupted by Ctrl-C (SIGINT); the run can be resumed."),
        (StopReason::Terminate.exit_code(), "Terminated (SIGTERM); the run can be resumed."),
    ]
}

/// The exit code of one error.
pub fn code_of(error: &Error) -> u8 {
    match (error.kind(), error.code()) {
        (_, Some("schema_drift")) => code::DRIFT,
        (_, Some("busy")) => code::BUSY,
        (_, Some(rivet_sdk::SNAPSHOT_LOST)) => code::TEMPORARY,
        (ErrorKind::Config, _) => code::USAGE,
        (ErrorKind::Integrity, _) => code::INTEGRITY,
        _ if error.is_transient() => code::TEMPORARY,
        _ => code::FAILED,
    }
}

/// What a command that a signal ended fails with, whichever way it came to its end.
pub fn stopped(outcome: Outcome, stop: &Stop) -> Outcome {
    match (outcome, stop.reason()) {
        (Err(Failed::Errors(errors)), Some(reason)) => Err(Failed::Stopped(reason, errors)),
        (Err(Failed::Reported(_)), Some(reason)) => Err(Failed::Stopped(reason, Vec::new())),
        (outcome, _) => outcome,
    }
}

/// The end of a process that waits for what does not end.
pub fn left_behind(waited: Duration) -> Error {
    Error::cancelled(format!("interrupted: something did not end within {} s, and is left behind", waited.as_secs()))
        .with_hint(
            "a statement may go on on the server until its own limit; `rivet run --resume` continues an unfinished run",
        )
}

/// Prints what went wrong and gives the process's exit code.
pub fn report(outcome: Outcome, global: &Global) -> ExitCode {
    let Err(failed) = outcome else { return ExitCode::SUCCESS };
    match failed {
        Failed::Faults(faults) => {
            for fault in faults.iter() {
                print_fault(&faults, fault, global);
            }
            ExitCode::from(code::USAGE)
        }
        Failed::Errors(errors) => {
            for error in &errors {
                print_error(error, global.json_errors, global.color);
            }
            ExitCode::from(worst(&errors))
        }
        Failed::Reported(errors) => {
            if global.json_errors {
                errors.iter().for_each(|error| print_error(error, global.json_errors, global.color));
            }
            ExitCode::from(worst(&errors))
        }
        Failed::Stopped(reason, errors) => {
            for error in &errors {
                print_error(error, global.json_errors, global.color);
            }
            ExitCode::from(reason.exit_code())
        }
    }
}

/// Over several exports, the code that needs a person comes first.
fn worst(errors: &[Error]) -> u8 {
    let codes: Vec<u8> = errors.iter().map(code_of).collect();
    let order = [code::INTEGRITY, code::DRIFT, code::USAGE, code::FAILED, code::TEMPORARY, code::BUSY];
    order.into_iter().find(|code| codes.contains(code)).unwrap_or(code::FAILED)
}

/// Prints one error.
pub fn print_error(error: &Error, json_errors: bool, color: Color) {
    let error = explained(redact::clean_error(error.clone()));
    if json_errors {
        let context: serde_json::Map<_, _> =
            error.context().iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
        print::note(
            &json!({
                "error": error.message(),
                "kind": error.kind().to_string(),
                "code": error.code(),
                "causes": error.chain(),
                "context": context,
                "hint": error.hint(),
                "exit": code_of(&error),
            })
            .to_string(),
        );
        return;
    }
    print::note(&format!("{} {error}", print::red("error:", color)));
    if let Some(hint) = error.hint() {
        print::note(&format!("{} {hint}", print::cyan("hint:", color)));
    }
}

fn print_fault(faults: &Diagnostics, fault: &crate::config::Diagnostic, global: &Global) {
    if global.json_errors {
        print::note(
            &json!({
                "error": fault.message,
                "kind": "config",
                "file": faults.file_of(fault).display().to_string(),
                "line": fault.at.line,
                "column": fault.at.column,
                "key": fault.key,
                "hint": fault.hint,
                "exit": code::USAGE,
            })
            .to_string(),
        );
        return;
    }
    print::note(&format!("{} {}", print::red("error:", global.color), faults.line(fault)));
    if let Some(hint) = &fault.hint {
        print::note(&format!("{} {hint}", print::cyan("hint:", global.color)));
    }
}
