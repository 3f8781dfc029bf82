//! `rivet plugin lock`: pins the plugins that a configuration uses, or all that are found.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rivet_loader::Inspected;
use rivet_sdk::Error;

use super::super::arguments::{DEFAULT_LOCK, Global, PluginLockArguments};
use super::super::exit::{Failed, Outcome};
use super::super::print;
use crate::config::{self, Config, SourcePlugin};
use crate::destination::BUILT_IN;
use crate::source::{PluginLock, Plugins};

pub fn lock(arguments: &PluginLockArguments, plugins: Plugins, global: &Global) -> Outcome {
    let (found, path) = if arguments.all {
        (all(&plugins), PathBuf::from(DEFAULT_LOCK))
    } else {
        let params = arguments.param.iter().cloned().collect();
        let config = config::load(&arguments.config, params).map_err(Failed::Faults)?;
        let plugins = Plugins::new(&global.plugin_dir, &config.plugin_dirs, global.untrusted_plugins);
        (used(&config, &plugins)?, config.plugin_lock)
    };
    if found.is_empty() && arguments.all {
        return Err(Error::config("no plugins found")
            .with_hint("`rivet plugin list -v` says where was searched")
            .into());
    }
    let lock = PluginLock::of(arguments.output.as_deref().unwrap_or(&path), &found)?;
    lock.write()?;
    for (name, version, sha256) in lock.pins() {
        print::line(&format!("{name} {version} {sha256}"))?;
    }
    print::note(&format!("pinned in {}", lock.path().display()));
    Ok(())
}

/// What the configuration's ends are.
fn used(config: &Config, plugins: &Plugins) -> rivet_sdk::Result<Vec<Inspected>> {
    let source = match &config.source.plugin {
        SourcePlugin::Name(name) => name.clone(),
        SourcePlugin::Scheme(scheme) => plugins.name_for_scheme(scheme)?,
    };
    let mut names = BTreeSet::from([source]);
    names.extend(config.exports.iter().map(|export| export.destination.plugin.clone()));
    let names = names.into_iter().filter(|name| !BUILT_IN.contains(&name.as_str()));
    names.map(|name| Ok(plugins.find(&name)?.inspected)).collect()
}

/// Every plugin that would be used.
fn all(plugins: &Plugins) -> Vec<Inspected> {
    let mut found = Vec::new();
    for candidate in plugins.search().list().into_iter().filter(|candidate| candidate.wins) {
        match candidate.inspected {
            Ok(inspected) => found.push(inspected),
            Err(error) => log::warn!("plugin `{}` is left out: {error}", candidate.name),
        }
    }
    found
}
