//! A connection that is lost while a run is planned is made again, as one that is lost while it reads.

use std::time::Duration;

use rivet_tests::rivet::{self, Output, Project};
use rivet_tests::{mysql, postgres};

fn project(export: &str) -> Project {
    let project = rivet::project();
    project.config(&format!("source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, table: t, mode: chunked, chunk_size: 100, format: parquet, tuning: {{retry_backoff_ms: 100{export}}}, destination: {{type: local, path: '{{out}}'}}}}\n"));
    project
}

/// Runs it while somebody holds the table, ends the planner's session, and lets go.
fn killed(
    url: &str,
    export: &str,
    waits: &mut dyn FnMut() -> Option<String>,
    kill: &mut dyn FnMut(&str),
    free: &mut dyn FnMut(),
) -> Output {
    let project = project(export);
    let mut running = project.rivet("run").env("DATABASE_URL", url).spawn();
    let mut session = None;
    assert!(
        running.until(|| {
            session = waits();
            session.is_some()
        }),
        "no session waited: {}",
        running.kill()
    );
    kill(&session.unwrap());
    free();
    running.wait()
}

#[test]
fn a_session_that_is_ended_while_it_plans_is_begun_again() {
    let mut database = postgres::database();
    database.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 1000); ANALYZE t");
    let url = database.url();
    for (export, code) in [("", 0), (", max_retries: 0", 75)] {
        let (mut holder, mut admin) = (database.connect(), database.connect());
        holder.batch_execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").unwrap();
        let waits =
            "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let output = killed(
            &url,
            export,
            &mut || admin.query_opt(waits, &[]).unwrap().map(|row| row.get(0)),
            &mut |pid| {
                database.run(&format!("SELECT pg_terminate_backend({pid})"));
            },
            &mut || holder.batch_execute("COMMIT").unwrap(),
        );
        assert_eq!(output.code, Some(code), "{output}");
        match code {
            0 => output.says(&["e: planning begins again", "57P01"]),
            _ => output.says(&["57P01", "attempts 1", "hint:"]),
        };
    }
}

#[test]
fn of_mysql_and_mariadb_too() {
    for server in mysql::servers() {
        let database = server.database();
        database.run("CREATE TABLE t (id int PRIMARY KEY, w int)");
        let rows: Vec<String> = (1..=1000).map(|id| format!("({id}, 1)")).collect();
        database.run(&format!("INSERT INTO t VALUES {}; ANALYZE TABLE t", rows.join(", ")));
        let holds = || database.server.try_query(&database.name, "LOCK TABLES t WRITE; SELECT SLEEP(100) AS holder");
        let sessions = |which: &str| {
            let list = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND";
            database.rows(&format!("{list} {which}")).into_iter().next().map(|row| row[0].clone())
        };
        let kill = |session: &str| {
            database.run(&format!("KILL {session}"));
        };
        std::thread::scope(|scope| {
            scope.spawn(holds);
            let holder = loop {
                match sessions("info LIKE '%AS holder' AND user = 'root'") {
                    Some(holder) => break holder,
                    None => std::thread::sleep(Duration::from_millis(20)),
                }
            };
            let waits = &mut || sessions("user = 'reader' AND state LIKE 'Waiting for table%'");
            let output = killed(&database.url(), "", waits, &mut |session| kill(session), &mut || kill(&holder));
            assert_eq!(output.code, Some(0), "{output}");
            output.says(&["e: planning begins again"]);
        });
    }
}

/// A source that is not there is told at once: it may be the wrong one.
#[test]
fn what_was_never_reached_is_not_tried_again() {
    let project = project("");
    let output = project.rivet("run").env("DATABASE_URL", "postgresql://me:x@127.0.0.1:9/db").run();
    assert_eq!(output.code, Some(75), "{output}");
    output.says(&["cannot connect"]).never_says("begins again");
}
