//! The real binary, killed at every crash point that a mode passes, then continued or run again:
//! what the manifests name is what lies there, and the rows are the plan's, once.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command as Shell;
use std::sync::Mutex;

use ::rivet::crash::CRASH_POINTS;
use rivet_tests::{
    readers,
    rivet::{self, Command, Project},
    sqlite::{self, Database},
    stores::{self, Kind, Place},
};
use serde_json::Value;

/// What is done before, what is killed, and what follows; each kill is followed by another of the
/// latter, in turn.
struct Scenario {
    name: &'static str,
    /// Keys of the export.
    export: &'static str,
    before: fn(&World),
    victim: &'static [&'static str],
    next: &'static [&'static [&'static str]],
    /// Distinct rows at the end, and whether every finished run holds them all.
    rows: u64,
    each_run: bool,
}

const RUN: &[&str] = &["run"];
const RESUME: &[&str] = &["run", "--resume"];
/// The same with a state store that knows nothing.
const RUN_ELSEWHERE: &[&str] = &["run", "elsewhere"];
const RESUME_ELSEWHERE: &[&str] = &["run", "--resume", "elsewhere"];
const REPAIR: &[&str] = &["repair", "--execute", "--depth", "list"];
const REPAIR_ELSEWHERE: &[&str] = &["repair", "--execute", "--depth", "list", "elsewhere"];

const FULL: &str = "mode: chunked, chunk_column: id, chunk_size: 100";
const REPLACE: &str = "mode: chunked, chunk_column: id, chunk_size: 100, write_mode: replace";
const INCREMENTAL: &str = "mode: incremental, cursor_column: id, chunk_column: id, chunk_size: 100";

const SCENARIOS: [Scenario; 9] = [
    Scenario {
        name: "a run after a dead one",
        export: FULL,
        before: |world| world.killed("commit.begin", RUN),
        victim: RUN,
        next: &[RESUME, RUN, RESUME_ELSEWHERE, RUN_ELSEWHERE],
        rows: 300,
        each_run: true,
    },
    Scenario {
        name: "a run that is resumed",
        export: FULL,
        before: |world| world.killed("report.put", RUN),
        victim: RESUME,
        next: &[RESUME_ELSEWHERE, RUN, RESUME],
        rows: 300,
        each_run: true,
    },
    Scenario {
        name: "folders",
        export: "mode: chunked, chunk_column: id, chunk_size: 100, partition_by: word",
        before: |_| {},
        victim: RUN,
        next: &[RUN_ELSEWHERE, RESUME, RUN],
        rows: 300,
        each_run: true,
    },
    Scenario {
        name: "replace",
        export: REPLACE,
        before: |world| world.ok(RUN),
        victim: RUN,
        next: &[RESUME, RUN_ELSEWHERE, RESUME_ELSEWHERE, RUN],
        rows: 300,
        each_run: false,
    },
    Scenario {
        name: "incremental",
        export: INCREMENTAL,
        before: |world| {
            world.ok(RUN);
            world.sql("INSERT INTO t SELECT id + 1000, word FROM t");
        },
        victim: RUN,
        next: &[RUN_ELSEWHERE, RESUME, RUN, RESUME_ELSEWHERE],
        rows: 600,
        each_run: false,
    },
    Scenario {
        name: "one of two plans from one watermark",
        export: INCREMENTAL,
        before: |world| {
            world.ok(RUN);
            world.sql("INSERT INTO t SELECT id + 1000, word FROM t");
            world.ok(&["plan", "-o", "rival.json"]);
            world.ok(&["plan", "-o", "plan.json"]);
            world.ok(&["apply", "rival.json", "--chunk", "0"]);
        },
        victim: &["apply", "plan.json"],
        next: &[RUN, RUN_ELSEWHERE],
        rows: 600,
        each_run: false,
    },
    Scenario {
        name: "a chunk applied twice",
        export: FULL,
        before: |world| {
            world.ok(&["plan", "-o", "plan.json"]);
            world.ok(&["apply", "plan.json", "--chunk", "0"]);
        },
        victim: &["apply", "plan.json", "--chunk", "0"],
        next: &[&["apply", "plan.json"], RESUME],
        rows: 300,
        each_run: true,
    },
    Scenario {
        name: "a repair",
        export: FULL,
        before: |world| {
            world.ok(RUN);
            world.sql("INSERT INTO t SELECT id + 1000, word FROM t WHERE id <= 10; DELETE FROM t WHERE id = 50");
        },
        victim: REPAIR,
        next: &[REPAIR, REPAIR_ELSEWHERE],
        rows: 309,
        each_run: false,
    },
    Scenario {
        name: "a plan that replaces a run under repair",
        export: REPLACE,
        before: |world| {
            world.ok(RUN);
            world.sql("DELETE FROM t WHERE id = 50");
            world.ok(&["plan", "-o", "plan.json"]);
            world.killed("report.put", REPAIR);
        },
        victim: &["apply", "plan.json"],
        next: &[RUN, REPAIR, RUN_ELSEWHERE],
        rows: 299,
        each_run: false,
    },
];

