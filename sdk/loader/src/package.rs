//! The program's own package: what was installed together with the running program.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::search::is_elevated;

/// Where a package's plugins lie, beside the folder of its program.
pub(crate) const PLUGINS: &str = "lib/rivet/plugins";

const WRITABLE_BY_GROUP: u32 = 0o020;
const STICKY: u32 = 0o1000;

/// The running program's own file.
const PROGRAM: &str = "/proc/self/exe";

/// The folder into which the running program was installed, as `bin/rivet` or the like. Links to the program are
/// followed. None where the system does not say.
pub fn program_prefix() -> Option<PathBuf> {
    Some(fs::read_link(PROGRAM).ok()?.parent()?.parent()?.to_owned())
}

/// Who may replace the running program: they may as well replace the plugins that came with it.
#[derive(Debug)]
pub(crate) struct Package {
    prefix: PathBuf,
    owner: u32,
    /// The groups that may write to the program, or to a folder above it.
    groups: Vec<u32>,
}

impl Package {
    /// None for a program that runs with more rights than its caller, who may have chosen where it lies.
    pub(crate) fn of_program() -> Option<Self> {
        if is_elevated() {
            return None;
        }
        let path = fs::read_link(PROGRAM).ok()?;
        // What runs, whatever lies at its path by now.
        let program = fs::metadata(PROGRAM).ok()?;
        let owner = program.uid();
        let folders = path.ancestors().skip(1).filter_map(|folder| fs::symlink_metadata(folder).ok());
        let folders = folders.filter(|folder| folder.mode() & STICKY == 0);
        let writable = std::iter::once(program).chain(folders).filter(|place| place.mode() & WRITABLE_BY_GROUP != 0);
        Some(Self { prefix: program_prefix()?, owner, groups: writable.map(|place| place.gid()).collect() })
    }

    /// Whether a file is a plugin of this package: in its folder, without a link on the way, and with the program's
    /// owner.
    pub(crate) fn owns(&self, real: &Path, file: &Metadata) -> bool {
        real.parent() == Some(&self.prefix.join(PLUGINS)) && file.uid() == self.owner
    }

    /// Whether the program lies below this folder, too.
    pub(crate) fn is_below(&self, folder: &Path) -> bool {
        self.prefix.starts_with(folder)
    }

    /// Whether a place lies on the way from the prefix to a plugin, or is one.
    pub(crate) fn contains(&self, place: &Path) -> bool {
        let plugins = self.prefix.join(PLUGINS);
        place.parent() == Some(&plugins) || (place.starts_with(self.prefix.join("lib")) && plugins.starts_with(place))
    }

    /// Whether this user may replace the program.
    pub(crate) fn has_owner(&self, user: u32) -> bool {
        user == self.owner
    }

    /// Whether the members of this group may replace the program.
    pub(crate) fn has_group(&self, group: u32) -> bool {
        self.groups.contains(&group)
    }
}
