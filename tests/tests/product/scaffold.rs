//! `rivet plugin new`: what it writes builds by itself, passes the conformance suite, and exports.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use rivet_tests::{
    readers,
    rivet::{self, Project},
};

const SDK: [&str; 4] = ["rivet-abi", "rivet-sdk", "rivet-loader", "rivet-testkit"];

fn new(project: &Project, arguments: &[&str]) -> rivet::Command {
    let command = rivet::Command::new().arg("plugin").arg("new").folder(project.folder());
    arguments.iter().fold(command, |command, argument| command.arg(argument))
}

/// Tests and builds a crate that lies in a workspace of its own; the folder with its library.
fn build(folder: &Path, name: &str) -> PathBuf {
    // Its libraries are those of `tests/skew/build`, so most of them are there already.
    let target = rivet::target().join("skew/target");
    let library = target.join(format!("debug/librivet_plugin_{name}.so"));
    // A stranger's crate gets the newest versions; this one those that are at hand.
    std::fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    // Either leaves the library where `--plugin-dir` finds it.
    for command in ["build", "test"] {
        let _ = std::fs::remove_file(&library);
        let mut cargo = Command::new(cargo());
        cargo.current_dir(folder).env("CARGO_TARGET_DIR", &target).env("CARGO_PROFILE_DEV_DEBUG", "false");
        let output = cargo.args([command, "--quiet", "--offline"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(command == "build" || text.contains("test result: ok."), "{text}");
        assert!(library.is_file(), "cargo {command} left no {}", library.display());
    }
    library
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// What a package installs: the program, the example plugin, and the SDK's sources as they are published.
fn install(prefix: &Path) {
    let packed = rivet::target().join("packed-sdk");
    let mut package = Command::new(cargo());
    package
        .current_dir(root())
        .args(["package", "--offline", "--allow-dirty", "--no-verify", "--target-dir"])
        .arg(&packed);
    for name in SDK {
        package.args(["-p", name]);
    }
    let _ = std::fs::remove_dir_all(packed.join("package"));
    let output = package.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for folder in ["bin", "lib/rivet/plugins"] {
        std::fs::create_dir_all(prefix.join(folder)).unwrap();
    }
    std::fs::copy(rivet::binary(), prefix.join("bin/rivet")).unwrap();
    let example = "librivet_plugin_example.so";
    std::fs::copy(rivet::plugins().join(example), prefix.join("lib/rivet/plugins").join(example)).unwrap();
    for entry in std::fs::read_dir(packed.join("package")).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap();
        let Some(name) = SDK.into_iter().find(|name| file.starts_with(&format!("{name}-"))) else { continue };
        let folder = prefix.join("share/rivet/sdk").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut tar = Command::new("tar");
        let unpacked = tar.arg("-xzf").arg(&path).arg("-C").arg(&folder).arg("--strip-components=1").status().unwrap();
        assert!(unpacked.success());
    }
}

/// A new plugin's own configuration: verified by the kit, then run; judged by another reader.
fn exports(folder: &Path, name: &str, command: impl Fn() -> rivet::Command) {
    let config = folder.join("rivet.yaml");
    let here = |words: &[&str]| command().arg("--untrusted-plugins").folder(folder).args(words).arg("-c").arg(&config);
    here(&["plugin", "verify", name]).ok();
    here(&["run"]).ok();
    let facts = readers::sql(folder.join("out"), "SELECT count(*), sum(id) FROM t");
    assert_eq!(facts, [[Some("1000".to_owned()), Some("499500".to_owned())]]);
}

#[test]
#[ignore = "compiles for minutes: make test-slow SUITE=scaffold"]
fn a_new_source_and_a_new_destination_pass_the_suite_and_export() {
    let project = rivet::project();
    // Named, for a target folder that lies elsewhere.
    let sdk = root().join("sdk");
    new(&project, &["quotes", "--kind", "source", "--sdk"]).arg(&sdk).ok();
    new(&project, &["my_shelf", "--kind", "destination", "--path", "shelf", "--sdk"]).arg(&sdk).ok();
    // For the one the host's folder, for the other the host's generated rows.
    for (name, folder) in [("quotes", "rivet-plugin-quotes"), ("my_shelf", "shelf")] {
        let folder = project.path(folder);
        let library = build(&folder, name);
        let plugins = project.path("plugins");
        std::fs::create_dir_all(&plugins).unwrap();
        std::fs::copy(&library, plugins.join(library.file_name().unwrap())).unwrap();
        exports(&folder, name, || rivet::Command::new().plugins(&[&plugins, &rivet::plugins()]));
    }
}

#[test]
#[ignore = "compiles for minutes: make test-slow SUITE=scaffold"]
fn an_installed_package_makes_plugins_without_a_checkout() {
    let project = rivet::project();
    let prefix = project.path("a package");
    install(&prefix);
    let rivet = || {
        let program = rivet::Command::new().program(prefix.join("bin/rivet")).plugins(&[]).folder(project.folder());
        program.env("XDG_DATA_HOME", project.path("no-data"))
    };
    for (name, kind) in [("parcels", "source"), ("my_crate", "destination")] {
        rivet().args(["plugin", "new", name, "--kind", kind]).ok();
        let folder = project.path(&format!("rivet-plugin-{name}"));

        // What is committed says nothing of this machine; a colleague makes that anew.
        let git = |words: &[&str]| {
            let output = Command::new("git").current_dir(&folder).args(words).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        git(&["init", "--quiet"]);
        git(&["add", "."]);
        let committed = git(&["ls-files"]);
        assert!(committed.contains("Cargo.toml") && !committed.contains("config.toml"), "{committed}");
        for file in committed.lines() {
            let text = std::fs::read_to_string(folder.join(file)).unwrap();
            assert!(!text.contains(project.folder().to_str().unwrap()), "{file} names this machine's folders");
        }
        let clone = project.path(&format!("clone of {name}"));
        git(&["checkout-index", "--all", &format!("--prefix={}/", clone.display())]);
        rivet().args(["plugin", "sdk", "--path"]).arg(&clone).ok();

        let library = build(&clone, name);
        exports(&clone, name, || rivet().arg("--plugin-dir").arg(library.parent().unwrap()));
    }
}

#[test]
fn without_an_sdk_nothing_is_written() {
    let project = rivet::project();
    let program = project.path("bin/rivet");
    std::fs::create_dir(project.path("bin")).unwrap();
    std::fs::copy(rivet::binary(), &program).unwrap();
    let refused = new(&project, &["mine", "--kind", "source"]).program(&program).plugins(&[]).fails(2);
    let searched = project.path("share/rivet/sdk");
    refused.says(&["SDK for authors is not on this machine", searched.to_str().unwrap(), "hint:", "--sdk DIR"]);
    assert!(!project.path("rivet-plugin-mine").exists());

    // That of a checkout is as good as a package's.
    let sdk = root().join("sdk");
    new(&project, &["mine", "--kind", "source", "--sdk", sdk.to_str().unwrap()]).program(&program).plugins(&[]).ok();
    let config = project.path("rivet-plugin-mine/.cargo/config.toml");
    let written = std::fs::read_to_string(&config).unwrap();
    let plugin = sdk.canonicalize().unwrap().join("plugin");
    assert!(written.contains(&format!("rivet-sdk = {{ path = \"{}\" }}", plugin.display())), "{written}");

    // It is written anew, but nobody's own is written over.
    let again = || {
        let rivet = rivet::Command::new().folder(project.path("rivet-plugin-mine"));
        rivet.args(["plugin", "sdk", "--sdk", sdk.to_str().unwrap()])
    };
    std::fs::write(&config, written.replace("/sdk/", "/moved/")).unwrap();
    again().ok();
    assert_eq!(std::fs::read_to_string(&config).unwrap(), written);
    std::fs::write(&config, "[build]\n").unwrap();
    again().fails(2).says(&["is there already", "[patch.crates-io]", "rivet-testkit = "]);
    assert_eq!(std::fs::read_to_string(&config).unwrap(), "[build]\n");
    let nowhere = rivet::Command::new().folder(project.folder()).args(["plugin", "sdk", "--sdk"]).arg(&sdk);
    nowhere.fails(2).says(&["there is no Cargo.toml", "--path"]);
}

#[test]
fn names_and_folders_that_cannot_be_are_refused() {
    let project = rivet::project();
    new(&project, &["My-Plugin", "--kind", "source"]).fails(2).says(&["My-Plugin", "hint:", "lower-case"]);
    new(&project, &["local", "--kind", "destination"]).fails(2).says(&["rivet's own", "hint:"]);
    new(&project, &["postgres", "--kind", "source"]).fails(2).says(&["a plugin of rivet's own", "hint:"]);
    new(&project, &["result", "--kind", "source"]).fails(2).says(&["its type `Result` would be another's", "hint:"]);
    let taken = project.write("found/librivet_plugin_mine.so", "any");
    let found = new(&project, &["mine", "--kind", "source"]).env("RIVET_PLUGIN_PATH", project.path("found"));
    found.fails(2).says(&["there is a plugin `mine` already", taken.to_str().unwrap(), "hint:"]);
    new(&project, &["mine"]).fails(2).says(&["--kind"]);
    project.write("rivet-plugin-mine/notes.txt", "mine");
    new(&project, &["mine", "--kind", "source"]).fails(2).says(&["rivet-plugin-mine is there already", "--path"]);
    new(&project, &["other", "--kind", "source", "--sdk", "."]).fails(2).says(&["the SDK is not in it", "hint:"]);
    assert!(!project.path("rivet-plugin-other").exists());
}
