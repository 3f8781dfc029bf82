//! What stands between a run and the word that it is right: `--validate`, `--reconcile`, and who is told.

#![allow(clippy::unwrap_used, reason = "test code")]

use std::fs;

use rivet_tests::{
    readers,
    rivet::{self, Project},
    sqlite::{self, Database},
};

/// 1 000 rows in ten chunks.
fn table() -> Database {
    let mut database = sqlite::database();
    database.run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT NOT NULL); \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
         INSERT INTO t SELECT i, 'word ' || i FROM n",
    );
    database
}

fn project(database: &Database, more: &str) -> Project {
    let project = rivet::project();
    configure(&project, database, more);
    project
}

fn configure(project: &Project, database: &Database, more: &str) {
    project.config(&format!(
        "source: {{url: '{}'}}\nexports:\n  - {{name: e, table: t, format: csv, compression: none, mode: chunked, \
         chunk_column: id, chunk_size: 100, {more} destination: {{type: local, path: '{{out}}'}}}}\n",
        database.url()
    ));
}

#[test]
fn validate_after_a_run_reads_parts_back_and_says_so() {
    let database = table();
    let project = project(&database, "");
    let output = project.rivet("run").args(["--validate", "--json"]).ok();
    output.says(&["validated", "10 parts as the manifest says; 10 read back"]);
    let validation = &output.json()["exports"][0]["validation"];
    assert_eq!((&validation["parts"], &validation["read"]), (&10.into(), &10.into()), "{output}");
}

#[test]
fn a_part_changed_before_validate_ends_the_run_with_3_and_its_summary() {
    let database = table();
    let project = project(&database, "");
    project.rivet("run").env("RIVET_CRASH_AT", "success.choose").run();
    let part = readers::files(project.out()).remove(0);
    let text = fs::read_to_string(&part).unwrap();
    fs::write(&part, text.replace("word 1", "w0rd 1")).unwrap();
    let output = project.rivet("run").args(["--resume", "--validate", "--json"]).fails(3);
    output.says(&["error: part ", "crc32c", "export e", "hint: "]);
    let summary = &output.json()["exports"][0];
    assert_eq!(summary["status"], "committed, failed its checks", "{output}");
    assert_eq!((&summary["exit"], &summary["code"]), (&3.into(), &"part_mismatch".into()), "{output}");
    assert_eq!(summary["validation"]["problems"].as_array().unwrap().len(), 1, "{output}");
    assert!(project.path("out/_SUCCESS").exists(), "the commit stands");
}
