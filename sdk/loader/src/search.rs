//! Finds plugins by name, and remembers where it looked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rivet_sdk::{Error, ErrorKind, Result};

use crate::{Inspected, inspect, package, program_prefix};

const PREFIX: &str = "librivet_plugin_";
const SUFFIX: &str = ".so";

/// Where plugins are looked for, in order. Never the working directory.
#[derive(Debug, Clone, Default)]
pub struct Search {
    folders: Vec<SearchFolder>,
}

/// One folder of the search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchFolder {
    /// The folder.
    pub path: PathBuf,
    /// Why it is searched: `--plugin-dir`, `RIVET_PLUGIN_PATH`…
    pub origin: &'static str,
}

/// A file that looks like a plugin.
#[derive(Debug)]
pub struct Candidate {
    /// The name its file claims.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Where it came from.
    pub origin: &'static str,
    /// The first of that name, the one that is used. Others are shadowed.
    pub wins: bool,
    /// What reading it gave.
    pub inspected: Result<Inspected>,
}

/// A plugin found by name.
#[derive(Debug)]
pub struct Found {
    /// The file that is used.
    pub inspected: Inspected,
    /// Files of the same name further down the search, which are not used.
    pub shadowed: Vec<PathBuf>,
}

impl Candidate {
    fn answers_to(&self, scheme: &str) -> bool {
        self.inspected.as_ref().is_ok_and(|plugin| plugin.manifest.schemes.iter().any(|known| known == scheme))
    }
}

