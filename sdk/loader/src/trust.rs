//! Whether a file may be run: a plugin is native code with the host's rights.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rivet_sdk::{Error, ErrorKind, Result};

const WRITABLE_BY_OTHERS: u32 = 0o002;
const WRITABLE_BY_GROUP: u32 = 0o020;
const STICKY: u32 = 0o1000;

/// Refuses a file that somebody other than its owner, root or this user could replace: a
/// foreign owner or write permission for others, of the file or of any folder above it.
pub(crate) fn check(file: &Path) -> Result<()> {
    let canonical = file.canonicalize().map_err(|error| unreadable(file, &error))?;
    let us = rustix::process::geteuid().as_raw();
    for (depth, place) in canonical.ancestors().enumerate() {
        let metadata = fs::metadata(place).map_err(|error| unreadable(place, &error))?;
        let mode = metadata.mode();
        // A sticky folder such as /tmp is shared, yet nobody can replace another's entries.
        // The plugin's own folder gets no such grace: others could add plugins to it.
        let sticky_ancestor = depth > 1 && mode & STICKY != 0;
        if mode & WRITABLE_BY_OTHERS != 0 && !sticky_ancestor {
            return Err(refuse(file, place, "everybody may write there"));
        }
        if mode & WRITABLE_BY_GROUP != 0 && metadata.gid() != 0 && !is_private_group(&metadata) && !sticky_ancestor {
            return Err(refuse(file, place, "a group may write there"));
        }
        if metadata.uid() != 0 && metadata.uid() != us {
            return Err(refuse(file, place, &format!("it belongs to user {}", metadata.uid())));
        }
    }
    Ok(())
}

/// The user's own group, as Debian and others create one for each user.
fn is_private_group(metadata: &fs::Metadata) -> bool {
    metadata.gid() == metadata.uid()
}

fn refuse(file: &Path, place: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Config, format!("{}: not safe to load: {}: {why}", file.display(), place.display()))
        .with_hint(format!("make it yours alone: chown and chmod go-w {}", place.display()))
}

fn unreadable(place: &Path, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Config, format!("{}: {error}", place.display()))
        .with_hint("check the path and its permissions")
}
