//! MySQL and MariaDB as they misbehave, and as they demand: the real binary says what to do, and loses no row.

use rivet_tests::{
    mysql::{self, Database, User},
    readers, rivet,
};

const EXPORT: &str = "exports:\n  - {name: e, table: t, format: parquet, destination: {type: local, path: '{out}'}}\n";

fn table(database: &Database) {
    database.run("CREATE TABLE t (id int PRIMARY KEY, n decimal(10,2)); INSERT INTO t VALUES (1, 1.5), (2, NULL)");
}

#[test]
fn logins_and_tls_that_cannot_work_say_what_to_do_and_never_the_password() {
    for server in mysql::servers() {
        let database = server.database();
        table(&database);
        let project = rivet::project();
        let run = |url: String, tls: &str| {
            project.config(&format!("source: {{url_env: DATABASE_URL{tls}}}\n{EXPORT}"));
            project.rivet("run").env("DATABASE_URL", url)
        };
        let wrong = database.url().replace("secret", "not-the-password");
        run(wrong, "").fails(1).says(&["1045", "hint:", "password"]).never_says("not-the-password");
        // The account demands TLS.
        run(database.url_as(User::TlsOnly), ", tls: {mode: disable}").fails(1).says(&["1045", "TLS"]);
        run(database.url_as(User::TlsOnly), ", tls: {mode: require}").ok();
        let Some(ca) = server.ca() else { continue };
        let full = format!(", tls: {{mode: verify-full, ca_file: '{}'}}", ca.display());
        run(database.url(), &full).ok();
        // The certificate is for localhost and 127.0.0.1.
        let elsewhere = database.url().replace("127.0.0.1", "127.0.0.2");
        run(elsewhere, &full).fails(1).says(&["TLS", "hint:", "certificate"]);
        let other = full.replace("ca.crt", "other-ca.crt");
        run(database.url(), &other).fails(1).says(&["TLS", "hint:"]);
    }
}

#[test]
fn five_connections_are_enough_for_four_workers() {
    for server in mysql::servers() {
        let database = server.database();
        database.run(
            "CREATE TABLE t (id int PRIMARY KEY, s char(64)); INSERT INTO t WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 300) \
             SELECT (a.i - 1) * 300 + b.i, SHA2(a.i * 1000 + b.i, 256) FROM r AS a, r AS b; ANALYZE TABLE t",
        );
        // The server itself counts: a sixth login within the hour is refused.
        let user = format!("five{}", std::process::id());
        database.run(&format!(
            "CREATE USER {user} IDENTIFIED BY 'secret' WITH MAX_CONNECTIONS_PER_HOUR 5; GRANT SELECT ON {}.* TO {user}",
            database.name
        ));
        let project = rivet::project();
        project.config("source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, table: t, format: parquet, mode: chunked, chunk_size: 5000, parallel: 4, tuning: {max_retries: 0}, destination: {type: local, path: '{out}'}}\n");
        let url = database.url().replace("reader", &user);
        let output = project.rivet("run").arg("--json").env("DATABASE_URL", url).ok();
        database.run(&format!("DROP USER {user}"));
        assert_eq!(output.json()["exports"][0]["rows"], 90_000);
        let found = readers::sql(project.out(), "SELECT count(*), count(DISTINCT id), sum(id) FROM t");
        assert_eq!(found, [["90000", "90000", "4050045000"].map(|text| Some(text.to_owned())).to_vec()]);
    }
}

#[test]
fn a_column_retyped_between_plan_and_run_is_drift() {
    for server in mysql::servers() {
        let database = server.database();
        table(&database);
        let project = rivet::project();
        project.config(&format!("source: {{url_env: DATABASE_URL}}\n{EXPORT}"));
        let plan = project.path("plan.json");
        project.rivet("plan").arg("-o").arg(&plan).env("DATABASE_URL", database.url()).ok();
        database.run("ALTER TABLE t MODIFY n varchar(20)");
        let apply = rivet::Command::new().arg("apply").arg(&plan).folder(project.folder());
        apply.env("DATABASE_URL", database.url()).fails(4).says(&["`n`"]);
        assert!(!project.out().exists() || readers::files(project.out()).is_empty());
    }
}

#[test]
fn a_table_dropped_between_plan_and_run_is_an_error_with_a_hint() {
    for server in mysql::servers() {
        let database = server.database();
        table(&database);
        let project = rivet::project();
        project.config(&format!("source: {{url_env: DATABASE_URL}}\n{EXPORT}"));
        let plan = project.path("plan.json");
        project.rivet("plan").arg("-o").arg(&plan).env("DATABASE_URL", database.url()).ok();
        database.run("DROP TABLE t");
        let apply = rivet::Command::new().arg("apply").arg(&plan).folder(project.folder());
        apply.env("DATABASE_URL", database.url()).fails(4).says(&["does not exist", "hint:"]);
        project.rivet("run").env("DATABASE_URL", database.url()).fails(1).says(&["1146", "hint:"]);
    }
}

