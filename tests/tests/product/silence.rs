//! A server that falls silent holds nobody up: a login has its time, a statement has its own, and the first Ctrl-C ends
//! a command, whatever it waits for.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use rivet_loader::{Plugin, Search, Settings};
use rivet_sdk::{Context, ErrorKind, ExportRequest, Relation, SessionPolicy, Source, TableName};
use rivet_tests::faults::{self, Faults};
use rivet_tests::{mssql, mysql, postgres, rivet, sqlite};
use rustix::process::{Pid, Signal, kill_process};

/// How long a command may take after the first Ctrl-C.
const AT_MOST: Duration = Duration::from_secs(12);

/// A database on one of the servers, with a table `t`, and what rivet says to it.
struct Place {
    /// Without TLS, so that a proxy sees what is said.
    url: String,
    /// In the first statement after the login.
    first: &'static str,
    /// In a statement of every command.
    identity: &'static str,
    /// In a statement that describes a table.
    describe: &'static str,
    _database: Box<dyn std::any::Any>,
}

/// One on each kind of server.
fn places() -> Vec<Place> {
    let mut places = Vec::new();
    let mut database = postgres::database();
    database.run("CREATE TABLE t AS SELECT 1 AS id");
    places.push(Place {
        url: format!("{}?sslmode=disable", database.url()),
        first: "extra_float_digits",
        identity: "rolbypassrls",
        describe: "pg_index",
        _database: Box::new(database),
    });
    for server in mysql::servers() {
        let database = server.database();
        database.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
        places.push(Place {
            url: format!("{}?ssl-mode=DISABLED", database.url()),
            first: "@@SESSION.sql_mode",
            identity: "@@version_comment",
            describe: "information_schema.STATISTICS",
            _database: Box::new(database),
        });
    }
    let mut database = mssql::database();
    database.run("CREATE TABLE t (id int NOT NULL PRIMARY KEY); INSERT INTO t VALUES (1)");
    places.push(Place {
        url: format!("{}?encrypt=disable", database.url()),
        first: "sys.databases",
        identity: "ProductVersion",
        describe: "sys.indexes",
        _database: Box::new(database),
    });
    places
}

/// A proxy that passes nothing on from the first piece on that holds `text`.
fn silent_from(url: &str, text: &'static str) -> (faults::Proxy, String) {
    let proxy = faults::proxy(url);
    proxy.set(Faults { silent_from: Some(text), ..Faults::default() });
    let url = proxy.endpoint(url);
    (proxy, url)
}

fn project(source: &str, export: &str) -> rivet::Project {
    let project = rivet::project();
    project.config(&format!(
        "source: {{url_env: DATABASE_URL, tuning: {{max_retries: 0}}{source}}}\nexports:\n  - {{name: e, {export}, \
         format: csv, destination: {{type: local, path: '{{out}}'}}}}\n"
    ));
    project
}

#[test]
fn a_login_has_its_time_from_the_first_byte_to_the_last() {
    let places = places();
    let urls: Vec<(&str, &'static str)> = places.iter().map(|place| (place.url.as_str(), place.first)).collect();
    thread::scope(|scope| {
        for (url, first) in urls {
            scope.spawn(move || {
                // One that takes the connection and says nothing, and one that stops in the middle of the login.
                let mute = TcpListener::bind("127.0.0.1:0").unwrap();
                let authority = url.rsplit_once('@').unwrap().1.split('/').next().unwrap();
                let nobody = url.replacen(authority, &mute.local_addr().unwrap().to_string(), 1);
                let (proxy, stalled) = silent_from(url, first);
                for url in [nobody, stalled] {
                    let project = project(", connect_timeout_s: 1", "table: t");
                    let began = Instant::now();
                    let output = project.rivet("check").env("DATABASE_URL", &url).run();
                    assert!(began.elapsed() < AT_MOST && output.code != Some(0), "{output}");
                    output.says(&["did not complete the login within 1 seconds", "hint:", "`connect_timeout_s`"]);
                }
                assert!(proxy.done() > 0);
            });
        }
    });
}

#[test]
fn a_login_has_its_time_inside_tls_too() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    // PostgreSQL's agreement to TLS, and nothing of the handshake.
    thread::spawn(move || {
        let mut kept = Vec::new();
        for mut client in server.incoming().flatten() {
            let _ = client.read_exact(&mut [0; 8]).and_then(|()| client.write_all(b"S"));
            kept.push(client);
        }
    });
    let project = project(", connect_timeout_s: 1", "table: t");
    let began = Instant::now();
    let output = project.rivet("check").env("DATABASE_URL", format!("postgres://me:secret@{address}/d")).run();
    assert!(began.elapsed() < AT_MOST && output.code != Some(0), "{output}");
    output.says(&["did not complete the login within 1 seconds", "hint:"]);
}

