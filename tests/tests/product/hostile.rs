//! A plugin that misbehaves costs its own chunk: one line says which plugin and what to do, rivet
//! itself lives on, what other workers did stands, and nothing half-done is visible.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rivet_tests::{
    readers,
    rivet::{self, Output, Project},
};

/// Ten chunks of 100 rows, two workers, one try each.
const CONFIG: &str = "
source:
  type: hostile
  rows: 1000
  tuning: {max_retries: 0, retry_backoff_ms: 10, batch_size: 50}
exports:
  - name: numbers
    table: numbers
    mode: chunked
    chunk_column: id
    chunk_size: 100
    parallel: 2
    format: csv
    compression: none
    destination: {type: local, path: '{out}'}
";

fn project(config: &str) -> Project {
    let project = rivet::project();
    project.config(config);
    project
}

/// Runs with this order, which must end with this exit code.
#[track_caller]
fn run(project: &Project, order: &str, code: i32) -> Output {
    let output = project.rivet("run").env("RIVET_HOSTILE", order).fails(code);
    one_error(&output);
    output
}

/// One line of error, and one line of hint for it.
#[track_caller]
fn one_error(output: &Output) {
    let count = |start: &str| output.stderr.lines().filter(|line| line.starts_with(start)).count();
    let errors = output.stderr.lines().filter(|line| line.starts_with("error: ") && !line.contains("hostile: panic: "));
    assert_eq!((errors.count(), count("hint: ")), (1, 1), "{output}");
    for noise in ["thread '", "stack backtrace", "RUST_BACKTRACE"] {
        assert!(!output.stderr.contains(noise), "{output}");
    }
}

/// Ids in the CSV files that a reader of the folder sees.
fn ids(project: &Project) -> Vec<u32> {
    let mut ids = Vec::new();
    for file in if project.out().exists() { readers::files(project.out()) } else { Vec::new() } {
        let text = fs::read_to_string(file).unwrap();
        ids.extend(text.lines().skip(1).map(|line| line.split(',').next().unwrap().parse::<u32>().unwrap()));
    }
    ids.sort_unstable();
    ids
}

/// After a failure: no `_SUCCESS`, no manifest; each data file is a whole chunk that has its report.
#[track_caller]
fn nothing_half_visible(project: &Project, failed: &[u32]) {
    assert!(!project.path("out/_SUCCESS").exists());
    let ids = ids(project);
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "rows came twice");
    for chunk in 0..10 {
        let rows = ids.iter().filter(|id| **id / 100 == chunk).count();
        assert!(rows == 0 || rows == 100, "chunk {chunk} has {rows} rows");
        assert!(rows == 0 || !failed.contains(&chunk), "chunk {chunk} failed and is visible");
    }
    let reports = reports(project);
    assert_eq!(ids.len(), reports * 100, "parts without a report, or reports without a part");
}

fn reports(project: &Project) -> usize {
    let runs = fs::read_dir(project.path("out/_rivet/numbers")).into_iter().flatten();
    let files = runs.flat_map(|run| fs::read_dir(run.unwrap().path()).into_iter().flatten());
    files.filter(|file| file.as_ref().unwrap().file_name().to_str().unwrap().starts_with("report-")).count()
}

/// The plugin behaves again: the rest is done, once.
#[track_caller]
fn resumes(project: &Project) {
    let output = project.rivet("run").arg("--resume").ok();
    assert!(ids(project).into_iter().eq(0..1000), "{output}");
    assert!(project.path("out/_SUCCESS").exists(), "{output}");
}

#[test]
fn a_panic_where_the_run_is_planned_leaves_nothing() {
    for (order, place) in [
        ("panic-in-options", "panicked in options: asked to panic in options"),
        ("panic-in-open", "panicked in open: asked to panic in open"),
        ("panic-in-type-mappings", "panicked in type_mappings: asked to panic in type_mappings"),
    ] {
        let project = project(CONFIG);
        run(&project, order, 1).says(&[place, "plugin hostile", "report it to its author"]);
        assert_eq!((ids(&project), reports(&project)), (Vec::new(), 0));
    }
}

