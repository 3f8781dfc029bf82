//! Incremental exports: each row once, whatever is killed, lost or changed in between.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rivet_tests::{
    postgres::{self, User},
    readers, rivet, sqlite,
};

pub(crate) fn project(more: &str) -> rivet::Project {
    let project = rivet::project();
    configure(&project, more);
    project
}

pub(crate) fn configure(project: &rivet::Project, more: &str) {
    project.config(&format!(
        "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, format: parquet, table: t, mode: incremental, \
         {more}, destination: {{type: local, path: '{{out}}'}}}}\n"
    ));
}

fn run(project: &rivet::Project, database: &postgres::Database) -> rivet::Command {
    project.rivet("run").arg("--json").env("DATABASE_URL", database.url_as(User::Reader))
}

fn state(project: &rivet::Project, arguments: &[&str]) -> rivet::Command {
    let command = rivet::Command::new().arg("state").args(arguments).arg("-c").arg(project.path("rivet.yaml"));
    command.folder(project.folder()).env("DATABASE_URL", "postgresql://nobody@localhost/nothing")
}

fn table(database: &mut postgres::Database) {
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, at timestamptz, v text); GRANT SELECT ON t TO PUBLIC; \
         INSERT INTO t SELECT i, '2024-01-01Z'::timestamptz + i * interval '1 minute', 'a' FROM generate_series(1, 1000) i",
    );
}

/// `count(*)`, `count(DISTINCT id)` of everything that landed.
fn landed(project: &rivet::Project) -> (String, String) {
    let rows = readers::sql(project.out(), "SELECT count(*), count(DISTINCT id) FROM t");
    (rows[0][0].clone().unwrap(), rows[0][1].clone().unwrap())
}

fn twice(text: &str) -> (String, String) {
    (text.to_owned(), text.to_owned())
}

#[test]
fn each_run_takes_the_rows_since_the_last_one() {
    let mut database = postgres::database();
    table(&mut database);
    let project = project("cursor_column: [at, id]");
    let first = run(&project, &database).ok();
    assert_eq!(first.json()["exports"][0]["rows"], 1000);
    first.says(&["at risk: late commits"]);
    assert_eq!(run(&project, &database).ok().json()["exports"][0]["rows"], 0);
    // Two rows share the last instant: the second column tells them apart.
    database.run("INSERT INTO t SELECT 1000 + i, (SELECT max(at) FROM t), 'b' FROM generate_series(1, 5) i");
    assert_eq!(run(&project, &database).ok().json()["exports"][0]["rows"], 5);
    database.run("INSERT INTO t VALUES (2000, '2025-01-01Z', 'c'), (2001, '2024-01-01Z', 'late')");
    assert_eq!(run(&project, &database).ok().json()["exports"][0]["rows"], 1);
    assert_eq!(landed(&project), twice("1006"));
    assert!(state(&project, &["show", "--json"]).ok().stdout.contains("2025-01-01 00:00:00+00"));
}

#[test]
fn an_empty_table_is_the_beginning_and_not_the_end() {
    let mut database = postgres::database();
    database.run("CREATE TABLE t (id bigint PRIMARY KEY); GRANT SELECT ON t TO PUBLIC");
    let project = project("cursor_column: id");
    assert_eq!(run(&project, &database).ok().json()["exports"][0]["rows"], 0);
    database.run("INSERT INTO t VALUES (-5), (0), (9223372036854775807)");
    assert_eq!(run(&project, &database).ok().json()["exports"][0]["rows"], 3);
    assert_eq!(run(&project, &database).ok().json()["exports"][0]["rows"], 0);
}

#[test]
fn rows_younger_than_settle_wait_for_a_later_run() {
    let mut database = postgres::database();
    table(&mut database);
    database.run("INSERT INTO t VALUES (5000, now(), 'young'), (5001, now() - interval '2 hours', 'settled')");
    let project = project("cursor_column: [at, id], settle: 1h");
    let first = run(&project, &database).ok();
    assert_eq!(first.json()["exports"][0]["rows"], 1001);
    assert!(!first.stderr.contains("at risk"), "{}", first.stderr);
    // Committed late, with an older cursor, but within the hour.
    database.run("INSERT INTO t VALUES (5002, now() - interval '50 minutes', 'late')");
    assert_eq!(run(&project, &database).ok().json()["exports"][0]["rows"], 0);
    // Whole seconds count: what is an hour old to the second may wait for the next one.
    database.run("UPDATE t SET at = at - interval '61 minutes' WHERE id IN (5000, 5002)");
    assert_eq!(run(&project, &database).ok().json()["exports"][0]["rows"], 2);
    assert_eq!(landed(&project), twice("1003"));
}