/// Waits until the proxy has fallen silent, then asks once to stop.
#[track_caller]
fn interrupted(mut running: rivet::Running, silent: &dyn Fn() -> bool) -> rivet::Output {
    assert!(running.until(silent), "{}", running.wait());
    thread::sleep(Duration::from_millis(300));
    let asked = Instant::now();
    let output = running.interrupt();
    let took = asked.elapsed();
    assert!(took < AT_MOST, "{took:?}\n{output}");
    assert_eq!(output.code, Some(130), "{took:?}\n{output}");
    output
}

#[test]
fn the_first_ctrl_c_ends_every_command_whose_server_is_silent() {
    let places = places();
    let urls: Vec<(&str, &'static str, &'static str)> =
        places.iter().map(|place| (place.url.as_str(), place.identity, place.describe)).collect();
    thread::scope(|scope| {
        for (url, identity, describe) in urls {
            let commands = [("run", describe), ("doctor", identity), ("check", describe), ("plan", identity)];
            for (command, text) in commands.into_iter().take(if rivet_tests::slow() { 4 } else { 2 }) {
                scope.spawn(move || {
                    let project = project("", "table: t");
                    let (proxy, url) = silent_from(url, text);
                    let running = project.rivet(command).env("DATABASE_URL", url).spawn();
                    let output = interrupted(running, &|| proxy.done() > 0);
                    let told = format!("{}{}", output.stdout, output.stderr);
                    assert!(told.contains("interrupted") && told.contains("left behind"), "{command}: {output}");
                    assert!(!project.out().join("_SUCCESS").exists());
                });
            }
            scope.spawn(move || {
                let project = rivet::project();
                let (proxy, url) = silent_from(url, identity);
                let command = rivet::Command::new().args(["init", "--source-env", "DATABASE_URL", "-o", "-"]);
                let running = command.folder(project.folder()).env("DATABASE_URL", url).spawn();
                interrupted(running, &|| proxy.done() > 0).says(&["interrupted", "left behind"]);
            });
        }
    });
}

/// A backend of PostgreSQL's is a process, which can be stopped in the middle of a statement.
#[test]
fn a_backend_that_is_stopped_while_it_plans_holds_nobody_up() {
    thread::scope(|scope| {
        for command in ["run", "check"] {
            scope.spawn(move || {
                let mut database = postgres::database();
                database.run("CREATE TABLE t AS SELECT 1 AS id");
                let (mut holder, mut watch) = (database.connect(), database.connect());
                holder.batch_execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").unwrap();
                let project = project("", "table: t");
                let mut running = project.rivet(command).env("DATABASE_URL", database.url()).spawn();
                let mut backend = None;
                running.until(|| {
                    let sql = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = $1";
                    backend = watch.query_opt(sql, &[&database.name]).unwrap().map(|row| row.get::<_, i32>(0));
                    backend.is_some()
                });
                let backend = Pid::from_raw(backend.expect("it waits for the lock")).unwrap();
                kill_process(backend, Signal::STOP).unwrap();
                let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| interrupted(running, &|| true)));
                kill_process(backend, Signal::CONT).unwrap();
                ended.unwrap().says(&["interrupted", "left behind"]);
            });
        }
    });
}

#[test]
fn ctrl_c_reaches_a_planning_statement_on_the_server() {
    let mut database = postgres::database();
    database.run("CREATE TABLE t AS SELECT 1 AS id");
    let (mut holder, mut watch) = (database.connect(), database.connect());
    holder.batch_execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").unwrap();
    let mut waiting = move || {
        let sql =
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        watch.query_one(sql, &[]).unwrap().get::<_, i64>(0) > 0
    };
    for command in ["run", "check"] {
        let project = project("", "table: t");
        let mut running = project.rivet(command).env("DATABASE_URL", database.url()).spawn();
        assert!(running.until(&mut waiting));
        let asked = Instant::now();
        let output = running.interrupt();
        assert_eq!(output.code, Some(130), "{output}");
        output.says(&["interrupted"]).never_says("left behind");
        // Not by the grace period: the server has stopped it.
        assert!(asked.elapsed() < Duration::from_secs(8), "{:?}\n{output}", asked.elapsed());
        assert!(!waiting());
    }
}

/// An instance of the plugin for this URL, as a host has it.
fn open(url: &str) -> Box<dyn Source> {
    let search = Search::new([(rivet::plugins(), "--plugin-dir")]);
    let name = search.name_for_scheme(url.split(':').next().unwrap(), |candidate| candidate.wins).unwrap();
    let found = search.find(&name).unwrap();
    let settings = Settings { log: |_, _, _, _| {}, level: log::LevelFilter::Off, untrusted: false };
    let plugin = Plugin::load(&found.inspected, settings).unwrap();
    plugin.open_source(&serde_json::json!({ "url": url }), &Context::detached()).unwrap()
}

