//! `rivet plugin`: what was found where, what it offers, whether it works, which may be loaded, and new ones.

mod info;
mod kit;
mod list;
mod lock;
mod new;
mod options;
mod sdk;
mod verify;

use std::path::Path;

use super::arguments::{DEFAULT_LOCK, Global, PluginCommand};
use super::exit::Outcome;
use crate::source::Plugins;
use crate::stop::Stop;

pub fn plugin(command: &PluginCommand, global: &Global, stop: Stop) -> Outcome {
    let plugins = Plugins::new(&global.plugin_dir, &[], global.untrusted_plugins);
    let plugins = match command {
        PluginCommand::New(arguments) => return new::new(arguments, &plugins),
        PluginCommand::Sdk(arguments) => return sdk::sdk(arguments),
        PluginCommand::Lock(arguments) => return lock::lock(arguments, plugins, global),
        _ => plugins.locked(global.lock(Path::new(DEFAULT_LOCK)))?,
    };
    match command {
        PluginCommand::Lock(_) | PluginCommand::New(_) | PluginCommand::Sdk(_) => Ok(()),
        PluginCommand::List(arguments) => list::list(arguments, &plugins, global),
        PluginCommand::Info(arguments) => info::info(arguments, &plugins),
        PluginCommand::Verify(arguments) => verify::verify(arguments, &plugins, global, stop),
    }
}
