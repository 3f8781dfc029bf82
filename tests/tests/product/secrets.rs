//! No secret in any output of any command at any level, whole or in pieces.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread;

use rivet_tests::postgres::{self, User};
use rivet_tests::rivet;

/// Long enough that no piece of one stands anywhere by chance.
const DATABASE: &str = "pgKq7vXw2mZt9rLb4nHs6dFy8cJe3gUa";
const WEBHOOK_USER: &str = "whPn5xTz8kVq2yBd7wRm4fLs9hGj6cEu";
const WEBHOOK_PATH: &str = "hkRt3vNz6mXq9wBs2yLd8kFp5cHj7gTe";
const SLACK: &str = "slZm4wQx7nVt2kRb9yHd5sFg8pLc3jEu";
const STATE: &str = "stVb8kNx3wZq6mRt9yLd2sFh5gPj7cEu";
const STORE: &str = "s3Wn6xKq9vZt2mRb5yLd8kFs3hGp7jCe";
const HOSTILE: &str = "hoXt5wNq8vZm2kRb7yLd4sFg9hPc6jEu";
const SECRETS: &[&str] = &[DATABASE, WEBHOOK_USER, WEBHOOK_PATH, SLACK, STATE, STORE, HOSTILE];

/// So many letters of a secret are a piece of it.
const PIECE: usize = 6;

const LEVELS: &[&[&str]] =
    &[&["-vvv", "--log-format", "json", "--json-errors"], &[], &["-vvv"], &["-q"], &["-v"], &["-vv"]];

/// All levels, or those that say most.
fn levels() -> &'static [&'static [&'static str]] {
    if rivet_tests::slow() { LEVELS } else { &LEVELS[..2] }
}

/// A server that answers whatever it is asked with an error, until the test ends.
fn refusing() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|read| read > 0) && !line.trim().is_empty() {
                    line.clear();
                }
                let _ =
                    reader.get_mut().write_all(b"HTTP/1.1 403 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            });
        }
    });
    port
}

#[track_caller]
fn no_piece_in(text: &[u8], of: &str) {
    let text = String::from_utf8_lossy(text);
    for secret in SECRETS {
        let reversed: String = secret.chars().rev().collect();
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        for (written, length) in [((*secret).to_owned(), PIECE), (reversed, PIECE), (hex, 2 * PIECE)] {
            for start in 0..=written.len() - length {
                let piece = &written[start..start + length];
                assert!(!text.contains(piece), "{of}: {piece} of {secret}\n{text}");
            }
        }
    }
}

fn no_piece_below(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            no_piece_below(&path);
        } else {
            no_piece_in(&std::fs::read(&path).unwrap(), &path.display().to_string());
        }
    }
}

/// Makes a login with a password of its own, which the private server keeps; its address in `database`.
fn login(name: &str, password: &str, database: &mut postgres::Database) -> String {
    database.run(&format!("DROP ROLE IF EXISTS {name}; CREATE ROLE {name} LOGIN PASSWORD '{password}'"));
    let url = database.url_as(User::Superuser);
    format!("postgresql://{name}:{password}@{}", url.rsplit_once('@').unwrap().1)
}

