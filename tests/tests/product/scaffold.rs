//! `rivet plugin new`: what it writes builds by itself, passes the conformance suite, and exports.

use std::path::{Path, PathBuf};
use std::process::Command;

use rivet_tests::{
    readers,
    rivet::{self, Project},
};

fn new(project: &Project, arguments: &[&str]) -> rivet::Command {
    let command = rivet::Command::new().arg("plugin").arg("new").folder(project.folder());
    arguments.iter().fold(command, |command, argument| command.arg(argument))
}

/// Tests and builds a crate that lies in a workspace of its own; the folder with its library.
fn build(folder: &Path) -> PathBuf {
    // Its libraries are those of `tests/skew/build`, so most of them are there already.
    let target = rivet::target().join("skew/target");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    // A stranger's crate gets the newest versions; this one those that are at hand.
    std::fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    // A test leaves the library among its own files; a build puts it where users find it.
    for command in ["test", "build"] {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(folder).env("CARGO_TARGET_DIR", &target).env("CARGO_PROFILE_DEV_DEBUG", "false");
        let output = cargo.args([command, "--quiet"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(command == "build" || text.contains("test result: ok."), "{text}");
    }
    target.join("debug")
}

#[test]
#[ignore = "compiles for minutes: make test-slow SUITE=scaffold"]
fn a_new_source_and_a_new_destination_pass_the_suite_and_export() {
    let project = rivet::project();
    new(&project, &["quotes", "--kind", "source"]).ok();
    new(&project, &["my_shelf", "--kind", "destination", "--path", "shelf"]).ok();
    build(&project.path("rivet-plugin-quotes"));
    let libraries = build(&project.path("shelf"));
    let plugins = project.folder().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    for name in ["quotes", "my_shelf"] {
        let library = format!("librivet_plugin_{name}.so");
        std::fs::copy(libraries.join(&library), plugins.join(library)).unwrap();
    }
    // Their own configurations: for the one the host's folder, for the other the host's generated rows.
    for (name, folder) in [("quotes", "rivet-plugin-quotes"), ("my_shelf", "shelf")] {
        let folder = project.path(folder);
        let config = folder.join("rivet.yaml");
        let both = [&*plugins, &*rivet::plugins()];
        let here = |command: &[&str]| {
            let rivet = rivet::Command::new().plugins(&both).arg("--untrusted-plugins").folder(&folder);
            command.iter().fold(rivet, |rivet, argument| rivet.arg(argument)).arg("-c").arg(&config)
        };
        here(&["plugin", "verify", name]).ok();
        here(&["run"]).ok();
        let facts = readers::sql(folder.join("out"), "SELECT count(*), sum(id) FROM t");
        assert_eq!(facts, [[Some("1000".to_owned()), Some("499500".to_owned())]]);
    }
}

#[test]
fn names_and_folders_that_cannot_be_are_refused() {
    let project = rivet::project();
    new(&project, &["My-Plugin", "--kind", "source"]).fails(2).says(&["My-Plugin", "hint:", "lower-case"]);
    new(&project, &["local", "--kind", "destination"]).fails(2).says(&["rivet's own", "hint:"]);
    new(&project, &["mine"]).fails(2).says(&["--kind"]);
    project.write("rivet-plugin-mine/notes.txt", "mine");
    new(&project, &["mine", "--kind", "source"]).fails(2).says(&["rivet-plugin-mine is there already", "--path"]);
    new(&project, &["other", "--kind", "source", "--sdk", "."]).fails(2).says(&["plugin/Cargo.toml", "hint:"]);
    assert!(!project.path("rivet-plugin-other").exists());
}
