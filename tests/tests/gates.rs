//! What stands between a run and the word that it is right: `--validate`, `--reconcile`, and who is told.

#![allow(clippy::unwrap_used, reason = "test code")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::mpsc::channel,
    time::Duration,
};

use rivet_tests::{
    readers,
    rivet::{self, Command, Project},
    sqlite::{self, Database},
};
use serde_json::Value;

/// 1 000 rows in ten chunks.
fn table() -> Database {
    let mut database = sqlite::database();
    database.run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT NOT NULL); \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
         INSERT INTO t SELECT i, 'word ' || i FROM n",
    );
    database
}

fn project(database: &Database, more: &str) -> Project {
    let project = rivet::project();
    configure(&project, database, more);
    project
}

fn configure(project: &Project, database: &Database, more: &str) {
    project.config(&format!(
        "source: {{url: '{}'}}\nexports:\n  - {{name: e, table: t, format: csv, compression: none, mode: chunked, \
         chunk_column: id, chunk_size: 100, {more} destination: {{type: local, path: '{{out}}'}}}}\n",
        database.url()
    ));
}

#[test]
fn validate_after_a_run_reads_parts_back_and_says_so() {
    let database = table();
    let project = project(&database, "");
    let output = project.rivet("run").args(["--validate", "--json"]).ok();
    output.says(&["validated", "10 parts as the manifest says; 10 read back"]);
    let validation = &output.json()["exports"][0]["validation"];
    assert_eq!((&validation["parts"], &validation["read"]), (&10.into(), &10.into()), "{output}");
}

#[test]
fn a_part_changed_before_validate_ends_the_run_with_3_and_its_summary() {
    let database = table();
    let project = project(&database, "");
    project.rivet("run").env("RIVET_CRASH_AT", "success.choose").run();
    let part = readers::files(project.out()).remove(0);
    let text = fs::read_to_string(&part).unwrap();
    fs::write(&part, text.replace("word 1", "w0rd 1")).unwrap();
    let output = project.rivet("run").args(["--resume", "--validate", "--json"]).fails(3);
    output.says(&["error: part ", "crc32c", "export e", "hint: "]);
    let summary = &output.json()["exports"][0];
    assert_eq!(summary["status"], "committed, failed its checks", "{output}");
    assert_eq!((&summary["exit"], &summary["code"]), (&3.into(), &"part_mismatch".into()), "{output}");
    assert_eq!(summary["validation"]["problems"].as_array().unwrap().len(), 1, "{output}");
    assert!(project.path("out/_SUCCESS").exists(), "the commit stands");
}

#[test]
fn reconcile_after_a_run_counts_every_chunk() {
    let database = table();
    let project = project(&database, "reconcile_required: true,");
    let output = project.rivet("run").arg("--json").ok();
    output.says(&["reconciled", "1 000 rows at the source, as in the manifest; later, each chunk by itself"]);
    let reconciliation = &output.json()["exports"][0]["reconciliation"];
    assert_eq!(reconciliation["agrees"], true, "{output}");
    assert_eq!(reconciliation["chunks"].as_array().unwrap().len(), 10, "{output}");
    assert_eq!((&reconciliation["source_rows"], &reconciliation["manifest_rows"]), (&1000.into(), &1000.into()));
}

#[test]
fn reconcile_names_the_chunks_that_differ_and_ends_with_3() {
    let mut database = table();
    let project = project(&database, "");
    project.rivet("run").ok();
    let table = project.rivet("reconcile").ok();
    assert!(table.stdout.contains("CHUNK  MANIFEST  SOURCE  DIFFERENCE\n"), "{table}");
    assert!(table.stdout.ends_with("  total  1000      1000\n"), "{table}");
    // One chunk loses as many rows as another gains: the sums agree, the chunks do not.
    database.run("DELETE FROM t WHERE id IN (150, 160); INSERT INTO t VALUES (1001, 'a'), (1002, 'b')");
    let output = project.rivet("reconcile").args(["-e", "e", "--json"]).fails(3);
    output.says(&["the source counts 1000 rows, the manifest has 1000, in 2 of 10 chunks", "hint: "]);
    let found = &output.json()["exports"][0];
    assert_eq!(found["agrees"], false, "{output}");
    let differing: Vec<_> =
        found["chunks"].as_array().unwrap().iter().filter(|c| c["manifest"] != c["source"]).collect();
    assert_eq!(differing.len(), 2, "{output}");
    assert_eq!((&differing[0]["manifest"], &differing[0]["source"]), (&100.into(), &98.into()), "{output}");
    assert_eq!((&differing[1]["manifest"], &differing[1]["source"]), (&100.into(), &102.into()), "{output}");
    project.rivet("run").ok();
    project.rivet("reconcile").ok();
}