#[test]
fn no_command_shows_a_piece_of_a_secret_at_any_level() {
    let mut database = postgres::database();
    let reader = login("secretive_reader", DATABASE, &mut database);
    let keeper = login("secretive_keeper", STATE, &mut database);
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'v' FROM generate_series(1, 50) i; \
         GRANT SELECT ON t TO secretive_reader; CREATE SCHEMA secretive AUTHORIZATION secretive_keeper",
    );
    let port = refusing();
    let project = rivet::project();
    project.config(&format!(
        "source: {{url_env: DATABASE_URL}}
state: {{url_env: STATE_URL}}
notifications:
  webhook: {{url_env: HOOK, on: [failure, degraded, schema_change]}}
  slack: {{webhook_url_env: SLACK, on: [failure, degraded, schema_change]}}
exports:
  - {{name: whole, table: t, format: parquet, destination: {{type: local, path: '{{out}}/whole'}}}}
  - {{name: later, table: t, mode: incremental, cursor_column: id, format: csv, destination: {{type: local, path: '{{out}}/later'}}}}
  - {{name: fails, query: 'SELECT 1 / (id - 1) AS x FROM t', format: csv, destination: {{type: local, path: '{{out}}/fails'}}}}
  - {{name: refused, table: t, format: csv, destination: {{type: s3, bucket: b, region: r, endpoint: 'http://127.0.0.1:{port}',
      access_key_env: STORE_USER, secret_key_env: STORE_SECRET, transfer: {{retries: 1}}}}}}
"
    ));
    let state_url = format!("{keeper}?options=-csearch_path%3Dsecretive");
    let environment = [
        ("DATABASE_URL", reader),
        ("STATE_URL", state_url),
        ("HOOK", format!("http://u:{WEBHOOK_USER}@127.0.0.1:{port}/services/T0/B0/{WEBHOOK_PATH}")),
        ("SLACK", format!("http://127.0.0.1:{port}/services/T0/B0/{SLACK}")),
        ("STORE_USER", "me".to_owned()),
        ("STORE_SECRET", STORE.to_owned()),
    ];
    let plan = project.path("plan.json");
    let plan = plan.to_str().unwrap();
    let config = project.path("rivet.yaml");
    let config = config.to_str().unwrap();
    let commands: &[&[&str]] = &[
        &["check", "-c", config],
        &["check", "-c", config, "--types"],
        &["doctor", "-c", config],
        &["run", "-c", config, "--reconcile", "--validate"],
        &["run", "-c", config, "--json", "-e", "later"],
        &["plan", "-c", config, "-e", "whole", "-o", plan],
        &["plan", "-c", config, "-e", "refused"],
        &["apply", plan, "-c", config],
        &["status", plan, "-c", config],
        &["commit", plan, "-c", config],
        &["clean", plan, "-c", config],
        &["validate", "-c", config],
        &["validate", "-c", config, "-e", "whole"],
        &["reconcile", "-c", config, "-e", "whole"],
        &["repair", "-c", config, "-e", "whole", "--execute"],
        &["journal", "-c", config],
        &["metrics", "-c", config],
        &["state", "show", "-c", config],
        &["state", "progression", "-c", config],
        &["state", "files", "-c", config, "-e", "whole"],
        &["state", "chunks", "-c", config, "-e", "whole"],
        &["state", "reset-chunks", "-c", config, "-e", "whole"],
        &["state", "move", "-c", config, "-e", "later"],
        &["state", "reset", "-c", config, "-e", "later"],
        &["init", "--source-env", "DATABASE_URL", "--table", "t", "--output", "made.yaml", "--force"],
        &["plugin", "list"],
        &["plugin", "verify", "postgres", "-c", config],
        &["plugin", "lock", "-c", config],
    ];
    let mut succeeded = std::collections::BTreeSet::new();
    for level in levels() {
        for words in commands {
            let mut command = rivet::Command::new().args(*level).args(*words).folder(project.folder());
            for (name, value) in &environment {
                command = command.env(name, value);
            }
            let output = command.run();
            let of = format!("{level:?} {words:?}");
            assert_ne!(output.code, Some(101), "{of}: {output}");
            no_piece_in(output.stdout.as_bytes(), &of);
            no_piece_in(output.stderr.as_bytes(), &of);
            if level.contains(&"json") {
                for line in output.stderr.lines() {
                    let line: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
                    if let Some(target) = line["target"].as_str() {
                        assert!(target.starts_with("rivet"), "{of}: {line}");
                    }
                }
            }
            if output.code == Some(0) {
                succeeded.insert(words.join(" "));
            }
        }
    }
    // A command that ends at once shows nothing: these did what they are for.
    for word in ["check", "run", "plan", "apply", "status", "validate", "reconcile", "journal", "state show", "init"] {
        assert!(succeeded.iter().any(|words| words.starts_with(word)), "{word}: {succeeded:?}");
    }
    no_piece_below(project.folder());
}

#[test]
fn what_a_library_in_a_plugin_writes_into_the_log_is_not_shown() {
    let project = rivet::project();
    project.config(
        "source: {type: hostile, rows: 10, password_env: P}
exports:
  - {name: numbers, table: numbers, format: csv, destination: {type: local, path: '{out}'}}
",
    );
    for level in levels() {
        let run = project.rivet("run").args(*level).env("P", HOSTILE);
        let output = run.env("RIVET_HOSTILE", "leak-in-pieces").ok();
        no_piece_in(output.stderr.as_bytes(), &format!("{level:?}"));
        no_piece_in(output.stdout.as_bytes(), &format!("{level:?}"));
    }
    // What it says itself is.
    let run = project.rivet("run").env("P", HOSTILE).env("RIVET_HOSTILE", "leak-in-log");
    run.ok().says(&["hostile: logged in with ***"]);
}
