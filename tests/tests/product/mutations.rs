//! Damage of any kind in what a run wrote down, met by the program itself: it is refused, or the rows are the table's.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rivet_tests::damage::{Random, damaged};
use rivet_tests::rivet::{self, Project};
use rivet_tests::{readers, sqlite};
use rusqlite::Connection;

const ROWS: u32 = 300;
/// How often each kind of document is damaged.
fn times() -> u32 {
    if rivet_tests::slow() { 60 } else { 10 }
}

struct Left {
    database: sqlite::Database,
    project: Project,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// A table of [`ROWS`] rows, its export, and what `prepare` leaves of it.
fn left(mode: &str, prepare: impl Fn(&Project)) -> Left {
    let mut database = sqlite::database();
    database.run(&format!(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}) INSERT INTO t SELECT i, 'v' || i FROM n"
    ));
    let project = rivet::project();
    project.config(&format!(
        "source: {{url: '{}'}}\nexports:\n  - {{name: e, table: t, mode: {mode}, chunk_column: id, chunk_size: 100, format: csv, \
         destination: {{type: local, path: '{{out}}'}}}}\n",
        database.url()
    ));
    prepare(&project);
    let files = files_below(project.folder()).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    Left { database, project, files }
}

impl Left {
    /// Everything as it was left.
    fn restore(&self) {
        for path in files_below(self.project.folder()) {
            if !self.files.contains_key(&path) {
                fs::remove_file(path).unwrap();
            }
        }
        for (path, body) in &self.files {
            fs::write(path, body).unwrap();
        }
    }

    fn named(&self, is: impl Fn(&str) -> bool) -> Vec<PathBuf> {
        let name = |path: &&PathBuf| is(path.strip_prefix(self.project.folder()).unwrap().to_str().unwrap());
        let found: Vec<PathBuf> = self.files.keys().filter(name).cloned().collect();
        assert!(!found.is_empty(), "nothing to damage");
        found
    }

    #[track_caller]
    fn has_the_table(&self, what: &str) {
        let table = self.database.rows("SELECT count(*), count(*), sum(id) FROM t");
        let landed = readers::sql(self.project.out(), "SELECT count(*), count(DISTINCT id), sum(id)::bigint FROM t");
        assert_eq!(landed, table, "{what}");
    }

    /// Damages one of the files each time; `then` says whether all went well.
    fn damage(&self, files: &[PathBuf], seed: u64, then: impl Fn(&Project) -> bool) -> u32 {
        let mut random = Random::new(seed);
        let mut refused = 0;
        for _ in 0..times() {
            self.restore();
            let path = &files[random.below(files.len())];
            let body = damaged(&self.files[path], &mut random);
            fs::write(path, &body).unwrap();
            if then(&self.project) {
                self.has_the_table(&format!("{}\n{}", path.display(), String::from_utf8_lossy(&body)));
            } else {
                refused += 1;
            }
        }
        refused
    }
}

fn ok(project: &Project, words: &[&str]) -> bool {
    let output = rivet::Command::new().folder(project.folder()).args(words).run();
    assert!(matches!(output.code, Some(0..=3)), "{words:?}: {output}");
    output.code == Some(0)
}

#[test]
fn a_damaged_plan_file_is_refused_or_gives_the_table() {
    let left = left("chunked", |project| _ = project.rivet("plan").args(["-o", "plan.json"]).ok());
    let refused =
        left.damage(&left.named(|name| name == "plan.json"), 0x91a, |project| ok(project, &["apply", "plan.json"]));
    assert!(refused > times() / 3, "{refused}");
}

#[test]
fn a_damaged_plan_or_report_at_the_destination_is_refused_or_gives_the_table() {
    let left = left("chunked", |project| {
        project.rivet("plan").args(["-o", "plan.json"]).ok();
        project.rivet("apply").args(["plan.json", "--chunk", "1"]).ok();
    });
    let control = left.named(|name| name.starts_with("out/_rivet/"));
    let refused = left.damage(&control, 0x2e9, |project| ok(project, &["apply", "plan.json"]));
    assert!(refused > times() / 3, "{refused}");
    let refused = left.damage(&control, 0x2ea, |project| ok(project, &["run", "-c", "rivet.yaml", "--resume"]));
    assert!(refused > times() / 3, "{refused}");
}

#[test]
fn a_damaged_manifest_or_success_is_refused_or_gives_the_table() {
    let left = left("chunked", |project| _ = project.rivet("run").ok());
    let control = left.named(|name| name.starts_with("out/_rivet/") || name.ends_with("_SUCCESS"));
    let refused = left.damage(&control, 0x3a7, |project| ok(project, &["validate", "-c", "rivet.yaml"]));
    assert!(refused > times() / 10, "{refused}");
}

#[test]
fn a_damaged_state_is_refused_or_gives_the_table() {
    let mut left = left("incremental, cursor_column: id", |project| _ = project.rivet("run").ok());
    left.database.run("INSERT INTO t VALUES (1000, 'later'), (1001, 'later')");
    let state = left.named(|name| name == ".rivet_state.db").remove(0);
    let mut random = Random::new(0x57a);
    let mut refused = 0;
    for _ in 0..times() {
        left.restore();
        let what = change_a_cell(&state, &mut random);
        if ok(&left.project, &["run", "-c", "rivet.yaml"]) {
            left.has_the_table(&what);
        } else {
            refused += 1;
        }
    }
    assert!(refused > 0, "{refused}");
    let refused = left.damage(&[state], 0x57b, |project| ok(project, &["run", "-c", "rivet.yaml"]));
    assert!(refused > 0, "{refused}");
}

/// Damages one text of one row of the state's tables.
fn change_a_cell(state: &Path, random: &mut Random) -> String {
    let database = Connection::open(state).unwrap();
    let texts = |sql: &str| -> Vec<String> {
        let mut statement = database.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    loop {
        let tables = texts("SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'rivet_%'");
        let table = &tables[random.below(tables.len())];
        let columns = texts(&format!("SELECT name FROM pragma_table_info('{table}') WHERE type = 'TEXT'"));
        let Some(column) = columns.get(random.below(columns.len())) else { continue };
        let values = texts(&format!("SELECT {column} FROM {table} WHERE {column} IS NOT NULL"));
        let Some(value) = values.get(random.below(values.len())) else { continue };
        let changed = damaged(value.as_bytes(), random);
        let changed = String::from_utf8_lossy(&changed);
        let update = format!("UPDATE OR IGNORE {table} SET {column} = ?1 WHERE {column} = ?2");
        database.execute(&update, [&*changed, value]).unwrap();
        return format!("{table}.{column}: {value} to {changed}");
    }
}
