//! Four workers on SQL Server: every row once, over four connections: where no snapshot is held, the planner's
//! is the first worker's.

use rivet_tests::{faults, mssql, readers, rivet};

#[test]
fn four_workers_take_four_connections_and_read_every_row_once() {
    let mut database = mssql::database();
    database.run("CREATE TABLE t (id int NOT NULL PRIMARY KEY, s nvarchar(40) NULL)");
    database.insert("t", (1..=20_000).map(|i| format!("{i}, N'row {i}'")));
    let project = rivet::project();
    project.config(
        "source: {url_env: DATABASE_URL, tuning: {throttle_ms: 50}}\nexports:\n  - {name: e, table: t, format: parquet, mode: chunked, \
         chunk_size: 1000, parallel: 4, tuning: {max_retries: 0}, destination: {type: local, path: '{out}'}}\n",
    );
    // The server's own count is of everybody's.
    let wire = faults::proxy(&database.url());
    let output = project.rivet("run").arg("--json").env("DATABASE_URL", wire.endpoint(&database.url())).ok();
    assert_eq!(output.json()["exports"][0]["rows"], 20_000);
    assert_eq!(wire.connections(), 4, "a connection a worker");
    let found = readers::sql(project.out(), "SELECT count(*), count(DISTINCT id), sum(id) FROM t");
    assert_eq!(found, [["20000", "20000", "200010000"].map(|text| Some(text.to_owned())).to_vec()]);
}
