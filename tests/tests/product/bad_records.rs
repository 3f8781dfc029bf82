//! What rivet keeps between runs, spoilt: the state file, the manifest and its parts, `_SUCCESS`, a sealed plan. Each
//! ends in one clear error with a hint and an exit code, and nothing is touched.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rivet_tests::{
    readers,
    rivet::{self, Project},
    sqlite,
};
use rusqlite::Connection;
use serde_json::Value;

const ROWS: u64 = 400;

/// A table of four hundred rows.
fn database() -> sqlite::Database {
    let mut database = sqlite::database();
    database.run(&format!(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM \
         n WHERE i < {ROWS}) INSERT INTO t SELECT i, 'row ' || i FROM n"
    ));
    database
}

/// Its export in four chunks.
fn project(database: &sqlite::Database, more: &str) -> Project {
    let project = rivet::project();
    configure(&project, database, more);
    project
}

fn configure(project: &Project, database: &sqlite::Database, more: &str) {
    project.config(&format!(
        "source: {{url: '{}'}}\nexports:\n  - {{name: e, table: t, mode: chunked, chunk_column: id, chunk_size: 100, \
         format: parquet, {more} destination: {{type: local, path: '{{out}}'}}}}\n",
        database.url()
    ));
}

fn plan_command(project: &Project, command: &str) -> rivet::Command {
    rivet::Command::new().folder(project.folder()).args([command, "plan.json"])
}

fn rows(project: &Project) -> String {
    readers::sql(project.out(), "SELECT count(*) FROM t")[0][0].clone().unwrap()
}

