//! The state file keeps leases and runs, and refuses what is not ours.

use std::fs;
use std::time::Duration;

use rivet_sdk::{ErrorKind, Scalar};
use rusqlite::Connection;

use super::*;
use crate::damage::{Random, damaged};
use crate::plan::ties::Ties;

#[test]
fn the_second_run_of_an_export_is_busy_until_the_first_ends() {
    let folder = tempfile::tempdir().unwrap();
    let first = State::open(folder.path()).unwrap();
    let second = State::open(folder.path()).unwrap();
    let lease = first.acquire("orders", Duration::ZERO).unwrap();
    let error = second.acquire("orders", Duration::from_millis(10)).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, Some("busy")));
    assert!(second.acquire("customers", Duration::ZERO).is_ok());
    lease.check(&first).unwrap();
    let token = lease.token();
    drop(lease);
    assert_eq!(second.acquire("orders", Duration::ZERO).unwrap().token(), token + 1);
}

#[test]
fn many_that_make_a_state_file_at_once_all_get_it() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let together = std::sync::Barrier::new(8);
        let open = || {
            together.wait();
            State::open(folder.path()).map(|_| ())
        };
        std::thread::scope(|scope| {
            let openers: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            for opener in openers {
                opener.join().unwrap().unwrap();
            }
        });
    }
}

#[test]
fn a_waiting_run_gets_the_lease_when_it_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let first = State::open(folder.path()).unwrap();
    let second = State::open(folder.path()).unwrap();
    let lease = first.acquire("orders", Duration::ZERO).unwrap();
    let waiting =
        std::thread::spawn(move || second.acquire("orders", Duration::from_secs(20)).map(|lease| lease.token()));
    std::thread::sleep(Duration::from_millis(50));
    drop(lease);
    assert_eq!(waiting.join().unwrap().unwrap(), 2);
}

#[test]
fn an_expired_lease_or_a_dead_holders_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(folder.path()).unwrap();
    let hold = |state: &State, holder: &str, expires_ms: i64| {
        let sql = "INSERT OR REPLACE INTO rivet_lease VALUES ('orders', 7, ?1, ?2, NULL)";
        connection(state).execute(sql, rusqlite::params![holder, expires_ms]).unwrap();
    };
    hold(&state, "elsewhere", i64::MAX);
    assert!(state.acquire("orders", Duration::ZERO).is_err());
    hold(&state, "elsewhere", 1);
    assert_eq!(state.acquire("orders", Duration::ZERO).unwrap().token(), 8);
    if cfg!(target_os = "linux") {
        let this = holder::Holder::this().unwrap().to_text();
        let (machine, _) = this.split_once(" started ").unwrap();
        hold(&state, &format!("{machine} started 1"), i64::MAX);
        assert_eq!(state.acquire("orders", Duration::ZERO).unwrap().token(), 8);
    }
}

#[test]
fn the_journal_keeps_how_runs_ended() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(folder.path()).unwrap();
    state.run_started("01A", "orders", "sha256:1").unwrap();
    state.run_succeeded("01A", &RunNumbers { rows: Some(10), ..RunNumbers::default() }, None).unwrap();
    state.run_started("01B", "orders", "sha256:2").unwrap();
    state.run_failed("01B", RunStatus::Failed, "no table").unwrap();
    state.run_started("01C", "customers", "sha256:3").unwrap();
    drop(state);
    let runs = State::open(folder.path()).unwrap().runs(Some("orders"), 10).unwrap();
    let ends: Vec<_> = runs.iter().map(|run| (run.status, run.numbers.rows, run.error.as_deref())).collect();
    assert_eq!(ends, [(RunStatus::Failed, None, Some("no table")), (RunStatus::Succeeded, Some(10), None)]);
}

#[test]
fn another_tools_state_file_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(STATE_FILE);
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE export_state (name TEXT)").unwrap();
    let before = fs::read(&path).unwrap();
    let error = State::open(folder.path()).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, Some("foreign_state")));
    assert!(error.message().contains("rivet-cli (tables export_state") && error.hint().unwrap().contains("mv "));
    assert_eq!(fs::read(&path).unwrap(), before);
}

