//! A sealed plan: whole, or chunk by chunk from several processes at once, then committed.

use std::time::Duration;

use ::rivet::state::State;
use rivet_tests::{drivers, postgres, readers, rivet, sqlite};

#[test]
fn a_plan_is_applied_chunk_by_chunk_and_committed_once() {
    let mut database = postgres::database();
    database.run("CREATE TABLE t (id int PRIMARY KEY, s text); INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 30000) i; ANALYZE t");
    let project = rivet::project();
    project.config("source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, table: t, mode: chunked, chunk_count: 4, format: parquet, destination: {type: local, path: '{out}'}}\n");
    let url = database.url();
    project.rivet("plan").args(["-o", "plan.json"]).env("DATABASE_URL", &url).ok();
    let sealed = std::fs::read_to_string(project.path("plan.json")).unwrap();
    assert!(!sealed.contains(&url) && sealed.contains("DATABASE_URL"), "a plan holds references, no secrets");
    let rivet = |command: &str| {
        rivet::Command::new().folder(project.folder()).args([command, "plan.json"]).env("DATABASE_URL", &url)
    };

    rivet("commit").fails(1).says(&["chunk", "hint:"]);
    // All chunks at once, chunk 2 twice.
    let running: Vec<_> =
        [0, 1, 2, 2, 3].map(|chunk| rivet("apply").args(["--chunk", &chunk.to_string()]).spawn()).into_iter().collect();
    for one in running {
        let output = one.wait();
        assert_eq!(output.code, Some(0), "{output}");
    }
    let status = rivet("status").arg("--json").ok().json();
    assert_eq!(status["missing"].as_array().unwrap().len(), 0, "{status}");
    rivet("commit").ok();
    rivet("commit").ok();
    rivet("apply").ok();
    let found = readers::sql(project.out(), "SELECT count(*), count(DISTINCT id) FROM t");
    assert_eq!(found[0], ["30000", "30000"].map(|text| Some(text.to_owned())));
    project.rivet("validate").args(["--depth", "full"]).env("DATABASE_URL", &url).ok();
}

/// The policy makes the column nullable in the file. The table's is not, and no chunk is cut for rows without it.
#[test]
fn a_key_that_only_a_policy_could_null_is_applied_and_resumed() {
    if !rivet::has_crash_points() {
        return;
    }
    for mut driver in drivers::all() {
        let name = driver.name();
        driver.run(&format!("CREATE TABLE k (moment {} NOT NULL PRIMARY KEY, n int)", driver.moment()));
        let rows: Vec<String> = (0..400).map(|n| format!("'2020-01-01 {:02}:{:02}:00', {n}", n / 60, n % 60)).collect();
        driver.insert("k", &rows);
        let project = rivet::project();
        project.config(
            "source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, table: k, mode: chunked, chunk_by: range, chunk_column: moment, \
             chunk_count: 4, on_unrepresentable: null, format: parquet, destination: {type: local, path: '{out}'}}\n",
        );
        let rivet = |command: &str| project.rivet(command).env("DATABASE_URL", driver.url());
        let whole = |times: u64| {
            let found = readers::sql(project.out(), "SELECT count(*), count(DISTINCT n), count(moment) FROM t");
            assert_eq!(found[0], [400 * times, 400, 400 * times].map(|count| Some(count.to_string())), "{name}");
        };
        rivet("plan").args(["-o", "plan.json"]).ok();
        let plan: serde_json::Value =
            serde_json::from_slice(&std::fs::read(project.path("plan.json")).unwrap()).unwrap();
        assert!(plan["chunks"].as_array().unwrap().len() > 1, "{name}: {plan}");
        let apply = rivet::Command::new().folder(project.folder()).args(["apply", "plan.json"]);
        apply.env("DATABASE_URL", driver.url()).ok();
        whole(1);

        let killed = rivet("run").env("RIVET_CRASH_AT", "report.put:2").run();
        assert_ne!(killed.code, Some(0), "{name}: {killed}");
        rivet("run").arg("--resume").ok();
        whole(2);
    }
}

