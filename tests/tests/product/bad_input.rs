//! What users get wrong: each ends in one clear error with a hint, nothing half-visible, no secret printed.

use rivet_tests::{
    postgres::{self, Database},
    readers, rivet,
};

fn database() -> Database {
    let mut database = postgres::database();
    database.run("CREATE TABLE t (id int PRIMARY KEY, s text); INSERT INTO t VALUES (1, 'a'), (2, NULL)");
    database
}

fn config(export: &str) -> String {
    format!("source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, format: parquet, {export}}}\n")
}

const OUT: &str = "destination: {type: local, path: '{out}'}";

#[test]
fn a_wrong_password_names_the_user_and_never_the_password() {
    let database = database();
    let url = database.url();
    let (head, tail) = url.rsplit_once('@').unwrap();
    let wrong = format!("{}:n0t-the-pass@{tail}", head.rsplit_once(':').unwrap().0);
    let project = rivet::project();
    project.config(&config(&format!("table: t, {OUT}")));
    let output = project.rivet("run").env("DATABASE_URL", &wrong).fails(1);
    output.says(&["error:", "hint:", "28P01"]).never_says("n0t-the-pass");
    assert!(!project.out().exists() || readers::files(project.out()).is_empty());
}

#[test]
fn hosts_tables_and_columns_that_are_not_there() {
    let database = database();
    let project = rivet::project();
    let run = |url: &str, export: &str, code: i32| {
        project.config(&config(&format!("{export}, {OUT}")));
        project.rivet("run").env("DATABASE_URL", url).fails(code)
    };
    run("postgres://me:pw@no-such-host.invalid/db", "table: t, tuning: {max_retries: 0}", 75)
        .says(&["no-such-host.invalid", "hint:"]);
    run(&database.url(), "table: orders", 1).says(&["orders", "hint:"]);
    run(&database.url(), "table: t, columns: {sx: text}", 1).says(&["sx", "hint:"]);
    run(&database.url(), "table: t, exclude: [ids]", 2).says(&["ids", "did you mean id?"]);
    run(&database.url(), "query: 'SELECT nope FROM t'", 1).says(&["nope"]);
    run(&database.url(), "query: 'SELEC 1'", 1).says(&["syntax error", "hint:"]);
    let cells = "query: 'SELECT id, point(id, 1) AS at FROM t'";
    run(&database.url(), &format!("{cells}, mode: chunked, chunk_column: at"), 1)
        .says(&["`at` is a point, which has no order", "hint:"]);
}

#[test]
fn typos_are_told_by_line_and_nearest_name() {
    let project = rivet::project();
    project.config("source: {url_env: DATABASE_URL}\nexports:\n  - name: e\n    table: t\n    formt: parquet\n    chunk_sise: 5\n    destination: {type: local, path: '{out}', pth: x}\n");
    let output = project.rivet("run").env("DATABASE_URL", "postgres://localhost/x").fails(2);
    output.says(&[
        "rivet.yaml:5:5",
        "exports[0].formt",
        "did you mean format?",
        "rivet.yaml:6:5",
        "did you mean chunk_size?",
    ]);
}

#[test]
fn an_unset_variable_is_told_before_anything_is_connected() {
    let project = rivet::project();
    project.config(&config(&format!("table: '${{NO_SUCH_VARIABLE}}', {OUT}")));
    project.rivet("run").env("DATABASE_URL", "postgres://localhost/x").fails(2).says(&["NO_SUCH_VARIABLE", "hint:"]);
    project.config(&config(&format!("table: t, {OUT}")));
    project.rivet("run").fails(2).says(&["DATABASE_URL", "hint:"]);
}

#[test]
fn folders_that_cannot_be_written() {
    let database = database();
    let project = rivet::project();
    project.write("file", "not a folder");
    project.config(&config(&format!(
        "table: t, destination: {{type: local, path: '{}/file/out'}}",
        project.folder().display()
    )));
    project.rivet("run").env("DATABASE_URL", database.url()).fails(2).says(&["file", "hint:"]);
    project.config(&config("table: t, destination: {type: local, path: /proc/rivet}"));
    project.rivet("run").env("DATABASE_URL", database.url()).fails(1).says(&["/proc/rivet", "hint:"]);
}

#[test]
fn a_second_run_appends_or_replaces_as_asked() {
    let database = database();
    let project = rivet::project();
    let run = |more: &str| {
        project.config(&config(&format!("table: t, {more}{OUT}")));
        project.rivet("run").env("DATABASE_URL", database.url()).ok();
        readers::sql(project.out(), "SELECT count(*) FROM t")[0][0].clone().unwrap()
    };
    assert_eq!(run(""), "2");
    assert_eq!(run(""), "4");
    assert_eq!(run("write_mode: replace, "), "2");
}

