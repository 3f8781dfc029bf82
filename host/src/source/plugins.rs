//! The plugins of this process: searched by name or URL scheme, loaded once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rivet_loader::{Candidate, Found, Inspected, Plugin, PluginManifest, Search, Settings};
use rivet_sdk::Result;

use super::PluginLock;
use crate::redact;

/// Finds and loads plugins.
#[derive(Debug)]
pub struct Plugins {
    search: Search,
    untrusted: bool,
    lock: Option<PluginLock>,
    loaded: Mutex<BTreeMap<String, Plugin>>,
}

impl Plugins {
    /// Plugins from the command line's folders, then the configuration's, then the usual ones.
    pub fn new(command_line: &[PathBuf], configured: &[PathBuf], untrusted: bool) -> Self {
        let command_line = command_line.iter().map(|path| (path.clone(), "--plugin-dir"));
        let configured = configured.iter().map(|path| (absolute(path), "plugins.dirs"));
        Self { search: Search::new(command_line.chain(configured)), untrusted, lock: None, loaded: Mutex::default() }
    }

    /// Only those that this lock file pins, where there is one.
    pub fn locked(self, file: Option<&Path>) -> Result<Self> {
        let lock = file.map(PluginLock::read).transpose()?;
        Ok(Self { lock, ..self })
    }

    /// Where plugins are searched.
    pub fn search(&self) -> &Search {
        &self.search
    }

    /// The plugin called `name`, read and permitted. With a lock file it is the one that the lock pins, wherever it
    /// lies, and shadows no others. What passes is the open file that was hashed, and it is loaded from there.
    pub fn find(&self, name: &str) -> Result<Found> {
        let Some(lock) = &self.lock else { return self.search.find(name) };
        let (first, others) = self.search.locate(name)?;
        Ok(Found { inspected: lock.choose(name, first, others)?, shadowed: Vec::new() })
    }

    /// The file of the plugin called `name` that is used; the first one where the lock file pins none.
    pub fn locate(&self, name: &str) -> Result<PathBuf> {
        match self.find(name) {
            Ok(found) => Ok(found.inspected.path),
            Err(_) => Ok(self.search.locate(name)?.0),
        }
    }

    /// Refuses a file that the lock file does not pin.
    pub fn permit_file(&self, inspected: Inspected) -> Result<Inspected> {
        self.lock.as_ref().map_or(Ok(()), |lock| lock.check(&inspected))?;
        Ok(inspected)
    }

    /// Every file that looks like a plugin; those win that are used, with the lock file if there is one.
    pub fn list(&self) -> Result<Vec<Candidate>> {
        let mut candidates = self.search.list();
        if let Some(lock) = &self.lock {
            let mut chosen = BTreeSet::new();
            for candidate in &mut candidates {
                candidate.wins = lock.pins_file(candidate)? && chosen.insert(candidate.name.clone());
            }
        }
        Ok(candidates)
    }

    /// What the plugin called `name` says of itself, without loading it.
    pub fn manifest(&self, name: &str) -> Result<PluginManifest> {
        Ok(self.find(name)?.inspected.manifest)
    }

    /// The name of the one plugin that answers to `scheme`.
    pub fn name_for_scheme(&self, scheme: &str) -> Result<String> {
        let first = || self.search.name_for_scheme(scheme, |candidate| candidate.wins);
        let Some(lock) = &self.lock else { return first() };
        let pinned = |candidate: &Candidate| lock.pins_file(candidate).unwrap_or(false);
        // Where the lock pins none that answers, the first one's refusal says what was found.
        self.search.name_for_scheme(scheme, pinned).or_else(|_| Ok(self.find(&first()?)?.inspected.manifest.name))
    }

    /// The plugin called `name`, loaded.
    pub fn load(&self, name: &str) -> Result<Plugin> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plugin) = loaded.get(name) {
            return Ok(plugin.clone());
        }
        let Found { inspected, shadowed } = self.find(name)?;
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

/// A plugin's log record in the host's log, where the plugin itself speaks, or the SDK for it. What libraries in it say
/// is not shown at any level: they write requests and answers down, in pieces in which no secret is found.
pub(crate) fn forward(plugin: &str, level: log::Level, target: &str, message: &str) {
    if is_own(plugin, target) {
        log::log!(target: target, level, "{plugin}: {} ({target})", redact::clean(message));
    }
}

/// Whether a target is of the crate `rivet_plugin_NAME` or of `rivet_sdk`.
fn is_own(plugin: &str, target: &str) -> bool {
    let of = target.split("::").next().unwrap_or_default();
    of == "rivet_sdk" || of.strip_prefix("rivet_plugin_").is_some_and(|name| name == plugin.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_plugin_and_the_sdk_speak_for_it() {
        for target in ["rivet_plugin_s3", "rivet_plugin_s3::wire", "rivet_sdk", "rivet_sdk::glue::guard"] {
            assert!(is_own("s3", target), "{target}");
        }
        assert!(is_own("my-store", "rivet_plugin_my_store::a"));
        for target in [
            "",
            "s3",
            "hyper::proto",
            "rivet_plugin_s",
            "rivet_plugin_s3x",
            "rivet",
            "rivet_plugin_gcs",
            "x::rivet_sdk",
        ] {
            assert!(!is_own("s3", target), "{target}");
        }
    }
}
