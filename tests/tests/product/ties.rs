//! Rows that come later with the watermark's own cursor: delivered, each once, on every database.

use rivet_tests::drivers::{self, Driver};
use rivet_tests::{readers, rivet, sqlite};
use serde_json::Value;

use crate::incremental::{configure, project};

fn command(project: &rivet::Project, driver: &dyn Driver, name: &str) -> rivet::Command {
    project.rivet(name).env("DATABASE_URL", driver.url())
}

/// The databases for what the host does by itself: where time is short, not all of them.
fn some() -> impl Iterator<Item = Box<dyn Driver>> {
    let few = |name: &str| rivet_tests::slow() || ["SQLITE", "MARIADB"].contains(&name);
    drivers::all().into_iter().filter(move |driver| few(driver.name()))
}

/// The rows of one run.
#[track_caller]
fn run(project: &rivet::Project, driver: &dyn Driver) -> u64 {
    let output = command(project, driver, "run").arg("--json").ok();
    output.json()["exports"][0]["rows"].as_u64().unwrap()
}

/// How often each row landed.
fn landed(project: &rivet::Project, row: &str) -> Vec<(String, String)> {
    let found = readers::sql(project.out(), &format!("SELECT {row}, count(*) FROM t GROUP BY ALL ORDER BY 1"));
    found.into_iter().map(|row| (row[0].clone().unwrap(), row[1].clone().unwrap())).collect()
}

#[track_caller]
fn once(project: &rivet::Project, row: &str, expected: &[&str]) {
    let expected: Vec<(String, String)> = expected.iter().map(|row| ((*row).to_owned(), "1".to_owned())).collect();
    assert_eq!(landed(project, row), expected);
}

/// `t(id, at, v)` with these rows.
fn table(driver: &mut dyn Driver, at: &str, rows: &[String]) {
    driver.run(&format!("CREATE TABLE t (id int NOT NULL PRIMARY KEY, at {at} NOT NULL, v varchar(20))"));
    driver.insert("t", rows);
}

/// The newest manifest.
fn manifest(project: &rivet::Project) -> Value {
    let runs = project.out().join("_rivet/e");
    let mut found: Vec<_> = std::fs::read_dir(runs).unwrap().map(|run| run.unwrap().path()).collect();
    found.sort();
    let newest = found.iter().rev().map(|run| run.join("manifest.json")).find(|path| path.exists()).unwrap();
    serde_json::from_slice(&std::fs::read(newest).unwrap()).unwrap()
}

#[test]
fn a_row_that_comes_later_with_the_last_date_is_delivered_once() {
    for mut driver in drivers::all() {
        let driver = &mut *driver;
        println!("{}", driver.name());
        table(driver, "date", &["1, '2026-01-01', 'a'".into(), "2, '2026-01-02', 'b'".into()]);
        let project = project("cursor_column: at");
        assert_eq!(run(&project, driver), 2);
        assert_eq!(run(&project, driver), 0);
        driver.run("INSERT INTO t VALUES (3, '2026-01-02', 'c')");
        assert_eq!(run(&project, driver), 1);
        assert_eq!(manifest(&project)["left_out"], serde_json::json!({"0": 1}));
        driver.run("INSERT INTO t VALUES (4, '2026-01-03', 'd'), (5, '2026-01-02', 'e')");
        assert_eq!(run(&project, driver), 2);
        assert_eq!(run(&project, driver), 0);
        once(&project, "id", &["1", "2", "3", "4", "5"]);
        // Only the state store is lost, then only the manifests are asked.
        std::fs::remove_file(project.path(".rivet_state.db")).unwrap();
        driver.run("INSERT INTO t VALUES (6, '2026-01-03', 'f')");
        assert_eq!(run(&project, driver), 1);
        once(&project, "id", &["1", "2", "3", "4", "5", "6"]);
        command(&project, driver, "reconcile").ok();
        command(&project, driver, "validate").args(["--depth", "full"]).ok();
        // A row that changed under the same cursor is another one.
        driver.run("UPDATE t SET v = 'changed' WHERE id = 6");
        assert_eq!(run(&project, driver), 1);
        assert_eq!(landed(&project, "id").last().unwrap(), &("6".to_owned(), "2".to_owned()));
    }
}

