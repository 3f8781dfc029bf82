//! What the state store promises, in a file and in PostgreSQL alike: one lease an export, a
//! watermark that only moves from where it was, a history, and nothing touched that is not ours.

use std::time::Duration;

use rivet::state::{RunNumbers, RunStatus, State, Watermark};
use rivet_sdk::{ErrorKind, Scalar, Secret};
use rivet_tests::postgres::{self, Database};

/// Runs a test on a fresh store of each kind, also behind a pooler that lends connections by
/// transaction. It may open it as often as it likes.
fn each(test: impl Fn(&(dyn Fn() -> State + Sync))) {
    let folder = tempfile::tempdir().unwrap();
    test(&|| State::open(folder.path()).unwrap());
    let database = postgres::database();
    let url = Secret::new(database.url());
    test(&|| State::open_url(&url).unwrap());
    let database = postgres::database();
    let url = Secret::new(database.url_pooled());
    test(&|| State::open_url(&url).unwrap());
}

fn at(value: &str, run_id: &str) -> Watermark {
    Watermark {
        export: "orders".to_owned(),
        fingerprint: "source, table, cursor and destination".to_owned(),
        fingerprint_v2: None,
        cursor: vec!["updated_at".to_owned(), "id".to_owned()],
        values: vec![Scalar::Instant(value.to_owned()), Scalar::Integer(i128::from(u64::MAX))],
        run_id: run_id.to_owned(),
        updated_at: "2026-01-02T03:04:05Z".to_owned(),
        ties: None,
    }
}

#[test]
fn a_watermark_moves_only_from_where_it_is_expected() {
    each(|open| {
        let (first, second, other) = (at("2026-01-01 00:00:00.000001+00", "01A"), at("b", "01B"), at("c", "01C"));
        assert!(!open().advance(Some(&first), &second).unwrap(), "nothing is there to move from");
        assert!(open().advance(None, &first).unwrap());
        assert!(open().advance(None, &first).unwrap(), "the same run again");
        assert!(!open().advance(None, &second).unwrap());
        assert!(!open().advance(Some(&other), &second).unwrap());
        let elsewhere = Watermark { fingerprint: "another table".to_owned(), ..first.clone() };
        assert!(!open().advance(Some(&elsewhere), &second).unwrap());
        assert!(open().advance(Some(&first), &second).unwrap());
        assert_eq!(open().watermark("orders").unwrap(), Some(second.clone()));
        assert_eq!(open().watermark("customers").unwrap(), None);
        assert_eq!(open().watermarks().unwrap(), std::slice::from_ref(&second));
        assert_eq!(open().reset_watermark("orders").unwrap(), Some(second.clone()));
        assert_eq!(open().reset_watermark("orders").unwrap(), None);
        let moves = open().advances(None, 10).unwrap();
        let mut moves: Vec<_> = moves.into_iter().map(|moved| (moved.step, moved.run_id, moved.to)).collect();
        moves.sort_by_key(|moved| moved.0);
        let run = |text: &str| Some(text.to_owned());
        assert_eq!(
            moves,
            [
                (1, run("01A"), Some(first.values)),
                (2, run("01B"), Some(second.values)),
                (3, None, None),
                (4, None, None)
            ]
        );
    });
}

#[test]
fn of_many_who_move_a_watermark_one_does() {
    each(|open| {
        open().advance(None, &at("0", "01A")).unwrap();
        for round in 0..4 {
            let from = at(&round.to_string(), "any");
            let won = std::thread::scope(|scope| {
                let racers: Vec<_> = (0..12)
                    .map(|racer| {
                        let from = &from;
                        let to = at(&(round + 1).to_string(), &format!("01B{racer}"));
                        scope.spawn(move || open().advance(Some(from), &to).unwrap())
                    })
                    .collect();
                racers.into_iter().map(|racer| u32::from(racer.join().unwrap())).sum::<u32>()
            });
            assert_eq!(won, 1);
        }
        assert_eq!(open().advances(Some("orders"), 100).unwrap().len(), 5);
    });
}

#[test]
fn of_many_who_want_a_lease_one_gets_it_and_all_do_in_turn() {
    each(|open| {
        let first = open();
        let lease = first.acquire("orders", Duration::ZERO).unwrap();
        let refused = open().acquire("orders", Duration::ZERO).unwrap_err();
        assert_eq!((refused.kind(), refused.code()), (ErrorKind::Conflict, Some("busy")));
        open().acquire("customers", Duration::ZERO).unwrap();
        lease.check(&first).unwrap();
        let mut tokens = std::thread::scope(|scope| {
            let wait = || open().acquire("orders", Duration::from_secs(60)).unwrap().token();
            let waiting: Vec<_> = (0..4).map(|_| scope.spawn(wait)).collect();
            drop(lease);
            waiting.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        tokens.sort_unstable();
        assert_eq!(tokens, [2, 3, 4, 5]);
    });
}

#[test]
fn a_store_is_made_once_however_many_begin_with_it() {
    let database = postgres::database();
    let url = Secret::new(database.url());
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for number in 0..16 {
            let (url, folder) = (&url, folder.path());
            scope.spawn(move || {
                let state = if number % 2 == 0 { State::open_url(url) } else { State::open(folder) }.unwrap();
                state.run_started(&format!("01A{number:02}"), "orders", "plan").unwrap();
            });
        }
    });
    assert_eq!(State::open_url(&url).unwrap().runs(Some("orders"), 100).unwrap().len(), 8);
    assert_eq!(State::open(folder.path()).unwrap().runs(Some("orders"), 100).unwrap().len(), 8);
}

