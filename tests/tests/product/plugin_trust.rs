//! Which plugin is loaded is up to its owner alone: whoever may write to a folder on the way to it could choose another.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rivet_tests::rivet;

const NAME: &str = "librivet_plugin_example.so";

/// Folders in which plugins lie, and links to them.
struct Places(rivet::Project);

impl Places {
    /// With a plugin in the folder `good`.
    fn new() -> Self {
        let places = Self(rivet::project());
        let good = places.folder("good", 0o755);
        fs::copy(rivet::plugins().join(NAME), good.join(NAME)).unwrap();
        places
    }

    fn folder(&self, name: &str, mode: u32) -> PathBuf {
        let folder = self.0.path(name);
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(mode)).unwrap();
        folder
    }

    fn good(&self) -> PathBuf {
        self.0.path("good").join(NAME)
    }

    fn info(&self, folder: &Path) -> rivet::Command {
        rivet::Command::new().plugins(&[folder]).args(["plugin", "info", "example"])
    }

    fn is_loaded_from(&self, folder: &Path) {
        self.info(folder).ok();
        rivet::Command::new().plugins(&[folder]).args(["plugin", "verify", "example"]).ok();
    }

    fn is_refused(&self, folder: &Path, because_of: &Path, why: &str) {
        for words in [&["plugin", "info", "example"][..], &["plugin", "verify", "example"]] {
            let refused = rivet::Command::new().plugins(&[folder]).args(words).run();
            assert_ne!(refused.code, Some(0), "{}", folder.display());
            let said = format!("{}{}", refused.stdout, refused.stderr);
            for words in ["not safe to load", &format!("{}: {why}", because_of.display()), "chmod go-w"] {
                assert!(said.contains(words), "{words}\n{said}");
            }
        }
    }
}

#[test]
fn a_link_in_a_folder_that_others_may_write_to_is_refused() {
    for (mode, why) in [(0o777, "everybody may write"), (0o1777, "everybody may write"), (0o775, "a group may write")] {
        let places = Places::new();
        let open = places.folder("open", mode);
        if mode == 0o775 {
            if !rustix::process::geteuid().is_root() {
                continue;
            }
            std::os::unix::fs::chown(&open, None, Some(12_345)).unwrap();
        }
        symlink(places.good(), open.join(NAME)).unwrap();
        places.is_refused(&open, &open, why);
    }
}

#[test]
fn every_folder_of_every_link_counts() {
    // mine/link -> open/between -> good/plugin
    let places = Places::new();
    let open = places.folder("open", 0o777);
    let mine = places.folder("mine", 0o755);
    symlink(places.good(), open.join("between")).unwrap();
    symlink("../open/between", mine.join(NAME)).unwrap();
    places.is_refused(&mine, &open, "everybody may write");

    // A link to a folder, which lies in an open one.
    let places = Places::new();
    let open = places.folder("open", 0o777);
    symlink(places.0.path("good"), open.join("plugins")).unwrap();
    places.is_refused(&open.join("plugins"), &open, "everybody may write");

    // And where the link leads, as before.
    let places = Places::new();
    let mine = places.folder("mine", 0o755);
    symlink(places.good(), mine.join(NAME)).unwrap();
    let good = places.folder("good", 0o777);
    places.is_refused(&mine, &good, "everybody may write");
    places.folder("good", 0o755);
    fs::set_permissions(places.good(), Permissions::from_mode(0o666)).unwrap();
    places.is_refused(&mine, &mine.join(NAME), "everybody may write");
}

#[test]
fn a_link_of_somebody_else_is_refused() {
    if !rustix::process::geteuid().is_root() {
        println!("only root can make links of somebody else: not tried");
        return;
    }
    let places = Places::new();
    // Nobody can replace another's entries there, but anybody can make one.
    let shared = places.folder("shared", 0o1777);
    let theirs = shared.join("plugins");
    symlink(places.0.path("good"), &theirs).unwrap();
    places.is_loaded_from(&theirs);
    lchown(&theirs, Some(65_534), Some(65_534)).unwrap();
    places.is_refused(&theirs, &theirs, "it belongs to user 65534");
}

#[test]
fn links_on_a_way_that_is_ones_own_are_followed() {
    let places = Places::new();
    let mine = places.folder("mine", 0o755);
    symlink("../good", mine.join("folder")).unwrap();
    symlink(mine.join("folder").join(NAME), mine.join("between")).unwrap();
    symlink("./../mine/./between", mine.join(NAME)).unwrap();
    places.is_loaded_from(&mine);
    places.is_loaded_from(&mine.join("folder"));
    symlink(mine.join("b.so"), mine.join("a.so")).unwrap();
    symlink(mine.join("a.so"), mine.join("b.so")).unwrap();
    let round = rivet::Command::new().plugins(&[]).args(["plugin", "verify"]).arg(mine.join("a.so")).run();
    assert_ne!(round.code, Some(0), "{round}");
}

#[test]
fn a_file_that_is_too_large_for_a_plugin_is_refused_by_its_size() {
    let places = Places::new();
    let folder = places.folder("large", 0o755);
    let file = File::create(folder.join(NAME)).unwrap();
    file.set_len(6 << 30).unwrap();
    let begun = Instant::now();
    let refused = places.info(&folder).run();
    assert_ne!(refused.code, Some(0));
    refused.says(&["6442450944 bytes", "no plugin has more than 1073741824", "it was not read", "hint:"]);
    let listed = rivet::Command::new().plugins(&[&folder]).args(["plugin", "list"]).run();
    assert!(format!("{}{}", listed.stdout, listed.stderr).contains("6442450944 bytes"), "{listed}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let places = Places::new();
    let folder = places.folder("odd", 0o755);
    let path = folder.join(NAME);
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let listed = rivet::Command::new().plugins(&[&folder]).args(["plugin", "list"]).run();
    assert!(format!("{}{}", listed.stdout, listed.stderr).contains("not a file"), "{listed}");
}

#[test]
fn a_large_plugin_is_read_in_pieces() {
    // A whole library with much behind it: it is hashed, and not held.
    let places = Places::new();
    let folder = places.folder("padded", 0o755);
    fs::copy(places.good(), folder.join(NAME)).unwrap();
    File::options().write(true).open(folder.join(NAME)).unwrap().set_len(700 << 20).unwrap();
    let wrapper =
        places.0.write("rivet.sh", format!("#!/bin/sh\nulimit -v 600000\nexec {} \"$@\"\n", rivet::binary().display()));
    fs::set_permissions(&wrapper, Permissions::from_mode(0o755)).unwrap();
    places.info(&folder).program(wrapper).ok();
}