#[test]
fn a_connection_killed_within_a_chunk_is_tried_again_and_nothing_comes_twice() {
    for server in mysql::servers() {
        let database = server.database();
        // Rows come slowly, so that the chunk is under way when its connection is killed.
        database.run(
            "CREATE TABLE t (id int PRIMARY KEY, s char(100)); INSERT INTO t WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 600) SELECT i, REPEAT('x', 100) FROM r; \
             CREATE VIEW slow AS SELECT id, s, SLEEP(0.005) AS z FROM t",
        );
        let project = rivet::project();
        project.config("source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, query: 'SELECT * FROM slow', format: parquet, tuning: {max_retries: 3}, destination: {type: local, path: '{out}'}}\n");
        let running = project.rivet("run").arg("--json").env("DATABASE_URL", database.url()).spawn();
        let find = format!(
            "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = '{}' AND USER = 'reader' AND INFO LIKE '%slow%' AND STATE LIKE '%sleep%'",
            database.name
        );
        let mut running = running;
        let mut id = None;
        let found = running.until(|| {
            id = database.rows(&find).first().map(|row| row[0].clone());
            id.is_some()
        });
        let Some(id) = id.filter(|_| found) else { panic!("{}", running.wait()) };
        std::thread::sleep(std::time::Duration::from_millis(500));
        database.run(&format!("KILL {id}"));
        let output = running.wait();
        assert_eq!(output.code, Some(0), "{output}");
        let found = readers::sql(project.out(), "SELECT count(*), count(DISTINCT id) FROM t");
        assert_eq!(found, [[Some("600".to_owned()), Some("600".to_owned())]]);
    }
}

#[test]
fn a_table_dropped_while_it_is_exported_ends_the_run_without_a_manifest() {
    for server in mysql::servers() {
        let database = server.database();
        database.run(
            "CREATE TABLE t (id int PRIMARY KEY, s char(100)); INSERT INTO t WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 900) \
             SELECT i, REPEAT('x', 100) FROM r; ANALYZE TABLE t",
        );
        let project = rivet::project();
        // The pause is for 10 000 rows: here 180 ms after each chunk, of which the run has thirty.
        project.config("source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, table: t, format: parquet, mode: chunked, chunk_size: 30, tuning: {throttle_ms: 60000, max_retries: 1, retry_backoff_ms: 10}, destination: {type: local, path: '{out}'}}\n");
        let mut running = project.rivet("run").env("DATABASE_URL", database.url()).spawn();
        let out = project.out();
        assert!(running.until(|| out.exists() && !readers::files(&out).is_empty()), "the run was over too soon");
        // It waits for the chunk that is being read, and for nothing else.
        database.run("DROP TABLE t");
        let output = running.wait();
        assert_eq!(output.code, Some(1), "{output}");
        output.says(&["1146", "hint:"]);
        assert!(!out.join("_SUCCESS").exists());
    }
}

