//! Connections: a run opens one for each worker and one more. Where the server ends them in the middle of a
//! run, nothing is lost, nothing comes twice, and the manifest says which read points the rows come from.

use std::collections::{BTreeMap, BTreeSet};

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

/// The tables of this database that somebody waits to read.
fn waited_for(database: &mut postgres::Database) -> BTreeSet<String> {
    let rows = database.rows(
        "SELECT relation::regclass::text FROM pg_locks WHERE NOT granted AND locktype = 'relation' \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    );
    rows.into_iter().map(|mut row| row.remove(0).unwrap()).collect()
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

#[test]
fn exports_hold_no_more_connections_at_once_than_the_source_may_give() {
    let mut database = postgres::database();
    let tables = ["a", "b", "c", "d", "e"];
    for table in tables {
        database.run(&format!(
            "CREATE TABLE {table} (id int PRIMARY KEY, s text); \
             INSERT INTO {table} SELECT i, repeat(md5(i::text), 8) FROM generate_series(1, 20000) i; ANALYZE {table}"
        ));
    }
    let wire = faults::proxy(&database.url());
    // Two workers each, and so three connections: two exports fit into seven, three do not.
    let exports: String = tables
        .iter()
        .map(|table| {
            format!(
                "  - {{name: {table}, table: {table}, format: parquet, mode: chunked, chunk_size: 1000, parallel: 2, \
                 destination: {{type: local, path: '{{out}}/{table}'}}}}\n"
            )
        })
        .collect();
    let project = rivet::project();
    project.config(&format!(
        "source: {{url_env: DATABASE_URL, max_connections: 7}}\nparallel_exports: 5\nexports:\n{exports}"
    ));
    let mut gate = database.connect();
    gate.batch_execute("BEGIN; LOCK TABLE a, b, c, d, e IN ACCESS EXCLUSIVE MODE").unwrap();
    let mut running = project.rivet("run").arg("--json").env("DATABASE_URL", wire.endpoint(&database.url())).spawn();
    assert!(running.until(|| waited_for(&mut database).len() >= 2));
    assert_eq!(waited_for(&mut database), names(["a", "b"]), "the first two, and nobody else");
    gate.batch_execute("COMMIT").unwrap();
    let output = running.wait();
    assert_eq!(output.code, Some(0), "{output}");
    for (number, table) in tables.iter().enumerate() {
        let summary = &output.json()["exports"][number];
        assert_eq!((&summary["export"], &summary["rows"]), (&(*table).into(), &20_000.into()), "{output}");
    }
    assert!(wire.connections() >= 15, "three for each of five exports: {}", wire.connections());
    assert!((4..=7).contains(&wire.most_at_once()), "{}", wire.most_at_once());
    project.config(&format!("source: {{url_env: DATABASE_URL, max_connections: 2}}\nexports:\n{exports}"));
    let before = wire.connections();
    let refused = project.rivet("check").env("DATABASE_URL", wire.endpoint(&database.url())).fails(2);
    refused.says(&["`a` needs 3 connections, and `source.max_connections` is 2", "`parallel: 1` fits"]);
    project.config(&format!("source: {{url_env: DATABASE_URL, max_connections: 3}}\nexports:\n{exports}"));
    let counted = project.rivet("run").arg("--reconcile").env("DATABASE_URL", wire.endpoint(&database.url())).fails(2);
    counted.says(&["`a` needs 4 connections, and `source.max_connections` is 3"]);
    assert_eq!(wire.connections(), before, "refused before anything is opened");
}

#[test]
fn one_group_runs_in_order_one_at_a_time_beside_the_others() {
    let mut database = postgres::database();
    let tables = ["one", "two", "three", "beside"];
    for table in tables {
        database.run(&format!("CREATE TABLE {table} (id int PRIMARY KEY); INSERT INTO {table} VALUES (1)"));
    }
    let project = rivet::project();
    let export = |table: &str, group: &str| {
        format!(
            "  - {{name: {table}, table: {table}, {group}format: parquet, \
             destination: {{type: local, path: '{{out}}/{table}'}}}}\n"
        )
    };
    let exports: String =
        ["one", "two", "three"].map(|table| export(table, "source_group: g, ")).concat() + &export("beside", "");
    project.config(&format!("source: {{url_env: DATABASE_URL}}\nexports:\n{exports}"));
    // Each table has a gate of its own: who waits at it has begun, and ends only once it is opened.
    let mut gates: BTreeMap<&str, _> = tables
        .map(|table| {
            let mut gate = database.connect();
            gate.batch_execute(&format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")).unwrap();
            (table, gate)
        })
        .into();
    let mut open = |table: &str| gates.get_mut(table).unwrap().batch_execute("COMMIT").unwrap();
    let run = project.rivet("run").args(["--parallel-exports=4", "--json"]).env("DATABASE_URL", database.url());
    let mut running = run.spawn();
    for table in ["one", "two", "three"] {
        let here = names([table, "beside"]);
        assert!(running.until(|| waited_for(&mut database).is_superset(&here)), "{table}");
        assert_eq!(waited_for(&mut database), here);
        open(table);
    }
    open("beside");
    let output = running.wait();
    assert_eq!(output.code, Some(0), "{output}");
    // What the journal remembers of them: nobody in the group began before the one before was over.
    let journal = project.rivet("journal").arg("--json").env("DATABASE_URL", database.url()).ok().json();
    let at = |table: &str, what: &str| {
        let run = journal["runs"].as_array().unwrap().iter().find(|run| run["export"] == table).unwrap();
        // Without its `Z`, time is in the order of its text.
        run[what].as_str().unwrap().trim_end_matches('Z')
    };
    for pair in ["one", "two", "three"].windows(2) {
        assert!(at(pair[0], "finished_at") <= at(pair[1], "started_at"), "{journal}");
    }
}