/// What `change` makes of a file is refused with this code, and stays as it is.
fn refused(change: impl Fn(&Path), code: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(STATE_FILE);
    let state = State::open(folder.path()).unwrap();
    for run in 0..200 {
        state.run_started(&format!("01A{run:03}"), "orders", &"plan".repeat(100)).unwrap();
    }
    drop(state);
    change(&path);
    let before = fs::read(&path).unwrap();
    let error = State::open(folder.path()).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, Some(code)), "{error}");
    assert!(error.hint().is_some() && error.to_string().contains(STATE_FILE), "{error}");
    assert!(fs::read(&path).unwrap() == before, "the file was touched");
    assert_eq!(fs::read_dir(folder.path()).unwrap().filter(|entry| !is_sqlites(entry.as_ref().unwrap())).count(), 1);
}

/// Files that SQLite keeps beside an open database.
fn is_sqlites(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name().into_string().unwrap();
    name.ends_with("-wal") || name.ends_with("-shm")
}

#[test]
fn a_damaged_newer_or_foreign_file_is_refused_and_not_touched() {
    let text = "this is a text, and long enough to be read as a header of a database file".repeat(10);
    refused(|path| fs::write(path, &text).unwrap(), "damaged_state");
    refused(
        |path| {
            let mut bytes = fs::read(path).unwrap();
            let (from, to) = (bytes.len() / 3, bytes.len() / 2);
            bytes[from..to].fill(0x5a);
            fs::write(path, bytes).unwrap();
        },
        "damaged_state",
    );
    refused(
        |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        },
        "damaged_state",
    );
    let run = |path: &Path, sql: &str| Connection::open(path).unwrap().execute_batch(sql).unwrap();
    refused(|path| run(path, "PRAGMA user_version = 99"), "newer_state");
    refused(|path| run(path, "PRAGMA user_version = -1"), "damaged_state");
    refused(|path| run(path, "PRAGMA application_id = 0"), "foreign_state");
}

#[test]
fn an_older_file_is_copied_before_it_is_brought_forward() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(STATE_FILE);
    let old = Connection::open(&path).unwrap();
    old.execute_batch("PRAGMA application_id = 0x72697674; PRAGMA user_version = 1; PRAGMA journal_mode = wal")
        .unwrap();
    old.execute_batch(migrations::MIGRATIONS[0]).unwrap();
    // It stands in the log beside the file, not in the file itself.
    let insert = "INSERT INTO rivet_run (run_id, export, plan_id, started_at, status, rows)
                  VALUES ('01A', 'orders', 'plan', '2026-01-02T03:04:05Z', 'succeeded', 7)";
    old.execute_batch(insert).unwrap();
    let state = State::open(folder.path()).unwrap();
    drop(old);
    assert_eq!(state.runs(None, 10).unwrap()[0].numbers, RunNumbers { rows: Some(7), ..RunNumbers::default() });
    assert!(state.advance(None, &at(&[1], "01B")).unwrap());
    let backup = Connection::open(folder.path().join(".rivet_state.db.bak-v1")).unwrap();
    let read = |sql: &str| backup.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!((read("PRAGMA user_version"), read("SELECT rows FROM rivet_run")), (1, 7));
    assert_eq!(read("SELECT count(*) FROM sqlite_schema WHERE name = 'rivet_watermark'"), 0);
    drop(State::open(folder.path()).unwrap());
    let copies = fs::read_dir(folder.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().into_string().unwrap().contains(".bak"));
    assert_eq!(copies.count(), 1);
}

#[test]
fn a_missing_folder_is_a_clear_error() {
    let error = State::open(Path::new("/nowhere/at/all")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission);
    assert!(error.to_string().contains("/nowhere/at/all/.rivet_state.db"), "{error}");
}

fn connection(state: &State) -> &Connection {
    let Store::File(file) = &state.store else { panic!("no file") };
    file.connection()
}

fn at(values: &[i128], run_id: &str) -> Watermark {
    Watermark {
        export: "orders".to_owned(),
        fingerprint: "source and table".to_owned(),
        fingerprint_v2: None,
        cursor: vec!["updated_at".to_owned(), "id".to_owned()],
        values: values.iter().map(|value| Scalar::Integer(*value)).collect(),
        run_id: run_id.to_owned(),
        updated_at: "2026-01-02T03:04:05Z".to_owned(),
        ties: None,
    }
}