#[test]
fn locked_accounts_used_up_connections_and_held_locks_end_with_their_code() {
    for server in mysql::servers() {
        let database = server.database();
        table(&database);
        let user = format!("lim{}", std::process::id());
        database.run(&format!(
            "CREATE USER {user} IDENTIFIED BY 'secret' WITH MAX_USER_CONNECTIONS 1; GRANT SELECT ON {}.* TO {user}",
            database.name
        ));
        let project = rivet::project();
        project.config(&format!("source: {{url_env: DATABASE_URL, tuning: {{max_retries: 1, retry_backoff_ms: 10, lock_timeout_s: 1}}}}\n{EXPORT}"));
        let url = database.url().replace("reader", &user);
        // One that plans and reads is enough for one worker; but somebody else has it.
        let holder = rivet::project();
        let slow = EXPORT.replace("table: t,", "query: SELECT SLEEP(60) AS s,");
        holder.config(&format!("source: {{url_env: DATABASE_URL}}\n{slow}"));
        let mut holding = holder.rivet("run").env("DATABASE_URL", &url).spawn();
        let find =
            format!("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = '{user}' AND INFO LIKE '%SLEEP(60)%'");
        let found = || database.server.query("", &find).first().map(|row| row[0].clone());
        assert!(holding.until(|| found().is_some()), "nobody sleeps");
        let few = project.rivet("run").env("DATABASE_URL", &url).fails(75);
        few.says(&["1226", "hint:", "with `parallel: 1` an export needs one"]).never_says("secret");
        holding.kill();
        while let Some(id) = found() {
            database.server.try_query("", &format!("KILL {id}"));
        }
        database.run(&format!("ALTER USER {user} ACCOUNT LOCK"));
        let locked = if server.is_mariadb() { "4151" } else { "3118" };
        project.rivet("run").env("DATABASE_URL", &url).fails(1).says(&[locked, "hint:", "UNLOCK"]);
        database.run(&format!("DROP USER {user}"));
        std::thread::scope(|scope| {
            let holder =
                scope.spawn(|| database.server.try_query(&database.name, "LOCK TABLES t WRITE; SELECT SLEEP(60)"));
            let find = format!(
                "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = '{}' AND INFO LIKE 'SELECT SLEEP%'",
                database.name
            );
            let id = loop {
                if let Some(row) = database.server.query("", &find).first() {
                    break row[0].clone();
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            };
            let output = project.rivet("run").env("DATABASE_URL", database.url()).run();
            database.server.query("", &format!("KILL {id}"));
            assert!(holder.join().unwrap().is_none(), "it ended by itself");
            assert_eq!(output.code, Some(1), "{output}");
            output.says(&["1205", "hint:", "lock_timeout_s"]);
        });
        assert!(!project.out().exists() || readers::files(project.out()).is_empty());
    }
}

#[test]
fn a_compressed_source_exports_the_same_rows() {
    for server in mysql::servers() {
        let database = server.database();
        database.run(
            "CREATE TABLE t (id int PRIMARY KEY, s varchar(200), b longblob); INSERT INTO t WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 900) \
             SELECT i, REPEAT(SHA2(i, 256), 3), IF(i = 7, REPEAT('0123456789', 2000000), UNHEX(SHA2(i, 512))) FROM r; ANALYZE TABLE t",
        );
        let read = |compression: &str| {
            let project = rivet::project();
            project.config(&format!("source: {{type: mysql, url_env: DATABASE_URL, compression: {compression}}}\nexports:\n  - {{name: e, table: t, format: parquet, mode: chunked, chunk_size: 200, parallel: 3, destination: {{type: local, path: '{{out}}'}}}}\n"));
            project.rivet("run").env("DATABASE_URL", database.url()).ok();
            readers::sql(
                project.out(),
                "SELECT count(*), count(DISTINCT id), md5(string_agg(concat(id, '|', s, '|', md5(b::VARCHAR)), ',' ORDER BY id)) FROM t",
            )
        };
        let plain = read("none");
        assert_eq!(plain[0][..2], [Some("900".to_owned()), Some("900".to_owned())]);
        for compression in if server.is_mariadb() { &["zlib"][..] } else { &["zlib", "zstd"] } {
            assert_eq!(read(compression), plain, "{compression} on {}", server.name);
        }
    }
}

#[test]
fn a_statement_that_takes_too_long_is_not_tried_again() {
    for server in mysql::servers() {
        let database = server.database();
        database.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 500) SELECT i FROM r");
        let project = rivet::project();
        project.config("source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, query: 'SELECT SUM(a.id * b.id - c.id * d.id) AS c FROM t AS a, t AS b, t AS c, t AS d', format: parquet, tuning: {statement_timeout_s: 1}, destination: {type: local, path: '{out}'}}\n");
        let code = if server.is_mariadb() { "1969" } else { "3024" };
        project.rivet("run").env("DATABASE_URL", database.url()).fails(1).says(&[code, "hint:", "statement_timeout_s"]);
    }
}

/// The server takes short statements only, until this is dropped.
struct Short<'a>(&'a Database, String);

impl<'a> Short<'a> {
    fn of(database: &'a Database, bytes: usize) -> Self {
        let before = database.rows("SELECT @@GLOBAL.max_allowed_packet").remove(0).remove(0);
        database.run(&format!("SET GLOBAL max_allowed_packet = {bytes}"));
        Self(database, before)
    }
}

impl Drop for Short<'_> {
    fn drop(&mut self) {
        self.0.run(&format!("SET GLOBAL max_allowed_packet = {}", self.1));
    }
}

#[test]
fn a_statement_larger_than_the_server_takes_is_told() {
    for server in mysql::servers() {
        let database = server.database();
        table(&database);
        let most = 1 << 20;
        let _short = Short::of(&database, most);
        let project = rivet::project();
        project.write("large.sql", format!("SELECT id /* {} */ FROM t", "x".repeat(most)));
        project.config(&format!(
            "source: {{url_env: DATABASE_URL}}\n{}",
            EXPORT.replace("table: t", "query_file: large.sql")
        ));
        let output = project.rivet("run").env("DATABASE_URL", database.url()).fails(1);
        output.says(&["1153", "hint:", "max_allowed_packet"]).never_says("xxxx");
    }
}

#[test]
fn doctor_check_plan_run_and_validate_work() {
    for server in mysql::servers() {
        let database = server.database();
        database.run("CREATE TABLE t (id int PRIMARY KEY, n decimal(10,2)); INSERT INTO t VALUES (1, 1.5), (2, NULL)");
        let project = rivet::project();
        project.config("source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, table: t, format: parquet, destination: {type: local, path: '{out}'}}\n");
        let command = |name: &str| project.rivet(name).env("DATABASE_URL", database.url_as(User::TlsOnly));
        let doctor = command("doctor").ok();
        assert!(doctor.stdout.contains("TLSv1.3") && doctor.stdout.contains("GRANT RELOAD"), "{doctor}");
        command("check").ok();
        command("plan").ok();
        command("run").ok();
        command("validate").ok();
        let found = readers::sql(project.out(), "SELECT count(*), sum(n)::VARCHAR FROM t");
        assert_eq!(found, [[Some("2".to_owned()), Some("1.50".to_owned())]]);
    }
}
