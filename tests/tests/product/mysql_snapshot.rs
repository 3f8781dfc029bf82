//! One read point for all workers on MySQL and MariaDB: money that moves between chunks is
//! neither lost nor made, and the lock that it takes is gone once all workers have joined.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use rivet_tests::{
    mysql::{self, Database, User},
    readers, rivet,
};

const ACCOUNTS: u64 = 8000;

/// Transactions that each move money between two accounts, as one client's batch.
fn moves(step: &mut u64) -> String {
    let mut sql = String::new();
    for _ in 0..60 {
        *step += 1;
        let (from, to) = (*step * 7919 % ACCOUNTS + 1, *step * 104_729 % ACCOUNTS + 1);
        write!(
            sql,
            "START TRANSACTION; UPDATE account SET balance = balance - 10 WHERE id = {from}; \
             UPDATE account SET balance = balance + 10 WHERE id = {to}; COMMIT;"
        )
        .unwrap();
    }
    sql
}

fn export(database: &Database, user: User, consistency: &str) -> rivet::Command {
    let project = rivet::project();
    // A pause between statements: the writer gets in between any two chunks.
    project.config(&format!(
        "source: {{url_env: DATABASE_URL, tuning: {{throttle_ms: 300}}}}\nexports:\n  - {{name: e, table: account, \
         format: parquet, mode: chunked, chunk_size: 500, parallel: 3, consistency: {consistency}, \
         destination: {{type: local, path: '{{out}}'}}}}\n"
    ));
    let command = project.rivet("run").arg("--json").env("DATABASE_URL", database.url_as(user));
    KEPT.with(|kept| kept.borrow_mut().push(project));
    command
}

thread_local! {
    /// Projects live as long as the test that made them.
    static KEPT: std::cell::RefCell<Vec<rivet::Project>> = const { std::cell::RefCell::new(Vec::new()) };
}

#[test]
fn money_that_moves_between_chunks_is_neither_lost_nor_made() {
    for server in mysql::servers() {
        let database = server.database();
        database.run(&format!(
            "CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL); \
             INSERT INTO account WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 100) \
             SELECT (a.i - 1) * 100 + b.i, 1000 FROM r AS a, r AS b WHERE (a.i - 1) * 100 + b.i <= {ACCOUNTS}; \
             ANALYZE TABLE account"
        ));
        let (stop, moved) = (AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let (database, stop, moved) = (&database, &stop, &moved);
            scope.spawn(move || {
                let mut step = 0;
                while !stop.load(Ordering::SeqCst) {
                    database.run(&moves(&mut step));
                    moved.store(true, Ordering::SeqCst);
                }
            });
            while !moved.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            let command = export(database, User::Root, "snapshot");
            let output = command.ok();
            let summary = output.json()["exports"][0].clone();
            stop.store(true, Ordering::SeqCst);
            assert_eq!(summary["consistency"], "snapshot", "{}", server.name);
            assert!(summary["chunks"].as_u64().unwrap() > 10, "{summary}");
        });
        let out = KEPT.with(|kept| kept.borrow().last().unwrap().out());
        let sum = readers::sql(out, "SELECT count(DISTINCT id), sum(balance) FROM t");
        let expected = [ACCOUNTS.to_string(), (ACCOUNTS * 1000).to_string()].map(Some);
        assert_eq!(sum[0], expected, "{}", server.name);
    }
}

#[test]
fn without_the_right_to_lock_a_snapshot_is_refused_and_auto_is_per_chunk() {
    for server in mysql::servers() {
        let database = server.database();
        database.run("CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL)");
        let rows: Vec<String> = (1..=3000).map(|id| format!("({id}, 1)")).collect();
        database.run(&format!("INSERT INTO account VALUES {}; ANALYZE TABLE account", rows.join(",")));
        export(&database, User::Reader, "snapshot").fails(2).says(&["the login lacks RELOAD", "hint:"]);
        let summary = export(&database, User::Reader, "auto").ok().json()["exports"][0].clone();
        assert_eq!(summary["consistency"], "per_chunk", "{}", server.name);
        assert_eq!(summary["rows"], 3000);
    }
}

/// A transaction's snapshot holds for InnoDB only.
#[test]
fn a_table_of_an_engine_without_versions_is_not_called_a_snapshot() {
    for server in mysql::servers() {
        let database = server.database();
        database.run("CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL) ENGINE = MyISAM");
        let rows: Vec<String> = (1..=3000).map(|id| format!("({id}, 1)")).collect();
        database.run(&format!("INSERT INTO account VALUES {}; ANALYZE TABLE account", rows.join(",")));
        export(&database, User::Root, "snapshot")
            .fails(2)
            .says(&["the table's engine MyISAM has no snapshots", "hint:"]);
        let summary = export(&database, User::Root, "auto").ok().json()["exports"][0].clone();
        assert_eq!(summary["consistency"], "per_chunk", "{}", server.name);
        assert_eq!(summary["rows"], 3000);
    }
}