#[test]
fn a_foreign_success_marker_is_not_taken_over() {
    let database = database();
    let project = rivet::project();
    project.write("out/_SUCCESS", "");
    project.config(&config(&format!("table: t, {OUT}")));
    project.rivet("run").env("DATABASE_URL", database.url()).fails(1).says(&["_SUCCESS", "hint:"]);
}

#[test]
fn odd_names_and_trailing_semicolons_simply_work() {
    let mut database = postgres::database();
    database.run(r#"CREATE SCHEMA "My ""Schema"; CREATE TABLE "My ""Schema"."Order-Items" ("select" int PRIMARY KEY, "größe" text, "a""b" int);
        INSERT INTO "My ""Schema"."Order-Items" SELECT i, 'x' || i, -i FROM generate_series(1, 500) i; ANALYZE;
        CREATE TABLE "Order-Items" (id int); INSERT INTO "Order-Items" VALUES (1)"#);
    let project = rivet::project();
    let rows = |export: &str| {
        project.config(&format!("source: {{url_env: DATABASE_URL}}\nexports:\n  - name: e\n    format: parquet\n    write_mode: replace\n    destination: {{type: local, path: '{{out}}'}}\n    {export}\n"));
        project.rivet("run").env("DATABASE_URL", database.url()).ok();
        readers::sql(project.out(), "SELECT count(*) FROM t")[0][0].clone().unwrap()
    };
    assert_eq!(rows(r#"table: '"My ""Schema"."Order-Items"'"#), "500");
    assert_eq!(rows("table: Order-Items"), "1");
    assert_eq!(rows("{query: 'SELECT 1 AS a; -- the end'}".trim_matches(['{', '}'])), "1");
}

#[test]
fn an_empty_table_gives_a_file_with_its_schema_unless_told_otherwise() {
    let mut database = postgres::database();
    database.run("CREATE TABLE t (id int PRIMARY KEY, s text)");
    let project = rivet::project();
    project.config(&config(&format!("table: t, {OUT}")));
    project.rivet("run").env("DATABASE_URL", database.url()).ok();
    assert_eq!(readers::files(project.out()).len(), 1);
    assert_eq!(readers::schema(project.out())[0].columns.len(), 2);
    project.config(&config(&format!("table: t, skip_empty: true, {}", OUT.replace("{out}", "{out}/none"))));
    project.rivet("run").env("DATABASE_URL", database.url()).ok();
    assert!(readers::files(project.path("out/none")).is_empty());
}

#[test]
fn two_runs_at_once_the_second_is_busy() {
    let database = database();
    let project = rivet::project();
    project.config(&config(&format!("query: 'SELECT 1 AS a, pg_sleep(3) IS NULL AS b', {OUT}")));
    let mut first = project.rivet("run").env("DATABASE_URL", database.url()).spawn();
    assert!(first.until(|| project.out().join("_rivet").exists()));
    project.rivet("run").env("DATABASE_URL", database.url()).fails(5).says(&["hint:", "--lock-wait"]);
    assert_eq!(first.wait().code, Some(0));
}

#[test]
fn stdout_takes_the_data_and_stderr_the_rest() {
    let database = database();
    let project = rivet::project();
    project.config("source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, table: t, format: csv, compression: none, destination: {type: stdout}}\n");
    let output = project.rivet("run").env("DATABASE_URL", database.url()).ok();
    assert_eq!(output.stdout, "id,s\r\n1,a\r\n2,\r\n");
}

#[test]
fn a_password_in_the_configuration_reaches_no_file_at_the_destination() {
    let database = database();
    let url = database.url();
    let password = url.split_once("://").unwrap().1.split_once(':').unwrap().1.split_once('@').unwrap().0.to_owned();
    let parts = format!(
        "{{type: postgres, host: 127.0.0.1, port: {}, user: postgres, password: '{password}', database: {}}}",
        database.port(),
        database.name
    );
    for source in [format!("{{url: '{url}'}}"), parts] {
        let project = rivet::project();
        project.config(&format!("source: {source}\nexports:\n  - {{name: e, table: t, format: parquet, {OUT}}}\n"));
        project.rivet("run").ok();
        let runs = std::fs::read_dir(project.out().join("_rivet/e")).unwrap();
        for object in runs.flat_map(|run| std::fs::read_dir(run.unwrap().path()).unwrap()) {
            let path = object.unwrap().path();
            assert!(
                !std::fs::read_to_string(&path).unwrap().contains(&password),
                "{} holds the password",
                path.display()
            );
        }
        project.rivet("plan").args(["-o", "plan.json"]).fails(2).says(&["holds a", "hint:"]);
    }
}
