//! `rivet.lock`: which plugins a run may load, byte for byte.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rivet_loader::{Found, Inspected};
use rivet_sdk::{Error, ErrorKind, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the lock file this host writes.
const LOCK_VERSION: u32 = 1;

/// The [`Error::code`] of a plugin that is not as the lock file has it.
pub const NOT_LOCKED: &str = "plugin_not_locked";

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

    /// Refuses any other plugin than the pinned one, and one that could be taken for another.
    pub fn check(&self, found: &Found) -> Result<()> {
        let (plugin, lock) = (&found.inspected, self.path.display());
        let name = &plugin.manifest.name;
        let refuse = |why: String, hint: &str| {
            Err(Error::config(why)
                .with_code(NOT_LOCKED)
                .with_hint(hint)
                .with_context("plugin", plugin.path.display().to_string()))
        };
        if let Some(shadowed) = found.shadowed.first() {
            return refuse(
                format!("plugin `{name}` is there twice, also as {}", shadowed.display()),
                "--locked wants one file a plugin: remove one of them, or search fewer folders",
            );
        }
        let Some(pin) = self.content.plugins.get(name) else {
            return refuse(
                format!("plugin `{name}` is not in {lock}"),
                "if it is to be used: look at `rivet plugin info`, then `rivet plugin lock`",
            );
        };
        let differences = pin.differences(&Pin::of(plugin)?);
        if differences.is_empty() {
            return Ok(());
        }
        refuse(
            format!("plugin `{name}` is not the one in {lock}: {}", differences.join("; ")),
            "if the change is meant: look at `rivet plugin info`, then `rivet plugin lock`; else install the pinned file",
        )
    }
}
