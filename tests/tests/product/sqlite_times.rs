//! Columns of dates and times in SQLite, which stores texts and numbers: compared as the instants they stand for.

use std::fs;

use rivet_tests::{readers, rivet, sqlite};
use serde_json::Value;

const EVERY_FORM: &[&str] = &[
    "strftime('%Y-%m-%dT%H:%M:%S', AT)",
    "strftime('%Y-%m-%d %H:%M:%S', AT)",
    "strftime('%Y-%m-%dT%H:%M:%fZ', AT)",
    "strftime('%Y-%m-%d %H:%M', AT)",
    "strftime('%Y-%m-%dT%H:%M:%S', AT, '+5 hours') || '+05:00'",
];

fn configure(project: &rivet::Project, database: &sqlite::Database, more: &str) {
    project.config(&format!(
        "source: {{type: sqlite, path: '{}'}}\nexports:\n  - {{name: e, table: t, format: parquet, {more}, destination: \
         {{type: local, path: '{{out}}'}}}}\n",
        database.path().display()
    ));
}

fn project(database: &sqlite::Database, more: &str) -> rivet::Project {
    let project = rivet::project();
    configure(&project, database, more);
    project
}

fn run(project: &rivet::Project) -> rivet::Output {
    project.rivet("run").arg("--json").ok()
}

/// All ids that landed, in order.
fn ids(project: &rivet::Project) -> Vec<i64> {
    let rows = readers::sql(project.out(), "SELECT id FROM t ORDER BY id");
    rows.iter().map(|row| row[0].as_ref().unwrap().parse().unwrap()).collect()
}

fn table(declared: &str, rows: &str) -> sqlite::Database {
    let mut database = sqlite::database();
    database.run(&format!("CREATE TABLE t (id INTEGER PRIMARY KEY, u {declared}); INSERT INTO t VALUES {rows}"));
    database
}

#[test]
fn a_later_hour_is_delivered_whether_the_day_is_followed_by_a_t_or_a_blank() {
    for declared in ["DATETIME", "TIMESTAMP", "TIMESTAMPTZ", "DATETIME NOT NULL"] {
        for index in ["", "CREATE INDEX i ON t (u)"] {
            let mut database = table(declared, "(1, '2026-11-30T09:00:00'), (2, '2026-11-30T10:00:00')");
            database.run(index);
            let project = project(&database, "mode: incremental, cursor_column: u");
            run(&project);
            database.run(
                "INSERT INTO t VALUES (3, '2026-11-30 23:00:00'), (4, '2026-11-30 10:00:00.001'),
                 (5, '2026-11-30T18:00:00+02:00'), (6, '2026-11-30 09:59')",
            );
            run(&project);
            assert_eq!(ids(&project), [1, 2, 3, 4, 5], "{declared} {index}");
            run(&project);
            database.run("INSERT INTO t VALUES (7, '2026-12-01T00:00-00:30'), (8, '2026-11-30T23:00:00.000Z')");
            run(&project);
            // The last one is of the watermark's own instant, in another text.
            assert_eq!(ids(&project), [1, 2, 3, 4, 5, 7, 8], "{declared} {index}");
        }
    }
}

#[test]
fn a_text_column_read_as_a_timestamp_is_compared_as_one() {
    let mut database = table("TEXT", "(1, '2026-11-30T10:00:00')");
    let project = project(&database, "mode: incremental, cursor_column: u, columns: {u: timestamp}");
    run(&project);
    database.run("INSERT INTO t VALUES (2, '2026-11-30 23:00:00')");
    run(&project);
    assert_eq!(ids(&project), [1, 2]);
}

#[test]
fn two_forms_of_time_in_a_cursor_are_refused_with_their_rows() {
    let text = "(1, '2026-11-30T10:00:00')";
    for (declared, first, later, says) in [
        ("DATETIME", text, "(7, 1796083200)", "the integer 1796083200 (seconds since 1970) where id = 7"),
        ("DATETIME", text, "(7, 1796083200000)", "(milliseconds since 1970) where id = 7"),
        ("DATETIME", text, "(7, 2461374.75)", "the real 2461374.75 (a Julian day) where id = 7"),
        ("DATETIME", "(1, 1796083200)", "(7, 1796083200000)", "the integer 1796083200000"),
        ("DATETIME", "(1, 1796083200)", "(7, 2461375.0)", "the integer 2461375 (a Julian day) where id = 7"),
        ("DATE", text, "(7, 1796083200)", "the integer 1796083200"),
        ("DATETIME", text, "(7, '30.11.2026')", "the text \"30.11.2026\" where id = 7"),
        ("DATETIME", text, "(7, x'00')", "a blob of 1 bytes where id = 7"),
    ] {
        let mut database = table(declared, first);
        let project = project(&database, "mode: incremental, cursor_column: u, columns: {u: text}");
        run(&project);
        database.run(&format!("INSERT INTO t VALUES {later}"));
        let refused = project.rivet("run").fails(1);
        refused.says(&["column `u` of t holds", says, "hint:", "id = 7"]);
        assert_eq!(ids(&project), [1], "{later}");
    }
}

