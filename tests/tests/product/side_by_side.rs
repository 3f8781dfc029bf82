//! Runs that meet: at one moment, at one destination, under one name. Nothing is lost, nothing overwritten,
//! and who has to yield is told why. (One export run twice over one state store: see `state_commands`.)

use std::collections::BTreeSet;
use std::path::PathBuf;

use rivet_tests::{readers, rivet, sqlite};
use rustix::process::Signal;

const ROWS: u64 = 30_000;

fn database(from: u64) -> sqlite::Database {
    let mut database = sqlite::database();
    database.run(&format!(
        "CREATE TABLE t (id INTEGER PRIMARY KEY);
         WITH RECURSIVE n(i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {from} + {ROWS})
         INSERT INTO t SELECT i FROM n"
    ));
    database
}

/// A project whose export writes to the folder `out` of another one, or to its own.
fn project(out: Option<&rivet::Project>, export: &str, tuning: &str) -> rivet::Project {
    let project = rivet::project();
    let path = out.map_or_else(|| "{out}".to_owned(), |other| other.out().display().to_string());
    project.config(&format!(
        "source: {{url_env: DATABASE_URL{tuning}}}\nexports:\n  - {{{export}, table: t, format: parquet, \
         destination: {{type: local, path: '{path}'}}}}\n"
    ));
    project
}

fn run(project: &rivet::Project, database: &sqlite::Database) -> rivet::Command {
    project.rivet("run").arg("--json").env("DATABASE_URL", database.url())
}

/// A second between the first chunk of three and the next: it is stopped there.
const SLOW: &str = ", tuning: {throttle_ms: 1000}";
const CHUNKS: &str = "chunk_by: range, chunk_size: 10000";

/// A slow run of one project, which stands still while another one runs to its end. Gives how both ended.
fn meet(slow: rivet::Command, out: &rivet::Project, fast: rivet::Command) -> (rivet::Output, rivet::Output) {
    let mut slow = slow.spawn();
    let folder = out.out();
    assert!(slow.until(|| folder.exists() && !readers::files(&folder).is_empty()), "nothing was written");
    slow.signal(Signal::STOP);
    let fast = fast.run();
    slow.signal(Signal::CONT);
    (slow.wait(), fast)
}

fn success(project: &rivet::Project) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(project.out().join("_SUCCESS")).unwrap()).unwrap()
}

fn ids(project: &rivet::Project) -> (u64, u64) {
    let row = readers::sql(project.out(), "SELECT count(*), count(DISTINCT id) FROM t").swap_remove(0);
    let number = |at: usize| row[at].as_ref().unwrap().parse().unwrap();
    (number(0), number(1))
}

#[test]
fn one_incremental_export_from_two_machines_lands_once() {
    // Each has a state store of its own, so no lease keeps them apart; the destination does.
    let database = database(0);
    let export = format!("name: e, mode: incremental, cursor_column: id, {CHUNKS}");
    let here = project(None, &export, SLOW);
    let there = project(Some(&here), &export, "");
    let (slow, fast) = meet(run(&here, &database), &here, run(&there, &database));
    assert_eq!(fast.code, Some(0), "{fast}");
    assert_eq!(slow.code, Some(1), "{slow}");
    slow.says(&["already abandoned (a later run)", "hint: start a new run"]);
    assert_eq!(ids(&here), (ROWS, ROWS));
    assert_eq!(run(&here, &database).ok().json()["exports"][0]["rows"], 0);
    assert_eq!(ids(&here), (ROWS, ROWS));
}

#[test]
fn two_exports_at_one_destination_keep_their_files_apart() {
    let (one, other) = (database(0), database(ROWS));
    let here = project(None, &format!("name: one, mode: chunked, {CHUNKS}"), SLOW);
    let there = project(Some(&here), "name: other", "");
    let (slow, fast) = meet(run(&here, &one), &here, run(&there, &other));
    assert_eq!((slow.code, fast.code), (Some(1), Some(0)), "{slow}\n{fast}");
    slow.says(&["the `_SUCCESS` there belongs to the export \"other\"", "is committed and its manifest stands"]);
    assert_eq!(ids(&here), (2 * ROWS, 2 * ROWS));
    // From now on the one whose `_SUCCESS` it is goes on, and the other is refused before it reads.
    let before = readers::files(here.out());
    for _ in 0..2 {
        run(&here, &one).fails(1).says(&["the `_SUCCESS` there belongs to the export", "a folder of its own"]);
        run(&here, &one).arg("--resume").fails(1).says(&["is committed and its manifest stands"]);
        assert_eq!(readers::files(here.out()), before);
        assert_eq!(success(&here)["export"], "other");
    }
    run(&there, &other).ok();
    assert_eq!(ids(&here), (3 * ROWS, 2 * ROWS));
    // One that comes later finds the `_SUCCESS` of another.
    let before = readers::files(here.out());
    let third = project(Some(&here), "name: third", "");
    run(&third, &one).fails(1).says(&["the `_SUCCESS` there belongs to the export", "a folder of its own"]);
    assert_eq!(readers::files(here.out()), before);

    // In one configuration, it is seen before anything is read.
    let both = rivet::project();
    both.config(
        "source: {url: 'sqlite:/no/such/file'}\nexports:\n\
         - {name: one, table: t, format: csv, destination: {type: local, path: '{out}'}}\n\
         - {name: other, table: t, format: csv, destination: {type: local, path: '{out}'}}\n",
    );
    both.rivet("run").fails(2).says(&["`one` and `other` have the same destination", "hint: give each export"]);
}

#[test]
fn one_name_for_two_databases_in_one_store_is_refused_where_it_would_lose_rows() {
    let (one, other) = (database(0), database(5));
    let project = project(None, "name: e, mode: incremental, cursor_column: id", "");
    run(&project, &one).ok();
    run(&project, &other).fails(2).says(&["the watermark belongs to another database", "rivet state reset -e e"]);
    assert_eq!(ids(&project), (ROWS, ROWS));
    assert_eq!(run(&project, &one).ok().json()["exports"][0]["rows"], 0);

    // A full export has no watermark: both land, each run in files of its own.
    let full = self::project(None, "name: e", "");
    run(&full, &one).ok();
    run(&full, &other).ok();
    assert_eq!(ids(&full), (2 * ROWS, ROWS + 5));
}

#[test]
fn runs_within_one_second_overwrite_nothing() {
    let database = database(0);
    let project = project(None, "name: e", "");
    let mut files: BTreeSet<PathBuf> = BTreeSet::new();
    let mut runs = BTreeSet::new();
    for number in 1..=6_usize {
        runs.insert(run(&project, &database).ok().json()["exports"][0]["run_id"].as_str().unwrap().to_owned());
        let now: BTreeSet<PathBuf> = readers::files(project.out()).into_iter().collect();
        assert!(now.is_superset(&files) && now.len() > files.len(), "{files:?}\n{now:?}");
        assert_eq!(ids(&project), (ROWS * number as u64, ROWS));
        files = now;
    }
    assert_eq!(runs.len(), 6);
    assert_eq!(success(&project)["run_id"].as_str(), runs.last().map(String::as_str), "later runs have greater ids");
}