/// Chunks are handed out in order. When the ninth begins, the other worker may still read one, and
/// each of the two may hold one that waits to be written and one that is being written.
const SETTLED: usize = 8 - 5;

#[test]
fn a_fault_in_one_chunk_spares_the_others_and_the_run_resumes() {
    for (order, code, told) in [
        ("panic-in-export", 1, "panicked in export: asked to panic in export"),
        ("panic-with-payload", 1, "panicked in export: a panic without a text"),
        ("no-schema", 1, "ended without delivering a schema"),
        ("schema-twice", 1, "schema twice"),
        ("batch-before-schema", 1, "a batch came before the schema"),
        ("other-schema", 1, "column 1 `id`: the source delivers type Utf8 where the plan has Int64"),
        ("other-types", 1, "another schema than the one announced"),
        ("other-columns", 1, "another schema than the one announced"),
        ("null-in-required", 1, "id"),
        ("bad-offsets", 1, "malformed batch"),
        ("far-offsets", 1, "malformed batch"),
        ("wrong-count", 1, "says it sent 102 rows, 100 came"),
    ] {
        let project = project(CONFIG);
        let output = run(&project, &format!("{order},at=850"), code);
        output.says(&[told, "plugin hostile", "chunk 8", "export numbers"]);
        nothing_half_visible(&project, &[8]);
        assert!(reports(&project) >= SETTLED, "{} reports\n{output}", reports(&project));
        resumes(&project);
    }
}

#[test]
fn an_error_ends_with_the_code_and_hint_of_its_kind() {
    // The numbers are those of the boundary; they never change.
    for (kind, name, code) in [
        (1, "config", 2),
        (2, "auth", 1),
        (4, "not_found", 1),
        (8, "data", 1),
        (9, "connection", 75),
        (11, "throttled", 75),
        (12, "transient", 75),
        (17, "integrity", 3),
        (99, "unknown", 1),
    ] {
        let project = project(CONFIG);
        let output = run(&project, &format!("fail,kind={kind},at=850"), code);
        output.says(&["error: asked to fail (chunk 8, export numbers", "hint: stop asking"]);
        nothing_half_visible(&project, &[8]);
        assert!(reports(&project) >= SETTLED, "{name}");
    }
}

#[test]
fn a_transient_error_is_tried_again() {
    let retrying = CONFIG.replace("max_retries: 0", "max_retries: 2");
    let patient = project(&retrying);
    patient.rivet("run").env("RIVET_HOSTILE", "fail,kind=12,at=350,times=2").ok();
    assert!(ids(&patient).into_iter().eq(0..1000));
    let unlucky = project(&retrying);
    run(&unlucky, "fail,kind=12,at=350,times=3", 75).says(&["attempts 3"]);
    nothing_half_visible(&unlucky, &[3]);
    resumes(&unlucky);
}

#[test]
fn a_panic_in_drop_or_in_a_thread_of_its_own_changes_no_row() {
    for (order, told) in [("panic-in-drop", "asked to panic in drop"), ("panic-in-thread", "a thread is gone")] {
        let project = project(CONFIG);
        let output = project.rivet("run").env("RIVET_HOSTILE", order).ok();
        output.says(&["hostile: ", told]);
        assert!(ids(&project).into_iter().eq(0..1000), "{output}");
    }
}

#[test]
fn a_worker_that_hangs_is_given_up_and_replaced() {
    for (order, told) in [
        ("hang", "took longer than 2 s"),
        ("hang-until-interrupted", "the statement was interrupted"),
        ("panic-in-interrupt", "asked to panic in interrupt"),
    ] {
        let project = project(&CONFIG.replace("max_retries: 0", "max_retries: 1, chunk_deadline_s: 2"));
        let start = Instant::now();
        let output = project.rivet("run").env("RIVET_HOSTILE", format!("{order},at=350,times=1")).ok();
        output.says(&[told]);
        assert!(ids(&project).into_iter().eq(0..1000), "{output}");
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    }
}

/// How long a command may take after the first Ctrl-C.
const STOPPED_WITHIN: Duration = Duration::from_secs(12);