#[test]
fn a_table_that_changed_since_the_plan_is_refused_as_drift() {
    let mut database = postgres::database();
    database.run("CREATE TABLE t (id int PRIMARY KEY, s varchar(10)); INSERT INTO t VALUES (1, 'a')");
    let project = rivet::project();
    project.config("source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, table: t, format: parquet, destination: {type: local, path: '{out}'}}\n");
    project.rivet("plan").args(["-o", "plan.json"]).env("DATABASE_URL", database.url()).ok();
    database.run("ALTER TABLE t ALTER COLUMN id TYPE bigint");
    let output = rivet::Command::new()
        .folder(project.folder())
        .args(["apply", "plan.json"])
        .env("DATABASE_URL", database.url())
        .fails(4);
    output.says(&["`id`", "bigint", "hint:"]);
    assert!(!project.out().exists() || readers::files(project.out()).is_empty());
}

#[test]
fn a_damaged_part_is_found() {
    let mut database = postgres::database();
    database.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
    let project = rivet::project();
    project.config("source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, table: t, format: parquet, destination: {type: local, path: '{out}'}}\n");
    project.rivet("run").arg("--validate").env("DATABASE_URL", database.url()).ok();
    let file = &readers::files(project.out())[0];
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
    project.rivet("validate").env("DATABASE_URL", database.url()).ok();
    project.rivet("validate").args(["--depth", "full"]).env("DATABASE_URL", database.url()).fails(3).says(&["crc32c"]);
}

/// An incremental export of `t`, and a plan of its next run.
fn incremental(database: &mut sqlite::Database) -> rivet::Project {
    database.run(
        "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY); \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) INSERT INTO t SELECT i FROM n",
    );
    let project = rivet::project();
    project.config(&format!(
        "source: {{url: '{}'}}\nexports:\n  - {{name: e, table: t, format: parquet, mode: incremental, \
         cursor_column: id, destination: {{type: local, path: '{{out}}'}}}}\n",
        database.url()
    ));
    project.rivet("run").ok();
    database.run("INSERT INTO t SELECT id + 100 FROM t WHERE id <= 100");
    project.rivet("plan").args(["-o", "plan.json"]).ok();
    project
}

fn landed(project: &rivet::Project) -> Vec<Option<String>> {
    readers::sql(project.out(), "SELECT count(*), count(DISTINCT id) FROM t").remove(0)
}

#[test]
fn a_plan_with_its_configuration_holds_the_lease_and_moves_the_watermark() {
    for by_chunks in [false, true] {
        let mut database = sqlite::database();
        let project = incremental(&mut database);
        let state = State::open(project.folder()).unwrap();
        let before = state.watermark("e").unwrap().unwrap();
        let commands: &[&[&str]] = if by_chunks { &[&["apply", "--chunk", "0"], &["commit"]] } else { &[&["apply"]] };
        let rivet = |words: &[&str]| project.rivet(words[0]).arg("plan.json").args(&words[1..]);
        let lease = state.acquire("e", Duration::ZERO).unwrap();
        let last = commands.last().unwrap();
        if by_chunks {
            // Many machines do this at once: no lease.
            rivet(commands[0]).ok();
        }
        rivet(last).fails(5).says(&["another run of e is going on", "--lock-wait"]);
        drop(lease);
        rivet(last).ok();
        let after = state.watermark("e").unwrap().unwrap();
        assert!(before.values != after.values && after.run_id > before.run_id, "{after:?}");
        rivet(last).ok();
        assert_eq!(state.watermark("e").unwrap().unwrap(), after);
        assert_eq!(landed(&project), [Some("200".to_owned()), Some("200".to_owned())]);
        let noted = state.runs(Some("e"), 10).unwrap();
        assert_eq!(noted.iter().map(|run| run.status.word()).collect::<Vec<_>>(), ["succeeded", "succeeded"]);
    }
}

#[test]
fn a_plan_without_a_state_store_leaves_the_move_to_the_next_run() {
    let mut database = sqlite::database();
    let project = incremental(&mut database);
    let state = State::open(project.folder()).unwrap();
    let before = state.watermark("e").unwrap();
    rivet::Command::new().args(["apply", "plan.json"]).folder(project.folder()).ok();
    assert_eq!(state.watermark("e").unwrap(), before);
    let next = project.rivet("run").arg("--json").ok();
    assert_eq!(next.json()["exports"][0]["rows"], 0);
    assert_eq!(landed(&project), [Some("200".to_owned()), Some("200".to_owned())]);
}

