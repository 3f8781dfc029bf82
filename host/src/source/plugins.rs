//! The plugins of this process: searched by name or URL scheme, loaded once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rivet_loader::{Found, Plugin, PluginManifest, Search, Settings};
use rivet_sdk::Result;

use crate::redact;

/// Finds and loads plugins.
#[derive(Debug)]
pub struct Plugins {
    search: Search,
    untrusted: bool,
    loaded: Mutex<BTreeMap<String, Plugin>>,
}

impl Plugins {
    /// Plugins from the command line's folders, then the configuration's, then the usual ones.
    pub fn new(command_line: &[PathBuf], configured: &[PathBuf], untrusted: bool) -> Self {
        let command_line = command_line.iter().map(|path| (path.clone(), "--plugin-dir"));
        let configured = configured.iter().map(|path| (absolute(path), "plugins.dirs"));
        Self { search: Search::new(command_line.chain(configured)), untrusted, loaded: Mutex::default() }
    }

    /// Where plugins are searched.
    pub fn search(&self) -> &Search {
        &self.search
    }

    /// What the plugin called `name` says of itself, without loading it.
    pub fn manifest(&self, name: &str) -> Result<PluginManifest> {
        Ok(self.search.find(name)?.inspected.manifest)
    }

    /// The name of the one plugin that answers to `scheme`.
    pub fn name_for_scheme(&self, scheme: &str) -> Result<String> {
        Ok(self.search.find_scheme(scheme)?.inspected.manifest.name)
    }

    /// The plugin called `name`, loaded.
    pub fn load(&self, name: &str) -> Result<Plugin> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plugin) = loaded.get(name) {
            return Ok(plugin.clone());
        }
        let Found { inspected, shadowed } = self.search.find(name)?;
        for path in shadowed {
            log::warn!("plugin `{name}`: using {}; {} is shadowed by it", inspected.path.display(), path.display());
        }
        let settings = Settings { log: forward, level: log::max_level(), untrusted: self.untrusted };
        let plugin = Plugin::load(&inspected, settings)?;
        loaded.insert(name.to_owned(), plugin.clone());
        Ok(plugin)
    }
}

fn absolute(path: &std::path::Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A plugin's log record in the host's log.
pub(crate) fn forward(plugin: &str, level: log::Level, target: &str, message: &str) {
    log::log!(target: "plugin", level, "{plugin}: {} ({target})", redact::clean(message));
}