#[test]
fn a_watermark_moves_only_from_where_it_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(folder.path()).unwrap();
    let (first, second, other) = (at(&[1, 2], "01A"), at(&[3, 4], "01B"), at(&[9, 9], "01C"));
    assert_eq!(state.watermark("orders").unwrap(), None);
    assert!(!state.advance(Some(&first), &second).unwrap(), "nothing is there to move from");
    assert!(state.advance(None, &first).unwrap());
    assert!(state.advance(None, &first).unwrap(), "the same run again");
    assert!(!state.advance(None, &at(&[1, 2], "01X")).unwrap(), "another run with the same end");
    assert!(!state.advance(None, &second).unwrap());
    assert!(!state.advance(Some(&other), &second).unwrap());
    let elsewhere = Watermark { fingerprint: "another table".to_owned(), ..first.clone() };
    assert!(!state.advance(Some(&elsewhere), &second).unwrap());
    assert!(state.advance(Some(&first), &second).unwrap());
    assert!(!state.advance(Some(&first), &other).unwrap());
    assert_eq!(state.watermark("orders").unwrap(), Some(second.clone()));
    assert_eq!(state.watermarks().unwrap(), std::slice::from_ref(&second));
    assert_eq!(state.reset_watermark("orders").unwrap(), Some(second.clone()));
    assert_eq!(state.reset_watermark("orders").unwrap(), None);
    assert_eq!(state.watermark("orders").unwrap(), None);
    let moves = state.advances(Some("orders"), 10).unwrap();
    let mut moves: Vec<_> = moves.into_iter().map(|moved| (moved.step, moved.run_id, moved.from, moved.to)).collect();
    moves.sort_by_key(|moved| moved.0);
    let (first, second) = (first.values, second.values);
    let run = |text: &str| Some(text.to_owned());
    assert_eq!(
        moves,
        [
            (1, run("01A"), None, Some(first.clone())),
            (2, run("01B"), Some(first), Some(second.clone())),
            (3, None, Some(second), None),
            (4, None, Some(Vec::new()), None),
        ]
    );
}

#[test]
fn of_many_who_move_a_watermark_one_does() {
    let folder = tempfile::tempdir().unwrap();
    State::open(folder.path()).unwrap().advance(None, &at(&[0], "01A")).unwrap();
    for round in 0..5 {
        let from = at(&[round], "01A");
        let won: Vec<bool> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..8)
                .map(|racer| {
                    let (from, path) = (&from, folder.path());
                    scope.spawn(move || {
                        let state = State::open(path).unwrap();
                        state.advance(Some(from), &at(&[round + 1], &format!("01A{racer}"))).unwrap()
                    })
                })
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
    }
    assert_eq!(State::open(folder.path()).unwrap().advances(None, 100).unwrap().len(), 6);
}

#[test]
fn the_last_schema_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(folder.path()).unwrap();
    assert_eq!(state.schema("orders").unwrap(), None);
    state.remember_schema("orders", "01A", "[1]").unwrap();
    state.remember_schema("orders", "01B", "[2]").unwrap();
    let seen = state.schema("orders").unwrap().unwrap();
    assert_eq!((seen.run_id.as_str(), seen.json.as_str()), ("01B", "[2]"));
    assert_eq!(state.schema("customers").unwrap(), None);
}

/// A store with a watermark that moved once; `older`: by a rivet that sealed nothing.
fn moved(older: bool) -> (tempfile::TempDir, State) {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(folder.path()).unwrap();
    let ties = (!older).then_some(Ties::Settled);
    let (first, second) = (at(&[1, 2], "01A"), Watermark { ties, ..at(&[3, 4], "01B") });
    assert!(state.advance(None, &first).unwrap() && state.advance(Some(&first), &second).unwrap());
    if older {
        connection(&state)
            .execute_batch("UPDATE rivet_watermark SET seal = NULL; UPDATE rivet_advance SET seal = NULL")
            .unwrap();
    }
    (folder, state)
}