#[test]
fn the_journal_keeps_what_runs_took_and_how_they_ended() {
    each(|open| {
        let state = open();
        let numbers = RunNumbers { rows: Some(10), bytes: Some(1 << 40), parts: Some(0), ..RunNumbers::default() };
        state.run_started("01A", "orders", "sha256:1").unwrap();
        state.run_succeeded("01A", &numbers, Some("late commits: 2 rows 'quoted'")).unwrap();
        state.run_started("01B", "orders", "sha256:2").unwrap();
        state.run_failed("01B", RunStatus::Failed, "no table \u{1f980} 'quoted'").unwrap();
        state.run_started("01C", "orders", "sha256:3").unwrap();
        state.run_started("01D", "orders", "sha256:3").unwrap();
        state.run_started("01E", "customers", "sha256:3").unwrap();
        let runs = open().runs(Some("orders"), 10).unwrap();
        let ends: Vec<_> = runs.iter().map(|run| (run.status, run.numbers, run.error.as_deref())).collect();
        let none = RunNumbers::default();
        assert_eq!(
            ends,
            [
                (RunStatus::Running, none, None),
                (RunStatus::Interrupted, none, None),
                (RunStatus::Failed, none, Some("no table \u{1f980} 'quoted'")),
                (RunStatus::Succeeded, numbers, None),
            ]
        );
        let risks: Vec<_> = runs.iter().map(|run| run.at_risk.as_deref()).collect();
        assert_eq!(risks, [None, None, None, Some("late commits: 2 rows 'quoted'")]);
        assert_eq!(open().runs(None, 1).unwrap()[0].run_id, "01E");
    });
}

#[test]
fn the_last_schema_is_remembered() {
    each(|open| {
        assert_eq!(open().schema("orders").unwrap(), None);
        open().remember_schema("orders", "01A", "[1]").unwrap();
        open().remember_schema("orders", "01B", "[{\"name\": \"é?1\"}]").unwrap();
        let seen = open().schema("orders").unwrap().unwrap();
        assert_eq!((seen.run_id.as_str(), seen.json.as_str()), ("01B", "[{\"name\": \"é?1\"}]"));
    });
}

#[test]
fn a_connection_that_broke_is_made_again() {
    let mut database = postgres::database();
    let state = State::open_url(&Secret::new(database.url())).unwrap();
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rivet'
                AND datname = current_database()";
    let lease = state.acquire("orders", Duration::ZERO).unwrap();
    database.run(kill);
    assert!(state.advance(None, &at("1", "01A")).unwrap());
    database.run(kill);
    assert_eq!(state.watermark("orders").unwrap(), Some(at("1", "01A")));
    lease.check(&state).unwrap();
    database.run(kill);
    drop(lease);
    assert_eq!(state.acquire("orders", Duration::ZERO).unwrap().token(), 2);
}

/// A process that was stopped long enough for another to take its lease.
#[test]
fn a_lease_that_another_took_is_lost() {
    let mut database = postgres::database();
    let url = Secret::new(database.url());
    let (slow, fast) = (State::open_url(&url).unwrap(), State::open_url(&url).unwrap());
    let lost = slow.acquire("orders", Duration::ZERO).unwrap();
    database.run("UPDATE rivet_lease SET expires_ms = 0");
    let taken = fast.acquire("orders", Duration::ZERO).unwrap();
    assert_eq!(lost.check(&slow).unwrap_err().code(), Some("lease_lost"));
    drop(lost);
    taken.check(&fast).unwrap();
    assert_eq!(slow.acquire("orders", Duration::ZERO).unwrap_err().code(), Some("busy"));
}

#[test]
fn newer_foreign_and_damaged_databases_are_refused_and_not_touched() {
    let refused = |database: &Database| State::open_url(&Secret::new(database.url())).unwrap_err();
    let tables = "SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_tables WHERE schemaname = 'public'";
    let mut other = postgres::database();
    other.run("CREATE TABLE export_state (export_name text)");
    let error = refused(&other);
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, Some("foreign_state")));
    assert!(error.to_string().contains("export_state") && error.hint().is_some());
    assert_eq!(other.value(tables).as_deref(), Some("export_state"));
    let mut newer = postgres::database();
    drop(State::open_url(&Secret::new(newer.url())).unwrap());
    newer.run("UPDATE rivet_version SET version = 99");
    assert_eq!(refused(&newer).code(), Some("newer_state"));
    newer.run("DELETE FROM rivet_version");
    assert_eq!(refused(&newer).code(), Some("damaged_state"));
}

#[test]
fn old_tables_are_brought_forward() {
    let mut database = postgres::database();
    let url = Secret::new(database.url());
    let state = State::open_url(&url).unwrap();
    state.run_started("01A", "orders", "plan").unwrap();
    drop(state);
    // As the first version left them.
    database.run(
        "DROP TABLE rivet_watermark, rivet_advance, rivet_schema; UPDATE rivet_version SET version = 1;
         ALTER TABLE rivet_lease DROP COLUMN claim;
         ALTER TABLE rivet_run DROP COLUMN parts, DROP COLUMN retries, DROP COLUMN elapsed_ms,
             DROP COLUMN longest_statement_ms, DROP COLUMN peak_memory_bytes, DROP COLUMN at_risk",
    );
    let state = State::open_url(&url).unwrap();
    assert_eq!(state.runs(None, 10).unwrap().len(), 1);
    assert!(state.advance(None, &at("1", "01A")).unwrap());
}
