//! Killed with SIGKILL at any instant, then resumed: the manifest and the folder hold exactly the table, once.
//!
//! `make test-slow SUITE=kills` takes hundreds of random kill points, or as many as `RIVET_TEST_KILLS` says.

use std::collections::BTreeSet;
use std::time::Duration;

use rivet_tests::{
    postgres::{self, Database},
    readers, rivet,
};
use serde_json::Value;

const ROWS: u64 = 60_000;

fn table() -> Database {
    let mut database = postgres::database();
    database.run(&format!("CREATE TABLE t (id int PRIMARY KEY, s text); INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, {ROWS}) i; ANALYZE t"));
    database
}

fn project() -> rivet::Project {
    let project = rivet::project();
    project.config("source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, table: t, mode: chunked, chunk_size: 4000, parallel: 4, format: parquet, destination: {type: local, path: '{out}'}}\n");
    project
}

/// What the last manifest names, what the folder holds and what the table is must be one.
fn assert_exactly_the_table(project: &rivet::Project, what: &str) {
    let success: Value = serde_json::from_slice(&std::fs::read(project.out().join("_SUCCESS")).unwrap()).unwrap();
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(project.out().join(success["manifest"].as_str().unwrap())).unwrap())
            .unwrap();
    let named: BTreeSet<String> =
        manifest["parts"].as_array().unwrap().iter().map(|part| part["key"].as_str().unwrap().to_owned()).collect();
    let there: BTreeSet<String> = readers::files(project.out())
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(named, there, "{what}: the folder is not the manifest");
    assert_eq!(manifest["rows"].as_u64(), Some(ROWS), "{what}");
    assert_rows(project, 1, what);
}

/// Each row of the table is there so many times, with both of its values, and there is no other.
fn assert_rows(project: &rivet::Project, times: u64, what: &str) {
    let found = readers::sql(
        project.out(),
        "SELECT count(*), min(id), max(id), min(times), max(times), sum(wrong) FROM (SELECT id, count(*) AS times, \
         count(*) FILTER (WHERE s IS DISTINCT FROM md5(id::VARCHAR)) AS wrong FROM t GROUP BY id)",
    );
    let expected = [ROWS, 1, ROWS, times, times, 0];
    assert_eq!(found[0], expected.map(|number| Some(number.to_string())), "{what}");
}

#[test]
fn killed_at_random_and_resumed_it_is_the_table() {
    let kills = rivet_tests::kills(12, 150);
    let database = table();
    let whole = {
        let started = std::time::Instant::now();
        project().rivet("run").env("DATABASE_URL", database.url()).ok();
        started.elapsed()
    };
    let mut interrupted = 0;
    for kill in 0..kills {
        let project = project();
        let mut running = project.rivet("run").env("DATABASE_URL", database.url()).spawn();
        // Spread evenly over the run, with an offset of its own for each round of the test.
        let at = whole.mul_f64((f64::from(kill) + 0.5) / f64::from(kills));
        let until = std::time::Instant::now() + at;
        running.until(|| std::time::Instant::now() >= until);
        running.kill();
        interrupted += u32::from(!project.out().join("_SUCCESS").exists());
        project.rivet("run").arg("--resume").env("DATABASE_URL", database.url()).ok();
        if readers::files(project.out()).len() > 40 {
            panic!("kill {kill}: {} files", readers::files(project.out()).len());
        }
        assert_after_resume(&project, &format!("kill {kill} after {at:?}"));
    }
    assert!(interrupted * 2 >= kills, "only {interrupted} of {kills} kills came before the end");
}

/// A run that was complete when it was killed is followed by another, which appends.
fn assert_after_resume(project: &rivet::Project, what: &str) {
    let manifests = glob_manifests(project);
    if manifests == 1 {
        assert_exactly_the_table(project, what);
    } else {
        assert_rows(project, u64::try_from(manifests).unwrap(), what);
    }
}

/// Runs with a manifest that names parts.
fn glob_manifests(project: &rivet::Project) -> usize {
    let runs = std::fs::read_dir(project.out().join("_rivet/e")).unwrap();
    runs.filter(|run| {
        let manifest = std::fs::read(run.as_ref().unwrap().path().join("manifest.json"));
        manifest.is_ok_and(|text| serde_json::from_slice::<Value>(&text).unwrap()["parts"].is_array())
    })
    .count()
}

#[test]
fn killed_at_each_step_of_the_protocol_and_resumed_it_is_the_table() {
    if !rivet::has_crash_points() {
        return;
    }
    let database = table();
    for step in [
        "plan.put",
        "report.put",
        "report.put:7",
        "commit.begin",
        "commit.reports",
        "commit.verify",
        "commit.manifest",
        "commit.sweep",
        "success.put",
        "local.rename:5",
        "local.link:3",
    ] {
        let project = project();
        let output = project.rivet("run").env("DATABASE_URL", database.url()).env("RIVET_CRASH_AT", step).run();
        assert_ne!(output.code, Some(0), "{step} was not passed");
        project.rivet("run").arg("--resume").env("DATABASE_URL", database.url()).ok();
        assert_exactly_the_table(&project, step);
    }
}

#[test]
fn killed_and_run_afresh_leaves_nothing_of_the_dead_run() {
    let database = table();
    let project = project();
    let mut running = project.rivet("run").env("DATABASE_URL", database.url()).spawn();
    assert!(running.until(|| project.out().exists() && !readers::files(project.out()).is_empty()));
    running.kill();
    project.rivet("run").env("DATABASE_URL", database.url()).ok();
    assert_exactly_the_table(&project, "afresh");
}

#[test]
fn ctrl_c_cancels_on_the_server_and_can_be_resumed() {
    let mut database = table();
    let project = rivet::project();
    project.config("source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, query: 'SELECT id, s, pg_sleep(0.01) IS NULL AS slept FROM t', format: parquet, destination: {type: local, path: '{out}'}}\n");
    let mut running = project.rivet("run").env("DATABASE_URL", database.url()).spawn();
    let copying = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY%' AND state = 'active'";
    assert!(running.until(|| database.value(copying).unwrap() != "0"));
    let output = running.interrupt();
    assert_eq!(output.code, Some(130), "{output}");
    let gone = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        database.value(copying).unwrap() == "0"
    });
    assert!(gone, "the statement still runs on the server");
    assert!(!project.out().exists() || readers::files(project.out()).is_empty());
}

#[test]
fn ctrl_c_while_planning_waits_for_no_lock() {
    let database = table();
    let mut holder = database.connect();
    holder.batch_execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").unwrap();
    let project = project();
    let mut running = project.rivet("run").env("DATABASE_URL", database.url()).spawn();
    // Other tests wait for locks on the same server.
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 't'::regclass";
    let mut looker = database.connect();
    assert!(running.until(|| looker.query_one(waiting, &[]).unwrap().get::<_, i64>(0) > 0));
    let output = running.interrupt();
    assert_eq!(output.code, Some(130), "{output}");
    holder.batch_execute("ROLLBACK").unwrap();
}
