//! One export has one place: a relative path does not quietly name another folder from another folder.

use std::fs;
use std::path::{Path, PathBuf};

use rivet_tests::{readers, rivet, sqlite};
use serde_json::Value;

/// A project with two folders to run from, and three rows.
struct Two {
    project: rivet::Project,
    database: sqlite::Database,
}

impl Two {
    fn new(more: &str, destination: &str) -> Self {
        let two = Self { project: rivet::project(), database: sqlite::database() };
        for folder in ["a", "b"] {
            fs::create_dir(two.project.path(folder)).unwrap();
        }
        two.configure(more, destination);
        let mut two = two;
        two.database.run("CREATE TABLE t (id INTEGER PRIMARY KEY)");
        two.rows(1, 3);
        two
    }

    fn configure(&self, more: &str, destination: &str) {
        self.project.config(&format!(
            "source: {{type: sqlite, path: '{}'}}\nexports:\n  - {{name: e, table: t, format: parquet, {more}, destination: \
             {destination}}}\n",
            self.database.path().display()
        ));
    }

    fn rows(&mut self, from: u32, to: u32) {
        for id in from..=to {
            self.database.run(&format!("INSERT INTO t VALUES ({id})"));
        }
    }

    fn command(&self, words: &[&str], folder: &str) -> rivet::Command {
        let command = rivet::Command::new().args(words).arg("-c").arg(self.project.path("rivet.yaml"));
        command.folder(self.project.path(folder))
    }

    fn run(&self, folder: &str) -> rivet::Command {
        self.command(&["run"], folder)
    }

    fn ids(&self, folder: &str) -> Vec<i64> {
        ids(&self.project.path(folder))
    }
}

fn ids(folder: &Path) -> Vec<i64> {
    let rows = readers::sql(folder, "SELECT id FROM t ORDER BY id");
    rows.iter().map(|row| row[0].as_ref().unwrap().parse().unwrap()).collect()
}

const INCREMENTAL: &str = "mode: incremental, cursor_column: id";
const RELATIVE: &str = "{type: local, path: out}";

#[test]
fn an_incremental_run_from_another_folder_is_refused_with_what_settles_it() {
    let mut two = Two::new(INCREMENTAL, RELATIVE);
    two.run("a").ok();
    two.rows(4, 4);
    let (a, b) = (two.project.path("a/out"), two.project.path("b/out"));
    for words in [&["run"][..], &["plan"], &["check"]] {
        let refused = two.command(words, "b").fails(2);
        refused.says(&[
            &format!("are in `{}`", a.display()),
            &format!("would go on in `{}`", b.display()),
            "another_place",
            &format!("path: {}", a.display()),
            "rivet state move -e e",
            "rivet state reset -e e",
        ]);
    }
    assert!(!b.exists());
    two.run("a").ok();
    assert_eq!(two.ids("a/out"), [1, 2, 3, 4]);
}

#[test]
fn a_moved_watermark_goes_on_at_its_new_place_without_reading_a_row_again() {
    let mut two = Two::new(INCREMENTAL, RELATIVE);
    two.run("a").ok();
    two.rows(4, 4);
    let (a, b) = (two.project.path("a/out"), two.project.path("b/out"));
    two.command(&["state", "move", "-e", "e", "--json"], "b")
        .ok()
        .says(&[&format!("goes on in {}", b.display()), &format!("stays in {}", a.display())]);
    two.run("b").ok();
    assert_eq!((two.ids("a/out"), two.ids("b/out")), (vec![1, 2, 3], vec![4]));
    two.rows(5, 5);
    two.run("a").fails(2).says(&[&format!("are in `{}`", b.display())]);
    let shown = two.command(&["state", "show", "--json"], "a").ok().json();
    assert_eq!(shown["exports"][0]["watermark"]["place"], b.to_str().unwrap());
    // A reset begins anew, wherever.
    two.command(&["state", "reset", "-e", "e"], "a").ok();
    two.run("a").ok();
    assert_eq!(two.ids("a/out"), [1, 1, 2, 2, 3, 3, 4, 5]);
}

#[test]
fn the_absolute_path_of_a_relative_one_is_the_same_place() {
    let mut two = Two::new(INCREMENTAL, RELATIVE);
    two.run("a").ok();
    two.rows(4, 4);
    let a = two.project.path("a/out");
    for path in [a.display().to_string(), format!("file://{}", a.display()), format!("{}/", a.display())] {
        two.configure(INCREMENTAL, &format!("{{type: local, path: '{path}'}}"));
        two.run("b").ok();
        assert_eq!(ids(&a), [1, 2, 3, 4], "{path}");
    }
    // By a link, too.
    std::os::unix::fs::symlink(&a, two.project.path("b/link")).unwrap();
    two.configure(INCREMENTAL, "{type: local, path: link}");
    two.rows(5, 5);
    two.run("b").ok();
    assert_eq!(ids(&a), [1, 2, 3, 4, 5]);
}