impl Search {
    /// The usual order: `explicit` folders (from the command line, then the configuration),
    /// `RIVET_PLUGIN_PATH`, the user's data folder, the folder of the program's own package
    /// (`../lib/rivet/plugins` beside it: the system's, for a program in `/usr/bin`), `plugins/` beside the
    /// executable, and the executable's own folder in a build of this repository.
    pub fn new(explicit: impl IntoIterator<Item = (PathBuf, &'static str)>) -> Self {
        let mut folders: Vec<SearchFolder> =
            explicit.into_iter().map(|(path, origin)| SearchFolder { path, origin }).collect();
        if let Some(path) = std::env::var_os("RIVET_PLUGIN_PATH").filter(|_| !is_elevated()) {
            folders.extend(std::env::split_paths(&path).map(|path| SearchFolder { path, origin: "RIVET_PLUGIN_PATH" }));
        }
        if let Some(data) = user_data_folder() {
            folders.push(SearchFolder { path: data.join("rivet/plugins"), origin: "user data folder" });
        }
        if let Some(prefix) = program_prefix() {
            folders.push(SearchFolder { path: prefix.join(package::PLUGINS), origin: "the program's package" });
        }
        if let Some(beside) = std::env::current_exe().ok().as_deref().and_then(Path::parent) {
            folders.push(SearchFolder { path: beside.join("plugins"), origin: "beside the executable" });
            if is_build_folder(beside) {
                folders.push(SearchFolder { path: beside.to_owned(), origin: "build folder" });
            }
        }
        folders.retain(|folder| folder.path.is_absolute() || folder.origin.starts_with("--"));
        Self { folders }
    }

    /// The folders, in order.
    pub fn folders(&self) -> &[SearchFolder] {
        &self.folders
    }

    /// The first plugin called `name`. An error tells every place that was searched.
    pub fn find(&self, name: &str) -> Result<Found> {
        let (first, shadowed) = self.locate(name)?;
        Ok(Found { inspected: inspect_named(name, &first)?, shadowed })
    }

    /// The file that is used for the plugin called `name`, and those it shadows. None is read.
    pub fn locate(&self, name: &str) -> Result<(PathBuf, Vec<PathBuf>)> {
        let file_name = format!("{PREFIX}{name}{SUFFIX}");
        let mut hits = self.folders.iter().map(|folder| folder.path.join(&file_name)).filter(|path| path.is_file());
        let Some(first) = hits.next() else { return Err(self.not_found(name)) };
        let shadowed = distinct(&first, hits);
        Ok((first, shadowed))
    }

    /// The name of the one plugin that answers to a URL's scheme, of the files that are `used`.
    pub fn name_for_scheme(&self, scheme: &str, used: impl Fn(&Candidate) -> bool) -> Result<String> {
        let candidates = self.list().into_iter();
        let candidates = candidates.filter(|candidate| candidate.answers_to(scheme) && used(candidate));
        let mut names: BTreeSet<String> = candidates.map(|candidate| candidate.name).collect();
        if names.len() > 1 {
            let names = Vec::from_iter(names).join(", ");
            return Err(Error::config(format!("the plugins {names} all answer to `{scheme}:`"))
                .with_hint("set `type:` to the one you want"));
        }
        names.pop_first().ok_or_else(|| self.not_found_scheme(scheme))
    }

    /// Every file that looks like a plugin, good or not, in search order.
    pub fn list(&self) -> Vec<Candidate> {
        let mut seen: BTreeMap<String, PathBuf> = BTreeMap::new();
        let mut candidates = Vec::new();
        for folder in &self.folders {
            let Ok(entries) = std::fs::read_dir(&folder.path) else { continue };
            let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            paths.sort();
            for path in paths {
                let Some(name) = plugin_name(&path) else { continue };
                let canonical = path.canonicalize().unwrap_or_else(|_| path.clone());
                if seen.get(&name) == Some(&canonical) {
                    continue;
                }
                let wins = !seen.contains_key(&name);
                seen.entry(name.clone()).or_insert(canonical);
                let inspected = inspect_named(&name, &path);
                candidates.push(Candidate { name, path, origin: folder.origin, wins, inspected });
            }
        }
        candidates
    }

    /// Where was looked and what was there: one line a folder.
    pub fn trace(&self) -> String {
        let mut out = String::new();
        for folder in &self.folders {
            let found = match std::fs::read_dir(&folder.path) {
                Ok(entries) => {
                    let mut names: Vec<String> =
                        entries.flatten().filter_map(|entry| plugin_name(&entry.path())).collect();
                    names.sort();
                    if names.is_empty() { "no plugins".to_owned() } else { names.join(", ") }
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => "no such folder".to_owned(),
                Err(error) => error.to_string(),
            };
            // Writing to a String does not fail.
            let _ = writeln!(out, "  {} ({}): {found}", folder.path.display(), folder.origin);
        }
        out
    }

    fn not_found(&self, name: &str) -> Error {
        Error::new(ErrorKind::Config, format!("no plugin `{name}`; searched:\n{}", self.trace().trim_end()))
            .with_hint(format!("put {PREFIX}{name}{SUFFIX} into one of these folders, or give --plugin-dir"))
    }

    fn not_found_scheme(&self, scheme: &str) -> Error {
        Error::new(
            ErrorKind::Config,
            format!("no plugin answers to `{scheme}:`; searched:\n{}", self.trace().trim_end()),
        )
        .with_hint("set `type:` to a plugin's name, or give --plugin-dir")
    }
}

/// As [`inspect`], of a file that is found by its plugin's name.
pub fn inspect_named(name: &str, path: &Path) -> Result<Inspected> {
    let inspected = inspect(path)?;
    if inspected.manifest.name == name {
        return Ok(inspected);
    }
    Err(Error::config(format!(
        "{}: the file is named for `{name}`, the plugin in it calls itself `{}`",
        inspected.path.display(),
        inspected.manifest.name
    ))
    .with_hint(format!("rename it to {PREFIX}{}{SUFFIX}", inspected.manifest.name)))
}

fn plugin_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    Some(name.to_owned())
}

fn distinct(first: &Path, others: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let used = first.canonicalize().ok();
    others.filter(|path| path.canonicalize().ok() != used).collect()
}

fn user_data_folder() -> Option<PathBuf> {
    let explicit = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    explicit.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share")))
}

/// `target/debug` and `target/release` of a checkout: cargo leaves a `CACHEDIR.TAG` above.
fn is_build_folder(folder: &Path) -> bool {
    folder.parent().is_some_and(|target| target.join("CACHEDIR.TAG").is_file())
}

/// Whether the process runs with more rights than its caller (set-uid).
pub(crate) fn is_elevated() -> bool {
    rustix::process::geteuid() != rustix::process::getuid() || rustix::process::getegid() != rustix::process::getgid()
}