#[test]
fn a_watermark_that_was_changed_by_hand_is_damage() {
    for older in [false, true] {
        for change in [
            "UPDATE rivet_watermark SET values_json = replace(values_json, '3', '2')",
            "UPDATE rivet_watermark SET cursor_json = '[\"id\",\"updated_at\"]'",
            "UPDATE rivet_watermark SET fingerprint = 'another'",
            "UPDATE rivet_watermark SET run_id = '01C'",
            "UPDATE rivet_watermark SET values_json = 'x'",
            "DELETE FROM rivet_watermark",
            "UPDATE rivet_watermark SET seal = 'sha256:0', values_json = '[]'",
        ] {
            let (_folder, state) = moved(older);
            connection(&state).execute_batch(change).unwrap();
            let error = state.watermark("orders").unwrap_err();
            assert_eq!(error.code(), Some("damaged_state"), "{older} {change}: {error}");
        }
        let (_folder, state) = moved(older);
        let ties = (!older).then_some(Ties::Settled);
        assert_eq!(state.watermark("orders").unwrap().unwrap(), Watermark { ties, ..at(&[3, 4], "01B") });
        state.reset_watermark("orders").unwrap().unwrap();
        assert_eq!(state.watermark("orders").unwrap(), None);
    }
    let (_folder, state) = moved(false);
    connection(&state).execute_batch("UPDATE rivet_advance SET run_id = NULL WHERE step = 2").unwrap();
    assert_eq!(state.advances(Some("orders"), 1).unwrap_err().code(), Some("damaged_state"));
}

#[test]
fn a_watermark_that_an_older_rivet_moved_is_its_own() {
    let (_folder, state) = moved(false);
    // Its words: it knows nothing of the last columns.
    let later = r#"[{"type":"integer","value":"7"},{"type":"integer","value":"8"}]"#;
    connection(&state)
        .execute_batch(&format!(
            "UPDATE rivet_watermark SET values_json = '{later}', run_id = '01C', updated_at = '2026-01-03T00:00:00Z';
             INSERT INTO rivet_advance (export, step, run_id, fingerprint, cursor_json, from_json, to_json, moved_at)
             SELECT export, 3, '01C', fingerprint, cursor_json, NULL, '{later}', '2026-01-03T00:00:00Z'
             FROM rivet_watermark"
        ))
        .unwrap();
    let found = state.watermark("orders").unwrap().unwrap();
    assert_eq!((found.values.len(), found.run_id.as_str()), (2, "01C"));
    assert_eq!(found.ties, None, "it left what was known of other rows");
    assert!(state.advance(Some(&found), &at(&[9, 9], "01D")).unwrap());
    assert_eq!(state.watermark("orders").unwrap().unwrap().run_id, "01D");
}

#[test]
fn a_watermark_with_any_damage_is_refused_or_stands_as_it_was() {
    let columns = [
        ("rivet_watermark", &["export", "fingerprint", "cursor_json", "values_json", "run_id", "updated_at"][..]),
        ("rivet_watermark", &["fingerprint_v2", "seal", "ties_json"]),
        ("rivet_advance", &["export", "fingerprint", "cursor_json", "from_json", "to_json", "run_id", "moved_at"]),
    ];
    for older in [false, true] {
        let (_folder, state) = moved(older);
        let whole = state.watermark("orders").unwrap().unwrap();
        let mut random = Random::new(0x57a7e);
        let mut refused = 0;
        for _ in 0..500 {
            let connection = connection(&state);
            let (table, names) = columns[random.below(if older { 3 } else { 2 })];
            let column = names[random.below(names.len())];
            let row = if table == "rivet_advance" { "step = 2" } else { "true" };
            let read = format!("SELECT {column} FROM {table} WHERE {row}");
            let found: Option<String> = connection.query_row(&read, [], |row| row.get(0)).unwrap();
            let bytes = damaged(found.as_deref().unwrap_or("01B").as_bytes(), &mut random);
            let bytes = String::from_utf8_lossy(&bytes).into_owned();
            let bytes = if random.below(20) == 0 { None } else { Some(bytes) };
            connection.execute_batch("SAVEPOINT whole").unwrap();
            // A column that must have a value keeps it.
            let change = format!("UPDATE OR IGNORE {table} SET {column} = ?1 WHERE {row}");
            connection.execute(&change, [&bytes]).unwrap();
            match state.watermark("orders") {
                // The second form is a name beside the first: without it, both are compared by the first.
                Ok(Some(now)) => assert_eq!(
                    Watermark { fingerprint_v2: whole.fingerprint_v2.clone(), ..now },
                    whole,
                    "{older} {table}.{column} {bytes:?}"
                ),
                Ok(None) => panic!("{older} {table}.{column} {bytes:?}: a watermark that is gone in silence"),
                Err(_) => refused += 1,
            }
            connection.execute_batch("ROLLBACK TO whole; RELEASE whole").unwrap();
        }
        assert!(refused > 150, "{older} {refused}");
    }
}