#[test]
fn another_path_moves_with_the_same_command_and_another_table_never() {
    let mut two = Two::new(INCREMENTAL, RELATIVE);
    two.run("a").ok();
    two.rows(4, 4);
    two.database.run("CREATE TABLE u (id INTEGER PRIMARY KEY); INSERT INTO u VALUES (9)");
    let yaml = fs::read_to_string(two.project.path("rivet.yaml")).unwrap();
    two.configure(INCREMENTAL, "{type: local, path: elsewhere}");
    two.run("a").fails(2).says(&["another_place", "rivet state move"]);
    two.command(&["state", "move", "-e", "e"], "a").ok();
    two.project.write("rivet.yaml", yaml.replace("table: t", "table: u").replace("path: out", "path: elsewhere"));
    two.run("a").fails(2).says(&["the watermark belongs to another database, table"]);
    two.configure(INCREMENTAL, "{type: local, path: elsewhere}");
    two.run("a").ok();
    assert_eq!(two.ids("a/elsewhere"), [4]);
}

#[test]
fn a_folder_that_was_moved_with_its_manifests_is_still_the_place() {
    let mut two = Two::new(INCREMENTAL, RELATIVE);
    two.run("a").ok();
    two.rows(4, 4);
    fs::rename(two.project.path("a/out"), two.project.path("b/out")).unwrap();
    two.run("b").ok();
    assert_eq!(two.ids("b/out"), [1, 2, 3, 4]);
    two.rows(5, 5);
    two.run("a").fails(2).says(&["another_place"]);
    two.run("b").ok();
    assert_eq!(two.ids("b/out"), [1, 2, 3, 4, 5]);
}

#[test]
fn a_watermark_from_before_takes_over_the_place_that_it_is_next_run_from() {
    let mut two = Two::new(INCREMENTAL, RELATIVE);
    two.run("a").ok();
    let state = rusqlite::Connection::open(two.project.path(".rivet_state.db")).unwrap();
    state.execute("UPDATE rivet_run SET place_json = NULL", []).unwrap();
    two.command(&["state", "move", "-e", "e"], "b").ok().says(&["its next run gives it one"]);
    two.rows(4, 4);
    two.run("b").ok();
    two.rows(5, 5);
    two.run("a").fails(2).says(&["another_place", &two.project.path("b/out").display().to_string()]);
    two.run("b").ok();
    assert_eq!(two.ids("b/out"), [4, 5]);
}

#[test]
fn a_watermark_from_before_has_its_place_after_a_run_without_new_rows() {
    let two = Two::new(INCREMENTAL, RELATIVE);
    two.run("a").ok();
    let state = rusqlite::Connection::open(two.project.path(".rivet_state.db")).unwrap();
    state.execute("UPDATE rivet_run SET place_json = NULL", []).unwrap();
    two.run("a").ok();
    two.run("b").fails(2).says(&["another_place", &two.project.path("a/out").display().to_string()]);
}

#[test]
fn in_other_modes_another_place_is_told() {
    let two = Two::new("mode: full", RELATIVE);
    let (a, b) = (two.project.path("a/out"), two.project.path("b/out"));
    assert!(!two.run("a").ok().stderr.contains("another place"));
    let told =
        [&*format!("files are in `{}`", a.display()), &format!("this run's in `{}`", b.display()), "another place"];
    two.command(&["plan"], "b").ok().says(&told);
    two.run("b").ok().says(&told);
    assert!(!two.run("b").ok().stderr.contains("another place"), "once");
    assert_eq!(two.ids("b/out"), [1, 1, 2, 2, 3, 3]);
}

#[test]
fn plugins_destinations_have_places_too() {
    let mut two = Two::new(INCREMENTAL, "{type: folder, path_env: WHERE}");
    let place = |name: &str| two.project.path(name).display().to_string();
    let (one, other) = (place("one"), place("other"));
    two.run("a").env("WHERE", &one).ok();
    two.rows(4, 4);
    two.run("a").env("WHERE", &other).fails(2).says(&["another_place", &one, &other]);
    two.command(&["state", "move", "-e", "e"], "a").env("WHERE", &other).ok();
    two.run("a").env("WHERE", &other).ok();
    assert_eq!((two.ids("one"), two.ids("other")), (vec![1, 2, 3], vec![4]));
}