#[test]
fn the_first_ctrl_c_ends_a_command_whatever_a_plugin_does() {
    std::thread::scope(|scope| {
        for (command, order, at) in [
            ("run", "hang-in-describe", "`describe`"),
            ("check", "hang-in-describe", "`describe`"),
            ("run", "hang", ""),
        ] {
            scope.spawn(move || {
                let project = project(CONFIG);
                let mut running = project.rivet(command).env("RIVET_HOSTILE", order).spawn();
                let start = Instant::now();
                running.until(|| start.elapsed() > Duration::from_secs(2));
                let asked = Instant::now();
                let output = running.interrupt();
                assert!(asked.elapsed() < STOPPED_WITHIN, "{:?}\n{output}", asked.elapsed());
                assert_eq!(output.code, Some(130), "{output}");
                output.says(&["interrupted", at]);
            });
        }
    });
}

#[test]
fn a_statement_that_its_plugin_does_not_end_is_ended_by_the_host() {
    let limited = "max_retries: 0, statement_timeout_s: 1";
    let project = project(&CONFIG.replace("max_retries: 0", limited));
    let start = Instant::now();
    // A hint alone says what to do: to try again is to wait again.
    let output = run(&project, "hang-until-interrupted,at=350", 1);
    output.says(&["kept rivet waiting for more than 11 s", "plugin hostile", "chunk 3", "`statement_timeout_s`"]);
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    nothing_half_visible(&project, &[3]);
    resumes(&project);
}

#[test]
fn a_chunk_that_always_hangs_fails_the_run_and_no_other_chunk() {
    let project = project(&CONFIG.replace("max_retries: 0", "max_retries: 1, chunk_deadline_s: 2"));
    let output = run(&project, "hang,at=350", 75);
    output.says(&["took longer than 2 s", "plugin hostile", "chunk 3", "attempts 2", "tuning.chunk_deadline_s"]);
    nothing_half_visible(&project, &[3]);
    assert_eq!(reports(&project), 9, "{output}");
    resumes(&project);
}

#[test]
fn a_slow_source_is_not_a_hanging_one() {
    let project = project(&CONFIG.replace("max_retries: 0", "chunk_deadline_s: 2"));
    project.rivet("run").env("RIVET_HOSTILE", "slow").ok();
    assert!(ids(&project).into_iter().eq(0..1000));
}

#[test]
fn text_that_is_not_utf8_is_found_when_the_plugin_is_not_trusted() {
    let project = project(CONFIG);
    let output = project.rivet("run").arg("--untrusted-plugins").env("RIVET_HOSTILE", "bad-utf8,at=850").fails(1);
    one_error(&output);
    output.says(&["malformed batch", "plugin hostile", "chunk 8"]);
    nothing_half_visible(&project, &[8]);
    resumes(&project);
}

#[test]
fn a_secret_is_never_printed_nor_written() {
    const SECRET: &str = "correct-horse-battery";
    let config = CONFIG.replace("rows: 1000", "rows: 1000\n  password_env: NUMBERS_PASSWORD");
    for (order, code, told) in [
        ("leak-in-log", 0, "logged in with ***"),
        ("leak-in-warning", 0, "numbers"),
        ("leak-in-error,at=850", 1, "cannot log in with ***"),
        ("leak-in-panic,at=850", 1, "no one may know ***"),
    ] {
        for flags in [&["-vvv"][..], &["--log-format", "json", "--json-errors"][..]] {
            let project = project(&config);
            let summary = project.path("summary.json");
            let output = project
                .rivet("run")
                .args(flags)
                .arg("--summary-output")
                .arg(&summary)
                .env("NUMBERS_PASSWORD", SECRET)
                .env("RIVET_HOSTILE", order)
                .run();
            assert_eq!(output.code, Some(code), "{output}");
            output.never_says(SECRET).says(&[told]);
            assert!(summary.exists());
            never_written(project.folder(), SECRET);
        }
    }
}

fn never_written(folder: &Path, secret: &str) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            never_written(&path, secret);
        } else {
            let bytes = fs::read(&path).unwrap();
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds the secret", path.display());
        }
    }
}