#[test]
fn two_forms_are_refused_wherever_they_are_compared_and_read_where_they_are_not() {
    let database = table("DATETIME", "(1, '2026-11-30T10:00:00'), (2, 1796083200)");
    for more in [
        "mode: time_window, time_column: u, days_window: 7",
        "mode: chunked, chunk_column: u, chunk_size: 1",
        "mode: chunked, chunk_column: u, chunk_by_days: 1",
        "mode: full, order_by: [u]",
        "mode: incremental, cursor_column: [u, id]",
        "mode: incremental, cursor_column: u, settle: 10m",
    ] {
        let refused = project(&database, more).rivet("run").fails(1);
        refused.says(&["`u`", "the integer 1796083200", "id = 2"]);
    }
    for more in ["mode: full", "mode: incremental, cursor_column: id", "mode: chunked, parallel: 2, chunk_size: 1"] {
        let project = project(&database, more);
        run(&project);
        let found = readers::sql(project.out(), "SELECT id, epoch(u)::bigint FROM t ORDER BY id");
        let expected = database.rows("SELECT id, CASE id WHEN 1 THEN unixepoch(u) ELSE u END FROM t ORDER BY id");
        assert_eq!(found, expected, "{more}");
    }
}

#[test]
fn todays_rows_are_in_a_time_window_in_every_form() {
    let numbers = ["unixepoch(AT)", "julianday(AT)", "unixepoch(AT) * 1000"];
    for form in EVERY_FORM.iter().chain(&numbers) {
        // No row at this very moment's edge: the tests of other drivers have those.
        let at = |modifier: &str| form.replace("AT", &format!("'now', {modifier}"));
        let mut database = sqlite::database();
        database.run(&format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, u DATETIME);
             INSERT INTO t VALUES (1, {}), (2, {}), (3, {}), (4, {}), (5, {}), (6, NULL)",
            at("'-2 minutes'"),
            at("'start of day', '-1 day'"),
            at("'start of day', '-1 day', '-1 minute'"),
            at("'+1 hour'"),
            at("'-1 day'"),
        ));
        let exported = project(&database, "mode: time_window, time_column: u, days_window: 1, exclude: [u]");
        run(&exported);
        assert_eq!(ids(&exported), [1, 2, 5], "{form}");
    }
}

#[test]
fn settle_leaves_out_what_is_too_new_and_nothing_else_in_every_form() {
    let numbers = ["unixepoch(AT)", "julianday(AT)", "unixepoch(AT) * 1000"];
    for form in EVERY_FORM.iter().chain(&numbers) {
        let at = |modifier: &str| form.replace("AT", &format!("'now', {modifier}"));
        let mut database = sqlite::database();
        database.run(&format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, u DATETIME); CREATE INDEX i ON t (u);
             INSERT INTO t VALUES (1, {}), (2, {}), (3, {})",
            at("'-1 day'"),
            at("'-30 minutes'"),
            at("'-2 minutes'")
        ));
        let exported = project(&database, "mode: incremental, cursor_column: u, settle: 10m, columns: {u: text}");
        run(&exported);
        assert_eq!(ids(&exported), [1, 2], "{form}");
        database.run(&format!("INSERT INTO t VALUES (4, {}), (5, {})", at("'-20 minutes'"), at("'-35 minutes'")));
        let second = run(&exported);
        assert_eq!(ids(&exported), [1, 2, 4], "{form}");
        second.says(&["late commits: 1 row"]);
    }
}

#[test]
fn a_date_that_ends_a_range_is_its_whole_day() {
    let mut database = table("DATE", "(1, date('now', '-2 days')), (2, strftime('%Y-%m-%dT00:00:01', 'now'))");
    let exported = project(&database, "mode: time_window, time_column: u, days_window: 1, columns: {u: timestamp}");
    run(&exported);
    assert_eq!(ids(&exported), [2]);
    database.run("INSERT INTO t VALUES (3, strftime('%Y-%m-%d 00:00:02', 'now', '+1 day'))");
    run(&exported);
    assert_eq!(ids(&exported), [2, 2]);
}

