//! The state store as a user meets it: how it is named, who waits for whom, and what its commands show and reset.

use std::time::Duration;

use rivet::state::{RunStatus, State, Watermark};
use rivet_sdk::{Scalar, Secret};
use rivet_tests::postgres::{self, User};
use rivet_tests::{rivet as binary, sqlite};

fn project(state: &str) -> (sqlite::Database, binary::Project) {
    let mut database = sqlite::database();
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT); INSERT INTO t VALUES (1, 'a'), (2, NULL)");
    let project = binary::project();
    project.config(&format!(
        "source: {{url_env: DATABASE_URL}}\n{state}\nexports:\n  - {{name: e, table: t, format: parquet, \
         destination: {{type: local, path: '{{out}}'}}}}\n"
    ));
    (database, project)
}

#[test]
fn a_state_that_cannot_be_had_is_told_with_a_remedy_before_anything_is_read() {
    let database = postgres::database();
    let (source, project) = project("state: {url_env: STATE}");
    let run =
        |url: &str, code: i32| project.rivet("run").env("DATABASE_URL", source.url()).env("STATE", url).fails(code);
    let url = database.url();
    let (_, address) = url.rsplit_once('@').unwrap();
    run("mysql://me:pw@h/d", 2).says(&["rivet.yaml:2", "state.url", "postgresql://", "hint:"]).never_says("pw@h");
    run("postgres://me:geheim@h:54x2/d", 2).says(&["state's URL", "hint:"]).never_says("geheim");
    run("postgres://me:geheim@h/d?sslmode=requird", 2).says(&["sslmode", "verify-full"]).never_says("geheim");
    run("postgres://me:geheim@127.0.0.1:1/d", 75).says(&["127.0.0.1:1", "hint:"]).never_says("geheim");
    run(&format!("postgres://postgres:geheim@{address}"), 1).says(&["28P01", "hint:"]).never_says("geheim");
    run(&url.replace(&database.name, "nowhere"), 1).says(&["nowhere", "hint:"]);
    run(&database.url_as(User::Reader), 1).says(&["permission denied", "GRANT", "hint:"]);
    run(&format!("{url}?sslmode=verify-full&sslrootcert={}", postgres::other_ca().display()), 1)
        .says(&["certificate", "sslrootcert"]);
    run(&format!("{url}?sslmode=verify-full&sslrootcert=/no/such"), 2).says(&["/no/such"]);
    assert!(!project.out().exists(), "nothing was written");
}

#[test]
fn runs_are_remembered_in_postgresql_by_every_way_to_name_it() {
    let mut database = postgres::database();
    let secure = format!("{}?sslmode=verify-full&sslrootcert={}", database.url(), postgres::ca().display());
    let (source, here) = project("");
    here.rivet("run").env("DATABASE_URL", source.url()).env("RIVET_STATE_URL", &secure).ok();
    let (_, there) = project("state: {url_file: state.url}");
    there.write("state.url", database.url_as(User::Superuser) + "\n");
    there.rivet("run").env("DATABASE_URL", source.url()).ok();
    assert!(!here.path(".rivet_state.db").exists() && !there.path(".rivet_state.db").exists());
    assert_eq!(database.value("SELECT count(*) FROM rivet_run WHERE status = 'succeeded'").as_deref(), Some("2"));
    let runs = there.rivet("journal").arg("--json").env("DATABASE_URL", source.url()).ok().json();
    assert_eq!(runs["runs"].as_array().unwrap().len(), 2);
    assert_eq!(runs["runs"][0]["rows"], 2);
    let doctor = there.rivet("doctor").env("DATABASE_URL", source.url()).ok();
    assert!(doctor.stdout.contains(&database.name), "{doctor}");
    // Another schema is another store.
    let schema = database.url() + "?options=-csearch_path%3Dapart";
    database.run("CREATE SCHEMA apart");
    let (_, apart) = project("state: {url_env: STATE}");
    let runs = apart.rivet("journal").arg("--json").env("DATABASE_URL", source.url()).env("STATE", schema).ok();
    assert_eq!(runs.json()["runs"].as_array().unwrap().len(), 0);
}