#[test]
fn ties_of_texts_and_of_several_columns_are_told_by_the_database() {
    for mut driver in drivers::all() {
        let driver = &mut *driver;
        println!("{}", driver.name());
        driver.run("CREATE TABLE t (name varchar(9) NOT NULL, n int NOT NULL, at date NOT NULL)");
        driver.insert("t", &["'a', 1, '2026-01-01'".into(), "'b', 2, '2026-01-01'".into()]);
        let (text, both) = (project("cursor_column: name"), project("cursor_column: [at, name]"));
        // Not the exported columns decide whether a cursor can be told.
        let hidden = project("cursor_column: at, exclude: [at]");
        for project in [&text, &both, &hidden] {
            println!("{}", std::fs::read_to_string(project.path("rivet.yaml")).unwrap());
            driver.run("DELETE FROM t WHERE n > 2");
            assert_eq!(run(project, driver), 2);
            assert_eq!(run(project, driver), 0);
            driver.insert("t", &["'b', 3, '2026-01-01'".into(), "'c', 4, '2026-01-01'".into()]);
            assert_eq!(run(project, driver), 2);
            driver.insert("t", &["'c', 5, '2026-01-01'".into()]);
            assert_eq!(run(project, driver), 1);
            assert_eq!(run(project, driver), 0);
            once(project, "n", &["1", "2", "3", "4", "5"]);
            command(project, driver, "reconcile").ok();
        }
    }
}

#[test]
fn equal_rows_without_a_key_are_counted() {
    for mut driver in some() {
        let driver = &mut *driver;
        println!("{}", driver.name());
        driver.run("CREATE TABLE t (at date NOT NULL, v varchar(9))");
        let same = || vec!["'2026-01-01', 'x'".to_owned()];
        driver.insert("t", &[same(), same()].concat());
        let project = project("cursor_column: at, chunk_count: 3, chunk_column: at, parallel: 2");
        assert_eq!(run(&project, driver), 2);
        driver.insert("t", &same());
        assert_eq!(run(&project, driver), 1);
        driver.insert("t", &[same(), vec!["'2026-01-01', NULL".to_owned()]].concat());
        assert_eq!(run(&project, driver), 2);
        driver.insert("t", &[same(), (2..9).map(|day| format!("'2026-01-0{day}', 'y'")).collect()].concat());
        assert_eq!(run(&project, driver), 8);
        assert_eq!(run(&project, driver), 0);
        let found = landed(&project, "coalesce(v, 'none')");
        let expected = [("none", "1"), ("x", "5"), ("y", "7")].map(|(row, count)| (row.to_owned(), count.to_owned()));
        assert_eq!(found, expected);
        command(&project, driver, "reconcile").ok();
    }
}

#[test]
fn more_ties_than_are_remembered_are_refused_come_again_or_stay_behind() {
    for mut driver in some() {
        let driver = &mut *driver;
        println!("{}", driver.name());
        let rows: Vec<String> = (0..10_001).map(|id| format!("{id}, '2026-01-01', 'a'")).collect();
        table(driver, "date", &rows);
        let refused = project("cursor_column: at");
        command(&refused, driver, "run").fails(2).says(&[
            "10001 rows have the greatest cursor",
            "settle",
            "[updated_at, id]",
        ]);
        command(&refused, driver, "check").fails(2).says(&["10001 rows have the greatest cursor"]);
        assert!(!refused.out().join("_rivet").exists(), "nothing was read");
        let (again, leave) =
            (project("cursor_column: at, on_cursor_ties: again"), project("cursor_column: at, on_cursor_ties: leave"));
        let settled = project("cursor_column: at, settle: 1h");
        let second = project("cursor_column: [at, id]");
        for project in [&again, &leave, &settled, &second] {
            assert_eq!(run(project, driver), 10_001);
        }
        driver.run("INSERT INTO t VALUES (20000, '2026-01-01', 'b')");
        assert_eq!(run(&again, driver), 10_002);
        assert_eq!(run(&leave, driver), 0);
        assert_eq!(run(&second, driver), 1);
        driver.run("INSERT INTO t VALUES (20001, '2026-01-02', 'b'), (20002, '2026-01-02', 'c')");
        assert_eq!(run(&leave, driver), 2);
        driver.run("INSERT INTO t VALUES (20003, '2026-01-02', 'd')");
        // They are few again.
        assert_eq!((run(&leave, driver), run(&leave, driver)), (1, 0));
    }
}