#[test]
fn a_plan_made_before_a_reset_is_refused() {
    let mut database = sqlite::database();
    let project = incremental(&mut database);
    rivet::Command::new().args(["state", "reset", "-e", "e", "-c"]).arg(project.path("rivet.yaml")).ok();
    let refused = project.rivet("apply").arg("plan.json").fails(1);
    refused.says(&["the watermark was moved or reset since the plan was made", "hint: make a new plan"]);
}

#[test]
fn a_plan_older_than_its_limit_is_refused_and_nothing_is_touched() {
    let mut database = sqlite::database();
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)");
    let project = rivet::project();
    project.config(&format!(
        "source: {{url: '{}'}}\nexports:\n  - {{name: e, table: t, format: parquet, destination: {{type: local, path: '{{out}}'}}}}\n",
        database.url()
    ));
    project.rivet("plan").args(["-o", "plan.json"]).ok();
    let entries = || std::fs::read_dir(project.folder()).unwrap().count();
    let before = entries();
    let apply = |plan: &str, words: &[&str]| project.rivet("apply").arg(plan).args(words);
    for words in [&["--max-age", "1ms"][..], &["--max-age", "1ms", "--chunk", "0"]] {
        apply("plan.json", words).fails(2).says(&["the plan is ", "and may be 1 ms", "--max-age", "(export e)"]);
    }
    assert_eq!(entries(), before, "neither a destination nor a state file");
    // A day is the limit where none is given.
    let mut old: serde_json::Value =
        serde_json::from_slice(&std::fs::read(project.path("plan.json")).unwrap()).unwrap();
    old["created_at"] = "2024-02-29T12:00:00Z".into();
    project.write("old.json", ::rivet::seal::to_json(&old).unwrap());
    for words in [&[][..], &["--chunk", "0"], &["--max-age", "300d"]] {
        apply("old.json", words).fails(2).says(&["it was made at 2024-02-29T12:00:00Z"]);
    }
    // Its rows are read once somebody says so; what reads no rows never asks.
    apply("old.json", &["--max-age", "100000d", "--chunk", "0"]).ok();
    project.rivet("status").arg("old.json").ok();
    project.rivet("commit").arg("old.json").ok();
    apply("old.json", &[]).ok();
    assert_eq!(landed(&project), [Some("2".to_owned()), Some("2".to_owned())]);
}

/// A plan file of the same run that somebody edited and sealed anew is not what was published.
#[test]
fn commit_and_status_keep_to_the_published_plan_and_tell_of_other_versions() {
    let mut database = sqlite::database();
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)");
    let project = rivet::project();
    project.config(&format!(
        "source: {{url: '{}'}}\nexports:\n  - {{name: e, table: t, mode: full, format: csv, destination: {{type: local, path: '{{out}}'}}}}\n",
        database.url()
    ));
    project.rivet("plan").args(["-o", "plan.json"]).ok();
    let mut plan: serde_json::Value =
        serde_json::from_slice(&std::fs::read(project.path("plan.json")).unwrap()).unwrap();
    plan["made_by"]["rivet"] = "0.0.7".into();
    project.write("plan.json", ::rivet::seal::to_json(&plan).unwrap());
    plan["execution"]["parallel"] = 7.into();
    project.write("edited.json", ::rivet::seal::to_json(&plan).unwrap());
    let rivet = |command: &str, file: &str| project.rivet(command).arg(file);
    rivet("status", "edited.json").ok();
    rivet("apply", "plan.json").args(["--chunk", "0"]).ok().says(&["other versions: rivet 0.0.7"]);
    for command in ["status", "commit", "apply"] {
        rivet(command, "edited.json").fails(1).says(&["another plan with this run id", "hint: use the plan that was"]);
    }
    rivet("status", "plan.json").ok().says(&["other versions: rivet 0.0.7"]);
    rivet("commit", "plan.json").ok().says(&["other versions: rivet 0.0.7"]);
    for command in ["status", "commit", "apply"] {
        rivet(command, "edited.json").fails(1).says(&["another plan with this run id"]);
    }
    for command in ["reconcile", "repair"] {
        project.rivet(command).ok().says(&["other versions: rivet 0.0.7"]);
    }
    assert_eq!(landed(&project), [Some("3".to_owned()), Some("3".to_owned())]);
}