#[test]
fn the_second_of_two_runs_is_busy_or_waits() {
    let database = postgres::database();
    let (source, project) = project("state: {url_env: STATE}");
    let run = || project.rivet("run").env("DATABASE_URL", source.url()).env("STATE", database.url());
    let state = State::open_url(&Secret::new(database.url())).unwrap();
    let lease = state.acquire("e", Duration::ZERO).unwrap();
    run().fails(5).says(&["another run of e", "--lock-wait"]);
    let waiting = run().args(["--lock-wait", "60"]).spawn();
    drop(lease);
    assert_eq!(waiting.wait().code, Some(0));
}

/// Six processes begin at once: those that wait all run, one after another.
#[test]
fn processes_that_race_for_one_lease_take_turns() {
    each_project(|store, run| {
        let start = |wait: &str| (0..6).map(|_| run(&["run", "--lock-wait", wait]).spawn()).collect::<Vec<_>>();
        for waiting in start("5m") {
            let output = waiting.wait();
            assert_eq!(output.code, Some(0), "{output}");
        }
        let runs = store.runs(Some("e"), 100).unwrap();
        assert_eq!(runs.iter().filter(|run| run.status == RunStatus::Succeeded).count(), 6);
        for (earlier, later) in runs.iter().skip(1).zip(&runs) {
            assert!(earlier.finished_at.as_ref() <= Some(&later.started_at), "{earlier:?} overlaps {later:?}");
        }
        let codes: Vec<_> = start("0").into_iter().map(|racer| racer.wait().code).collect();
        assert!(codes.contains(&Some(0)) && codes.iter().all(|code| [Some(0), Some(5)].contains(code)), "{codes:?}");
        run(&["run", "--lock-wait", "soon"]).fails(2).says(&["30s"]);
    });
}

#[test]
fn an_export_s_standing_is_shown_reset_and_remembered_by_name() {
    each_project(|store, run| {
        let shown = run(&["state", "show", "--json"]).ok().json();
        assert_eq!((&shown["exports"][0]["export"], &shown["exports"][0]["watermark"]), (&"e".into(), &().into()));
        let at = |value: i128, run_id: &str| Watermark {
            export: "e".to_owned(),
            fingerprint: "f".to_owned(),
            fingerprint_v2: None,
            cursor: vec!["id".to_owned()],
            values: vec![Scalar::Integer(value)],
            run_id: run_id.to_owned(),
            updated_at: format!("2026-01-02T03:04:0{value}.5Z"),
            ties: None,
        };
        store.advance(None, &at(1, "01A")).unwrap();
        store.advance(Some(&at(1, "01A")), &at(2, "01B")).unwrap();
        let shown = run(&["state", "show"]).ok().stdout;
        assert!(shown.contains("id = 2") && shown.contains("2026-01-02T03:04:02Z"), "{shown}");
        let shown = run(&["state", "show", "-e", "e", "--json"]).ok().json();
        let value = serde_json::json!([{"type": "integer", "value": "2"}]);
        assert_eq!(shown["exports"][0]["watermark"]["values"], value);

        run(&["state", "reset", "-e", "f"]).fails(2).says(&["no export is called `f`", "hint:"]);
        run(&["state", "reset"]).fails(2).says(&["--export"]);
        let lease = store.acquire("e", Duration::ZERO).unwrap();
        run(&["state", "reset", "-e", "e"]).fails(5).says(&["another run of e"]);
        assert!(run(&["state", "show", "--json"]).ok().json()["exports"][0]["held_by"].is_string());
        drop(lease);
        run(&["state", "reset", "-e", "e"]).ok().says(&["e: forgot id = 2"]);
        run(&["state", "reset", "-e", "e"]).ok().says(&["e: has no watermark"]);
        assert_eq!(store.watermark("e").unwrap(), None);

        let moves = run(&["state", "progression", "--json"]).ok().json();
        let steps: Vec<_> = moves["moves"].as_array().unwrap().iter().map(|moved| moved["step"].clone()).collect();
        assert_eq!(steps, [4, 3, 2, 1]);
        assert_eq!((&moves["moves"][0]["to"], &moves["moves"][2]["to"]), (&().into(), &value));
        let text = run(&["state", "progression", "-e", "e", "--limit", "3"]).ok().stdout;
        assert!(text.lines().count() == 4 && text.contains("id = 1") && text.contains("reset"), "{text}");
    });
}