#[test]
fn a_coalesced_cursor_is_one_instant_whatever_its_columns_are_written_as() {
    let mut database = sqlite::database();
    database.run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, u DATETIME, c TIMESTAMP);
         INSERT INTO t VALUES (1, '2026-11-30T10:00:00', 5), (2, NULL, 1796025600)",
    );
    let exported = project(
        &database,
        "mode: incremental, cursor_column: u, cursor_fallback_column: c, exclude: [u, c], on_null_cursor: skip",
    );
    run(&exported);
    // 2026-11-30T12:00 and 13:00.
    database.run("INSERT INTO t VALUES (3, NULL, 1796040000), (4, '2026-11-30 13:00:00', NULL), (5, NULL, 1796025601)");
    run(&exported);
    assert_eq!(ids(&exported), [1, 2, 3, 4]);
    database.run("INSERT INTO t VALUES (6, NULL, 1796040000), (7, NULL, 1796043601)");
    run(&exported);
    assert_eq!(ids(&exported), [1, 2, 3, 4, 7]);
}

#[test]
fn chunks_by_days_ranges_and_order_follow_the_instants_and_hold_every_row_once() {
    let mut database = sqlite::database();
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY, u DATETIME); CREATE INDEX i ON t (u)");
    for (number, form) in EVERY_FORM.iter().enumerate() {
        let form = form.replace("AT", "'2026-11-25', (n * 37) || ' minutes'");
        database.run(&format!(
            "WITH RECURSIVE r(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r WHERE n < 299)
             INSERT INTO t SELECT n * 10 + {number}, {form} FROM r"
        ));
    }
    database.run("INSERT INTO t VALUES (9999, NULL)");
    let all: Vec<i64> = (0..300).flat_map(|n| (0..5).map(move |form| n * 10 + form)).chain([9999]).collect();
    for more in ["chunk_by_days: 1", "chunk_size: 100", "chunk_size: 1, parallel: 3"] {
        let exported = project(&database, &format!("mode: chunked, chunk_column: u, {more}"));
        let summary = run(&exported);
        assert!(summary.json()["exports"][0]["chunks"].as_u64().unwrap() > 4, "{more}");
        assert_eq!(ids(&exported), all, "{more}");
        project_reconciles(&exported);
    }
    let exported = project(&database, "mode: full, order_by: [u]");
    run(&exported);
    let table = readers::parquet(exported.out());
    let instants: Vec<String> = table.column("u").into_iter().skip(1).map(ToString::to_string).collect();
    assert!(table.column("u")[0].is_null() && instants.len() == 1500 && instants.is_sorted());
}

fn project_reconciles(project: &rivet::Project) {
    project.rivet("reconcile").ok();
}

#[test]
fn a_watermark_from_before_goes_on_without_loss_or_doubling() {
    // An earlier rivet kept the cell as it was: a text, or a number.
    for (first, kind, old, later) in [
        ("(1, '2026-11-30T09:00'), (2, '2026-11-30T10:00')", "text", "2026-11-30T10:00", "(3, '2026-11-30T10:00:01')"),
        ("(1, '2026-11-30 09:00'), (2, '2026-11-30 10:00')", "text", "2026-11-30 10:00", "(3, '2026-11-30T10:00:01')"),
        ("(1, '2026-11-30T09:00'), (2, '2026-11-30T10:00')", "text", "2026-11-30T10:00", "(3, '2026-11-30 23:00:00')"),
        ("(1, 1796000000), (2, 1796025600)", "integer", "1796025600", "(3, 1796025601)"),
        ("(1, 2461374.25), (2, 2461374.5000001)", "float", "2461374.5000001", "(3, 2461374.5000002)"),
    ] {
        let mut database = table("DATETIME", first);
        let exported = project(&database, "mode: incremental, cursor_column: u");
        run(&exported);
        // So an earlier rivet leaves state and manifest.
        let values = format!(r#"[{{"type":"{kind}","value":"{old}"}}]"#);
        let state = rusqlite::Connection::open(exported.path(".rivet_state.db")).unwrap();
        for sql in [
            "UPDATE rivet_watermark SET values_json = ?1, seal = NULL, fingerprint_v2 = NULL",
            "UPDATE rivet_advance SET to_json = ?1, seal = NULL",
        ] {
            assert_eq!(state.execute(sql, [&values]).unwrap(), 1);
        }
        drop(state);
        let folder = fs::read_dir(exported.out().join("_rivet/e")).unwrap().next().unwrap().unwrap().path();
        let mut manifest: Value = serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
        manifest["incremental"]["to"] = serde_json::from_str(&values).unwrap();
        let manifest = ::rivet::seal::sealed(&manifest).unwrap();
        fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
        fs::remove_file(exported.out().join("_SUCCESS")).unwrap();
        database.run(&format!("INSERT INTO t VALUES {later}"));
        run(&exported);
        assert_eq!(ids(&exported), [1, 2, 3], "{later}");
        run(&exported);
        assert_eq!(ids(&exported), [1, 2, 3], "{later}");
    }
}
