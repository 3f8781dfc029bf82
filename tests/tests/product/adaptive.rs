//! The governor: the source's pressure decides how many workers may take a chunk.

use rivet_tests::{
    postgres::{self, User},
    rivet::{self, Project},
};

/// 400 batches of 20 ms in 40 chunks, four workers.
fn adaptive(source: &str, tuning: &str) -> Project {
    let project = rivet::project();
    project.config(&format!(
        "source: {{{source}, rows: 20000, tuning: {{{tuning}}}}}\nexports:\n  - {{name: numbers, table: numbers, \
         mode: chunked, chunk_column: id, chunk_size: 500, parallel: 4, format: csv, \
         destination: {{type: local, path: '{{out}}'}}}}\n"
    ));
    project
}

#[test]
fn pressure_at_the_source_leaves_fewer_workers_and_says_so() {
    let project = adaptive("type: hostile", "adaptive: true, min_parallel: 2, batch_size: 50");
    let output = project.rivet("run").args(["-v", "--json"]).env("RIVET_HOSTILE", "pressure").ok();
    output.says(&["the source's pressure grows: 2 of 4 workers may take a chunk, 4 before", "no fewer than 2"]);
    let summary = &output.json()["exports"][0];
    assert_eq!(summary["workers"], serde_json::json!({ "most": 4, "lowest": 2 }), "{summary}");
    assert_eq!(summary["rows"], 20_000, "{summary}");
}

#[test]
fn without_a_reading_the_number_of_workers_stays() {
    for (source, order, told) in [
        ("type: hostile", "pressure-unread", "`adaptive` moved nothing: the source's pressure could not be read"),
        ("type: example", "", "the plugin `example` reads no pressure"),
    ] {
        let project = adaptive(source, "adaptive: true");
        let mut run = project.rivet("run").args(["-v", "--json"]);
        if !order.is_empty() {
            run = run.env("RIVET_HOSTILE", order);
        }
        let output = run.ok();
        output.says(&[told]);
        assert!(!output.stderr.contains("may take a chunk"), "{output}");
        output.never_says("by the source's pressure no fewer");
        let lowest = &output.json()["exports"][0]["workers"]["lowest"];
        assert!(lowest.is_null(), "{output}");
    }
}

#[test]
fn checkpoints_that_postgresql_is_asked_for_are_pressure_to_a_reader() {
    let mut database = postgres::database();
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, word text); INSERT INTO t SELECT i, 'w' FROM generate_series(1, 60000) i; \
         ANALYZE t; GRANT SELECT ON t TO PUBLIC",
    );
    let project = rivet::project();
    project.config(
        "source: {url_env: DATABASE_URL, tuning: {adaptive: true, throttle_ms: 1000}}\nexports:\n  - {name: e, table: t, \
         format: parquet, mode: chunked, chunk_size: 2000, parallel: 4, destination: {type: local, path: '{out}'}}\n",
    );
    let url = database.url_as(User::Reader);
    let mut running = project.rivet("run").args(["-v", "--json"]).env("DATABASE_URL", url).spawn();
    let mut superuser = database.connect();
    running.until(|| {
        superuser.batch_execute("INSERT INTO t SELECT max(id) + 1 FROM t; CHECKPOINT").unwrap();
        false
    });
    let output = running.wait();
    assert_eq!(output.code, Some(0), "{output}");
    output.says(&["the source's pressure grows: 2 of 4 workers may take a chunk, 4 before"]);
    let lowest = output.json()["exports"][0]["workers"]["lowest"].as_u64();
    assert!(lowest.is_some_and(|lowest| lowest <= 2), "{output}");
}
