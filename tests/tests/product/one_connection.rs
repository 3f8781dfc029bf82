//! A login that is allowed one connection exports: one worker reads with the planner's own instance, counts with it,
//! and gives its connection back before anybody needs the next one.

use rivet_tests::{faults, mysql, postgres, readers, rivet};

/// Everything that a command does over such a login.
fn one_is_enough(url: &str, many: u64) {
    let wire = faults::proxy(url);
    let url = wire.endpoint(url);
    let project = rivet::project();
    let export = |name: &str, table: &str, more: &str| {
        format!(
            "  - {{name: {name}, table: {table}, format: parquet, {more}, destination: {{type: local, path: '{{out}}/{name}'}}}}\n"
        )
    };
    // Several at once, as far as one connection allows; each counts its rows, too.
    project.config(&format!(
        "source: {{url_env: DATABASE_URL, max_connections: 1}}\nparallel_exports: 3\nexports:\n{}{}{}",
        export("whole", "t", "mode: full, chunk_by: none"),
        export("cut", "t", "mode: chunked, chunk_size: 1000, reconcile_required: true, consistency: snapshot"),
        export("more", "t", "mode: incremental, cursor_column: id, reconcile_required: true"),
    ));
    let command = |name: &str| project.rivet(name).env("DATABASE_URL", &url);
    let summaries = command("run").arg("--json").ok().json()["exports"].clone();
    for (number, name) in ["whole", "cut", "more"].into_iter().enumerate() {
        let summary = &summaries[number];
        assert_eq!((&summary["rows"], &summary["consistency"]), (&many.into(), &"snapshot".into()), "{summary}");
        assert_eq!(summary["retries"], 0, "the connection before was still counted: {summary}");
        let found = readers::sql(project.out().join(name), "SELECT count(*), count(DISTINCT id) FROM t");
        assert_eq!(found[0], [many.to_string(), many.to_string()].map(Some), "{name}");
    }
    assert!(summaries[1]["chunks"].as_u64().unwrap() > 2, "{summaries}");
    assert_eq!(summaries[1]["reconciliation"]["counted_at"], "run", "{summaries}");
    for name in ["check", "reconcile", "doctor"] {
        command(name).ok();
    }
    command("repair").args(["--execute", "--export", "cut"]).ok();
    // A plan applied as a whole, and chunk by chunk.
    let plan = project.path("plan.json");
    command("plan").args(["--export", "whole", "-o"]).arg(&plan).ok();
    let apply = |more: &[&str]| {
        rivet::Command::new().arg("apply").arg(&plan).args(more).folder(project.folder()).env("DATABASE_URL", &url).ok()
    };
    apply(&["--chunk", "0"]);
    apply(&[]);
    assert_eq!(wire.most_at_once(), 1);
}

fn rows(many: u64) -> String {
    (1..=many).map(|id| format!("({id}, 'row {id}')")).collect::<Vec<_>>().join(", ")
}

#[test]
fn one_connection_is_enough_on_postgresql() {
    let mut database = postgres::database();
    let role = format!("one_{}", database.name);
    database.run(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, s text); INSERT INTO t VALUES {}; ANALYZE t; \
         CREATE ROLE {role} LOGIN PASSWORD 'secret' CONNECTION LIMIT 1; \
         GRANT USAGE, CREATE ON SCHEMA public TO {role}; GRANT SELECT ON t TO {role}",
        rows(5000)
    ));
    let url = database.url().replacen("postgres:", &format!("{role}:"), 1);
    one_is_enough(&url, 5000);

    // Two workers have no use for it, and a state store takes the only one.
    let project = rivet::project();
    let config = |root: &str, more: &str| {
        project.config(&format!(
            "source: {{url_env: DATABASE_URL, tuning: {{max_retries: 1, retry_backoff_ms: 10}}}}\n{root}exports:\n  \
             - {{name: e, table: t, format: csv, {more}, destination: {{type: local, path: '{{out}}'}}}}\n"
        ));
        project.rivet("run").env("DATABASE_URL", &url).fails(75)
    };
    config("", "mode: chunked, chunk_size: 1000, parallel: 2")
        .says(&["53300", "with `parallel: 1` an export needs one"]);
    config("state: {url_env: DATABASE_URL}\n", "mode: full").says(&["53300", "of its own"]);
    database.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn one_connection_is_enough_on_mysql() {
    for server in mysql::servers() {
        let database = server.database();
        let user = format!("o{}", database.name.replace("test_", ""));
        database.run(&format!(
            "CREATE TABLE t (id int PRIMARY KEY, s varchar(40)); INSERT INTO t VALUES {}; ANALYZE TABLE t; \
             CREATE USER {user} IDENTIFIED BY 'secret' WITH MAX_USER_CONNECTIONS 1; GRANT RELOAD ON *.* TO {user}; \
             GRANT SELECT ON {}.* TO {user}",
            rows(5000),
            database.name
        ));
        let url = database.url().replacen("reader:", &format!("{user}:"), 1);
        one_is_enough(&url, 5000);
        server.query("", &format!("DROP USER {user}"));
    }
}

/// The one connection is lost in the middle of a chunk: it is closed before the next one is opened.
#[test]
fn a_lost_connection_is_given_back_before_the_next_one_is_opened() {
    let mut database = postgres::database();
    let role = format!("lost_{}", database.name);
    database.run(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, s text); INSERT INTO t VALUES {}; ANALYZE t; \
         CREATE ROLE {role} LOGIN PASSWORD 'secret' CONNECTION LIMIT 1; \
         GRANT USAGE ON SCHEMA public TO {role}; GRANT SELECT ON t TO {role}",
        rows(20_000)
    ));
    let url = database.url().replacen("postgres:", &format!("{role}:"), 1);
    let project = rivet::project();
    project.config(
        "source: {url_env: DATABASE_URL, tuning: {throttle_ms: 2000, max_retries: 3, retry_backoff_ms: 10}}\nexports:\n  \
         - {name: e, table: t, format: parquet, mode: chunked, chunk_size: 1000, consistency: snapshot, \
         destination: {type: local, path: '{out}'}}\n",
    );
    let mut running = project.rivet("run").arg("--json").env("DATABASE_URL", &url).spawn();
    let out = project.out();
    assert!(running.until(|| out.exists() && !readers::files(&out).is_empty()), "the run was over too soon");
    database.run(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'"));
    let output = running.wait();
    assert_eq!(output.code, Some(0), "{output}");
    let summary = output.json()["exports"][0].clone();
    assert_eq!((&summary["rows"], &summary["consistency"]), (&20_000.into(), &"snapshot".into()), "{summary}");
    let found = readers::sql(&out, "SELECT count(*), count(DISTINCT id) FROM t");
    assert_eq!(found[0], ["20000", "20000"].map(|text| Some(text.to_owned())));
    database.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}