#[test]
fn rows_lost_before_the_commit_end_a_reconciled_run_with_3() {
    let mut database = table();
    let project = project(&database, "");
    project.rivet("run").env("RIVET_CRASH_AT", "commit.begin").run();
    // The run is resumed without its deleted rows read again: the manifest has more than there is.
    database.run("DELETE FROM t WHERE id > 990");
    let output = project.rivet("run").args(["--resume", "--reconcile", "--json"]).fails(3);
    output.says(&["the source counts 990 rows, the manifest has 1000, in chunk 9", "committed run"]);
    assert_eq!(output.json()["exports"][0]["reconciliation"]["agrees"], false, "{output}");
    assert!(project.path("out/_SUCCESS").exists(), "the commit stands");
}

#[test]
fn a_snapshot_is_counted_where_it_was_read() {
    let project = rivet::project();
    project.config(
        "source: {type: example, rows: 1000}\nexports:\n  - {name: e, table: numbers, format: csv, mode: chunked, \
         chunk_column: id, chunk_size: 100, parallel: 2, destination: {type: local, path: '{out}'}}\n",
    );
    let output = project.rivet("run").args(["--reconcile", "--json"]).ok();
    let reconciliation = &output.json()["exports"][0]["reconciliation"];
    assert_eq!(reconciliation["counted_at"], "run", "{output}");
    assert_eq!(reconciliation["read_point"], "generated rows never change", "{output}");
    let later = project.rivet("reconcile").arg("--json").ok();
    assert_eq!(later.json()["exports"][0]["counted_at"], "later", "{later}");
}

#[test]
fn what_cannot_be_reconciled_is_refused_before_a_row_is_read() {
    let database = table();
    let project = project(&database, "");
    project.rivet("reconcile").fails(1).says(&["no committed run at the destination", "hint: "]);
    project.config(&format!(
        "source: {{url: '{}'}}\nexports:\n  - {{name: e, table: t, format: csv, reconcile_required: true, \
         destination: {{type: stdout}}}}\n",
        database.url()
    ));
    let output = project.rivet("run").fails(2);
    output.says(&["standard output has no manifest to reconcile", "hint: "]);
    assert_eq!(output.stdout, "");
}

/// A server that answers one request after another with these statuses, and what it heard.
struct Server {
    url: String,
    heard: std::sync::mpsc::Receiver<String>,
}

/// What the address ends with, and nobody may see.
const TOKEN: &str = "correct-horse-battery";

fn server(statuses: &'static [u16]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/services/T1/{TOKEN}", listener.local_addr().unwrap());
    let (send, heard) = channel();
    std::thread::spawn(move || {
        for status in statuses {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
            send.send(format!("{head}\n{}", String::from_utf8(body).unwrap())).unwrap();
        }
    });
    Server { url, heard }
}

