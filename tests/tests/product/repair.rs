//! A repair reads exactly the chunks that differ again, and the new manifest is the table.

use std::collections::BTreeSet;
use std::fs;

use ::rivet::state::State;
use rivet_tests::{
    postgres::{self, User},
    readers,
    rivet::{self, Project},
    sqlite::{self, Database},
    stores::{self, Kind},
};
use serde_json::Value;

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
        "source: {{url: '{}'}}\nexports:\n  - {{name: e, table: t, format: parquet, mode: chunked, chunk_column: id, \
         chunk_size: 100, {more} destination: {{type: local, path: '{{out}}'}}}}\n",
        database.url()
    ));
}

/// `rivet repair -e e --json`, and what it says of the export.
fn repair(project: &Project, more: &[&str]) -> Value {
    let output = project.rivet("repair").args(["-e", "e", "--json"]).args(more).ok();
    output.json()["exports"][0].clone()
}

fn chunks(found: &Value) -> Vec<u64> {
    found["differing"].as_array().unwrap().iter().map(|chunk| chunk["chunk"].as_u64().unwrap()).collect()
}

/// The names of the parts, by which a part that was taken over is told from a new one.
fn parts(project: &Project) -> BTreeSet<String> {
    let name = |path: &std::path::PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    readers::files(project.out()).iter().map(name).collect()
}

/// What lies there is the table, and every command agrees.
#[track_caller]
fn assert_is_the_table(project: &Project, database: &Database) {
    let found = readers::sql(project.out(), "SELECT id, word FROM t ORDER BY id");
    assert_eq!(found, database.rows("SELECT id, word FROM t ORDER BY id"));
    let validated = project.rivet("validate").args(["--depth", "full", "--json"]).ok().json();
    assert_eq!(validated["exports"][0]["strays"].as_array().unwrap().len(), 0, "{validated}");
    project.rivet("reconcile").ok();
    assert_eq!(chunks(&repair(project, &[])), Vec::<u64>::new());
}

#[test]
fn a_dry_run_changes_nothing_and_execute_reads_the_chunks_that_differ() {
    for mode in ["append", "replace"] {
        let mut database = table();
        let project = project(&database, &format!("write_mode: {mode},"));
        let first = project.rivet("run").arg("--json").ok().json()["exports"][0]["run_id"].clone();
        assert_eq!(chunks(&repair(&project, &["--execute"])), Vec::<u64>::new());
        database.run("DELETE FROM t WHERE id = 150; INSERT INTO t VALUES (1001, 'new'), (1002, 'newer')");
        let before = parts(&project);
        let text = project.rivet("repair").args(["-e", "e"]).ok();
        assert!(text.stdout.contains("2 of 10 chunks differ and would be read again"), "{text}");
        assert_eq!(chunks(&repair(&project, &[])), [1, 9]);
        assert_eq!(parts(&project), before, "a dry run changes nothing");

        let repaired = repair(&project, &["--execute"]);
        assert_eq!(chunks(&repaired), [1, 9]);
        assert_eq!(repaired["repair"]["repairs"]["run_id"], first);
        assert_eq!(repaired["repair"]["rows"], 1001);
        assert_eq!(parts(&project).intersection(&before).count(), 8, "eight parts are taken over");
        assert_eq!(parts(&project).len(), 10);
        assert_is_the_table(&project, &database);
        // A repair can be repaired, and its manifest knows no more of the run it took over from.
        database.run("DELETE FROM t WHERE id <= 60");
        assert_eq!(chunks(&repair(&project, &["--execute"])), [0]);
        assert_is_the_table(&project, &database);
        let runs = project.rivet("journal").arg("--json").ok().json();
        let states: Vec<&str> =
            runs["runs"].as_array().unwrap().iter().map(|run| run["status"].as_str().unwrap()).collect();
        assert_eq!(states, ["succeeded"; 3], "{runs}");
        // The next run goes on as after any other.
        project.rivet("run").ok();
        let twice = if mode == "append" { 2 } else { 1 };
        let rows = readers::sql(project.out(), "SELECT count(*), count(DISTINCT id) FROM t");
        assert_eq!(rows[0], [941 * twice, 941].map(|rows: u64| Some(rows.to_string())));
    }
}