#[test]
fn rows_without_a_cursor_are_refused_taken_once_or_counted() {
    let mut database = postgres::database();
    table(&mut database);
    database.run("INSERT INTO t VALUES (7000, NULL, 'n'), (7001, NULL, 'n')");
    let refused = project("cursor_column: at");
    run(&refused, &database).fails(1).says(&["2 rows have NULL in the cursor (at)", "on_null_cursor"]);
    assert!(!refused.out().exists() || readers::files(refused.out()).is_empty());

    let included = project("cursor_column: [at, id], on_null_cursor: include");
    assert_eq!(run(&included, &database).ok().json()["exports"][0]["rows"], 1002);
    assert_eq!(run(&included, &database).ok().json()["exports"][0]["rows"], 0);
    assert_eq!(landed(&included), twice("1002"));

    let skipped = project("cursor_column: [at, id], on_null_cursor: skip");
    let output = run(&skipped, &database).ok();
    output.says(&["2 rows have NULL in the cursor (at, id) and stay behind"]);
    assert_eq!(landed(&skipped), twice("1000"));

    let coalesced = project("cursor_column: at, cursor_fallback_column: created");
    database.run("ALTER TABLE t ADD created timestamptz; UPDATE t SET created = '2023-01-01Z' WHERE id >= 7000");
    assert_eq!(run(&coalesced, &database).ok().json()["exports"][0]["rows"], 1002);
    database.run("INSERT INTO t VALUES (7002, NULL, 'n', '2026-01-01Z')");
    assert_eq!(run(&coalesced, &database).ok().json()["exports"][0]["rows"], 1);
    assert_eq!(landed(&coalesced), twice("1003"));
}

#[test]
fn a_kill_between_commit_and_watermark_loses_and_repeats_nothing() {
    if !rivet::has_crash_points() {
        return;
    }
    let mut database = postgres::database();
    table(&mut database);
    for resume in [false, true] {
        let project = project("cursor_column: id");
        for expected in ["1000", "1010", "1020"] {
            // Without --resume, a run begins with the move that the killed one owes.
            let point = if resume || expected == "1000" { "watermark.advance" } else { "watermark.advance:2" };
            let killed = run(&project, &database).env("RIVET_CRASH_AT", point).run();
            assert!(killed.signal.is_some() || killed.code != Some(0), "{killed:?}");
            assert_eq!(landed(&project), twice(expected));
            if resume {
                run(&project, &database).arg("--resume").ok();
            }
            let from: u32 = expected.parse().unwrap();
            database.run(&format!("INSERT INTO t SELECT i FROM generate_series({}, {}) i", from + 1, from + 10));
        }
        run(&project, &database).ok();
        assert_eq!(landed(&project), twice("1030"));
        database.run("DELETE FROM t WHERE id > 1000");
    }
}

#[test]
fn a_lost_state_file_is_made_again_from_the_manifests() {
    let mut database = postgres::database();
    table(&mut database);
    let project = project("cursor_column: id");
    run(&project, &database).ok();
    std::fs::remove_file(project.path(".rivet_state.db")).unwrap();
    database.run("INSERT INTO t VALUES (1001, now(), 'x')");
    let output = run(&project, &database).ok();
    assert_eq!(output.json()["exports"][0]["rows"], 1);
    output.says(&["the newest manifest's"]);
    // Unless the user asked for a new beginning.
    state(&project, &["reset", "-e", "e"]).ok();
    assert_eq!(run(&project, &database).ok().json()["exports"][0]["rows"], 1001);
}

#[test]
fn what_the_watermark_belongs_to_must_not_change() {
    let mut database = postgres::database();
    table(&mut database);
    let project = project("cursor_column: id");
    run(&project, &database).ok();
    for more in ["cursor_column: [at, id]", "cursor_column: id, query: SELECT * FROM t"] {
        let more = more.to_owned();
        project.config(&format!(
            "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, format: parquet, mode: incremental, {}{more}, \
             destination: {{type: local, path: '{{out}}'}}}}\n",
            if more.contains("query") { "" } else { "table: t, " }
        ));
        run(&project, &database).fails(2).says(&["the watermark belongs to another", "rivet state reset -e e"]);
    }
    configure(&project, "cursor_column: id");
    assert_eq!(run(&project, &database).ok().json()["exports"][0]["rows"], 0);
}