#[test]
fn a_bound_with_settle_leaves_the_last_day_out() {
    for mut driver in some() {
        let driver = &mut *driver;
        println!("{}", driver.name());
        let day = |text: &str| sqlite::database().rows(&format!("SELECT date({text})"))[0][0].clone().unwrap();
        let (today, yesterday) = (day("'now'"), day("'now', '-1 day'"));
        table(driver, "date", &[format!("1, '{yesterday}', 'a'"), format!("2, '{today}', 'b'")]);
        let project = project("cursor_column: at, settle: 1s");
        // Around midnight the day before is the last whole one a second later.
        if run(&project, driver) == 1 {
            driver.run(&format!("INSERT INTO t VALUES (3, '{today}', 'c')"));
            assert_eq!(run(&project, driver), 0);
            once(&project, "id", &["1"]);
        }
        assert_eq!(manifest(&project)["ties"]["state"], "settled");
        assert!(command(&project, driver, "check").ok().stdout.contains("last whole day"));
    }
}

#[test]
fn a_changed_column_is_told_and_a_new_one_is_none() {
    for mut driver in some() {
        let driver = &mut *driver;
        println!("{}", driver.name());
        table(driver, "date", &["1, '2026-01-01', 'a'".into()]);
        let project = project("cursor_column: at, on_schema_drift: warn");
        assert_eq!(run(&project, driver), 1);
        let add = if driver.name() == "MSSQL" { "ADD" } else { "ADD COLUMN" };
        driver.run(&format!("ALTER TABLE t {add} w int"));
        assert_eq!(run(&project, driver), 0);
        driver.run("INSERT INTO t VALUES (2, '2026-01-01', 'b', 7)");
        assert_eq!(run(&project, driver), 1);
        configure(&project, "cursor_column: at, on_schema_drift: warn, exclude: [w]");
        command(&project, driver, "run").fails(2).says(&["the column `w` is no longer exported", "on_cursor_ties"]);
        configure(&project, "cursor_column: at, on_schema_drift: warn, exclude: [w], on_cursor_ties: again");
        assert_eq!((run(&project, driver), run(&project, driver)), (2, 0));
    }
}

#[test]
fn an_export_from_before_goes_on_as_it_did_until_it_is_told_otherwise() {
    for mut driver in some() {
        let driver = &mut *driver;
        println!("{}", driver.name());
        table(driver, "date", &["1, '2026-01-01', 'a'".into()]);
        let project = project("cursor_column: at");
        assert_eq!(run(&project, driver), 1);
        // As a rivet that knows nothing of ties leaves it: the manifest and the store without them.
        let folder = project.out().join("_rivet/e");
        let newest = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path().join("manifest.json");
        let mut left: Value = serde_json::from_slice(&std::fs::read(&newest).unwrap()).unwrap();
        let left_keys = left.as_object_mut().unwrap();
        left_keys.remove("ties").unwrap();
        left["incremental"].as_object_mut().unwrap().remove("ties").unwrap();
        std::fs::write(&newest, ::rivet::seal::to_json(&left).unwrap()).unwrap();
        std::fs::remove_file(project.out().join("_SUCCESS")).unwrap();
        std::fs::remove_file(project.path(".rivet_state.db")).unwrap();
        driver.run("INSERT INTO t VALUES (2, '2026-01-01', 'b')");
        let output = command(&project, driver, "run").ok();
        output.says(&["at risk", "on_cursor_ties"]);
        driver.run("INSERT INTO t VALUES (3, '2026-01-02', 'c')");
        assert_eq!(run(&project, driver), 1);
        configure(&project, "cursor_column: at, on_cursor_ties: fail");
        // What was delivered at the watermark is not known, and stays so while no row is read.
        assert_eq!((run(&project, driver), run(&project, driver)), (0, 0));
        driver.run("INSERT INTO t VALUES (4, '2026-01-02', 'd'), (5, '2026-01-03', 'e')");
        assert_eq!(run(&project, driver), 1, "once more behind the watermark");
        driver.run("INSERT INTO t VALUES (6, '2026-01-03', 'f')");
        assert_eq!(run(&project, driver), 1);
        once(&project, "id", &["1", "3", "5", "6"]);
    }
}

/// Two plans from one watermark end at one value, and only the run before tells them apart.
#[test]
fn of_two_plans_with_the_same_ties_one_is_committed() {
    for mut driver in some() {
        let driver = &mut *driver;
        println!("{}", driver.name());
        table(driver, "date", &["1, '2026-01-01', 'a'".into()]);
        let project = project("cursor_column: at");
        assert_eq!(run(&project, driver), 1);
        driver.run("INSERT INTO t VALUES (2, '2026-01-01', 'b')");
        for plan in ["one.json", "two.json"] {
            command(&project, driver, "plan").args(["-o", plan]).ok();
        }
        project.rivet("apply").arg("one.json").env("DATABASE_URL", driver.url()).ok();
        let second = project.rivet("apply").arg("two.json").env("DATABASE_URL", driver.url());
        second.fails(1).says(&["watermark_moved"]);
        assert_eq!(run(&project, driver), 0);
        once(&project, "id", &["1", "2"]);
    }
}