#[test]
fn a_report_of_reconcile_says_which_chunks_and_only_of_the_newest_run() {
    let mut database = table();
    let project = project(&database, "");
    project.rivet("run").ok();
    database.run("DELETE FROM t WHERE id IN (250, 350)");
    let report = project.rivet("reconcile").arg("--json").fails(3);
    project.write("report.json", &report.stdout);
    // What differs since then is not in the report, and stays for the next repair.
    database.run("DELETE FROM t WHERE id = 450");
    assert_eq!(chunks(&repair(&project, &["--report", "report.json", "--execute"])), [2, 3]);
    assert_eq!(chunks(&repair(&project, &["--execute"])), [4]);
    assert_is_the_table(&project, &database);
    let refused = project.rivet("repair").args(["-e", "e", "--report", "report.json"]).fails(2);
    refused.says(&["the report is about run", "the newest committed one is", "hint: run `rivet reconcile --json`"]);
    project.write("other.json", "{\"exports\": [{}]}");
    project.rivet("repair").args(["--report", "other.json"]).fails(2).says(&["other.json: not a reconciliation"]);
}

#[test]
fn parts_that_are_gone_cut_off_or_changed_are_written_again() {
    let database = table();
    let project = project(&database, "");
    project.rivet("run").ok();
    let files = readers::files(project.out());
    fs::remove_file(&files[2]).unwrap();
    let bytes = fs::read(&files[5]).unwrap();
    fs::write(&files[5], &bytes[..bytes.len() / 2]).unwrap();
    let mut bytes = fs::read(&files[7]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&files[7], bytes).unwrap();
    assert_eq!(chunks(&repair(&project, &["--depth", "list"])), [2, 5]);
    let found = repair(&project, &["--execute"]);
    assert_eq!(chunks(&found), [2, 5, 7]);
    assert!(found["differing"][0]["parts"][0].as_str().unwrap().ends_with("found no file"), "{found}");
    assert_is_the_table(&project, &database);
}

#[test]
fn what_cannot_be_repaired_is_refused_with_a_hint() {
    let mut database = table();
    let project = project(&database, "");
    let repair = || project.rivet("repair").args(["-e", "e", "--execute"]);
    repair().fails(1).says(&["no committed run at the destination", "hint: "]);
    project.rivet("run").ok();
    database.run("DELETE FROM t WHERE id = 150");
    let before = parts(&project);
    configure(&project, &database, "compression: none,");
    repair().fails(2).says(&["cannot be repaired: the configuration changed", "hint: undo the change"]);
    configure(&project, &database, "");
    database.run("ALTER TABLE t RENAME COLUMN word TO text");
    repair().fails(4).says(&["changed since the plan was made"]);
    assert_eq!(parts(&project), before);
    database.run("ALTER TABLE t RENAME COLUMN text TO word");
    repair().ok();
    assert_is_the_table(&project, &database);
}

#[test]
fn physical_ranges_and_shared_snapshots_are_refused() {
    let mut database = postgres::database();
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, word text); INSERT INTO t SELECT i, repeat('x', 200) FROM generate_series(1, 20000) i; \
         ANALYZE t; GRANT SELECT ON t TO PUBLIC",
    );
    for (more, text) in [
        ("chunk_by: native, chunk_count: 4", "physical ranges"),
        ("chunk_by: range, chunk_count: 4, consistency: snapshot", "`consistency: snapshot` asks for one read point"),
    ] {
        let project = rivet::project();
        project.config(&format!(
            "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, table: t, mode: chunked, {more}, format: parquet, \
             destination: {{type: local, path: '{{out}}'}}}}\n"
        ));
        let url = database.url_as(User::Reader);
        project.rivet("run").env("DATABASE_URL", &url).ok();
        fs::remove_file(&readers::files(project.out())[1]).unwrap();
        let refused = project.rivet("repair").args(["-e", "e", "--execute"]).env("DATABASE_URL", &url).fails(2);
        refused.says(&["cannot be repaired", text, "hint: run the export again"]);
    }
}

