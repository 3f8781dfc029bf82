//! Whether a file may be run: a plugin is native code with the host's rights.
//!
//! The file is opened first, and what was opened is looked at: nobody can put another in its place between the look and
//! the load. Then every folder on the way to it is looked at, those of links included: whoever may write to one of them
//! may say what is loaded the next time.

use std::fs::{self, File, Metadata, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use rivet_sdk::{Error, ErrorKind, Result};

use crate::package::Package;

const WRITABLE_BY_OTHERS: u32 = 0o002;
const WRITABLE_BY_GROUP: u32 = 0o020;
const STICKY: u32 = 0o1000;
/// As many links as the system itself follows.
const MOST_LINKS: usize = 40;
/// No plugin is as large as this; reading one takes its time.
const MOST_BYTES: u64 = 1 << 30;

/// Opens a plugin's file. Refuses one that somebody other than its owner, root or this user could replace: a foreign
/// owner or write permission for others, of the file or of any folder above it or above a link to it. For a plugin of
/// the program's own package, those who could replace the program do not count.
pub(crate) fn open(path: &Path) -> Result<File> {
    let unreadable = |error: std::io::Error| unreadable(path, &error);
    // A pipe would wait for somebody to write.
    let nonblock = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(nonblock).open(path).map_err(unreadable)?;
    let opened = file.metadata().map_err(unreadable)?;
    if !opened.is_file() {
        return Err(Error::config(format!("{}: not a file", path.display()))
            .with_hint("install the plugin's .so file for this platform"));
    }
    if opened.len() > MOST_BYTES {
        return Err(Error::config(format!(
            "{}: {} bytes, and no plugin has more than {MOST_BYTES}: it was not read",
            path.display(),
            opened.len()
        ))
        .with_hint("install the plugin's .so file; this one is something else, or was damaged"));
    }
    let place = path.canonicalize().map_err(unreadable)?;
    let judge = Judge { file: path, package: Package::of_program().filter(|package| package.owns(&place, &opened)) };
    judge.check(path, &place, &opened, false)?;
    let real = judge.check_way()?;
    let there = fs::symlink_metadata(&real).map_err(unreadable)?;
    if (there.dev(), there.ino()) != (opened.dev(), opened.ino()) || real != place {
        return Err(Error::config(format!("{}: it was replaced while it was checked", path.display()))
            .with_hint("try again once its installation is done"));
    }
    Ok(file)
}

/// What one file is judged by.
struct Judge<'a> {
    file: &'a Path,
    /// The program's package, if the file belongs to it.
    package: Option<Package>,
}

impl Judge<'_> {
    /// Goes the way to the file as the system does, a link at a time, and checks each folder and link on it. Gives the
    /// path without links.
    fn check_way(&self) -> Result<PathBuf> {
        let path = self.file;
        let mut way = std::path::absolute(path).map_err(|error| unreadable(path, &error))?;
        let mut links = 0;
        'links: loop {
            let mut real = PathBuf::new();
            let mut components = way.components().peekable();
            while let Some(component) = components.next() {
                match component {
                    Component::ParentDir => {
                        real.pop();
                        continue;
                    }
                    Component::CurDir => continue,
                    other => real.push(other),
                }
                let found = fs::symlink_metadata(&real).map_err(|error| unreadable(&real, &error))?;
                if found.is_symlink() {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(Error::config(format!("{}: more than {MOST_LINKS} links", path.display()))
                            .with_hint("give the file's own path"));
                    }
                    self.check_owner(&real, &real, &found)?;
                    let target = fs::read_link(&real).map_err(|error| unreadable(&real, &error))?;
                    let folder = real.parent().unwrap_or(Path::new("/"));
                    way = folder.join(target).join(components.collect::<PathBuf>());
                    continue 'links;
                }
                // A sticky folder such as /tmp is shared, yet nobody can replace another's entries. The folder that a
                // plugin, or a link to it, is in gets no such grace: others could add plugins to it.
                let is_last_folder = components.clone().count() == 1;
                if components.peek().is_some() {
                    self.check(&real, &real, &found, !is_last_folder)?;
                }
            }
            return Ok(real);
        }
    }

    /// Checks a place by what was found there; `shown` is what the user calls it.
    fn check(&self, shown: &Path, place: &Path, found: &Metadata, sticky_is_enough: bool) -> Result<()> {
        let mode = found.mode();
        let is_kept = sticky_is_enough && mode & STICKY != 0;
        if mode & WRITABLE_BY_OTHERS != 0 && !is_kept {
            return Err(self.refuse(shown, "everybody may write there"));
        }
        let is_permitted = found.gid() == 0
            || is_private_group(found)
            || self.package.as_ref().is_some_and(|package| {
                package.is_below(place) || (package.contains(place) && package.has_group(found.gid()))
            });
        if mode & WRITABLE_BY_GROUP != 0 && !is_permitted && !is_kept {
            return Err(self.refuse(shown, "a group may write there"));
        }
        self.check_owner(shown, place, found)
    }

    fn check_owner(&self, shown: &Path, place: &Path, found: &Metadata) -> Result<()> {
        let us = rustix::process::geteuid().as_raw();
        let is_permitted = found.uid() == 0
            || found.uid() == us
            || self.package.as_ref().is_some_and(|package| {
                package.is_below(place) || (package.contains(place) && package.has_owner(found.uid()))
            });
        if !is_permitted {
            return Err(self.refuse(shown, &format!("it belongs to user {}", found.uid())));
        }
        Ok(())
    }

    fn refuse(&self, place: &Path, why: &str) -> Error {
        Error::new(ErrorKind::Config, format!("{}: not safe to load: {}: {why}", self.file.display(), place.display()))
            .with_hint(format!("make it yours alone: chown and chmod go-w {}", place.display()))
    }
}

/// The user's own group, as Debian and others create one for each user.
fn is_private_group(metadata: &Metadata) -> bool {
    metadata.gid() == metadata.uid()
}

fn unreadable(place: &Path, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Config, format!("{}: {error}", place.display()))
        .with_hint("check the path and its permissions")
}
