//! Writers that commit behind an incremental run's back: within `settle`, each row lands exactly once; a later
//! one is told of.

use std::cell::RefCell;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rivet_tests::{
    drivers::{self, Driver},
    readers, rivet,
};
use serde_json::Value;

const SETTLE_MS: u32 = 4000;

fn project(parallel: u32) -> rivet::Project {
    let project = rivet::project();
    project.config(&format!(
        "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, table: t, format: parquet, mode: incremental, \
         cursor_column: [at, id], settle: {SETTLE_MS}ms, parallel: {parallel}, chunk_size: 7, \
         destination: {{type: local, path: '{{out}}'}}}}\n"
    ));
    project
}

fn run(project: &rivet::Project, driver: &dyn Driver) -> rivet::Output {
    project.rivet("run").arg("--json").env("DATABASE_URL", driver.url()).ok()
}

fn table(driver: &mut dyn Driver) {
    driver.run("DROP TABLE IF EXISTS t");
    driver.run(&format!("CREATE TABLE t (id int NOT NULL PRIMARY KEY, at {} NOT NULL)", driver.moment()));
}

/// All that landed, in order.
fn ids(project: &rivet::Project) -> Vec<u32> {
    let rows = readers::sql(project.out(), "SELECT id FROM t ORDER BY id");
    rows.iter().map(|row| row[0].as_ref().unwrap().parse().unwrap()).collect()
}

/// The newest manifest's word on its watermark.
fn committed(project: &rivet::Project) -> Value {
    let mut runs: Vec<_> =
        std::fs::read_dir(project.out().join("_rivet/e")).unwrap().map(|entry| entry.unwrap().path()).collect();
    runs.sort();
    let newest = runs.iter().rev().find_map(|run| std::fs::read(run.join("manifest.json")).ok()).unwrap();
    serde_json::from_slice::<Value>(&newest).unwrap()["incremental"].clone()
}

/// The same test on every database at once: they mostly wait.
fn everywhere(test: impl Fn(Box<dyn Driver>) + Sync) {
    std::thread::scope(|scope| {
        for driver in drivers::all() {
            let test = &test;
            scope.spawn(move || test(driver));
        }
    });
}

#[test]
fn rows_committed_within_settle_are_delivered_exactly_once() {
    // Each step commits rows whose cursor is up to three seconds old by then, and may export.
    let step = (prop::collection::vec(0..3000_u32, 0..15), any::<bool>(), 0..700_u64);
    everywhere(|driver| {
        let driver = RefCell::new(driver);
        let mut runner = TestRunner::new(Config { cases: 2, failure_persistence: None, ..Config::default() });
        let steps = prop::collection::vec(step.clone(), 1..8);
        runner
            .run(&(steps, 1..4_u32), |(steps, parallel)| {
                let mut driver = driver.borrow_mut();
                table(&mut **driver);
                let project = project(parallel);
                let mut written = 0_u32;
                let export = |driver: &dyn Driver| {
                    let output = run(&project, driver);
                    assert!(!output.stderr.contains("at risk"), "{}\n{output}", driver.name());
                };
                for (ages, exports, pause) in steps {
                    let rows: Vec<String> = ages
                        .iter()
                        .map(|age| {
                            written += 1;
                            format!("{written}, {}", driver.ago(*age))
                        })
                        .collect();
                    driver.insert("t", &rows);
                    if exports {
                        export(&**driver);
                    }
                    std::thread::sleep(Duration::from_millis(pause));
                }
                std::thread::sleep(Duration::from_millis(u64::from(SETTLE_MS) + 100));
                export(&**driver);
                export(&**driver);
                if written > 0 {
                    prop_assert_eq!(ids(&project), (1..=written).collect::<Vec<_>>(), "{}", driver.name());
                }
                Ok(())
            })
            .unwrap();
    });
}

#[test]
fn a_row_committed_later_than_settle_is_reported_and_not_delivered() {
    everywhere(|mut driver| {
        let name = driver.name();
        table(&mut *driver);
        let rows: Vec<String> = (1..=50_u32).map(|id| format!("{id}, {}", driver.ago(60_000 - id * 100))).collect();
        driver.insert("t", &rows);
        let project = project(1);
        assert_eq!(run(&project, &*driver).json()["exports"][0]["rows"], 50, "{name}");
        assert!(committed(&project)["recount"]["rows"].as_u64().unwrap() > 10, "{name}: {}", committed(&project));

        // Two whose cursor lies just before the fiftieth's, by the same clock.
        driver.run("INSERT INTO t SELECT 100, at FROM t WHERE id = 49");
        driver.run("INSERT INTO t SELECT 101, at FROM t WHERE id = 40");
        let late = run(&project, &*driver);
        assert_eq!(late.json()["exports"][0]["rows"], 0, "{name}");
        late.says(&["at risk: late commits: 2 rows up to the watermark", "rivet state reset"]);
        assert!(committed(&project)["at_risk"].as_str().unwrap().contains("late commits: 2 rows"), "{name}");
        // The journal remembers it of this run, and of no other.
        for command in ["journal", "metrics"] {
            let runs = project.rivet(command).arg("--json").env("DATABASE_URL", driver.url()).ok().json();
            assert!(runs["runs"][0]["at_risk"].as_str().unwrap().contains("late commits: 2 rows"), "{name}: {runs}");
            assert_eq!(runs["runs"][1]["at_risk"], Value::Null, "{name}: {runs}");
        }
        let journal = project.rivet("journal").env("DATABASE_URL", driver.url()).ok();
        assert!(journal.stdout.contains("at risk: late commits: 2 rows"), "{name}: {journal}");
        assert!(late.json()["exports"][0]["warnings"].to_string().contains("late commits: 2 rows"), "{name}\n{late}");

        // It is told once, and what comes in time lands as ever.
        driver.run(&format!("INSERT INTO t VALUES (102, {})", driver.ago(5000)));
        let next = run(&project, &*driver);
        assert_eq!(next.json()["exports"][0]["rows"], 1, "{name}");
        assert!(!next.stderr.contains("at risk"), "{name}\n{next}");
        assert_eq!(ids(&project), (1..=50).chain([102]).collect::<Vec<_>>(), "{name}");

        // Also where the state is lost: the manifest has the count.
        std::fs::remove_file(project.path(".rivet_state.db")).unwrap();
        driver.run("INSERT INTO t SELECT 60, at FROM t WHERE id = 102");
        run(&project, &*driver).says(&["at risk: late commits: 1 row up to the watermark"]);
    });
}