#[test]
fn a_repaired_link_keeps_its_place_in_an_incremental_export() {
    if !rivet::has_crash_points() {
        return;
    }
    let mut database = table();
    let project = rivet::project();
    project.config(&format!(
        "source: {{url: '{}'}}\nexports:\n  - {{name: e, table: t, format: parquet, mode: incremental, cursor_column: id, \
         chunk_column: id, chunk_size: 100, destination: {{type: local, path: '{{out}}'}}}}\n",
        database.url()
    ));
    let rows = || project.rivet("run").arg("--json").ok().json()["exports"][0]["rows"].as_u64().unwrap();
    assert_eq!(rows(), 1000);
    database.run("INSERT INTO t SELECT id + 1000, word FROM t WHERE id <= 300");
    // Killed between its commit and the watermark's move: a repair neither needs nor makes that move.
    project.rivet("run").env("RIVET_CRASH_AT", "watermark.advance").run();
    database.run("DELETE FROM t WHERE id IN (1050, 1150); INSERT INTO t SELECT id + 2000, word FROM t WHERE id <= 10");
    let found = repair(&project, &["--execute"]);
    assert_eq!(found["repair"]["rows"], 298, "{found}");
    assert_eq!(rows(), 10);
    fs::remove_file(project.path(".rivet_state.db")).unwrap();
    database.run("INSERT INTO t VALUES (5000, 'x')");
    assert_eq!(rows(), 1);
    fs::remove_file(readers::files(project.out()).last().unwrap()).unwrap();
    assert_eq!(chunks(&repair(&project, &["--execute"])), [0]);
    // A reset before a repair stays one: nobody takes the watermark from the repair's manifest.
    assert_eq!(rows(), 0);
    fs::remove_file(readers::files(project.out()).last().unwrap()).unwrap();
    rivet::Command::new().args(["state", "reset", "-e", "e", "-c"]).arg(project.path("rivet.yaml")).ok();
    repair(&project, &["--execute"]);
    let found = readers::sql(project.out(), "SELECT count(*), count(DISTINCT id) FROM t");
    assert_eq!(found[0], ["1309", "1309"].map(|text| Some(text.to_owned())));
    assert_eq!(rows(), 1309);
}

#[test]
fn a_repair_holds_the_lease_and_a_dry_run_does_not() {
    let mut database = table();
    let project = project(&database, "");
    project.rivet("run").ok();
    database.run("DELETE FROM t WHERE id = 150");
    let state = State::open(project.folder()).unwrap();
    let lease = state.acquire("e", std::time::Duration::ZERO).unwrap();
    assert_eq!(chunks(&repair(&project, &[])), [1]);
    project.rivet("repair").args(["-e", "e", "--execute"]).fails(5).says(&["another run of e is going on"]);
    drop(lease);
    assert_eq!(chunks(&repair(&project, &["--execute"])), [1]);
    assert_is_the_table(&project, &database);
}

#[test]
fn parts_in_a_bucket_are_repaired_the_same_way() {
    let mut database = table();
    let place = stores::place(Kind::S3);
    let project = rivet::project();
    project.config(&format!(
        "source: {{url: '{}'}}\nexports:\n  - {{name: e, table: t, format: parquet, mode: chunked, chunk_column: id, \
         chunk_size: 100, destination: {}}}\n",
        database.url(),
        place.yaml("")
    ));
    let rivet = |command: &str| place.credentials(project.rivet(command));
    rivet("run").ok();
    database.run("INSERT INTO t VALUES (1001, 'new'), (1002, 'newer')");
    let before = place.parts();
    let output = rivet("repair").args(["-e", "e", "--execute", "--json"]).ok().json();
    assert_eq!(chunks(&output["exports"][0]), [9]);
    place.assert_holds(1002, "repaired");
    assert_eq!(place.parts().intersection(&before).count(), 9);
    rivet("validate").args(["--depth", "full"]).ok();
    rivet("reconcile").ok();
}
