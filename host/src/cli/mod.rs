//! The command line: one file a command, [`arguments`] for all their flags.
//!
//! Data goes to stdout, everything else to stderr. Every text passes [`crate::redact`].

mod apply;
mod arguments;
mod check;
mod completions;
mod described;
mod doctor;
mod environment;
mod exit;
mod init;
mod journal;
mod logger;
mod man;
mod metrics;
mod notify;
mod outcomes;
mod plan;
mod plugin;
mod print;
mod progress;
mod reconcile;
#[cfg(test)]
mod reference;
mod repair;
mod run;
mod schema;
mod state;
mod summary;
mod table;
mod validate;

use std::process::ExitCode;

use clap::Parser as _;
use rivet_sdk::Result;

use self::arguments::{Arguments, Command, Global};
use self::exit::{Failed, Outcome};
use crate::config::{self, Config};
use crate::session::{Refused, Session};
use crate::stop::Stop;

/// Runs the process's command line.
pub fn main() -> ExitCode {
    rivet_loader::settle_allocator();
    let arguments = Arguments::parse();
    let global = arguments.global;
    logger::install(&global);
    let outcome = match stop(&global) {
        Ok(stop) => exit::stopped(dispatch(arguments.command, &global, stop.clone()), &stop),
        Err(error) => Err(Failed::from(error)),
    };
    exit::report(outcome, &global)
}

fn stop(global: &Global) -> Result<Stop> {
    let stop = Stop::on_signals()?;
    let (json_errors, color) = (global.json_errors, global.color);
    stop.is_final(move |waited| {
        print::take_bars_away();
        exit::print_error(&exit::left_behind(waited), json_errors, color);
    })?;
    Ok(stop)
}

fn dispatch(command: Command, global: &Global, stop: Stop) -> Outcome {
    match command {
        Command::Run(arguments) => run::run(&arguments, global, stop),
        Command::Plan(arguments) => plan::plan(&arguments, global, stop),
        Command::Apply(arguments) => apply::apply(&arguments, global, stop),
        Command::Commit(arguments) => apply::commit(&arguments, global, stop),
        Command::Status(arguments) => apply::status(&arguments, global, stop),
        Command::Clean(arguments) => apply::clean(&arguments, global, stop),
        Command::Validate(arguments) => validate::validate(&arguments, global, stop),
        Command::Reconcile(arguments) => reconcile::reconcile(&arguments, global, stop),
        Command::Repair(arguments) => repair::repair(&arguments, global, stop),
        Command::Init(arguments) => init::init(&arguments, global, &stop),
        Command::Doctor(arguments) => doctor::doctor(&arguments, global, stop),
        Command::Check(arguments) => check::check(&arguments, global, stop),
        Command::Journal(arguments) => journal::journal(&arguments),
        Command::Metrics(arguments) => metrics::metrics(&arguments),
        Command::State(command) => state::state(&command, global, stop),
        Command::Plugin(command) => plugin::plugin(&command, global, stop),
        Command::Schema(command) => schema::schema(&command, global),
        Command::Completions(arguments) => completions::completions(&arguments),
        Command::Man(arguments) => man::man(&arguments),
    }
}

/// The configuration of a command that needs no plugins.
fn load(selection: &arguments::Selection) -> Result<Config, Failed> {
    config::load(&selection.config, selection.param.iter().cloned().collect()).map_err(Failed::Faults)
}

/// The session of a command that takes `-c`, `-e` and `-p`.
fn open_session(selection: &arguments::Selection, global: &Global, stop: Stop) -> Result<Session, Failed> {
    let params = selection.param.iter().cloned().collect();
    let Global { plugin_dir, untrusted_plugins, locked, .. } = global;
    let session = Session::open(&selection.config, params, plugin_dir, *untrusted_plugins, *locked, stop);
    let mut session = session.map_err(|refused| match refused {
        Refused::Faults(faults) => Failed::Faults(faults),
        Refused::Error(error) => Failed::from(error),
    })?;
    session.add_tables(&selection.export)?;
    Ok(session)
}