/// The server cannot: it does not hear of the statement.
#[test]
fn a_client_keeps_the_limits_of_its_statements_too() {
    let places = places();
    let urls: Vec<(&str, &'static str)> = places.iter().map(|place| (place.url.as_str(), place.describe)).collect();
    thread::scope(|scope| {
        for (url, text) in urls {
            scope.spawn(move || {
                let (_proxy, url) = silent_from(url, text);
                let mut source = open(&url);
                source.limit(&SessionPolicy::new(Some(1_000), Some(1_000))).unwrap();
                let began = Instant::now();
                let error = source.describe(&Relation::Table(TableName::unqualified("t"))).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Timeout, "{url}: {error:?}");
                assert!(error.message().contains("kept a statement waiting"), "{error:?}");
                assert!(error.hint().unwrap().contains("statement_timeout_s"), "{error:?}");
                // Ten seconds for the server to end it, and some to give it up.
                assert!(began.elapsed() < Duration::from_secs(25), "{url}: {:?}", began.elapsed());
            });
        }
        // What comes with an export keeps the export's.
        let url = places[0].url.as_str();
        scope.spawn(move || {
            let (_proxy, url) = silent_from(url, "count(*)");
            let mut source = open(&url);
            let mut request = ExportRequest::whole(Relation::Table(TableName::unqualified("t")));
            request.session = SessionPolicy::new(Some(1_000), None);
            assert_eq!(source.count(&request).unwrap_err().kind(), ErrorKind::Timeout);
        });
    });
}

/// To cancel in MySQL is to log in once more, in PostgreSQL to connect once more.
#[test]
fn a_statement_that_nobody_can_be_asked_to_stop_loses_its_connection() {
    let stopped = |source: &mut dyn Source, sql: &str| {
        let interrupt = source.interrupt().unwrap();
        thread::scope(|scope| {
            let asking = scope.spawn(move || {
                thread::sleep(Duration::from_secs(1));
                interrupt.interrupt().unwrap_err()
            });
            let began = Instant::now();
            let error = source.query_scalar(sql).unwrap_err();
            assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
            assert_eq!(error.kind(), ErrorKind::Cancelled, "{error:?}");
            let told = asking.join().unwrap();
            assert!(told.message().contains("its connection was closed instead"), "{told:?}");
            assert!(told.hint().is_some());
            told
        })
    };
    for server in mysql::servers() {
        let database = server.database();
        let user = format!("one{}", database.name);
        server.query("", &format!("CREATE USER {user} IDENTIFIED BY 'secret' WITH MAX_USER_CONNECTIONS 1"));
        let mut source = open(&format!("mysql://{user}:secret@{}/", server.place()));
        let told = stopped(&mut *source, "SELECT SLEEP(30)");
        assert!(told.chain().concat().contains("max_user_connections"), "{told:?}");
        drop(source);
        server.query("", &format!("DROP USER {user}"));
    }
    let database = postgres::database();
    let url = format!("{}?sslmode=disable", database.url());
    let proxy = faults::proxy(&url);
    let mut source = open(&proxy.endpoint(&url));
    // What connects from now on is not heard.
    proxy.set(Faults { stall_one_in: 1, ..Faults::default() });
    stopped(&mut *source, "SELECT 1 FROM pg_sleep(30)");
}

/// The state's database is waited for with limits, too, and Ctrl-C ends what waits for it.
#[test]
fn a_state_store_that_falls_silent_holds_nobody_up() {
    let (database, mut source) = (postgres::database(), sqlite::database());
    source.run("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
    let project = rivet::project();
    project.config(&format!(
        "source: {{url: '{}'}}\nstate: {{url_env: STATE_URL}}\nexports:\n  - {{name: e, table: t, format: csv, \
         destination: {{type: local, path: '{{out}}'}}}}\n",
        source.url()
    ));
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("postgres://me:secret@{}/d?sslmode=disable&connect_timeout=1", mute.local_addr().unwrap());
    let output = project.rivet("run").env("STATE_URL", nobody).fails(75);
    output.says(&["state store: the login was not over within 1 s", "hint:"]);
    let (proxy, silent) = silent_from(&format!("{}?sslmode=disable", database.url()), "pg_advisory_xact_lock");
    let running = project.rivet("run").env("STATE_URL", silent).spawn();
    interrupted(running, &|| proxy.done() > 0).says(&["interrupted", "left behind", "hint:"]);
    assert!(!project.out().join("_SUCCESS").exists());
}