/// A table, and a project beside it.
struct World {
    database: Mutex<Database>,
    project: Project,
    place: Option<Place>,
}

impl World {
    fn new(export: &str, place: Option<Place>) -> Self {
        let mut database = sqlite::database();
        database.run(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT NOT NULL); \
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) \
             INSERT INTO t SELECT i, 'word ' || (i % 2) FROM n",
        );
        let destination = place.as_ref().map_or("{type: local, path: out}".to_owned(), |place| place.yaml(""));
        let project = rivet::project();
        for (file, state) in [("rivet.yaml", "here.db"), ("elsewhere.yaml", "there.db")] {
            let url = database.url();
            project.write(
                file,
                format!(
                    "source: {{url: '{url}'}}\nstate: {{path: {state}}}\nexports:\n  - {{name: e, table: t, \
                     format: parquet, {export}, destination: {destination}}}\n"
                ),
            );
        }
        Self { database: Mutex::new(database), project, place }
    }

    fn sql(&self, text: &str) {
        self.database.lock().unwrap().run(text);
    }

    /// `rivet WORDS`, in `folder`; the word `elsewhere` names another configuration.
    fn rivet(&self, folder: &Path, words: &[&str]) -> Command {
        let elsewhere = words.contains(&"elsewhere");
        let config = if elsewhere { "elsewhere.yaml" } else { "rivet.yaml" };
        let words = words.iter().filter(|word| **word != "elsewhere");
        let command = Command::new().args(words).args(["-c", config]).folder(folder);
        match &self.place {
            Some(place) => place.credentials(command),
            None => command,
        }
    }

    fn ok(&self, words: &[&str]) {
        self.rivet(self.project.folder(), words).ok();
    }

    fn killed(&self, point: &str, words: &[&str]) {
        let output = self.rivet(self.project.folder(), words).env("RIVET_CRASH_AT", point).run();
        assert!(output.code.is_none(), "{point} was not passed\n{output}");
    }
}

/// Kills the scenario's victim at `point` in a copy of the world, and goes on. False: it never
/// passes there.
fn kill(world: &World, scenario: &Scenario, folder: &Path, point: &str, turn: usize) -> bool {
    let output = world.rivet(folder, scenario.victim).env("RIVET_CRASH_AT", point).run();
    if output.code == Some(0) {
        return false;
    }
    let next = scenario.next[turn % scenario.next.len()];
    let what = format!("{}, killed at {point}, then {next:?}", scenario.name);
    assert!(output.code.is_none(), "{what}: {output}");
    let output = world.rivet(folder, next).run();
    assert_eq!(output.code, Some(0), "{what}: {output}");
    let fetched = world.place.as_ref().map(Place::fetch);
    let out = fetched.as_ref().map_or(folder.join("out"), |fetched| fetched.path().to_owned());
    assert_exact(&out, scenario, &what);
    true
}

