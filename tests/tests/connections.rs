//! Connections: a run opens one for each worker and one more. Where the server ends them in the middle of a
//! run, nothing is lost, nothing comes twice, and the manifest says which read points the rows come from.

#![allow(clippy::unwrap_used, reason = "test code")]

use rivet_tests::{
    drivers::Driver,
    faults, mysql,
    postgres::{self, User},
    readers, rivet,
};
use serde_json::Value;

/// Exports a table while every connection of the run is terminated once, its snapshot's holder
/// included. None: nothing could be terminated before the run was over.
fn cut_off(consistency: &str, by: &str) -> Option<(rivet::Project, Value)> {
    let mut database = postgres::database();
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, s text); \
         INSERT INTO t SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 100000) i; \
         ANALYZE t; GRANT SELECT ON t TO PUBLIC",
    );
    let project = rivet::project();
    // A pause between statements leaves time to strike.
    project.config(&format!(
        "source: {{url_env: DATABASE_URL, tuning: {{throttle_ms: 500, max_retries: 3, retry_backoff_ms: 10}}}}\n\
         exports:\n  - {{name: e, table: t, format: parquet, mode: chunked, chunk_by: {by}, chunk_size: 5000, \
         parallel: 3, consistency: {consistency}, destination: {{type: local, path: '{{out}}'}}}}\n"
    ));
    let mut running = project.rivet("run").arg("--json").env("DATABASE_URL", database.url_as(User::Reader)).spawn();
    let out = project.out();
    let started = running.until(|| out.exists() && !readers::files(&out).is_empty());
    let ended = database.value(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE application_name = 'rivet' AND datname = current_database()",
    );
    if !started || ended.as_deref() == Some("0") {
        return None;
    }
    let output = running.wait();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let summary = output.json()["exports"][0].clone();
    Some((project, summary))
}

fn is_the_table(project: &rivet::Project) {
    let found = readers::sql(project.out(), "SELECT count(*), count(DISTINCT id), min(id), max(id) FROM t");
    assert_eq!(found[0], ["100000", "100000", "1", "100000"].map(|text| Some(text.to_owned())));
}

#[test]
fn a_lost_snapshot_makes_the_rest_per_chunk_and_the_manifest_says_so() {
    let (project, summary) = cut_off("auto", "range").expect("the run was over too soon");
    is_the_table(&project);
    assert_eq!(summary["consistency"], "per_chunk", "{summary}");
}

#[test]
fn a_lost_snapshot_that_is_needed_starts_the_run_again() {
    for (consistency, by) in [("snapshot", "range"), ("auto", "native")] {
        let (project, summary) = cut_off(consistency, by).expect("the run was over too soon");
        is_the_table(&project);
        assert_eq!(summary["consistency"], "snapshot", "{summary}");
    }
}

/// `url` is of somebody who may hold a snapshot.
fn opens_one_connection_a_worker_and_one_more(mut database: impl Driver, url: &str) {
    let name = database.name();
    database.run("CREATE TABLE t (id int NOT NULL PRIMARY KEY, s varchar(40)); INSERT INTO t VALUES (1, 'a')");
    let mut rows = 1;
    while rows < 40_000 {
        database.run(&format!("INSERT INTO t SELECT id + {rows}, CONCAT('größe ', id) FROM t"));
        rows *= 2;
    }
    let wire = faults::proxy(url);
    let project = rivet::project();
    project.config(
        "source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, table: t, format: parquet, mode: chunked, \
         chunk_size: 2000, parallel: 4, destination: {type: local, path: '{out}'}}\n",
    );
    let output = project.rivet("run").arg("--json").env("DATABASE_URL", wire.endpoint(url)).ok();
    let summary = output.json()["exports"][0].clone();
    assert_eq!(summary["consistency"], "snapshot", "{name}: {summary}");
    assert!(summary["chunks"].as_u64().unwrap() >= 8, "{name}: {summary}");
    let found = readers::sql(project.out(), "SELECT count(*), count(DISTINCT id), min(id), max(id) FROM t");
    let rows = rows.to_string();
    assert_eq!(found[0], [&rows, &rows, "1", &rows].map(|text| Some(text.to_owned())), "{name}");
    assert_eq!(wire.connections(), 5, "{name}: {output}");
}

#[test]
fn four_workers_read_every_row_once_over_five_connections() {
    let database = postgres::database();
    let url = database.url();
    opens_one_connection_a_worker_and_one_more(database, &url);
    for server in mysql::servers() {
        let database = server.database();
        let url = database.url_as(mysql::User::Root);
        opens_one_connection_a_worker_and_one_more(database, &url);
    }
}

/// pgBouncer lends its two server connections by transaction: nothing a session prepared or set may reach the other's.
#[test]
fn two_tables_exported_at_once_through_pgbouncer_keep_their_own_values() {
    let mut database = postgres::database();
    database.run(
        "CREATE TABLE one (id int PRIMARY KEY, s text); CREATE TABLE other (id int PRIMARY KEY, s text);
         INSERT INTO one SELECT i, 'one ' || md5(i::text) FROM generate_series(1, 4000) i;
         INSERT INTO other SELECT -i, 'other ' || md5((-i)::text) FROM generate_series(1, 4000) i; ANALYZE",
    );
    let tables = ["one", "other"].map(|table| {
        let expected = database.canonical(&format!("SELECT id, s FROM {table} ORDER BY id"));
        assert_eq!(expected.rows.len(), 4000);
        (table, expected)
    });
    for round in 0..6 {
        let project = rivet::project();
        // Whole tables, then many statements. A snapshot would keep a connection of the pooler's two for each export.
        let more = if round % 2 == 0 { "" } else { "mode: chunked, chunk_size: 500, consistency: per_chunk, " };
        project.config(&format!(
            "source: {{url_env: DATABASE_URL}}\nparallel_exports: true\nexports:\n\
             - {{name: one, table: one, {more}format: parquet, destination: {{type: local, path: '{{out}}/one'}}}}\n\
             - {{name: other, table: other, {more}format: parquet, destination: {{type: local, path: '{{out}}/other'}}}}\n"
        ));
        let output = project.rivet("run").arg("--json").env("DATABASE_URL", database.url_pooled()).ok();
        for (number, (table, expected)) in tables.iter().enumerate() {
            let summary = &output.json()["exports"][number];
            assert_eq!((&summary["export"], &summary["rows"]), (&(*table).into(), &4000.into()), "{output}");
            readers::assert_same(expected, &readers::parquet(project.out().join(table)).sorted_by("id"));
        }
    }
}