#[test]
fn two_plans_from_one_watermark_are_not_both_committed() {
    let mut database = postgres::database();
    table(&mut database);
    let project = project("cursor_column: id");
    run(&project, &database).ok();
    database.run("INSERT INTO t VALUES (1001, now(), 'x')");
    let url = database.url_as(User::Reader);
    for plan in ["a.json", "b.json"] {
        project.rivet("plan").args(["-o", plan]).env("DATABASE_URL", &url).ok();
    }
    let apply =
        |plan: &str| rivet::Command::new().args(["apply", plan]).folder(project.folder()).env("DATABASE_URL", &url);
    apply("a.json").ok();
    apply("b.json").fails(1).says(&["has delivered rows of this plan"]);
    assert_eq!(run(&project, &database).ok().json()["exports"][0]["rows"], 0);
    assert_eq!(landed(&project), twice("1001"));
}

#[test]
fn a_cursor_of_the_wrong_type_is_refused() {
    let mut database = postgres::database();
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, b boolean, j jsonb, ts timestamp); GRANT SELECT ON t TO PUBLIC; \
         INSERT INTO t VALUES (1, true, '{}', 'infinity')",
    );
    for (cursor, texts) in [
        ("b", ["`b` is boolean, which cannot be a cursor", "only grows"]),
        ("j", ["`j` is jsonb, which cannot be a cursor", "only grows"]),
        ("nope", ["no column `nope`", "hint"]),
    ] {
        let project = project(&format!("cursor_column: {cursor}"));
        let output = run(&project, &database).run();
        assert!(matches!(output.code, Some(1 | 2)), "{output:?}");
        output.says(&texts);
    }
    run(&project("cursor_column: ts"), &database).fails(1).says(&["no later row would ever be seen"]);
    run(&project("cursor_column: id, settle: 5m"), &database).fails(2).says(&["`settle` needs a date or timestamp"]);
}

#[test]
fn random_writes_between_runs_are_delivered_exactly_once() {
    // Each step inserts rows or raises the cursor of some, then exports: each row *version* lands once.
    let steps = prop::collection::vec((0..40_u32, 0..20_u32, any::<bool>()), 1..8);
    let mut runner = TestRunner::new(Config { cases: 4, failure_persistence: None, ..Config::default() });
    runner
        .run(&(steps, 1..4_u32), |(steps, parallel)| {
            let mut database = postgres::database();
            database.run(
                "CREATE TABLE t (id serial PRIMARY KEY, at timestamptz NOT NULL, version int NOT NULL); \
                 CREATE TABLE log (id int, version int); CREATE SEQUENCE clock; GRANT SELECT ON t TO PUBLIC",
            );
            let tick = "('2024-01-01Z'::timestamptz + (nextval('clock') / 3) * interval '1 second')";
            let project = project(&format!("cursor_column: [at, id], parallel: {parallel}, chunk_size: 7"));
            for (inserts, updates, export) in steps {
                // Ticks come in threes: equal instants, told apart by the id. An id below the last
                // one at the same instant would be a late commit, so updates tick on first.
                database.run("SELECT setval('clock', (nextval('clock') / 3 + 1) * 3)");
                database.run(&format!(
                    "INSERT INTO t (at, version) SELECT {tick}, 0 FROM generate_series(1, {inserts}); \
                     SELECT setval('clock', (nextval('clock') / 3 + 1) * 3); \
                     UPDATE t SET at = '2024-01-01Z'::timestamptz + (SELECT last_value / 3 FROM clock) * interval '1 second', \
                     version = version + 1 WHERE id IN (SELECT id FROM t ORDER BY md5(id::text) LIMIT {updates})"
                ));
                if export {
                    run(&project, &database).ok();
                    database.run("INSERT INTO log SELECT id, version FROM t EXCEPT SELECT id, version FROM log");
                }
            }
            run(&project, &database).ok();
            database.run("INSERT INTO log SELECT id, version FROM t EXCEPT SELECT id, version FROM log");
            let expected = database.rows("SELECT id, version FROM log ORDER BY id, version");
            if !expected.is_empty() {
                let found = readers::sql(project.out(), "SELECT id, version FROM t ORDER BY id, version");
                prop_assert_eq!(found, expected);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn sqlite_tables_are_taken_incrementally_too() {
    let project = rivet::project();
    let mut database = sqlite::database();
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY, at TIMESTAMP NOT NULL); INSERT INTO t VALUES (1, '2024-01-01 00:00:00'), (2, '2024-01-02 00:00:00')");
    project.config(&format!(
        "source: {{url: '{}'}}\nexports:\n  - {{name: e, table: t, format: csv, mode: incremental, \
         cursor_column: [at, id], destination: {{type: local, path: '{{out}}'}}}}\n",
        database.url()
    ));
    let rows = || project.rivet("run").arg("--json").ok().json()["exports"][0]["rows"].as_u64().unwrap();
    assert_eq!(rows(), 2);
    database.run("INSERT INTO t VALUES (3, '2024-01-02 00:00:00'), (4, '2023-01-01 00:00:00')");
    assert_eq!(rows(), 1);
    assert_eq!(rows(), 0);
}
