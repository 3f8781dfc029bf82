//! SQL Server as it misbehaves: the real binary says what to do, with the exit code of its kind, and
//! loses no row.

use rivet_tests::{
    mssql::{self, Database},
    readers, rivet,
};

fn numbered(rows: u32) -> Database {
    let mut database = mssql::database();
    database.run("CREATE TABLE t (id int NOT NULL PRIMARY KEY, moment datetime NOT NULL)");
    // One row a day: every date that reads in two orders is among them.
    database.run("CREATE INDEX by_day ON t (moment)");
    database.insert("t", (1..=rows).map(|i| format!("{i}, DATEADD(day, {i}, '20190101')")));
    database
}

fn project(export: &str) -> rivet::Project {
    let project = rivet::project();
    project.config(&format!(
        "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, table: t, format: parquet, {export}, \
         destination: {{type: local, path: '{{out}}'}}}}\n"
    ));
    project
}

fn nothing_is_there(project: &rivet::Project) {
    assert!(!project.out().exists() || readers::files(project.out()).is_empty());
}

#[test]
fn a_locked_login_and_a_full_server_say_what_to_do() {
    if !mssql::is_fixture() {
        return;
    }
    let mut database = numbered(3);
    let project = project("tuning: {max_retries: 1, retry_backoff_ms: 10}");
    let locked = project.rivet("run").env("DATABASE_URL", database.url_as("locked")).fails(1);
    locked.says(&["18486", "hint:", "UNLOCK"]).never_says("Secret_1");
    database.run("EXEC rivet_fault 'login', 17809, 9");
    let full = project.rivet("run").env("DATABASE_URL", database.url()).fails(75);
    full.says(&["17809", "hint:", "`parallel`"]).never_says("Secret_1");
    database.run("EXEC rivet_fault 'login', 17809, 0");
    nothing_is_there(&project);
}

#[test]
fn a_login_in_another_language_reads_the_same_rows() {
    if !mssql::is_fixture() {
        return;
    }
    let mut database = numbered(900);
    for login in ["deutsch", "svenska"] {
        database.run(&format!("CREATE USER {login} FOR LOGIN {login}; GRANT SELECT ON dbo.t TO {login}"));
        let project = project("mode: chunked, chunk_column: moment, chunk_size: 50, parallel: 2");
        let output = project.rivet("run").arg("--json").env("DATABASE_URL", database.url_as(login)).ok();
        assert!(output.json()["exports"][0]["chunks"].as_u64().unwrap() >= 10, "{output}");
        let found = readers::sql(
            project.out(),
            "SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE moment = TIMESTAMP '2019-01-01' + to_days(id)) FROM t",
        );
        assert_eq!(found, [vec![Some("900".to_owned()); 3]], "{login}");
    }
}

#[test]
fn a_table_dropped_while_it_is_exported_ends_the_run_without_a_manifest() {
    let mut database = numbered(3000);
    // The pause is for 10 000 rows: here 200 ms after each chunk.
    let project =
        project("mode: chunked, chunk_size: 100, tuning: {throttle_ms: 20000, max_retries: 1, retry_backoff_ms: 10}");
    let mut running = project.rivet("run").env("DATABASE_URL", database.url()).spawn();
    let out = project.out();
    assert!(running.until(|| out.exists() && !readers::files(&out).is_empty()), "the run was over too soon");
    database.run("DROP TABLE t");
    let output = running.wait();
    assert_eq!(output.code, Some(1), "{output}");
    output.says(&["208", "hint:"]);
    assert!(!out.join("_SUCCESS").exists());
}

/// A relative of SQL Server, or an old one, lacks what only an estimate or a short way needs.
#[test]
fn servers_that_differ_a_little_are_read_all_the_same() {
    if !mssql::is_fixture() {
        return;
    }
    let differ = ["lacks_textsize", "lacks_description", "lacks_units", "counts_nothing", "no_features"];
    for how in differ.chunks(1).chain([&differ[..]]) {
        let mut database = numbered(900);
        for one in how {
            database.run(&format!("EXEC rivet_fault '{one}', 0, 1"));
        }
        // Nobody says how large it is, and there are chunks nevertheless.
        let project = project("mode: chunked, parallel: 2, chunk_count: 4");
        let command = |name: &str| project.rivet(name).env("DATABASE_URL", database.url());
        let summary = command("run").args(["--json", "--reconcile"]).ok().json()["exports"][0].clone();
        assert!(summary["chunks"].as_u64().unwrap() >= 4, "{how:?}: {summary}");
        let found = readers::sql(project.out(), "SELECT count(*), count(DISTINCT id), sum(id) FROM t");
        assert_eq!(found[0], ["900", "900", "405450"].map(|text| Some(text.to_owned())), "{how:?}");
        if how.len() > 1 {
            command("doctor").ok();
            let listed = rivet::Command::new().args(["init", "--discover", "--source-env", "DATABASE_URL"]);
            let listed = listed.folder(project.folder()).env("DATABASE_URL", database.url()).ok();
            assert!(listed.stdout.contains("by_day"), "{listed}");
        }
    }
}

/// A database that nobody can write to is one read point for all sessions, and rows stay where they are.
#[test]
fn a_database_that_cannot_change_is_one_snapshot_and_is_cut_by_pages() {
    let mut database = mssql::database();
    database.run("CREATE TABLE t (id int NOT NULL, s varchar(100)); CREATE TABLE k (id int NOT NULL PRIMARY KEY)");
    database.insert("t", (1..=3000).map(|id| format!("{id}, REPLICATE('x', 80)")));
    database.insert("k", (1..=300).map(|id| id.to_string()));
    let export = |table: &str, more: &str| {
        let project = rivet::project();
        project.config(&format!(
            "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, table: {table}, format: parquet, mode: chunked, \
             chunk_size: 100, parallel: 2, {more}, destination: {{type: local, path: '{{out}}'}}}}\n"
        ));
        project
    };
    let without = export("t", "consistency: auto");
    let check = without.rivet("check").env("DATABASE_URL", database.url()).ok();
    assert!(check.stdout.contains("rows move between pages while the database may change"), "{check}");
    let whole = without.rivet("run").arg("--json").env("DATABASE_URL", database.url()).ok().json();
    assert_eq!(whole["exports"][0]["chunks"], 1, "{whole}");
    export("t", "chunk_by: native")
        .rivet("run")
        .env("DATABASE_URL", database.url())
        .fails(2)
        .says(&["READ_ONLY", "hint:"]);

    database.run("ALTER DATABASE CURRENT SET READ_ONLY");
    for (table, by, rows) in [("t", "native", "3000"), ("k", "range", "300")] {
        let project = export(table, "consistency: snapshot");
        let output = project.rivet("run").args(["--json", "--reconcile"]).env("DATABASE_URL", database.url()).ok();
        let summary = output.json()["exports"][0].clone();
        assert_eq!(
            (&summary["strategy"]["name"], &summary["consistency"]),
            (&by.into(), &"snapshot".into()),
            "{summary}"
        );
        assert!(summary["chunks"].as_u64().unwrap() >= 3, "{summary}");
        let found = readers::sql(project.out(), "SELECT count(*), count(DISTINCT id), max(id) FROM t");
        assert_eq!(found[0], [rows; 3].map(|text| Some(text.to_owned())), "{table}");
    }
    database.run("ALTER DATABASE CURRENT SET READ_WRITE");
}
