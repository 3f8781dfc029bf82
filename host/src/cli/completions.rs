//! `rivet completions`: a shell's completion script, from the same definitions as the help.

use clap::CommandFactory as _;

use super::arguments::{Arguments, CompletionsArguments};
use super::exit::Outcome;
use super::print;

pub fn completions(arguments: &CompletionsArguments) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "rivet", &mut script);
    Ok(print::out(&String::from_utf8_lossy(&script))?)
}
