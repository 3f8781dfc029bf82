//! Memory: one budget for the whole process, whatever the table's rows are like.

use std::fs;
use std::path::Path;

use rivet_tests::{
    mysql,
    postgres::{self, User},
    readers, rivet,
};

/// Rows of 2 000 bytes, and a value of 40 MB here and there, in chunks of their own: each of eight
/// workers could meet one at the same time.
fn table(database: &mut postgres::Database) {
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, v text NOT NULL); ALTER TABLE t ALTER v SET STORAGE EXTERNAL; \
         GRANT SELECT ON t TO PUBLIC; \
         INSERT INTO t SELECT i, (SELECT string_agg(md5(i::text || j), '') FROM generate_series(1, 62) j) || repeat('x', 16) \
         FROM generate_series(1, 24000) i; \
         UPDATE t SET v = (SELECT string_agg(md5(t.id::text || j), '') FROM generate_series(1, 1250000) j) \
         WHERE id % 4000 = 2000; ANALYZE t",
    );
}

#[test]
fn large_values_and_eight_workers_stay_below_the_limit() {
    let mut database = postgres::database();
    table(&mut database);
    let expected = database.rows(FACTS);
    stay_below_the_limit(&database.url_as(User::Reader), &expected);
}

#[test]
fn large_values_of_mariadb_and_eight_workers_stay_below_the_limit() {
    let server = mysql::servers().into_iter().find(mysql::Server::is_mariadb).unwrap();
    let database = server.database();
    database.run(
        "CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT CHARACTER SET latin1 NOT NULL); \
         INSERT INTO t SELECT seq, CONCAT(REPEAT(MD5(seq), 62), REPEAT('x', 16)) FROM seq_1_to_24000; \
         UPDATE t SET v = REPEAT(MD5(id), 1250000) WHERE id % 4000 = 2000; ANALYZE TABLE t",
    );
    let expected: Vec<_> = database.rows(FACTS).into_iter().map(|row| row.into_iter().map(Some).collect()).collect();
    stay_below_the_limit(&database.url(), &expected);
}

const FACTS: &str = "SELECT count(*), sum(length(v)), max(length(v)) FROM t";

fn stay_below_the_limit(url: &str, expected: &[Vec<Option<String>>]) {
    for format in ["parquet", "csv"] {
        let project = rivet::project();
        project.config(&format!(
            "memory_limit_mb: 256\nsource: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, table: t, mode: chunked, \
             chunk_size: 1500, parallel: 8, compression: {}, format: {format}, destination: {{type: local, path: '{{out}}'}}}}\n",
            if format == "csv" { "none" } else { "zstd" }
        ));
        let output = project.rivet("run").arg("--json").env("DATABASE_URL", url).ok();
        let peak = output.json()["exports"][0]["peak_memory_bytes"].as_u64().unwrap();
        let found = match format {
            "parquet" => readers::sql(project.out(), FACTS),
            // No line of a CSV file may be so long for DuckDB.
            _ => vec![lengths(&project.out())],
        };
        assert_eq!(found, expected, "{format}");
        assert!(peak < 256 << 20, "{format}: {} MiB resident at most", peak >> 20);
    }
}

/// Rows, and the lengths of `v` in all and at most, of CSV files without quotes.
fn lengths(folder: &Path) -> Vec<Option<String>> {
    let (mut rows, mut sum, mut most) = (0_u64, 0, 0);
    for file in readers::files(folder) {
        for line in fs::read(file).unwrap().split(|byte| *byte == b'\n').skip(1).filter(|line| !line.is_empty()) {
            let comma = line.iter().position(|byte| *byte == b',').unwrap();
            let length = line.len() - comma - 2;
            (rows, sum, most) = (rows + 1, sum + length, most.max(length));
        }
    }
    vec![Some(rows.to_string()), Some(sum.to_string()), Some(most.to_string())]
}