#[test]
fn runs_their_files_and_what_they_took_are_shown() {
    each_project(|_, run| {
        assert!(run(&["metrics", "--json"]).ok().json()["runs"].as_array().unwrap().is_empty());
        run(&["state", "files"]).ok().says(&["e: has no run at its destination"]);
        run(&["run"]).ok();
        let metrics = run(&["metrics", "--json"]).ok().json();
        let took = &metrics["runs"][0];
        assert_eq!((&took["rows"], &took["files"], &took["retries"]), (&1000.into(), &1.into(), &0.into()));
        assert!(took["elapsed_ms"].is_u64() && took["peak_memory_bytes"].as_u64() > Some(1 << 20), "{took}");
        let text = run(&["metrics", "-e", "e"]).ok().stdout;
        assert!(text.contains("ROWS/S") && text.contains("1 000"), "{text}");
        assert!(run(&["metrics", "-e", "other"]).ok().stdout.is_empty());
        let files = run(&["state", "files", "--json"]).ok().json();
        assert_eq!(
            (&files["exports"][0]["state"], &files["exports"][0]["files"][0]["rows"]),
            (&"committed".into(), &1000.into())
        );
        assert!(
            run(&["state", "files"]).ok().stdout.contains(files["exports"][0]["files"][0]["key"].as_str().unwrap())
        );
        let chunks = run(&["state", "chunks", "--json"]).ok().json();
        assert_eq!(chunks["exports"][0]["run_id"], took["run_id"]);
        assert_eq!(
            (&chunks["exports"][0]["chunks"][0]["done"], &chunks["exports"][0]["chunks"][0]["rows"]),
            (&true.into(), &1000.into())
        );
        run(&["state", "files", "--run-id", "01ZZZ"]).fails(1).says(&["no such run", "hint:"]);
    });
}

#[test]
fn an_unfinished_run_is_shown_and_given_up_with_its_files() {
    if !binary::has_crash_points() {
        return;
    }
    each_project(|store, run| {
        // Killed after its parts and its report, before the commit.
        let killed = run(&["run"]).env("RIVET_CRASH_AT", "commit.begin").run();
        assert_ne!(killed.code, Some(0), "{killed}");
        let chunks = run(&["state", "chunks", "--json"]).ok().json();
        assert_eq!(
            (&chunks["exports"][0]["state"], &chunks["exports"][0]["chunks"][0]["done"]),
            (&"unfinished".into(), &true.into())
        );
        let text = run(&["state", "chunks"]).ok().stdout;
        assert!(text.contains("unfinished") && text.contains("done") && text.contains("1 000"), "{text}");
        let part = run(&["state", "files", "--json"]).ok().json()["exports"][0]["files"][0]["key"].clone();
        assert!(part.is_string());
        let lease = store.acquire("e", Duration::ZERO).unwrap();
        run(&["state", "reset-chunks", "-e", "e"]).fails(5).says(&["another run of e"]);
        drop(lease);
        let reset = run(&["state", "reset-chunks", "-e", "e", "--json"]).ok().json();
        assert_eq!(reset["exports"][0]["runs"][0]["state"], "abandoned");
        run(&["state", "reset-chunks", "-e", "e"]).ok().says(&["no unfinished run"]);
        run(&["state", "files"]).ok().says(&["e: has no run"]);
        run(&["run", "--resume"]).ok().says(&["no unfinished run to resume"]);
        assert_eq!(run(&["state", "files", "--json"]).ok().json()["exports"][0]["files"].as_array().unwrap().len(), 1);
    });
}

/// Runs a test over a project of its own for each kind of store.
fn each_project(test: impl Fn(&State, &dyn Fn(&[&str]) -> binary::Command)) {
    let database = postgres::database();
    for in_postgres in [false, true] {
        let project = binary::project();
        let url = database.url();
        let state = if in_postgres { "state: {url_env: STATE}" } else { "state: {path: kept.db}" };
        project.config(&format!(
            "source: {{type: example}}\n{state}\nexports:\n  - {{name: e, table: numbers, format: csv, \
             destination: {{type: local, path: '{{out}}'}}}}\n"
        ));
        let store =
            if in_postgres { State::open_url(&Secret::new(&url)) } else { State::open_file(&project.path("kept.db")) };
        test(&store.unwrap(), &|arguments| {
            let command = binary::Command::new().args(arguments).arg("-c").arg(project.path("rivet.yaml"));
            command.folder(project.folder()).env("STATE", &url)
        });
    }
}