/// The only run's manifest.
fn manifest(project: &Project) -> PathBuf {
    let runs: Vec<PathBuf> = fs::read_dir(project.out().join("_rivet/e"))
        .unwrap()
        .map(|run| run.unwrap().path().join("manifest.json"))
        .filter(|path| path.exists())
        .collect();
    let [only] = runs.as_slice() else { panic!("one manifest expected: {runs:?}") };
    only.clone()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn write(path: &Path, value: &Value) {
    fs::write(path, serde_json::to_vec_pretty(value).unwrap()).unwrap();
}

#[test]
fn a_state_file_that_is_damaged_newer_or_of_another_tool_is_refused_and_not_touched() {
    type Change = fn(&Path);
    let cases: [(Change, &[&str]); 5] = [
        (
            |file| {
                fs::write(file, "this is a text, and long enough to be taken for a database's header".repeat(20))
                    .unwrap()
            },
            &["the state store is damaged", "damaged_state", "hint: restore it from a backup", "watermarks are lost"],
        ),
        (
            |file| {
                let bytes = fs::read(file).unwrap();
                fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
            },
            &["the state store is damaged", "damaged_state", "hint: restore it from a backup"],
        ),
        (
            |file| Connection::open(file).unwrap().execute_batch("PRAGMA user_version = 99").unwrap(),
            &["has version 99, this rivet knows", "newer_state", "hint: use the newer rivet that wrote it"],
        ),
        (
            |file| {
                fs::remove_file(file).unwrap();
                let tables = "CREATE TABLE export_state (export_name TEXT PRIMARY KEY, last_cursor TEXT)";
                Connection::open(file).unwrap().execute_batch(tables).unwrap();
            },
            &["was written by rivet-cli (tables export_state", "foreign_state", "hint:", "not taken over", "mv "],
        ),
        (
            |file| {
                fs::remove_file(file).unwrap();
                Connection::open(file).unwrap().execute_batch("CREATE TABLE photos (id INTEGER)").unwrap();
            },
            &["was written by another tool (tables photos", "foreign_state", "hint:", "mv "],
        ),
    ];
    for (change, said) in cases {
        let database = database();
        let project = project(&database, "");
        project.rivet("run").ok();
        let file = project.path(".rivet_state.db");
        change(&file);
        let (before, parts) = (fs::read(&file).unwrap(), readers::files(project.out()));
        for command in ["run", "journal"] {
            let output = project.rivet(command).fails(1);
            output.says(said).says(&[".rivet_state.db"]);
        }
        assert!(fs::read(&file).unwrap() == before, "the file was touched: {said:?}");
        assert_eq!(readers::files(project.out()), parts, "nothing was exported: {said:?}");
        // The remedy that the hint names.
        fs::rename(&file, project.path("old.db")).unwrap();
        project.rivet("run").ok();
        assert_eq!(rows(&project), (2 * ROWS).to_string());
    }
}

#[test]
fn a_state_named_wrongly_is_told_before_anything_is_read() {
    let database = database();
    let project = project(&database, "");
    let run = |url: &str| project.rivet("run").env("RIVET_STATE_URL", url).fails(2);
    run("postgress://me:geheim@h/d")
        .says(&["RIVET_STATE_URL is not a PostgreSQL URL", "hint: write postgresql://…, or unset it"])
        .never_says("geheim");
    let plain = fs::read_to_string(project.path("rivet.yaml")).unwrap();
    for (state, said) in [
        ("state: {url: 'postgress://me:geheim@h/d'}", ["rivet.yaml:1", "state.url", "hint: write postgresql://"]),
        ("state: {ulr: 'postgres://me:geheim@h/d'}", ["rivet.yaml:1", "state.ulr", "did you mean url?"]),
        ("state: {path: a.db, url: 'postgres://me:geheim@h/d'}", ["rivet.yaml:1", "both given", "hint: keep one"]),
    ] {
        project.config(&format!("{state}\n{plain}"));
        project.rivet("run").fails(2).says(&said).never_says("geheim");
    }
    assert!(!project.out().exists(), "nothing was written");
}

#[test]
fn a_manifest_edited_by_hand_is_refused() {
    let database = database();
    let project = project(&database, "");
    project.rivet("run").ok();
    let path = manifest(&project);
    let good = fs::read(&path).unwrap();
    let validate = |said: &[&str]| {
        project.rivet("validate").args(["--depth", "full"]).fails(3).says(said);
    };

    // No JSON, or a key cut out, sealed again or not: neither read nor built upon.
    let unreadable = ["a control object cannot be read", "manifest.json", "hint: it was changed by something else"];
    let mut less = json(&path);
    less.as_object_mut().unwrap().remove("plan_id").unwrap();
    let changed = ["is not what was written: its seal is", "manifest.json", "hint: it was changed or damaged"];
    for (body, said) in [
        (b"{\"run_id\": ".to_vec(), unreadable),
        (serde_json::to_vec(&less).unwrap(), changed),
        (::rivet::seal::sealed(&less).unwrap().to_string().into_bytes(), unreadable),
    ] {
        fs::write(&path, &body).unwrap();
        let parts = readers::files(project.out());
        validate(&said);
        project.rivet("run").fails(3).says(&said);
        project.rivet("reconcile").fails(3).says(&said);
        assert_eq!((fs::read(&path).unwrap(), readers::files(project.out())), (body, parts));
    }

    // A part's numbers, changed: they are compared with what lies there.
    let mut edited: Value = serde_json::from_slice(&good).unwrap();
    edited["parts"][1]["size_bytes"] = 7.into();
    write(&path, &edited);
    validate(&["manifest.json", "is not what was written: its seal is", "hint: it was changed or damaged"]);
    // Whoever edits it and seals it again is found out by what lies there.
    write(&path, &::rivet::seal::sealed(&edited).unwrap());
    validate(&["expected 7 bytes, found", "part_mismatch", "hint: something else changed or removed the file"]);
    let mut edited: Value = serde_json::from_slice(&good).unwrap();
    edited["parts"][1]["crc32c"] = "00000000".into();
    write(&path, &::rivet::seal::sealed(&edited).unwrap());
    validate(&["expected crc32c 00000000, found crc32c", "part_mismatch", "hint:"]);

    // Anything else in it: `_SUCCESS` has its checksum.
    let mut edited: Value = serde_json::from_slice(&good).unwrap();
    edited["rows"] = 1.into();
    write(&path, &::rivet::seal::sealed(&edited).unwrap());
    validate(&["manifest.json: expected checksum", "as `_SUCCESS` has it", "hint: something else changed"]);
    project.rivet("validate").fails(3);

    fs::write(&path, good).unwrap();
    project.rivet("validate").args(["--depth", "full"]).ok();
}

#[test]
fn a_success_marker_without_its_manifest_counts_for_nothing() {
    let database = database();
    let project = project(&database, "");
    project.rivet("run").ok();
    fs::remove_dir_all(project.out().join("_rivet")).unwrap();
    project.rivet("validate").fails(1).says(&["no such run at the destination", "hint: see `rivet journal`"]);
    project.rivet("reconcile").fails(1).says(&["hint:"]);
    // The next run does not build upon it: its `_SUCCESS` names its own manifest.
    let run_id = project.rivet("run").arg("--json").ok().json()["exports"][0]["run_id"].clone();
    let success = json(&project.out().join("_SUCCESS"));
    assert_eq!(success["run_id"], run_id);
    assert!(project.out().join(success["manifest"].as_str().unwrap()).exists(), "{success}");
    project.rivet("validate").args(["--depth", "full"]).ok();
}

#[test]
fn parts_that_are_gone_cut_off_or_changed_are_told_by_name() {
    type Change = fn(&Path);
    let changes: [(Change, &[&str]); 4] = [
        (|part| fs::remove_file(part).unwrap(), &["bytes, found no file"]),
        (
            |part| {
                let bytes = fs::read(part).unwrap();
                fs::write(part, &bytes[..100]).unwrap();
            },
            &["bytes, found 100 bytes"],
        ),
        (|part| fs::write(part, "").unwrap(), &["bytes, found 0 bytes"]),
        (
            |part| {
                let mut bytes = fs::read(part).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::write(part, bytes).unwrap();
            },
            &["expected crc32c", "found crc32c"],
        ),
    ];
    for (change, said) in changes {
        let database = database();
        let project = project(&database, "");
        project.rivet("run").ok();
        let part = readers::files(project.out())[2].clone();
        change(&part);
        let name = part.file_name().unwrap().to_str().unwrap();
        let output = project.rivet("validate").args(["--depth", "full"]).fails(3);
        output.says(said).says(&[name, "part_mismatch", "hint: something else changed or removed the file"]);
        let document = project.rivet("validate").args(["--depth", "full", "--json"]).fails(3).json();
        assert_eq!(document["exports"][0]["problems"].as_array().unwrap().len(), 1, "{document}");
        // The remedy that the hint names.
        configure(&project, &database, "write_mode: replace,");
        project.rivet("run").ok();
        assert_eq!(rows(&project), ROWS.to_string());
        project.rivet("validate").args(["--depth", "full"]).ok();
    }
}

#[test]
fn what_is_no_plan_and_what_a_newer_rivet_planned_is_refused() {
    let database = database();
    let project = project(&database, "");
    project.rivet("plan").args(["-o", "plan.json"]).ok();
    let path = project.path("plan.json");
    let good = fs::read_to_string(&path).unwrap();
    let mut newer: Value = serde_json::from_str(&good).unwrap();
    newer["plan_version"] = 99.into();
    let mut more: Value = serde_json::from_str(&good).unwrap();
    more["chunks"] = "all of them".into();
    let text = |value: &Value| value.to_string();
    for (content, said) in [
        ("source: {type: sqlite}".to_owned(), ["plan.json is not a plan", "hint: `rivet plan -o FILE` writes one"]),
        (good[..good.len() / 2].to_owned(), ["plan.json is not a plan", "hint: `rivet plan -o FILE` writes one"]),
        (text(&more), ["plan.json is not a plan", "hint: `rivet plan -o FILE` writes one"]),
        (text(&newer), ["was written by a newer rivet", "hint: use that rivet, or make the plan again"]),
    ] {
        fs::write(&path, content).unwrap();
        for command in ["apply", "commit", "status", "clean"] {
            plan_command(&project, command).fails(2).says(&said);
        }
    }
    fs::remove_file(&path).unwrap();
    plan_command(&project, "apply").fails(2).says(&["plan.json", "hint: `rivet plan -o FILE` writes a plan"]);
    assert!(!project.out().exists() || readers::files(project.out()).is_empty(), "nothing was exported");
}

#[test]
fn a_plan_older_than_what_it_would_replace_is_refused() {
    let database = database();
    let project = project(&database, "write_mode: replace,");
    project.rivet("plan").args(["-o", "plan.json"]).ok();
    project.rivet("run").ok();
    let before = readers::files(project.out());
    plan_command(&project, "apply").fails(1).says(&[
        "this plan is older than the run it would replace",
        "stale_plan",
        "hint: make a new plan",
    ]);
    assert_eq!(readers::files(project.out()), before);
    project.rivet("validate").args(["--depth", "full"]).ok();
}

#[test]
fn a_plan_of_another_database_or_configuration_is_refused() {
    let (one, other) = (database(), database());
    let project = project(&one, "");
    project.rivet("plan").args(["-o", "plan.json"]).ok();
    // The plan's own chunks under a configuration that means another database.
    configure(&project, &other, "");
    let output = project.rivet("apply").arg("plan.json").fails(4);
    output.says(&["the plan was made for another database", "schema_drift", "hint: make a new plan"]);

    // One chunk of four landed; then the configuration asks for something else.
    configure(&project, &one, "");
    plan_command(&project, "apply").args(["--chunk", "0"]).ok();
    configure(&project, &one, "exclude: [s],");
    let output = project.rivet("run").arg("--resume").fails(2);
    output.says(&["the configuration changed since run", "hint: run without --resume to abandon that run"]);
    configure(&project, &one, "");
    project.rivet("run").arg("--resume").ok();
    assert_eq!(rows(&project), ROWS.to_string());
}
