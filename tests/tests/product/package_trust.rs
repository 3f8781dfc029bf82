//! Plugins of the program's own package: found beside it, and trusted as the program is.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use rivet_tests::rivet;

const NAME: &str = "librivet_plugin_example.so";
const SOMEBODY: u32 = 12_345;
const SHARED_GROUP: u32 = 23_456;
const RUNNING: u32 = 1_000_650;

/// `bin/rivet` and `lib/rivet/plugins` under one folder, as a package installs them.
struct Installed {
    project: rivet::Project,
    prefix: PathBuf,
}

impl Installed {
    fn new(folder: &str) -> Self {
        let project = rivet::project();
        // Everybody may go there.
        mode(project.folder(), 0o755);
        let prefix = project.path(folder);
        fs::create_dir_all(prefix.join("bin")).unwrap();
        fs::create_dir_all(prefix.join("lib/rivet/plugins")).unwrap();
        fs::copy(rivet::binary(), prefix.join("bin/rivet")).unwrap();
        fs::copy(rivet::plugins().join(NAME), prefix.join("lib/rivet/plugins").join(NAME)).unwrap();
        let installed = Self { project, prefix };
        installed.each(|place| mode(place, 0o755));
        installed
    }

    fn program(&self) -> PathBuf {
        self.prefix.join("bin/rivet")
    }

    fn plugin(&self) -> PathBuf {
        self.prefix.join("lib/rivet/plugins").join(NAME)
    }

    /// All that the package has installed.
    fn each(&self, act: impl Fn(&Path)) {
        let below = ["", "bin", "bin/rivet", "lib", "lib/rivet", "lib/rivet/plugins"];
        below.iter().for_each(|place| act(&self.prefix.join(place)));
        act(&self.plugin());
    }

    /// `rivet plugin info example --json`, by a program at this path, as user and group.
    fn info_by(&self, program: &Path, user: u32, group: u32) -> rivet::Output {
        let starter = self.project.write(
            "start.sh",
            format!(
                "#!/bin/sh\nexec setpriv --reuid {user} --regid {group} --clear-groups '{}' \"$@\"\n",
                program.display()
            ),
        );
        mode(&starter, 0o755);
        let command = rivet::Command::new().program(starter).plugins(&[]).folder(self.project.folder());
        command.args(["plugin", "info", "example", "--json"]).env("XDG_DATA_HOME", self.project.path("no-data")).run()
    }

    #[track_caller]
    fn is_loaded_by(&self, user: u32, group: u32) {
        let output = self.info_by(&self.program(), user, group);
        assert_eq!(output.code, Some(0), "{output}");
        assert_eq!(output.json()["path"], self.plugin().to_str().unwrap(), "{output}");
    }

    #[track_caller]
    fn is_refused_to(&self, user: u32, group: u32, why: &str) {
        let output = self.info_by(&self.program(), user, group);
        assert_eq!(output.code, Some(2), "{output}");
        output.says(&["not safe to load", why]);
    }
}

fn mode(place: &Path, mode: u32) {
    fs::set_permissions(place, Permissions::from_mode(mode)).unwrap();
}

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("only root can make files of somebody else: not tried");
    }
    is_root
}