#[test]
fn killed_anywhere_a_run_with_ties_delivers_each_row_once() {
    if !rivet::has_crash_points() {
        return;
    }
    let points =
        ["plan.put", "part.fence", "report.put", "commit.manifest", "commit.sweep", "success.put", "watermark.advance"];
    for mut driver in some() {
        let driver = &mut *driver;
        println!("{}", driver.name());
        table(driver, "date", &["1, '2026-01-01', 'a'".into()]);
        let project = project("cursor_column: at");
        assert_eq!(run(&project, driver), 1);
        let mut ids = vec!["1".to_owned()];
        for (number, point) in points.iter().enumerate() {
            let (tie, next) = (10 * number + 2, 10 * number + 3);
            driver.run(&format!("INSERT INTO t VALUES ({tie}, '2026-01-0{}', 'tie')", number + 1));
            driver.run(&format!("INSERT INTO t VALUES ({next}, '2026-01-0{}', 'next')", number + 2));
            ids.extend([tie.to_string(), next.to_string()]);
            let killed = command(&project, driver, "run").env("RIVET_CRASH_AT", point).run();
            assert_ne!(killed.code, Some(0), "{point}: {killed}");
            if number % 2 == 0 {
                command(&project, driver, "run").arg("--resume").ok();
            }
            run(&project, driver);
            assert_eq!(run(&project, driver), 0, "{point}");
        }
        ids.sort();
        let mut found = landed(&project, "id::text");
        found.sort();
        let expected: Vec<(String, String)> = ids.into_iter().map(|id| (id, "1".to_owned())).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_repair_of_ties_leaves_out_what_was_delivered_and_remembers_what_it_delivers() {
    for mut driver in some() {
        let driver = &mut *driver;
        println!("{}", driver.name());
        table(driver, "date", &["1, '2026-01-01', 'a'".into(), "2, '2026-01-02', 'b'".into()]);
        let project = project("cursor_column: at");
        assert_eq!(run(&project, driver), 2);
        driver.run("INSERT INTO t VALUES (3, '2026-01-02', 'c'), (4, '2026-01-03', 'd')");
        assert_eq!(run(&project, driver), 2);
        // A tie at the new end that the repair meets first.
        driver.run("INSERT INTO t VALUES (5, '2026-01-03', 'e')");
        let part = readers::files(project.out()).pop().unwrap();
        std::fs::remove_file(part).unwrap();
        command(&project, driver, "repair").arg("--execute").ok();
        assert_eq!(run(&project, driver), 0);
        driver.run("INSERT INTO t VALUES (6, '2026-01-03', 'f')");
        assert_eq!(run(&project, driver), 1);
        once(&project, "id", &["1", "2", "3", "4", "5", "6"]);
    }
}

/// Without new rows a run ends where the last one did, and knows of the rows there what that one knew.
#[test]
fn settle_may_come_and_go_without_a_row_lost_or_twice() {
    for mut driver in some() {
        let driver = &mut *driver;
        println!("{}", driver.name());
        let day = |text: &str| sqlite::database().rows(&format!("SELECT date({text})"))[0][0].clone().unwrap();
        let tomorrow = day("'now', '+1 day'");
        table(driver, "date", &["1, '2026-01-01', 'a'".into()]);
        let project = project("cursor_column: at, settle: 1s");
        assert_eq!((run(&project, driver), run(&project, driver)), (1, 0));
        configure(&project, "cursor_column: at");
        assert_eq!((run(&project, driver), run(&project, driver)), (0, 0));
        // A watermark that `settle` would not have taken: rows may still come there.
        driver.run(&format!("INSERT INTO t VALUES (2, '{tomorrow}', 'b')"));
        assert_eq!(run(&project, driver), 1);
        configure(&project, "cursor_column: at, settle: 1s");
        assert_eq!(run(&project, driver), 0);
        driver.run(&format!("INSERT INTO t VALUES (3, '{tomorrow}', 'c')"));
        assert_eq!((run(&project, driver), run(&project, driver)), (1, 0));
        once(&project, "id", &["1", "2", "3"]);
    }
}
