//! The commands around a run, through the real binary and the example plugin.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

/// The folder with the example plugin: the binary's own. Built if it is not there.
fn plugins() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_rivet")).parent().unwrap().to_owned();
        if !folder.join("librivet_plugin_example.so").exists() {
            let built = Command::new(env!("CARGO")).args(["build", "-p", "rivet-plugin-example"]).status().unwrap();
            assert!(built.success());
        }
        folder
    })
}

fn rivet(folder: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rivet"));
    command.arg("--plugin-dir").arg(plugins()).args(arguments).current_dir(folder.path());
    command.env_remove("RIVET_STATE_URL").env_remove("RIVET_PLUGIN_PATH").output().unwrap()
}

/// Exit code, stdout, stderr.
fn run(folder: &TempDir, arguments: &[&str]) -> (i32, String, String) {
    let output = rivet(folder, arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn json(folder: &TempDir, arguments: &[&str]) -> Value {
    let (code, stdout, stderr) = run(folder, arguments);
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {code}\n{stdout}\n{stderr}"))
}

fn project(yaml: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rivet.yaml"), yaml).unwrap();
    folder
}

const NUMBERS: &str = "
source: {type: example, rows: 1000}
exports:
  - {name: numbers, table: numbers, format: parquet, chunk_count: 4, destination: {type: local, path: out}}
";

#[test]
fn what_init_writes_runs_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, stderr) = run(&folder, &["init", "--source", "example:?rows=50"]);
    assert_eq!(code, 0, "{stderr}");
    for command in ["doctor", "check", "run"] {
        let (code, stdout, stderr) = run(&folder, &[command]);
        assert_eq!(code, 0, "{command}\n{stdout}\n{stderr}");
    }
    let journal = json(&folder, &["journal", "--json"]);
    assert_eq!(journal["runs"][0]["status"], "succeeded");
    assert_eq!(journal["runs"][0]["rows"], 50);
}

#[test]
fn init_overwrites_only_by_force() {
    let folder = project("mine");
    let init = ["init", "--source", "example:"];
    let (code, _, stderr) = run(&folder, &init);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("hint: give another file with -o, or overwrite it with --force"), "{stderr}");
    assert_eq!(std::fs::read_to_string(folder.path().join("rivet.yaml")).unwrap(), "mine");
    assert_eq!(run(&folder, &[&init[..], &["--force"]].concat()).0, 0);
    assert!(std::fs::read_to_string(folder.path().join("rivet.yaml")).unwrap().contains("type: example"));
}

#[test]
fn init_names_the_nearest_table_and_never_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, stderr) = run(&folder, &["init", "--source", "example:", "--table", "number"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("no table `number`\nhint: did you mean numbers?"), "{stderr}");
    let (code, stdout, stderr) = run(&folder, &["init", "--source", "example://me:hunter22@h/d", "--discover"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(!stdout.contains("hunter22") && !stderr.contains("hunter22"));
    assert!(!folder.path().join("rivet.yaml").exists());
}

#[test]
fn check_says_how_and_touches_nothing() {
    let folder = project(NUMBERS);
    let checked = json(&folder, &["check", "--types", "--strict", "--target", "bigquery", "--json"]);
    let export = &checked["exports"][0];
    assert_eq!(
        (&export["verdict"], &export["chunks"], &export["rows_per_chunk"]),
        (&"ready".into(), &4.into(), &250.into())
    );
    assert_eq!(export["columns"][1]["parquet_type"], "INT64 DECIMAL(12, 2)");
    assert!(!folder.path().join("out").exists() && !folder.path().join(".rivet_state.db").exists());
}

#[test]
fn check_goes_on_after_an_export_that_fails() {
    let two = "
source: {type: example}
exports:
  - {name: a, table: nothing, format: csv, destination: {type: local, path: out}}
  - {name: b, table: numbers, format: csv, destination: {type: local, path: out/b}}
";
    let (code, stdout, stderr) = run(&project(two), &["check"]);
    assert_eq!(code, 1);
    assert!(stdout.starts_with("a: fails\nb: ready\n"), "{stdout}");
    assert!(
        stderr.contains("no table `nothing`") && stderr.contains("hint: the example has one table: numbers"),
        "{stderr}"
    );
}

#[test]
fn doctor_leaves_no_probe_and_goes_on_after_a_failure() {
    let folder = project(NUMBERS);
    let (code, stdout, stderr) = run(&folder, &["doctor"]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert_eq!(stdout.lines().filter(|line| line.starts_with("[OK] ")).count(), 4, "{stdout}");
    assert_eq!(std::fs::read_dir(folder.path().join("out")).unwrap().count(), 0);

    let folder = project(&NUMBERS.replace("type: example", "type: exampel"));
    let report = json(&folder, &["doctor", "--json"]);
    let statuses: Vec<&str> =
        report["checks"].as_array().unwrap().iter().map(|check| check["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["fail", "ok", "ok"], "{report}");
    assert_eq!(run(&folder, &["doctor"]).0, 2);
}

#[test]
fn a_missing_configuration_says_what_to_do() {
    let (code, _, stderr) = run(&tempfile::tempdir().unwrap(), &["check"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("hint: name it with --config, or let `rivet init` write one"), "{stderr}");
}

#[test]
fn plugins_are_listed_described_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    let listed = json(&folder, &["plugin", "list", "--json"]);
    let example = listed["plugins"].as_array().unwrap().iter().find(|plugin| plugin["name"] == "example").unwrap();
    assert_eq!((&example["status"], &example["origin"]), (&"used".into(), &"--plugin-dir".into()));
    let (code, stdout, _) = run(&folder, &["plugin", "info", "example"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("  rows    whole number  1000     How many rows the table has."), "{stdout}");
    let (code, stdout, _) = run(&folder, &["plugin", "verify", "example"]);
    assert!(code == 0 && !stdout.contains("[FAIL]"), "{stdout}");
    let verified = json(&folder, &["plugin", "verify", "example", "--json"]);
    assert_eq!(verified["ok"], true, "{verified}");
    let checks = verified["checks"].as_array().unwrap();
    assert!(checks.iter().any(|check| check["check"] == "an unknown option of the source is refused"), "{verified}");
}

#[test]
fn a_damaged_plugin_fails_its_verification_at_the_step_that_finds_it() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(plugins().join("librivet_plugin_example.so")).unwrap();
    let file = folder.path().join("librivet_plugin_example.so");
    std::fs::write(&file, &whole[..whole.len() / 3]).unwrap();
    let (code, stdout, _) = run(&folder, &["plugin", "verify", file.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(stdout.contains("[OK]   nobody else can replace the file\n[FAIL] the library is whole: "), "{stdout}");
    let (code, stdout, _) = run(&folder, &["plugin", "verify", "--json", file.to_str().unwrap()]);
    let verified: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &verified["ok"], &verified["checks"][1]["ok"]), (1, &false.into(), &false.into()), "{verified}");
    assert!(verified["checks"][1]["error"].as_str().unwrap().contains("bytes are missing"), "{verified}");
}

#[test]
fn the_schema_holds_the_options_of_plugins() {
    let schema = json(&tempfile::tempdir().unwrap(), &["schema", "config"]);
    let cases = schema["$defs"]["source"]["allOf"].as_array().unwrap();
    assert!(cases.iter().any(|case| case["then"]["properties"]["rows"].is_object()), "{cases:?}");
    let (code, script, _) = run(&tempfile::tempdir().unwrap(), &["completions", "zsh"]);
    assert!(code == 0 && script.starts_with("#compdef rivet"));
}
