//! `rivet.lock`: which plugins a run may load, byte for byte.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rivet_loader::{Candidate, Inspected, inspect_named};
use rivet_sdk::{Error, ErrorKind, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the lock file this host writes.
const LOCK_VERSION: u32 = 1;

/// The [`Error::code`] of a plugin that is not as the lock file has it.
pub const NOT_LOCKED: &str = "plugin_not_locked";

const OTHER_FILE: &str = "if the change is meant: look at `rivet plugin info`, then `rivet plugin lock`; else install \
                          the pinned file";

/// A lock file.
#[derive(Debug, Clone)]
pub struct PluginLock {
    path: PathBuf,
    content: Content,
}

/// The plugins that `--locked` loads. JSON with a line a fact, so that a change is easy to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PluginLock")]
struct Content {
    /// Version of this JSON.
    lock_version: u32,
    /// By name.
    plugins: BTreeMap<String, Pin>,
}

/// One plugin, pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Pin {
    /// The plugin's own version.
    version: String,
    /// `MAJOR.MINOR` of the plugin ABI it speaks.
    abi: String,
    /// SHA-256 of its file, in hex.
    sha256: String,
}

impl Pin {
    fn of(plugin: &Inspected) -> Result<Self> {
        Ok(Self {
            version: plugin.manifest.version.clone(),
            abi: format!("{}.{}", plugin.abi.0, plugin.abi.1),
            sha256: plugin.sha256()?,
        })
    }

    /// What differs between the pinned plugin and the one found.
    fn differences(&self, found: &Self) -> Vec<String> {
        let facts = [
            ("version", &self.version, &found.version),
            ("ABI", &self.abi, &found.abi),
            ("sha256", &self.sha256, &found.sha256),
        ];
        let differing = facts.into_iter().filter(|(_, pinned, found)| pinned != found);
        differing.map(|(name, pinned, found)| format!("{name} {found}, pinned is {pinned}")).collect()
    }
}

impl PluginLock {
    /// Pins `plugins`, for the file `path`.
    pub fn of<'a>(path: &Path, plugins: impl IntoIterator<Item = &'a Inspected>) -> Result<Self> {
        let pins = plugins.into_iter().map(|plugin| Ok((plugin.manifest.name.clone(), Pin::of(plugin)?)));
        let content = Content { lock_version: LOCK_VERSION, plugins: pins.collect::<Result<_>>()? };
        Ok(Self { path: path.to_owned(), content })
    }

    /// Reads a lock file.
    pub fn read(path: &Path) -> Result<Self> {
        let refuse = |what: String, hint: &str| Error::config(format!("{}: {what}", path.display())).with_hint(hint);
        let text = std::fs::read(path)
            .map_err(|error| refuse(error.to_string(), "`rivet plugin lock` writes it; plugins.lock names another"))?;
        let damaged = |error: serde_json::Error| {
            refuse(format!("not a lock file: {error}"), "`rivet plugin lock` writes it anew")
        };
        let value: serde_json::Value = serde_json::from_slice(&text).map_err(damaged)?;
        let version = value.get("lock_version").and_then(serde_json::Value::as_u64);
        if version.is_some_and(|version| version > u64::from(LOCK_VERSION)) {
            return Err(refuse("written by a newer rivet".to_owned(), "use that rivet, or `rivet plugin lock` again"));
        }
        Ok(Self { path: path.to_owned(), content: serde_json::from_value(value).map_err(damaged)? })
    }

    /// Writes the file: beside it first, then over it.
    pub fn write(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.content)
            .map_err(|error| Error::internal(format!("lock to JSON: {error}")))?;
        let beside = self.path.with_extension(format!("lock.{}", std::process::id()));
        let written = std::fs::write(&beside, format!("{text}\n")).and_then(|()| std::fs::rename(&beside, &self.path));
        written.map_err(|error| {
            Error::new(ErrorKind::Other, format!("{}: {error}", self.path.display()))
                .with_hint("choose a file that can be written: --output FILE")
        })
    }

    /// The JSON Schema of a lock file.
    pub fn schema() -> schemars::Schema {
        schemars::schema_for!(Content)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Name, version and SHA-256 of each plugin that is pinned.
    pub fn pins(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.content.plugins.iter().map(|(name, pin)| (name.as_str(), pin.version.as_str(), pin.sha256.as_str()))
    }

    /// Whether this is a pinned plugin's file. A file that cannot be loaded is none.
    pub fn pins_file(&self, candidate: &Candidate) -> Result<bool> {
        let (Some(pin), Ok(plugin)) = (self.content.plugins.get(&candidate.name), &candidate.inspected) else {
            return Ok(false);
        };
        Ok(pin.differences(&Pin::of(plugin)?).is_empty())
    }

    /// Refuses any other plugin than the pinned one.
    pub fn check(&self, plugin: &Inspected) -> Result<()> {
        let name = &plugin.manifest.name;
        let pin = self.content.plugins.get(name).ok_or_else(|| self.not_pinned(name, &plugin.path))?;
        let differences = pin.differences(&Pin::of(plugin)?);
        if differences.is_empty() { Ok(()) } else { Err(self.not_the_one(name, &plugin.path, &differences)) }
    }

    /// Of the files that are named for the plugin `name`, the first that is the pinned one.
    pub fn choose(&self, name: &str, first: PathBuf, others: Vec<PathBuf>) -> Result<Inspected> {
        let pin = self.content.plugins.get(name).ok_or_else(|| self.not_pinned(name, &first))?;
        let mut found = String::new();
        let mut refusals = Vec::new();
        for file in std::iter::once(first).chain(others) {
            let refusal = match inspect_named(name, &file) {
                Ok(plugin) => {
                    let differences = pin.differences(&Pin::of(&plugin)?);
                    if differences.is_empty() {
                        return Ok(plugin);
                    }
                    // Writing to a String does not fail.
                    let _ = write!(found, "\n  {}: {}", file.display(), differences.join("; "));
                    self.not_the_one(name, &file, &differences)
                }
                Err(error) => {
                    let _ = write!(found, "\n  {error}");
                    error
                }
            };
            refusals.push(refusal);
        }
        let what = format!("plugin `{name}`: no file of it is the one in {}; found:{found}", self.path.display());
        let none = Error::config(what).with_code(NOT_LOCKED).with_hint(OTHER_FILE);
        Err(if refusals.len() == 1 { refusals.pop().unwrap_or(none) } else { none })
    }

    fn not_pinned(&self, name: &str, file: &Path) -> Error {
        Error::config(format!("plugin `{name}` is not in {}", self.path.display()))
            .with_code(NOT_LOCKED)
            .with_hint("if it is to be used: look at `rivet plugin info`, then `rivet plugin lock`")
            .with_context("plugin", file.display().to_string())
    }

    fn not_the_one(&self, name: &str, file: &Path, differences: &[String]) -> Error {
        let lock = self.path.display();
        Error::config(format!("plugin `{name}` is not the one in {lock}: {}", differences.join("; ")))
            .with_code(NOT_LOCKED)
            .with_hint(OTHER_FILE)
            .with_context("plugin", file.display().to_string())
    }
}
