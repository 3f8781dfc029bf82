//! What is looked at after a run: `--validate` reads parts back, `--reconcile` counts at the source.

use std::fs;

use rivet_tests::{
    postgres::{self, User},
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
    if !rivet::has_crash_points() {
        return;
    }
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

#[test]
fn reconcile_after_a_run_counts_every_chunk() {
    let database = table();
    let project = project(&database, "reconcile_required: true,");
    let output = project.rivet("run").arg("--json").ok();
    output.says(&["reconciled", "1 000 rows at the source, as in the manifest; later, each chunk by itself"]);
    let reconciliation = &output.json()["exports"][0]["reconciliation"];
    assert_eq!(reconciliation["agrees"], true, "{output}");
    assert_eq!(reconciliation["chunks"].as_array().unwrap().len(), 10, "{output}");
    assert_eq!((&reconciliation["source_rows"], &reconciliation["manifest_rows"]), (&1000.into(), &1000.into()));
}

#[test]
fn reconcile_names_the_chunks_that_differ_and_ends_with_3() {
    let mut database = table();
    let project = project(&database, "");
    project.rivet("run").ok();
    let table = project.rivet("reconcile").ok();
    assert!(table.stdout.contains("CHUNK  MANIFEST  SOURCE  DIFFERENCE\n"), "{table}");
    assert!(table.stdout.ends_with("  total  1000      1000\n"), "{table}");
    // One chunk loses as many rows as another gains: the sums agree, the chunks do not.
    database.run("DELETE FROM t WHERE id IN (150, 160); INSERT INTO t VALUES (1001, 'a'), (1002, 'b')");
    let output = project.rivet("reconcile").args(["-e", "e", "--json"]).fails(3);
    output.says(&["the source counts 1000 rows, the manifest has 1000, in 2 of 10 chunks", "hint: "]);
    let found = &output.json()["exports"][0];
    assert_eq!(found["agrees"], false, "{output}");
    let differing: Vec<_> =
        found["chunks"].as_array().unwrap().iter().filter(|c| c["manifest"] != c["source"]).collect();
    assert_eq!(differing.len(), 2, "{output}");
    assert_eq!((&differing[0]["manifest"], &differing[0]["source"]), (&100.into(), &98.into()), "{output}");
    assert_eq!((&differing[1]["manifest"], &differing[1]["source"]), (&100.into(), &102.into()), "{output}");
    project.rivet("run").ok();
    project.rivet("reconcile").ok();
}

#[test]
fn rows_lost_before_the_commit_end_a_reconciled_run_with_3() {
    if !rivet::has_crash_points() {
        return;
    }
    let mut database = table();
    let project = project(&database, "");
    project.rivet("run").env("RIVET_CRASH_AT", "commit.begin").run();
    // The run is resumed without its deleted rows read again: the manifest has more than there is.
    database.run("DELETE FROM t WHERE id > 990");
    let output = project.rivet("run").args(["--resume", "--reconcile", "--json"]).fails(3);
    output.says(&["the source counts 990 rows, the manifest has 1000, in chunk 9", "committed run"]);
    assert_eq!(output.json()["exports"][0]["reconciliation"]["agrees"], false, "{output}");
    assert!(project.path("out/_SUCCESS").exists(), "the commit stands");
}

#[test]
fn a_snapshot_is_counted_where_it_was_read() {
    let project = rivet::project();
    project.config(
        "source: {type: example, rows: 1000}\nexports:\n  - {name: e, table: numbers, format: csv, mode: chunked, \
         chunk_column: id, chunk_size: 100, parallel: 2, destination: {type: local, path: '{out}'}}\n",
    );
    let output = project.rivet("run").args(["--reconcile", "--json"]).ok();
    let reconciliation = &output.json()["exports"][0]["reconciliation"];
    assert_eq!(reconciliation["counted_at"], "run", "{output}");
    assert_eq!(reconciliation["read_point"], "generated rows never change", "{output}");
    let later = project.rivet("reconcile").arg("--json").ok();
    assert_eq!(later.json()["exports"][0]["counted_at"], "later", "{later}");
}

#[test]
fn what_cannot_be_reconciled_is_refused_before_a_row_is_read() {
    let database = table();
    let project = project(&database, "");
    project.rivet("reconcile").fails(1).says(&["no committed run at the destination", "hint: "]);
    project.config(&format!(
        "source: {{url: '{}'}}\nexports:\n  - {{name: e, table: t, format: csv, reconcile_required: true, \
         destination: {{type: stdout}}}}\n",
        database.url()
    ));
    let output = project.rivet("run").fails(2);
    output.says(&["standard output has no manifest to reconcile", "hint: "]);
    assert_eq!(output.stdout, "");
}

/// 200 rows more with every look, while `running` reads.
fn written_meanwhile(running: &mut rivet::Running, database: &mut postgres::Database, out: &std::path::Path) {
    let started = running.until(|| out.exists() && !readers::files(out).is_empty());
    assert!(started, "the run was over too soon");
    while !running.has_ended() {
        database.run("INSERT INTO t SELECT (SELECT max(id) FROM t) + n, 'late' FROM generate_series(1, 200) n");
    }
}

#[test]
fn a_table_written_to_meanwhile_agrees_at_the_run_s_own_snapshot_and_not_without_one() {
    for (consistency, code, counted_at) in [("snapshot", 0, "run"), ("per_chunk", 3, "later_per_chunk")] {
        let mut database = postgres::database();
        database.run(
            "CREATE TABLE t (id int PRIMARY KEY, word text); INSERT INTO t SELECT i, 'early' FROM generate_series(1, 40000) i; \
             ANALYZE t; GRANT SELECT ON t TO PUBLIC",
        );
        let project = rivet::project();
        project.config(&format!(
            "source: {{url_env: DATABASE_URL, tuning: {{throttle_ms: 500}}}}\nexports:\n  - {{name: e, table: t, \
             format: parquet, mode: chunked, chunk_size: 4000, parallel: 2, consistency: {consistency}, \
             reconcile_required: true, destination: {{type: local, path: '{{out}}'}}}}\n"
        ));
        let url = database.url_as(User::Reader);
        let mut running = project.rivet("run").arg("--json").env("DATABASE_URL", &url).spawn();
        written_meanwhile(&mut running, &mut database, &project.out());
        let output = running.wait();
        assert_eq!(output.code, Some(code), "{output}");
        let summary = &output.json()["exports"][0];
        assert_eq!(summary["reconciliation"]["counted_at"], counted_at, "{output}");
        assert_eq!(summary["reconciliation"]["agrees"], code == 0, "{output}");
        let read_point = summary["reconciliation"]["read_point"].as_str().unwrap();
        assert_eq!(read_point.starts_with("LSN "), code == 0, "{output}");
        // Later than the run, one snapshot or not, the new rows are a difference.
        project.rivet("reconcile").env("DATABASE_URL", &url).fails(3).says(&["the source counts", "chunk"]);
    }
}