impl Server {
    /// The body of the next request it heard, all of which came before rivet ended.
    #[track_caller]
    fn body(&self) -> Value {
        let text = self.heard.recv_timeout(Duration::from_secs(10)).expect("nobody called");
        assert!(text.starts_with(&format!("POST /services/T1/{TOKEN} HTTP/1.1")), "{text}");
        serde_json::from_str(text.split_once("\n\n").unwrap().1).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    #[track_caller]
    fn heard_nothing_more(&self) {
        assert!(self.heard.try_recv().is_err());
    }
}

/// The hostile plugin under these hooks.
fn told(hooks: &str) -> Project {
    let project = rivet::project();
    project.config(&format!(
        "notifications: {hooks}\nsource: {{type: hostile, rows: 1000, tuning: {{max_retries: 2, retry_backoff_ms: 10}}}}\n\
         exports:\n  - {{name: numbers, table: numbers, mode: chunked, chunk_column: id, chunk_size: 100, parallel: 2, \
         format: csv, destination: {{type: local, path: '{{out}}'}}}}\n"
    ));
    project
}

fn run(project: &Project, server: &Server, order: &str) -> Command {
    project.rivet("run").env("HOOK", &server.url).env("RIVET_HOSTILE", order).env("NO_PROXY", "127.0.0.1")
}

#[test]
fn a_failure_is_told_to_slack_as_text_and_to_a_webhook_as_json() {
    let project = told("{slack: {webhook_url_env: HOOK}, webhook: {url_env: HOOK, on: [failure]}}");
    let server = server(&[200, 204]);
    let output = run(&project, &server, "fail,kind=8,at=850").arg("-v").fails(1);
    output.never_says(TOKEN).says(&["numbers: Slack was told", "numbers: the webhook was told"]);
    let slack = server.body();
    let text = slack["text"].as_str().unwrap();
    assert!(text.starts_with("*numbers* failed\n> asked to fail (chunk 8"), "{text}");
    assert!(text.contains("\n> hint: stop asking"), "{text}");
    let summary = server.body();
    assert_eq!((&summary["export"], &summary["status"]), (&"numbers".into(), &"failed".into()), "{summary}");
    assert_eq!((&summary["events"], &summary["exit"]), (&serde_json::json!(["failure"]), &1.into()), "{summary}");
}

#[test]
fn a_run_with_retries_is_degraded_and_one_without_is_not_told_of() {
    let project = told("{webhook: {url_env: HOOK, on: [degraded, schema_change]}}");
    let server = server(&[200]);
    run(&project, &server, "fail,kind=12,at=350,times=2").ok();
    let summary = server.body();
    assert_eq!(summary["events"], serde_json::json!(["degraded"]), "{summary}");
    assert_eq!((&summary["status"], &summary["rows"]), (&"succeeded".into(), &1000.into()), "{summary}");
    assert_eq!(summary["notes"], serde_json::json!(["2 times a chunk was tried again"]), "{summary}");
    run(&project, &server, "slow").ok();
    run(&project, &server, "fail,kind=8,at=850").fails(1);
    server.heard_nothing_more();
}

#[test]
fn a_failed_check_after_the_commit_is_a_failure() {
    let mut database = table();
    let project = rivet::project();
    let server = server(&[200]);
    configure(&project, &database, "");
    project.rivet("run").env("RIVET_CRASH_AT", "commit.begin").run();
    database.run("DELETE FROM t WHERE id > 990");
    let config = fs::read_to_string(project.path("rivet.yaml")).unwrap();
    project.write("rivet.yaml", format!("notifications: {{webhook: {{url: '{}'}}}}\n{config}", server.url));
    let output = project.rivet("run").args(["--resume", "--reconcile"]).env("NO_PROXY", "127.0.0.1").fails(3);
    output.never_says(TOKEN);
    let summary = server.body();
    assert!(summary["events"].as_array().unwrap().contains(&"failure".into()), "{summary}");
    assert_eq!(summary["status"], "committed, failed its checks", "{summary}");
}

#[test]
fn a_hook_that_cannot_be_told_is_a_warning_tried_twice_and_never_shows_its_address() {
    let hooks = "{webhook: {url_env: HOOK, on: [degraded]}}";
    // Two tries that the server refuses for now; one that it refuses for good; nobody there.
    for (statuses, told_why) in [
        (&[500, 503][..], "it answered 503, twice tried"),
        (&[404][..], "it answered 404"),
        (&[302][..], "it answered 302"),
        (&[][..], "no connection"),
    ] {
        let project = told(hooks);
        let server = server(statuses);
        let output = run(&project, &server, "fail,kind=12,at=350,times=1").ok();
        output
            .never_says(TOKEN)
            .says(&["warning: numbers: the webhook could not be told how the run ended: ", told_why]);
        for _ in statuses {
            server.body();
        }
        server.heard_nothing_more();
    }
}

#[test]
fn a_second_try_is_enough() {
    let project = told("{webhook: {url_env: HOOK, on: [degraded]}}");
    let server = server(&[503, 200]);
    let output = run(&project, &server, "fail,kind=12,at=350,times=1").ok();
    assert!(!output.stderr.contains("could not be told"), "{output}");
    assert_eq!(server.body(), server.body());
}

/// 400 batches of 20 ms in 40 chunks, four workers.
fn adaptive(source: &str, tuning: &str) -> Project {
    let project = rivet::project();
    project.config(&format!(
        "source: {{{source}, rows: 20000, tuning: {{{tuning}}}}}\nexports:\n  - {{name: numbers, table: numbers, \
         mode: chunked, chunk_column: id, chunk_size: 500, parallel: 4, format: csv, \
         destination: {{type: local, path: '{{out}}'}}}}\n"
    ));
    project
}

#[test]
fn pressure_at_the_source_leaves_fewer_workers_and_says_so() {
    let project = adaptive("type: hostile", "adaptive: true, min_parallel: 2, batch_size: 50");
    let output = project.rivet("run").args(["-v", "--json"]).env("RIVET_HOSTILE", "pressure").ok();
    output.says(&["the source's pressure grows: 2 of 4 workers may take a chunk, 4 before", "no fewer than 2"]);
    let summary = &output.json()["exports"][0];
    assert_eq!(summary["workers"], serde_json::json!({ "most": 4, "lowest": 2 }), "{summary}");
    assert_eq!(summary["rows"], 20_000, "{summary}");
}

#[test]
fn without_a_reading_the_number_of_workers_stays() {
    for (source, order, told) in [
        ("type: hostile", "pressure-unread", "this login cannot read the source's pressure"),
        ("type: example", "", "the plugin `example` reads no pressure"),
    ] {
        let project = adaptive(source, "adaptive: true");
        let mut run = project.rivet("run").args(["-v", "--json"]);
        if !order.is_empty() {
            run = run.env("RIVET_HOSTILE", order);
        }
        let output = run.ok();
        output.says(&[told]);
        assert!(!output.stderr.contains("may take a chunk"), "{output}");
        assert_ne!(output.json()["exports"][0]["workers"]["lowest"], 1, "{output}");
    }
}