/// The committed manifests name what lies there, and it is the rows, once.
fn assert_exact(out: &Path, scenario: &Scenario, what: &str) {
    let (mut named, mut runs) = (BTreeSet::new(), 0);
    for run in std::fs::read_dir(out.join("_rivet/e")).unwrap() {
        let run = run.unwrap().path();
        if run.is_file() {
            // What a dead process was about to write; it goes once it is old.
            continue;
        }
        let Ok(text) = std::fs::read(run.join("manifest.json")) else {
            panic!("{what}: {} is undecided", run.display())
        };
        let manifest: Value = serde_json::from_slice(&text).unwrap();
        let Some(parts) = manifest["parts"].as_array() else { continue };
        named.extend(parts.iter().map(|part| part["key"].as_str().unwrap().to_owned()));
        runs += 1;
    }
    let files = readers::files(out);
    let there: BTreeSet<String> =
        files.iter().map(|path| path.strip_prefix(out).unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(named, there, "{what}: the folder is not the manifests");
    assert!(out.join("_SUCCESS").exists(), "{what}");
    let found = readers::sql(out, "SELECT count(*), count(DISTINCT id) FROM t");
    let rows = scenario.rows * if scenario.each_run { runs } else { 1 };
    assert_eq!(found[0], [rows, scenario.rows].map(|rows| Some(rows.to_string())), "{what}");
}

/// Points are dealt to so many threads.
const THREADS: usize = 3;

/// In a slow suite every scenario is killed at every point. Otherwise every point is taken once, in the scenarios by
/// turns: in the next one that passes it.
#[test]
fn killed_at_every_point_on_disk_the_rows_are_there_once() {
    if !rivet::has_crash_points() {
        return;
    }
    let worlds = SCENARIOS.each_ref().map(|scenario| {
        let world = World::new(scenario.export, None);
        (scenario.before)(&world);
        world
    });
    let killed = |number: usize, turn: usize, point: &str| {
        let copy = tempfile::tempdir().unwrap();
        let folder = copy.path().join("copy");
        let copied = Shell::new("cp").arg("-r").arg(worlds[number].project.folder()).arg(&folder).status().unwrap();
        assert!(copied.success());
        kill(&worlds[number], &SCENARIOS[number], &folder, point, turn)
    };
    // Every scenario, beginning with another one each turn. Ends with the first that passes, unless this is slow.
    let taken = |turn: usize, point: &str| {
        let mut numbers = (0..SCENARIOS.len()).map(|step| (turn + step) % SCENARIOS.len());
        if rivet_tests::slow() {
            numbers.filter(|number| killed(*number, turn, point)).count() > 0
        } else {
            numbers.any(|number| killed(number, turn, point))
        }
    };
    let missed: Mutex<Vec<&str>> = Mutex::default();
    std::thread::scope(|scope| {
        for first in 0..THREADS {
            let (taken, missed) = (&taken, &missed);
            scope.spawn(move || {
                for (turn, point) in CRASH_POINTS.iter().enumerate().skip(first).step_by(THREADS) {
                    if !taken(turn, point) {
                        missed.lock().unwrap().push(point);
                    }
                }
            });
        }
    });
    assert_eq!(missed.into_inner().unwrap(), Vec::<&str>::new(), "no scenario passes these");
}

/// Where a store with nothing but single objects could tell: before and after each decision.
const IN_A_BUCKET: [(&str, &[&str]); 5] = [
    ("replace", &["report.put", "commit.manifest", "replace.mark", "replace.part", "success.put"]),
    ("incremental", &["commit.manifest", "watermark.advance"]),
    ("one of two plans from one watermark", &["chain.withdraw"]),
    ("a repair", &["repair.take", "report.put", "commit.manifest", "replace.mark", "replace.part"]),
    ("a plan that replaces a run under repair", &["repair.withdraw"]),
];

#[test]
fn killed_in_a_bucket_the_rows_are_there_once() {
    if !rivet::has_crash_points() {
        return;
    }
    for (name, points) in IN_A_BUCKET {
        let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap();
        let points = if rivet_tests::slow() { points } else { &points[..1] };
        for (turn, point) in points.iter().enumerate() {
            let world = World::new(scenario.export, Some(stores::place(Kind::S3)));
            (scenario.before)(&world);
            let passed = kill(&world, scenario, world.project.folder(), point, turn);
            assert!(passed, "{name}: {point} was not passed");
        }
    }
}

#[test]
fn only_a_build_for_debugging_can_be_killed() {
    assert_eq!(
        rivet::holds_crash_points(&fs::read(rivet::binary()).unwrap()),
        cfg!(debug_assertions),
        "of the binary under test"
    );
}

/// The release profile would take minutes. What decides is `debug_assertions`: here it is switched off for the host's
/// crate, in which all crash points are, and everything that it is built on serves as it is.
#[test]
#[ignore = "builds the host again"]
fn a_build_without_debug_assertions_has_no_crash_points() {
    let library = |settings: &[&str]| {
        let mut cargo = Shell::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).env("CARGO_TARGET_DIR", rivet::target());
        // The workspace's selection of features, so that no dependency is built anew.
        cargo.args(["build", "--workspace", "--lib", "--message-format", "json"]).args(settings);
        let output = cargo.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let messages = String::from_utf8(output.stdout).unwrap();
        let mut messages = messages.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let built = messages.find(|message| {
            message["reason"] == "compiler-artifact"
                && message["target"]["name"] == "rivet"
                && message["target"]["kind"][0] == "lib"
        });
        let library = fs::read(built.unwrap()["filenames"][0].as_str().unwrap()).unwrap();
        // Members of an archive: a header of 60 bytes with name and size, each at an even place. The comments are in the
        // metadata, which are no code.
        let (mut code, mut at) = (Vec::new(), "!<arch>\n".len());
        while let Some(header) = library.get(at..at + 60) {
            let size: usize = std::str::from_utf8(&header[48..58]).unwrap().trim().parse().unwrap();
            if !header.starts_with(b"lib.rmeta") {
                code.extend_from_slice(&library[at + 60..at + 60 + size]);
            }
            at += 60 + size.next_multiple_of(2);
        }
        code
    };
    assert!(!rivet::holds_crash_points(&library(&["--config", "profile.dev.package.rivet.debug-assertions=false"])));
    // The other way round, so that this can fail; and the folder is again as it was.
    assert!(rivet::holds_crash_points(&library(&[])));
}
