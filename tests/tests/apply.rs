//! A sealed plan: whole, or chunk by chunk from several processes at once, then committed.

#![allow(clippy::unwrap_used, reason = "test code")]

use rivet_tests::{postgres, readers, rivet};

#[test]
fn a_plan_is_applied_chunk_by_chunk_and_committed_once() {
    let mut database = postgres::database();
    database.run("CREATE TABLE t (id int PRIMARY KEY, s text); INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 30000) i; ANALYZE t");
    let project = rivet::project();
    project.config("source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, table: t, mode: chunked, chunk_count: 4, format: parquet, destination: {type: local, path: '{out}'}}\n");
    let url = database.url();
    project.rivet("plan").args(["-o", "plan.json"]).env("DATABASE_URL", &url).ok();
    let sealed = std::fs::read_to_string(project.path("plan.json")).unwrap();
    assert!(!sealed.contains(&url) && sealed.contains("DATABASE_URL"), "a plan holds references, no secrets");
    let rivet = |command: &str| {
        rivet::Command::new().folder(project.folder()).args([command, "plan.json"]).env("DATABASE_URL", &url)
    };

    rivet("commit").fails(1).says(&["chunk", "hint:"]);
    // All chunks at once, chunk 2 twice.
    let running: Vec<_> =
        [0, 1, 2, 2, 3].map(|chunk| rivet("apply").args(["--chunk", &chunk.to_string()]).spawn()).into_iter().collect();
    for one in running {
        let output = one.wait();
        assert_eq!(output.code, Some(0), "{output}");
    }
    let status = rivet("status").arg("--json").ok().json();
    assert_eq!(status["missing"].as_array().unwrap().len(), 0, "{status}");
    rivet("commit").ok();
    rivet("commit").ok();
    rivet("apply").ok();
    let found = readers::sql(project.out(), "SELECT count(*), count(DISTINCT id) FROM t");
    assert_eq!(found[0], ["30000", "30000"].map(|text| Some(text.to_owned())));
    project.rivet("validate").args(["--depth", "full"]).env("DATABASE_URL", &url).ok();
}

#[test]
fn a_table_that_changed_since_the_plan_is_refused_as_drift() {
    let mut database = postgres::database();
    database.run("CREATE TABLE t (id int PRIMARY KEY, s varchar(10)); INSERT INTO t VALUES (1, 'a')");
    let project = rivet::project();
    project.config("source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, table: t, format: parquet, destination: {type: local, path: '{out}'}}\n");
    project.rivet("plan").args(["-o", "plan.json"]).env("DATABASE_URL", database.url()).ok();
    database.run("ALTER TABLE t ALTER COLUMN id TYPE bigint");
    let output = rivet::Command::new()
        .folder(project.folder())
        .args(["apply", "plan.json"])
        .env("DATABASE_URL", database.url())
        .fails(4);
    output.says(&["`id`", "bigint", "hint:"]);
    assert!(readers::files(project.out()).is_empty() || !project.out().exists());
}

#[test]
fn a_damaged_part_is_found() {
    let mut database = postgres::database();
    database.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
    let project = rivet::project();
    project.config("source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, table: t, format: parquet, destination: {type: local, path: '{out}'}}\n");
    project.rivet("run").arg("--validate").env("DATABASE_URL", database.url()).ok();
    let file = &readers::files(project.out())[0];
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
    project.rivet("validate").env("DATABASE_URL", database.url()).ok();
    project.rivet("validate").args(["--depth", "full"]).env("DATABASE_URL", database.url()).fails(3).says(&["crc32c"]);
}