#[test]
fn a_sealed_plan_is_applied_to_the_place_it_was_made_for() {
    for config in [false, true] {
        for mode in ["mode: full", INCREMENTAL] {
            let two = Two::new(mode, RELATIVE);
            let plan = two.project.path("p.json");
            two.command(&["plan", "-o", plan.to_str().unwrap()], "a").ok();
            let sealed: Value = serde_json::from_slice(&fs::read(&plan).unwrap()).unwrap();
            assert_eq!(sealed["destination"]["place"], two.project.path("a/out").to_str().unwrap());
            let words = |command: &str| {
                let line = rivet::Command::new().arg(command).arg(&plan).folder(two.project.path("b"));
                if config { line.arg("-c").arg(two.project.path("rivet.yaml")) } else { line }
            };
            words("apply").ok();
            assert!(words("status").ok().stdout.contains("committed"));
            assert!(!two.project.path("b/out").exists());
            assert_eq!(two.ids("a/out"), [1, 2, 3], "{mode}");
            let runs = fs::read_dir(two.project.path("a/out/_rivet/e")).unwrap();
            let run: PathBuf = runs.map(|run| run.unwrap().path()).next().unwrap();
            let manifest: Value = serde_json::from_slice(&fs::read(run.join("manifest.json")).unwrap()).unwrap();
            assert_eq!(manifest["place"], sealed["destination"]["place"]);

            // A copy of the folder, which has the export's runs, is applied to where it lies.
            let mut copy = std::process::Command::new("cp");
            copy.arg("-r").arg(two.project.path("a/out")).arg(two.project.path("b"));
            assert!(copy.status().unwrap().success());
            words("status").ok();
            let later = two.project.path("later.json");
            two.command(&["plan", "-o", later.to_str().unwrap()], "a").ok();
            let line = rivet::Command::new().arg("apply").arg(&later).folder(two.project.path("b"));
            line.ok();
            assert_eq!(two.ids("a/out"), [1, 2, 3], "{mode}");
        }
    }
}

#[test]
fn a_path_means_what_people_mean_or_is_refused_by_its_name() {
    let two = Two::new("mode: full", RELATIVE);
    let home = two.project.path("home");
    for (path, lands) in [("~/x", "home/x"), ("~/y/{date}", "home/y"), ("file://FOLDER/z", "z")] {
        let path = path.replace("FOLDER", two.project.folder().to_str().unwrap());
        two.configure("mode: full", &format!("{{type: local, path: '{path}'}}"));
        two.run("a").env("HOME", &home).ok();
        let found = readers::files(two.project.path(lands));
        assert_eq!(found.len(), 1, "{path}");
    }
    for (path, says) in [
        ("$HOME/x", "write ${HOME}/x"),
        ("$DATA", "write ${DATA}"),
        ("~root/x", "another user's home"),
        ("file://host/x", "names another machine"),
        ("s3://bucket/x", "`bucket` and `prefix`"),
        ("gs://bucket/x", "`bucket` and `prefix`"),
    ] {
        two.configure("mode: full", &format!("{{type: local, path: '{path}'}}"));
        two.run("a").env("HOME", &home).fails(2).says(&[says, "exports[0].destination.path", "rivet.yaml:3:"]);
    }
    assert_eq!(fs::read_dir(two.project.path("a")).unwrap().count(), 0, "no folder of a strange name");

    // The state store and the plugins' folders are named by the same rules.
    two.configure("mode: full", RELATIVE);
    let yaml = fs::read_to_string(two.project.path("rivet.yaml")).unwrap();
    two.project.write("rivet.yaml", format!("{yaml}state: {{path: '~/state.db'}}\nplugins: {{lock: '~/lock'}}\n"));
    two.run("a").env("HOME", &home).ok();
    assert!(home.join("state.db").exists());
    for (key, value) in
        [("state", "{path: '$HOME/x.db'}"), ("plugins", "{dirs: ['$HOME/x']}"), ("plugins", "{lock: 's3://x/y'}")]
    {
        two.project.write("rivet.yaml", format!("{yaml}{key}: {value}\n"));
        two.run("a").env("HOME", &home).fails(2).says(&[key, "hint:"]);
    }
}

/// As with the place of files: a relative path does not quietly name another database from another folder.
#[test]
fn another_database_at_the_same_relative_path_is_told() {
    let project = rivet::project();
    for (folder, rows) in [("a", "(1), (2)"), ("b", "(7)")] {
        let mut database = sqlite::database();
        database.run(&format!("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES {rows}"));
        fs::create_dir(project.path(folder)).unwrap();
        fs::copy(database.path(), project.path(folder).join("shop.db")).unwrap();
    }
    project.config(
        "source: {type: sqlite, path: shop.db}\nexports:\n  - {name: e, table: t, format: parquet, destination: {type: \
         local, path: '{out}'}}\n",
    );
    let run = |name: &str, folder: &str| {
        let command = rivet::Command::new().arg(name).arg("-c").arg(project.path("rivet.yaml"));
        command.folder(project.path(folder)).ok()
    };
    run("run", "a").never_says("another database");
    run("run", "a").never_says("another database");
    let planned = rivet::Command::new().arg("plan").arg("-c").arg(project.path("rivet.yaml"));
    let planned = planned.args(["-o", "plan.json"]).folder(project.path("b")).ok();
    for output in [planned, run("run", "b")] {
        output.says(&["another database", "/a/shop.db", "/b/shop.db", "relative path"]);
    }
    run("run", "b").never_says("another database");
}
