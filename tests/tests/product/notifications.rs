//! Who is told how a run ended, of what, and that telling never changes it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::mpsc::channel,
    time::Duration,
};

use rivet_tests::{
    rivet::{self, Command, Project},
    sqlite,
};
use serde_json::Value;

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
    if !rivet::has_crash_points() {
        return;
    }
    let mut database = sqlite::database();
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)");
    let project = rivet::project();
    let server = server(&[200]);
    project.config(&format!(
        "notifications: {{webhook: {{url_env: HOOK}}}}\nsource: {{url: '{}'}}\nexports:\n  - {{name: e, table: t, \
         format: csv, destination: {{type: local, path: '{{out}}'}}}}\n",
        database.url()
    ));
    let run = || project.rivet("run").env("HOOK", &server.url).env("NO_PROXY", "127.0.0.1");
    run().env("RIVET_CRASH_AT", "commit.begin").run();
    database.run("DELETE FROM t WHERE id = 2");
    run().args(["--resume", "--reconcile"]).fails(3).never_says(TOKEN);
    let summary = server.body();
    assert!(summary["events"].as_array().unwrap().contains(&"failure".into()), "{summary}");
    assert_eq!(summary["status"], "committed, failed its checks", "{summary}");
}

#[test]
fn columns_that_changed_are_told_of_whether_the_run_stops_or_goes_on() {
    let mut database = sqlite::database();
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)");
    let project = rivet::project();
    let server = server(&[200, 200]);
    let url = database.url();
    let run = |policy: &str| {
        project.config(&format!(
            "notifications: {{webhook: {{url_env: HOOK, on: [schema_change]}}}}\nsource: {{url: '{url}'}}\nexports:\n  \
             - {{name: e, table: t, format: csv, on_schema_drift: {policy}, destination: {{type: local, path: '{{out}}'}}}}\n"
        ));
        project.rivet("run").env("HOOK", &server.url).env("NO_PROXY", "127.0.0.1")
    };
    run("warn").ok();
    server.heard_nothing_more();
    database.run("ALTER TABLE t ADD COLUMN v TEXT");
    run("fail").fails(4);
    let stopped = server.body();
    assert_eq!(
        (&stopped["events"], &stopped["status"]),
        (&serde_json::json!(["failure", "schema_change"]), &"failed".into())
    );
    run("warn").ok();
    let warned = server.body();
    assert_eq!((&warned["status"], &warned["rows"]), (&"succeeded".into(), &3.into()), "{warned}");
    assert_eq!(warned["events"], serde_json::json!(["schema_change", "degraded"]), "{warned}");
    assert!(warned["notes"].to_string().contains("the columns changed since run"), "{warned}");
    // The new columns are remembered: nothing changed.
    run("warn").ok();
    server.heard_nothing_more();
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
fn a_server_without_tls_is_not_told_over_https() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/{TOKEN}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut hello = [0; 4096];
        let heard = stream.read(&mut hello).unwrap();
        assert!(heard > 0);
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        // Until the other side hangs up: closing first could cut the answer off.
        while stream.read(&mut hello).is_ok_and(|heard| heard > 0) {}
    });
    let project = told("{webhook: {url_env: HOOK}}");
    let run = project.rivet("run").env("HOOK", url).env("RIVET_HOSTILE", "fail,kind=8,at=850");
    let output = run.env("NO_PROXY", "127.0.0.1").fails(1);
    output.never_says(TOKEN).says(&["the webhook could not be told how the run ended: TLS: "]);
}

#[test]
fn a_second_try_is_enough() {
    let project = told("{webhook: {url_env: HOOK, on: [degraded]}}");
    let server = server(&[503, 200]);
    let output = run(&project, &server, "fail,kind=12,at=350,times=1").ok();
    assert!(!output.stderr.contains("could not be told"), "{output}");
    assert_eq!(server.body(), server.body());
}