#[test]
fn a_package_of_another_user_is_trusted_as_its_program_is() {
    if !is_root() {
        return;
    }
    let venv = Installed::new("a venv");
    // Before it has the program's owner, as before there were packages.
    chown(venv.plugin(), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    venv.is_refused_to(RUNNING, RUNNING, "it belongs to user 12345");
    venv.each(|place| chown(place, Some(SOMEBODY), Some(SOMEBODY)).unwrap());
    venv.is_loaded_by(RUNNING, RUNNING);
    venv.is_loaded_by(SOMEBODY, SOMEBODY);
    venv.is_loaded_by(0, 0);

    // What is not the package's is judged as ever.
    let elsewhere = venv.project.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::copy(venv.plugin(), elsewhere.join(NAME)).unwrap();
    chown(elsewhere.join(NAME), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    fs::remove_file(venv.plugin()).unwrap();
    symlink(elsewhere.join(NAME), venv.plugin()).unwrap();
    venv.is_refused_to(RUNNING, RUNNING, "it belongs to user 12345");
    chown(elsewhere.join(NAME), Some(0), Some(0)).unwrap();
    venv.is_refused_to(RUNNING, RUNNING, "a venv: it belongs to user 12345");
}

#[test]
fn who_may_replace_the_program_may_replace_its_plugins() {
    if !is_root() {
        return;
    }
    // umask 0002, in a group that several share.
    let venv = Installed::new("venv");
    venv.each(|place| {
        chown(place, Some(SOMEBODY), Some(SHARED_GROUP)).unwrap();
        mode(place, 0o775);
    });
    venv.is_loaded_by(RUNNING, RUNNING);
    venv.is_loaded_by(SOMEBODY, SHARED_GROUP);
    // That group may no longer replace the program, yet the plugin.
    for place in ["", "bin", "bin/rivet"] {
        mode(&venv.prefix.join(place), 0o755);
    }
    venv.is_refused_to(SOMEBODY, SHARED_GROUP, "a group may write there");
    mode(&venv.program(), 0o775);
    venv.is_loaded_by(SOMEBODY, SHARED_GROUP);
    // Another group may replace the plugin.
    chown(venv.plugin(), None, Some(SHARED_GROUP + 1)).unwrap();
    venv.is_refused_to(SOMEBODY, SHARED_GROUP, "a group may write there");

    // A folder of a third.
    let venv = Installed::new("venv");
    venv.each(|place| chown(place, Some(SOMEBODY), Some(SOMEBODY)).unwrap());
    chown(venv.prefix.join("lib/rivet"), Some(SOMEBODY + 1), None).unwrap();
    venv.is_refused_to(RUNNING, RUNNING, "lib/rivet: it belongs to user 12346");
    // His is what the package was put into: the program, too.
    chown(venv.prefix.join("lib/rivet"), Some(SOMEBODY), None).unwrap();
    chown(&venv.prefix, Some(SOMEBODY + 1), None).unwrap();
    venv.is_loaded_by(RUNNING, RUNNING);
}

#[test]
fn a_container_runs_as_any_user_of_group_0() {
    if !is_root() {
        return;
    }
    for owner in [0, 1001] {
        let app = Installed::new("app");
        app.each(|place| {
            chown(place, Some(owner), Some(0)).unwrap();
            mode(place, 0o775);
        });
        app.is_loaded_by(RUNNING, 0);
    }
}

#[test]
fn what_everybody_may_write_to_is_never_trusted() {
    let venv = Installed::new("venv");
    let us = fs::metadata(venv.plugin()).unwrap();
    for place in ["", "lib", "lib/rivet", "lib/rivet/plugins", "lib/rivet/plugins/librivet_plugin_example.so"] {
        let place = venv.prefix.join(place);
        for open in [0o777, 0o1777] {
            // Nobody can replace another's entries in a sticky folder; the plugins' own gets no such grace.
            if open == 0o1777 && !place.ends_with("plugins") {
                continue;
            }
            mode(&place, open);
            let output = command(&venv.program()).args(["plugin", "info", "example"]).fails(2);
            output.says(&["not safe to load", "everybody may write there"]);
            mode(&place, 0o755);
        }
    }
    if is_root() {
        mode(&venv.plugin(), 0o777);
        venv.each(|place| chown(place, Some(SOMEBODY), Some(SOMEBODY)).unwrap());
        venv.is_refused_to(RUNNING, RUNNING, "everybody may write there");
    }
    assert_eq!(us.mode() & 0o777, 0o755);
}

/// The program, without the starter that changes the user.
fn command(program: &Path) -> rivet::Command {
    rivet::Command::new().program(program).plugins(&[]).env("XDG_DATA_HOME", "/nonexistent")
}

#[test]
fn a_program_that_is_reached_by_a_link_has_the_plugins_of_its_package() {
    let venv = Installed::new("a venv");
    let bin = venv.project.path("my bin");
    fs::create_dir(&bin).unwrap();
    // Of another package, whose program this is not.
    let other = venv.project.path("lib/rivet/plugins");
    fs::create_dir_all(&other).unwrap();
    fs::copy(rivet::plugins().join("librivet_plugin_sqlite.so"), other.join("librivet_plugin_sqlite.so")).unwrap();
    symlink("../a venv/bin/rivet", bin.join("between")).unwrap();
    symlink(bin.join("between"), bin.join("rivet")).unwrap();
    let listed = command(&bin.join("rivet")).args(["plugin", "list", "--json"]).ok().json();
    let plugins = listed["plugins"].as_array().unwrap();
    assert_eq!(plugins.len(), 1, "{listed}");
    assert_eq!(plugins[0]["path"], venv.plugin().to_str().unwrap());
    assert_eq!(plugins[0]["origin"], "the program's package");
    assert_eq!(plugins[0]["status"], "used");

    // The search names it, and goes on to no other system's folder.
    let missing = command(&bin.join("rivet")).args(["plugin", "info", "nothing"]).fails(2);
    missing.says(&["a venv/lib/rivet/plugins (the program's package): example"]);
    missing.never_says(" /usr/lib/rivet/plugins");
    command(&bin.join("rivet")).args(["-v", "plugin", "list"]).ok().says(&["(the program's package): example"]);

    // What comes before it in the search is used; the package's is shadowed.
    let mine = venv.project.path("mine");
    fs::create_dir(&mine).unwrap();
    fs::copy(venv.plugin(), mine.join(NAME)).unwrap();
    let found =
        command(&bin.join("rivet")).args(["plugin", "info", "example", "--json"]).env("RIVET_PLUGIN_PATH", &mine);
    let found = found.ok().json();
    assert_eq!(found["path"], mine.join(NAME).to_str().unwrap());
    assert_eq!(found["shadowed"][0], venv.plugin().to_str().unwrap());
}

/// One machine, two packages: a lock made with the one holds with the other beside it.
#[test]
fn a_lock_finds_its_file_in_either_of_two_packages() {
    let (deb, wheel) = (Installed::new("usr"), Installed::new("venv"));
    let bytes = fs::read(deb.plugin()).unwrap();
    fs::write(wheel.plugin(), [&bytes[..], b"!"].concat()).unwrap();
    let lock = |from: &Installed| {
        command(&from.program()).folder(deb.project.folder()).args(["plugin", "lock", "--all"]).ok();
    };
    let path = |from: &Installed| {
        let both = std::env::join_paths([wheel.plugin().parent().unwrap(), deb.plugin().parent().unwrap()]).unwrap();
        let info = command(&from.program()).folder(deb.project.folder()).env("RIVET_PLUGIN_PATH", both);
        info.args(["plugin", "info", "example", "--json", "--locked"]).ok().json()["path"].clone()
    };
    for pinned in [&deb, &wheel] {
        lock(pinned);
        for program in [&deb, &wheel] {
            assert_eq!(path(program), pinned.plugin().to_str().unwrap());
        }
    }
}
