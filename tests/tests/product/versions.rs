//! What rivet 0.1 (the program of 20758ea) left behind goes on: `tests/fixtures/rivet-20758ea` was made by it.
//!
//! A SQLite source is known by its file's path, so the fixture has to lie where it was made, and its tests take turns.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rivet_tests::{postgres, readers, rivet};
use rusqlite::Connection;
use serde_json::Value;

/// Where the fixture was made.
const FOLDER: &str = "/tmp/rivet-20758ea";

struct Left {
    _turn: File,
}

impl Drop for Left {
    fn drop(&mut self) {
        fs::remove_dir_all(FOLDER).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

/// The folder as the old program left it, and its table with this many rows.
fn left(rows: u32) -> Left {
    let turn = File::create("/tmp/rivet-20758ea.turn").unwrap();
    turn.lock().unwrap();
    let _ = fs::remove_dir_all(FOLDER);
    let folder = PathBuf::from(FOLDER);
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rivet-20758ea"), &folder);
    fs::rename(folder.join("rivet_state.db"), folder.join(".rivet_state.db")).unwrap();
    let database = Connection::open(folder.join("shop.db")).unwrap();
    database.execute_batch("CREATE TABLE orders (id INTEGER PRIMARY KEY, v TEXT)").unwrap();
    for id in 1..=rows {
        database.execute("INSERT INTO orders VALUES (?1, ?2)", (id, format!("v{id}"))).unwrap();
    }
    Left { _turn: turn }
}

fn command(words: &[&str]) -> rivet::Command {
    rivet::Command::new().args(words).folder(FOLDER)
}

fn run(export: &str, more: &[&str]) -> rivet::Command {
    command(&["run", "-c", "rivet.yaml", "-e", export]).args(more)
}

/// `count(*)` and `count(DISTINCT id)` of what landed.
fn landed(folder: &str) -> [String; 2] {
    let rows = readers::sql(Path::new(FOLDER).join(folder), "SELECT count(*), count(DISTINCT id) FROM t");
    [rows[0][0].clone().unwrap(), rows[0][1].clone().unwrap()]
}

fn each(rows: u32) -> [String; 2] {
    [rows.to_string(), rows.to_string()]
}

fn rows_of(output: &rivet::Output) -> Value {
    output.json()["exports"][0]["rows"].clone()
}

#[test]
fn watermarks_stand_with_and_without_their_state_store() {
    let one = left(150);
    let first = run("orders", &["--json"]).ok();
    assert_eq!(rows_of(&first), 50);
    first.says(&["the watermark has no seal: an older rivet wrote it"]);
    let second = run("orders", &["--json"]).ok();
    assert_eq!(rows_of(&second), 0);
    assert!(!second.stderr.contains("the watermark has no seal"), "{second}");
    assert_eq!(landed("out/orders"), each(150));
    command(&["validate", "-c", "rivet.yaml", "-e", "orders", "--depth", "full"]).ok();
    drop(one);

    let _left = left(150);
    fs::remove_file(Path::new(FOLDER).join(".rivet_state.db")).unwrap();
    assert_eq!(rows_of(&run("orders", &["--json"]).ok()), 50);
    assert_eq!(landed("out/orders"), each(150));
}

#[test]
fn half_finished_runs_end_with_exactly_the_table() {
    for export in ["half", "half_incremental"] {
        let _left = left(100);
        let resumed = run(export, &["--resume"]).ok();
        resumed.says(&["has no seal: an older rivet wrote it", "resumed: 2 of 4 chunks"]);
        assert_eq!(landed(&format!("out/{export}")), each(100));
        command(&["validate", "-c", "rivet.yaml", "-e", export, "--depth", "full"]).ok();
        command(&["reconcile", "-c", "rivet.yaml", "-e", export]).ok();
    }
}

#[test]
fn a_sealed_plan_goes_on_and_a_rivals_is_still_refused() {
    let _left = left(150);
    let apply = |plan: &str| command(&["apply", plan, "--max-age", "100000d"]);
    for config in [&["-c", "rivet.yaml"][..], &[]] {
        apply("rival-plan.json").args(config).fails(1).says(&["hint: make a new plan"]);
    }
    assert_eq!(landed("out/rival"), each(150));
    apply("orders-plan.json").args(["--chunk", "0"]).ok();
    apply("orders-plan.json").args(["--chunk", "1"]).ok();
    command(&["status", "orders-plan.json"]).ok();
    command(&["commit", "orders-plan.json", "-c", "rivet.yaml"]).ok();
    assert_eq!(landed("out/orders"), each(150));
    assert_eq!(rows_of(&run("orders", &["--json"]).ok()), 0);
}

#[test]
fn a_replaced_run_and_its_successor_are_read() {
    let _left = left(120);
    command(&["validate", "-c", "rivet.yaml", "-e", "replaced"]).ok();
    run("replaced", &[]).ok();
    assert_eq!(landed("out/replaced"), each(120));
}

#[test]
fn a_state_store_in_postgresql_goes_on() {
    let mut database = postgres::database();
    let dump = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rivet-20758ea/state.sql"));
    let dump: Vec<String> =
        dump.unwrap().lines().filter(|line| !line.contains("'search_path'")).map(str::to_owned).collect();
    database.run(&dump.join("\n"));
    let _left = left(150);
    let run = |export: &str| {
        command(&["run", "-c", "shared.yaml", "-e", export, "--json"]).env("STATE_URL", database.url()).ok()
    };
    let first = run("orders");
    assert_eq!(rows_of(&first), 50);
    first.says(&["the watermark has no seal: an older rivet wrote it"]);
    assert_eq!(rows_of(&run("orders")), 0);
    assert_eq!(rows_of(&run("rival")), 50);
    assert_eq!(landed("shared/orders"), each(150));
}

#[test]
fn what_other_versions_add_to_a_plan_is_passed_on_or_refused_by_name() {
    let _left = left(150);
    let plan: Value = serde_json::from_slice(&fs::read(Path::new(FOLDER).join("orders-plan.json")).unwrap()).unwrap();
    let write = |edit: &dyn Fn(&mut Value)| {
        let mut plan = plan.clone();
        edit(&mut plan);
        fs::write(Path::new(FOLDER).join("edited.json"), ::rivet::seal::to_json(&plan).unwrap()).unwrap();
    };
    let apply = |words: &[&str]| command(&["apply", "edited.json", "--max-age", "100000d"]).args(words);
    let unknown = "its rows depend on `sampled`, which this one does not know";
    write(&|plan| {
        plan["plan_version"] = 2.into();
        plan["requires"] = serde_json::json!(["sampled"]);
    });
    for words in [&[][..], &["--chunk", "0"]] {
        apply(words).fails(2).says(&[unknown]);
    }
    command(&["commit", "edited.json"]).fails(2).says(&[unknown]);
    command(&["status", "edited.json"]).fails(2).says(&[unknown]);
    // The same plan, found at the destination.
    let at = |plan: &Value| {
        let folder = format!("out/orders/_rivet/orders/{}", plan["run_id"].as_str().unwrap());
        Path::new(FOLDER).join(folder).join("plan.json")
    };
    fs::create_dir_all(at(&plan).parent().unwrap()).unwrap();
    fs::copy(Path::new(FOLDER).join("edited.json"), at(&plan)).unwrap();
    run("orders", &["--resume"]).fails(2).says(&[unknown]);
    fs::remove_file(at(&plan)).unwrap();

    write(&|plan| plan["sung_to"] = "the tune of a harmless key".into());
    apply(&[]).ok();
    assert!(fs::read_to_string(at(&plan)).unwrap().contains("the tune of a harmless key"), "it is passed on");
    assert_eq!(landed("out/orders"), each(150));
}

#[test]
fn a_bound_that_was_changed_is_refused() {
    let _left = left(150);
    command(&["plan", "-c", "rivet.yaml", "-e", "half", "-o", "new.json"]).ok();
    let path = Path::new(FOLDER).join("new.json");
    let good = fs::read_to_string(&path).unwrap();
    let bound = "\"value\": \"51\"";
    assert!(good.contains(bound), "{good}");
    // Rows are left out, rows come twice, one end is closed.
    for bad in [good.replacen(bound, "\"value\": \"61\"", 1), good.replacen(bound, "\"value\": \"41\"", 1)] {
        for words in [
            &["apply", "new.json"][..],
            &["apply", "new.json", "--chunk", "1"],
            &["commit", "new.json"],
            &["status", "new.json"],
        ] {
            fs::write(&path, &bad).unwrap();
            command(words).fails(3).says(&["new.json is not what was written: its seal is"]);
        }
        // Whoever seals it again has chunks that do not fit each other.
        let sealed = ::rivet::seal::to_json(&serde_json::from_str::<Value>(&bad).unwrap()).unwrap();
        fs::write(&path, sealed).unwrap();
        command(&["apply", "new.json"]).fails(3).says(&["the chunks of the plan do not make up the table"]);
    }
}
