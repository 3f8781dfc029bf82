//! What must hold before a run counts: quality rules, the columns of the last run, the order.

use rivet_tests::{
    postgres::{self, User},
    readers, rivet,
};

fn project(more: &str) -> rivet::Project {
    let project = rivet::project();
    configure(&project, more);
    project
}

fn configure(project: &rivet::Project, more: &str) {
    project.config(&format!(
        "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, table: t, {more}, destination: {{type: local, path: '{{out}}'}}}}\n"
    ));
}

fn run(project: &rivet::Project, database: &postgres::Database) -> rivet::Command {
    project.rivet("run").arg("--json").env("DATABASE_URL", database.url_as(User::Reader))
}

fn database() -> postgres::Database {
    let mut database = postgres::database();
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, v text, n numeric(9,2)); GRANT SELECT ON t TO PUBLIC; \
         INSERT INTO t SELECT i, CASE WHEN i % 4 = 0 THEN NULL ELSE 'v' || i END, i % 500 FROM generate_series(1, 1000) i; ANALYZE t",
    );
    database
}

#[test]
fn rules_are_checked_in_every_format_and_cut_before_the_commit() {
    let mut database = database();
    for shape in [
        "format: parquet",
        "format: csv, mode: chunked, chunk_size: 90, parallel: 3",
        "format: parquet, partition_by: v",
    ] {
        for (rules, says) in [
            ("row_count_min: 1001", "1000 rows, at least 1001 are asked for"),
            ("row_count_max: 999", "1000 rows, at most 999 are allowed"),
            ("null_ratio_max: {v: 0.2}", "`v` is NULL in 250 of 1000 rows"),
            ("unique_columns: [id, n]", "`n` repeats a value in 500 rows"),
        ] {
            let project = project(&format!("{shape}, quality: {{{rules}}}"));
            run(&project, &database).fails(3).says(&["break their quality rules", says, "nothing was committed"]);
            assert!(!project.out().join("_SUCCESS").exists());
            // The next run clears the refused one's files away.
            configure(
                &project,
                &format!(
                    "{shape}, quality: {{row_count_min: 1000, row_count_max: 1000, null_ratio_max: {{v: 0.25}}, unique_columns: [id, v]}}"
                ),
            );
            run(&project, &database).ok();
            let rows = readers::sql(project.out(), "SELECT count(*) FROM t");
            assert_eq!(rows, database.rows("SELECT count(*) FROM t"), "{shape} {rules}");
        }
    }
    let project = project("format: csv, quality: {unique_columns: [id], unique_max_entries: 999}");
    run(&project, &database).fails(1).says(&["more than 999 distinct values", "unique_max_entries"]);
}

#[test]
fn a_broken_rule_leaves_the_watermark() {
    let mut database = database();
    let project = project("format: csv, mode: incremental, cursor_column: id, quality: {row_count_min: 5}");
    run(&project, &database).ok();
    database.run("INSERT INTO t VALUES (2001, 'x', 1)");
    run(&project, &database).fails(3);
    database.run("INSERT INTO t SELECT i, 'x', 1 FROM generate_series(2002, 2005) i");
    assert_eq!(run(&project, &database).ok().json()["exports"][0]["rows"], 5);
}

#[test]
fn changed_columns_are_told_or_refused_before_reading() {
    let mut database = database();
    let project = project("format: parquet");
    run(&project, &database).ok();
    assert!(!run(&project, &database).ok().stderr.contains("the columns changed"));
    database.run("ALTER TABLE t ALTER n TYPE numeric(12,2), DROP v, ADD w date NOT NULL DEFAULT '2024-01-01'");
    let diff = ["~ n numeric(9,2) -> numeric(12,2)", "- v text", "+ w date NOT NULL"];
    configure(&project, "format: parquet, on_schema_drift: fail");
    let files = readers::files(project.out()).len();
    run(&project, &database).fails(4).says(&diff).says(&["on_schema_drift: warn"]);
    assert_eq!(readers::files(project.out()).len(), files);
    configure(&project, "format: parquet, on_schema_drift: warn");
    let output = run(&project, &database).ok();
    output.says(&diff);
    assert!(output.json()["exports"][0]["warnings"][0].as_str().unwrap().contains("the columns changed"));
    configure(&project, "format: parquet, on_schema_drift: fail");
    run(&project, &database).ok();
}

#[test]
fn values_that_became_much_longer_are_told_by_every_way_to_run() {
    for more in ["format: parquet", "format: csv, mode: chunked, chunk_size: 90, parallel: 3, rename: {v: w}"] {
        let mut database = database();
        let project = project(more);
        let warnings = |project: &rivet::Project, database: &postgres::Database| {
            run(project, database).ok().json()["exports"][0]["warnings"].as_array().unwrap().clone()
        };
        // `v999` has four bytes: eight is twice that.
        assert!(warnings(&project, &database).is_empty());
        database.run("UPDATE t SET v = 'ééaa56' WHERE id = 500");
        assert!(warnings(&project, &database).is_empty());
        database.run("UPDATE t SET v = repeat('é', 10) WHERE id = 700");
        configure(&project, &format!("{more}, shape_drift_warn_factor: 0"));
        let output = run(&project, &database).ok();
        assert!(output.json()["exports"][0]["warnings"].as_array().unwrap().is_empty(), "{output}");
        configure(&project, more);
        // That run has remembered them.
        assert!(warnings(&project, &database).is_empty());
        database.run("UPDATE t SET v = repeat('é', 31) WHERE id = 901");
        let texts = warnings(&project, &database);
        assert_eq!(texts.len(), 1, "{texts:?}");
        let text = texts[0].as_str().unwrap();
        assert!(text.contains("`v`: the longest value has 62 bytes, 20 in earlier runs"), "{text}");
        // Shorter ones come and go; what is known is not told again.
        database.run("DELETE FROM t WHERE id = 901");
        assert!(warnings(&project, &database).is_empty());
        database.run("INSERT INTO t VALUES (901, repeat('x', 62), 1)");
        assert!(warnings(&project, &database).is_empty());
    }
}

#[test]
fn rows_come_in_the_order_asked_for() {
    let mut database = database();
    let project = project("format: csv, compression: none, order_by: [n, id], chunk_by: none, columns: {n: text}");
    run(&project, &database).ok();
    let found: Vec<String> = readers::files(project.out())
        .iter()
        .flat_map(|file| std::fs::read_to_string(file).unwrap().lines().skip(1).map(str::to_owned).collect::<Vec<_>>())
        .map(|line| line.split(',').next().unwrap().to_owned())
        .collect();
    let expected: Vec<String> =
        database.rows("SELECT id FROM t ORDER BY t.n, id").into_iter().map(|mut row| row.remove(0).unwrap()).collect();
    assert_eq!(found, expected);
}

#[test]
fn rules_about_columns_that_are_not_there_are_refused() {
    let database = database();
    for (more, says) in [
        ("quality: {unique_columns: [idd]}", "`quality.unique_columns` names a column `idd`"),
        ("quality: {null_ratio_max: {vv: 0.1}}", "`quality.null_ratio_max` names a column `vv`"),
        ("order_by: [idd]", "`order_by` names a column `idd`"),
        ("quality: {null_ratio_max: {v: 1.5}}", "a ratio is between 0 and 1"),
        ("quality: {row_count_min: 5, row_count_max: 4}", "it is less than row_count_min"),
    ] {
        let project = project(&format!("format: csv, {more}"));
        run(&project, &database).fails(2).says(&[says, "hint"]);
    }
}
