//! Keyset, days, time windows and partitions: the rows asked for, each once, each in its place.

use std::collections::BTreeMap;

use rivet_tests::{
    postgres::{self, User},
    readers, rivet,
};
use serde_json::Value;

fn export(database: &postgres::Database, more: &str, path: &str) -> (rivet::Project, Value) {
    let project = rivet::project();
    project.config(&format!(
        "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, table: t, format: parquet, {more}, destination: {{type: local, path: '{path}'}}}}\n"
    ));
    let output = project.rivet("run").arg("--json").env("DATABASE_URL", database.url_as(User::Reader)).ok();
    let summary = output.json()["exports"][0].clone();
    (project, summary)
}

fn ids(project: &rivet::Project) -> Vec<Vec<Option<String>>> {
    readers::sql(project.out(), "SELECT count(*), count(DISTINCT id), sum(id) FROM t")
}

#[test]
fn text_and_composite_keys_in_any_collation_are_cut_by_keyset() {
    let mut database = postgres::database();
    database.run(
        "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
         CREATE TABLE t (k text COLLATE ci, n int, id int, PRIMARY KEY (k, n)); GRANT SELECT ON t TO PUBLIC; \
         INSERT INTO t SELECT (ARRAY['a','B','ä','Z','é','ß','_','''','\\'])[i % 9 + 1] || i / 3, i, i FROM generate_series(1, 3000) i; ANALYZE t",
    );
    let expected = database.rows("SELECT count(*), count(DISTINCT id), sum(id) FROM t");
    for more in ["chunk_by: keyset", "chunk_by_key: [k, n]", "chunk_by: auto"] {
        let (project, summary) =
            export(&database, &format!("mode: chunked, {more}, chunk_size: 200, parallel: 3"), "{out}");
        assert_eq!(summary["strategy"]["name"], "keyset", "{more}");
        assert!(summary["chunks"].as_u64().unwrap() > 5, "{summary}");
        assert_eq!(ids(&project), expected, "{more}");
    }
}

#[test]
fn keyset_over_what_is_not_a_proven_key_is_refused() {
    let mut database = postgres::database();
    database.run(
        "CREATE TABLE t (a int NOT NULL, b int, c int NOT NULL, id int); GRANT SELECT ON t TO PUBLIC; \
         CREATE UNIQUE INDEX ON t (a) WHERE a > 0; CREATE UNIQUE INDEX ON t (b); CREATE INDEX ON t (c)",
    );
    for key in ["a", "b", "c"] {
        let project = rivet::project();
        project.config(&format!(
            "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, table: t, format: csv, mode: chunked, chunk_by_key: {key}, destination: {{type: local, path: '{{out}}'}}}}\n"
        ));
        let output = project.rivet("run").env("DATABASE_URL", database.url()).fails(1);
        output.says(&[&format!("({key}) is not a unique key"), "full unique index"]);
    }
}

#[test]
fn days_are_windows_with_a_chunk_for_null() {
    let mut database = postgres::database();
    database.run(
        "CREATE TABLE t (id int, at timestamptz, d date); GRANT SELECT ON t TO PUBLIC; \
         INSERT INTO t SELECT i, '2024-02-27 22:00Z'::timestamptz + i * interval '1 hour', '2024-02-27'::date + i / 24 \
         FROM generate_series(1, 240) i; INSERT INTO t VALUES (0, NULL, NULL);",
    );
    let name = database.value("SELECT current_database()").unwrap();
    database.run(&format!("ALTER DATABASE {name} SET timezone = 'Asia/Tokyo'"));
    let expected = database.rows("SELECT count(*), count(DISTINCT id), sum(id) FROM t");
    for (column, days, chunks) in [("at", 1, 12), ("d", 3, 5), ("at", 30, 1)] {
        let more = format!("mode: chunked, chunk_column: {column}, chunk_by_days: {days}, parallel: 2");
        let (project, summary) = export(&database, &more, "{out}");
        assert_eq!(summary["strategy"]["name"], "days");
        assert_eq!(summary["chunks"], chunks, "{summary}");
        assert_eq!(ids(&project), expected, "{column}");
    }
}

#[test]
fn a_time_window_begins_at_midnight_utc() {
    let mut database = postgres::database();
    database.run(
        "CREATE TABLE t (id int, at timestamptz, plain timestamp, d date, u bigint); GRANT SELECT ON t TO PUBLIC; \
         WITH edge AS (SELECT (date_trunc('day', now() AT TIME ZONE 'UTC') - interval '2 days') AS utc) \
         INSERT INTO t SELECT i, (utc + step) AT TIME ZONE 'UTC', utc + step, (utc + step)::date, \
         extract(epoch FROM (utc + step) AT TIME ZONE 'UTC')::bigint FROM edge, \
         (VALUES (1, interval '-1 second'), (2, interval '0'), (3, interval '1 day'), (4, interval '30 days')) v (i, step)",
    );
    for (column, kind) in [("at", ""), ("plain", ""), ("d", ""), ("u", ", time_column_type: unix")] {
        let more = format!("mode: time_window, time_column: {column}, days_window: 2{kind}");
        let (project, _) = export(&database, &more, "{out}");
        let found = readers::sql(project.out(), "SELECT id FROM t ORDER BY id");
        assert_eq!(found, [[Some("2".to_owned())], [Some("3".to_owned())]], "{column}");
    }
}

/// Rows by folder.
fn by_folder(project: &rivet::Project) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for file in readers::files(project.out()) {
        let folder = file.parent().unwrap().strip_prefix(project.out()).unwrap().to_str().unwrap().to_owned();
        let rows = readers::sql(&file, "SELECT count(*) FROM t")[0][0].clone().unwrap();
        *found.entry(folder).or_default() += rows.parse::<u64>().unwrap();
    }
    found
}

#[test]
fn partitions_are_folders_written_in_one_pass() {
    let mut database = postgres::database();
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, at timestamptz, s text); GRANT SELECT ON t TO PUBLIC; \
         INSERT INTO t SELECT i, '2023-12-31 23:59:59.999999Z'::timestamptz + (i % 3) * interval '1 microsecond' + (i % 7) * interval '9 days', \
         CASE i % 4 WHEN 0 THEN 'a/b' WHEN 1 THEN '' WHEN 2 THEN NULL ELSE 'ü = 1' END FROM generate_series(1, 5000) i; \
         UPDATE t SET at = NULL WHERE id % 100 = 0; ANALYZE t",
    );
    let expected = database.rows("SELECT count(*), count(DISTINCT id), sum(id) FROM t");
    for (granularity, format) in [("day", "YYYY-MM-DD"), ("month", "YYYY-MM"), ("year", "YYYY")] {
        let more = format!(
            "partition_by: at, partition_granularity: {granularity}, mode: chunked, chunk_size: 900, parallel: 2"
        );
        let (project, summary) = export(&database, &more, "{out}/{partition}/x");
        assert_eq!(ids(&project), expected);
        let counts = database.rows(&format!(
            "SELECT coalesce(to_char(at AT TIME ZONE 'UTC', '{format}'), '__HIVE_DEFAULT_PARTITION__'), count(*) FROM t GROUP BY 1"
        ));
        let counts: BTreeMap<String, u64> = counts
            .into_iter()
            .map(|row| (format!("at={}/x", row[0].clone().unwrap()), row[1].clone().unwrap().parse().unwrap()))
            .collect();
        assert_eq!(by_folder(&project), counts, "{summary}");
        assert!(project.out().join("_SUCCESS").exists());
    }
    let (project, _) = export(&database, "partition_by: s", "{out}");
    assert_eq!(ids(&project), expected);
    let folders: Vec<String> = by_folder(&project).into_keys().collect();
    assert_eq!(folders, ["s=__HIVE_DEFAULT_PARTITION__", "s=a%2Fb", "s=ü %3D 1"]);
}

#[test]
fn more_partitions_than_open_files_still_hold_each_row_once() {
    let mut database = postgres::database();
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, p int NOT NULL, s text); GRANT SELECT ON t TO PUBLIC; \
         INSERT INTO t SELECT i, i % 300, repeat(md5(i::text), 10) FROM generate_series(1, 60000) i; ANALYZE t",
    );
    let project = rivet::project();
    // 16 MiB: rows are written in many small steps, and 300 folders are more than 128 open files.
    project.config(
        "memory_limit_mb: 16\nsource: {url_env: DATABASE_URL, tuning: {max_value_mb: 5}}\nexports:\n  - {name: e, table: t, format: parquet, \
         partition_by: p, destination: {type: local, path: '{out}'}}\n",
    );
    let output = project.rivet("run").arg("--json").env("DATABASE_URL", database.url_as(User::Reader)).ok();
    assert_eq!(output.json()["exports"][0]["rows"], 60_000);
    assert_eq!(ids(&project), database.rows("SELECT count(*), count(DISTINCT id), sum(id) FROM t"));
    let folders = readers::sql(
        project.out(),
        "SELECT count(DISTINCT p), min(n), max(n) FROM (SELECT p, count(*) AS n FROM t GROUP BY p)",
    );
    assert_eq!(folders[0], ["300", "200", "200"].map(|text| Some(text.to_owned())));
    for file in readers::files(project.out()).iter().step_by(100) {
        let folder = file.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(readers::sql(file, "SELECT DISTINCT 'p=' || p FROM t"), [[Some(folder)]]);
    }
    project.rivet("validate").args(["--depth", "full"]).env("DATABASE_URL", database.url()).ok();
}

#[test]
fn what_cannot_be_a_partition_is_refused_before_reading() {
    let mut database = postgres::database();
    database.run("CREATE TABLE t (id int, f float8, j jsonb); GRANT SELECT ON t TO PUBLIC");
    for (more, path, texts) in [
        ("partition_by: f", "{out}", ["double precision cannot name folders", "hint"]),
        ("partition_by: nope", "{out}", ["a column `nope` that is not exported", "hint"]),
        ("partition_by: id, exclude: [id]", "{out}", ["a column `id` that is not exported", "hint"]),
        ("partition_by: id", "{out}/a{partition}", ["stands for a whole folder", "hint"]),
        ("partition_granularity: month", "{out}", ["no meaning without `partition_by`", "hint"]),
    ] {
        let project = rivet::project();
        project.config(&format!(
            "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, table: t, format: parquet, {more}, destination: {{type: local, path: '{path}'}}}}\n"
        ));
        project.rivet("run").env("DATABASE_URL", database.url_as(User::Reader)).fails(2).says(&texts);
    }
}
