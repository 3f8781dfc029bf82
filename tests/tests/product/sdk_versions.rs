//! A plugin of an older SDK loads, passes the conformance kit and exports; rivet says what it was built with, and
//! what it lacks. `tests/fixtures` holds plugins of SDK 0.1: one of the day ABI 1.0 was frozen, two of its last.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use std::path::{Path, PathBuf};

use rivet_tests::readers;
use rivet_tests::rivet::{self, Output, Project};
use serde_json::Value;

const EXAMPLE: &str = "librivet_plugin_example.so";
const FOLDER: &str = "librivet_plugin_folder.so";
/// What SDK 0.1 cannot do, by the name that rivet has for it.
const UNSUPPORTED_VARIANTS: &str = "unsupported_variants";

fn fixture(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder)
}

/// A project whose plugins are these, in a copy: in a checkout, others may be able to write to folders above.
fn project(folder: &str, files: &[&str]) -> Project {
    let project = rivet::project();
    for file in files {
        project.write(&format!("plugins/{file}"), std::fs::read(fixture(folder).join(file)).unwrap());
    }
    project.config(
        "
source: {type: example, rows: 700}
exports:
  - {name: numbers, table: numbers, format: parquet, mode: chunked, chunk_column: id, chunk_size: 100, destination: {type: folder, path: '{out}'}}
",
    );
    project
}

fn rivet_in(project: &Project, command: &[&str]) -> rivet::Command {
    let config = project.path("rivet.yaml");
    let rivet = rivet::Command::new().plugins(&[&project.path("plugins"), &rivet::plugins()]).args(command);
    rivet.arg("-c").arg(config)
}

/// Every check of the kit, over the very files.
fn passes_the_kit(project: &Project, name: &str) {
    let verified = rivet_in(project, &["plugin", "verify", name, "--json"]).ok().json();
    assert_eq!(verified["path"].as_str(), project.path(&format!("plugins/librivet_plugin_{name}.so")).to_str());
    let checks = verified["checks"].as_array().unwrap();
    let kit = checks.iter().filter(|check| check["check"].as_str().unwrap().contains(": "));
    assert!(kit.clone().count() >= 20, "{verified:#}");
    assert!(checks.iter().all(|check| check["ok"] == true), "{verified:#}");
    for check in ["unknown methods are unsupported", "unknown"] {
        assert!(kit.clone().any(|found| found["check"].as_str().unwrap().contains(check)), "{verified:#}");
    }
}

#[test]
fn plugins_of_sdk_0_1_pass_the_kit_and_export() {
    let last = project("sdk-0.1", &[EXAMPLE, FOLDER]);
    passes_the_kit(&last, "example");
    passes_the_kit(&last, "folder");
    let output = rivet_in(&last, &["run"]).ok();
    assert_eq!(
        readers::sql(last.out(), "SELECT count(*), count(DISTINCT id) FROM t"),
        [vec![Some("700".to_owned()); 2]],
        "{output}"
    );

    let first = project("abi-1.0", &[EXAMPLE]);
    passes_the_kit(&first, "example");
}

#[test]
fn the_fixtures_are_what_was_committed() {
    let project = project("sdk-0.1", &[EXAMPLE, FOLDER]);
    let readme = std::fs::read_to_string(fixture("sdk-0.1/README.md")).unwrap();
    for name in ["example", "folder"] {
        let command = rivet::Command::new().plugins(&[&project.path("plugins")]);
        let info = command.args(["plugin", "info", name, "--json"]).ok().json();
        assert!(readme.contains(&format!("`{}`", info["sha256"].as_str().unwrap())), "{info:#}");
    }
}

#[track_caller]
fn shows(output: &Output, texts: &[&str]) {
    for text in texts {
        assert!(output.stdout.contains(text), "{text:?} is not shown\n{output}");
    }
}

#[test]
fn the_sdk_and_what_is_lacking_are_shown() {
    let old = project("sdk-0.1", &[EXAMPLE, FOLDER]);
    let here = |command: &[&str]| rivet::Command::new().plugins(&[&old.path("plugins")]).args(command);
    let text = here(&["plugin", "list"]).ok();
    shows(&text, &["  SDK  ", "0.1.0", &format!("example lacks: {UNSUPPORTED_VARIANTS}, split_keyset, ")]);
    shows(&text, &[&format!("folder lacks: {UNSUPPORTED_VARIANTS}\n")]);
    let listed = here(&["plugin", "list", "--json"]).ok().json();
    let found = |name: &str| -> Value {
        let mut all = listed["plugins"].as_array().unwrap().iter();
        all.find(|plugin| plugin["name"] == name && plugin["status"] == "used").unwrap().clone()
    };
    assert_eq!(
        (&found("example")["sdk"], &found("folder")["lacks"]),
        (&"0.1.0".into(), &[UNSUPPORTED_VARIANTS][..].into())
    );
    shows(&here(&["plugin", "info", "folder"]).ok(), &["0.1.0 (this rivet has ", UNSUPPORTED_VARIANTS]);
    let told = rivet_in(&old, &["doctor"]).ok();
    shows(&told, &["(ABI 1.0, SDK 0.1.0)", &format!("lacks: {UNSUPPORTED_VARIANTS}, split_keyset, ")]);

    // One of today lacks capabilities at most.
    let info = rivet::Command::new().args(["plugin", "info", "folder", "--json"]).ok().json();
    assert_eq!((&info["lacks"], &info["sdk"]), (&Value::Array(Vec::new()), &rivet_sdk::SDK_VERSION.into()));
}
