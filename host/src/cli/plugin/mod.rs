//! `rivet plugin`: what was found where, what it offers, and whether it works.

mod info;
mod list;
mod options;
mod verify;

use super::arguments::{Global, PluginCommand};
use super::exit::Outcome;
use crate::source::Plugins;

pub fn plugin(command: &PluginCommand, global: &Global) -> Outcome {
    let plugins = Plugins::new(&global.plugin_dir, &[], global.untrusted_plugins);
    match command {
        PluginCommand::List(arguments) => list::list(arguments, &plugins, global),
        PluginCommand::Info(arguments) => info::info(arguments, &plugins),
        PluginCommand::Verify(arguments) => verify::verify(arguments, &plugins),
    }
}
