//! The chunks of an export are the table: nothing missing, nothing twice, whatever the keys.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rivet_tests::{
    postgres::{self, User},
    readers, rivet,
};
use serde_json::Value;

fn run(database: &postgres::Database, more: &str) -> (rivet::Project, Value) {
    let project = rivet::project();
    project.config(&format!(
        "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, format: parquet, {more}, destination: {{type: local, path: '{{out}}'}}}}\n"
    ));
    let output = project.rivet("run").arg("--json").env("DATABASE_URL", database.url_as(User::Reader)).ok();
    let summary = output.json()["exports"][0].clone();
    (project, summary)
}

#[test]
fn any_keys_in_any_chunks_are_the_table() {
    let keys = prop::collection::vec(prop::option::weighted(0.9, prop_oneof![any::<i64>(), -20..20_i64]), 0..400);
    let mut runner = TestRunner::new(Config { cases: 12, failure_persistence: None, ..Config::default() });
    let database = RefCell::new(postgres::database());
    runner
        .run(&(keys, 1..40_u32, 1..5_u32, any::<bool>()), |(keys, size, parallel, analyze)| {
            let mut database = database.borrow_mut();
            database.run("DROP TABLE IF EXISTS t; CREATE TABLE t (n serial, k bigint); CREATE INDEX ON t (k)");
            if !keys.is_empty() {
                let values: Vec<String> =
                    keys.iter().map(|key| key.map_or("(NULL)".into(), |key| format!("({key})"))).collect();
                database.run(&format!("INSERT INTO t (k) VALUES {}", values.join(",")));
            }
            if analyze {
                database.run("ANALYZE t");
            }
            database.run("GRANT SELECT ON t TO PUBLIC");
            for by in ["chunk_by: range, chunk_column: k", "chunk_by: native", "chunk_by: auto"] {
                let (project, _) =
                    run(&database, &format!("table: t, mode: chunked, {by}, chunk_size: {size}, parallel: {parallel}"));
                let found =
                    readers::sql(project.out(), "SELECT count(*), count(DISTINCT n), count(k), sum(k::HUGEINT) FROM t");
                let expected = database.rows("SELECT count(*), count(DISTINCT n), count(k), sum(k) FROM t");
                prop_assert_eq!(&found, &expected, "{}", by);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn money_that_moves_between_chunks_is_neither_lost_nor_made() {
    let mut database = postgres::database();
    database.run("CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL); INSERT INTO account SELECT i, 1000 FROM generate_series(1, 20000) i; ANALYZE account; GRANT SELECT ON account TO PUBLIC");
    let (stop, moved) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let mut writer = database.connect();
        let (stop, moved) = (&stop, &moved);
        scope.spawn(move || {
            let mut step = 0_i64;
            while !stop.load(Ordering::SeqCst) {
                step += 1;
                let (from, to) = (step * 7919 % 20_000 + 1, step * 104_729 % 20_000 + 1);
                writer.batch_execute(&format!("BEGIN; UPDATE account SET balance = balance - 10 WHERE id = {from}; UPDATE account SET balance = balance + 10 WHERE id = {to}; COMMIT")).unwrap();
                moved.store(true, Ordering::SeqCst);
            }
        });
        while !moved.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        for by in ["range", "native"] {
            let (project, summary) = run(
                &database,
                &format!(
                    "table: account, mode: chunked, chunk_by: {by}, chunk_size: 500, parallel: 3, consistency: snapshot"
                ),
            );
            assert_eq!(summary["consistency"], "snapshot");
            let sum = readers::sql(project.out(), "SELECT count(DISTINCT id), sum(balance) FROM t");
            assert_eq!(sum[0], ["20000", "20000000"].map(|text| Some(text.to_owned())), "{by}");
        }
        stop.store(true, Ordering::SeqCst);
    });
}

#[test]
fn large_files_are_split_and_hold_the_same_rows() {
    let mut database = postgres::database();
    database.run("CREATE TABLE t (id int PRIMARY KEY, s text); INSERT INTO t SELECT i, md5(i::text) || md5((-i)::text) FROM generate_series(1, 60000) i; GRANT SELECT ON t TO PUBLIC");
    for format in ["parquet", "csv, compression: none"] {
        let (project, summary) = {
            let format = format!("table: t, max_file_size: 1MB, chunk_by: none, format: {format}");
            let project = rivet::project();
            project.config(&format!("source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, {format}, destination: {{type: local, path: '{{out}}'}}}}\n"));
            let output = project.rivet("run").arg("--json").env("DATABASE_URL", database.url()).ok();
            (project, output.json()["exports"][0].clone())
        };
        let files = readers::files(project.out());
        assert!(files.len() >= 3, "{files:?}");
        assert_eq!(summary["parts"].as_u64().unwrap(), files.len() as u64);
        for file in &files {
            let size = std::fs::metadata(file).unwrap().len();
            assert!(size < 1_300_000, "{} has {size} bytes", file.display());
        }
        let sql = "SELECT count(*), count(DISTINCT id), sum(length(s)) FROM t";
        assert_eq!(
            readers::sql(project.out(), sql),
            [["60000", "60000", "3840000"].map(|text| Some(text.to_owned())).to_vec()],
            "{format}"
        );
    }
}
