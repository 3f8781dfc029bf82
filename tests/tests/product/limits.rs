//! A limit that the user lifts is lifted, whatever the login's own is.

use std::thread;
use std::time::Duration;

use rivet_plugin_postgres::PostgresDriver;
use rivet_sdk::options::ServerOptions;
use rivet_sdk::{Context, ExportRequest, Relation, Source as _, SourceDriver as _};
use rivet_tests::{mysql, postgres, readers, rivet};

/// Exports what the relation gives.
fn project(source: &str, relation: &str) -> rivet::Project {
    let project = rivet::project();
    project.config(&format!(
        "source: {{url_env: DATABASE_URL, {source}}}\nexports:\n  - {{name: e, {relation}, format: parquet, \
         destination: {{type: local, path: '{{out}}'}}}}\n"
    ));
    project
}

fn is_read(project: &rivet::Project, url: &str) {
    project.rivet("run").env("DATABASE_URL", url).ok();
    assert_eq!(readers::sql(project.out(), "SELECT * FROM t"), [[Some("1".to_owned())]]);
}

#[test]
fn no_statement_timeout_lifts_the_logins_own() {
    const WAYS: [&str; 3] = ["tuning: {statement_timeout_s: 0}", "tuning: {profile: fast}", "environment: local"];
    let mut database = postgres::database();
    let role = format!("slow_{}", database.name);
    database
        .run(&format!("CREATE ROLE {role} LOGIN PASSWORD 'secret'; ALTER ROLE {role} SET statement_timeout = '700ms'"));
    let url = database.url().replacen("postgres:secret", &format!("{role}:secret"), 1);
    for way in WAYS {
        is_read(&project(way, "query: 'SELECT 1 AS a FROM pg_sleep(2)'"), &url);
    }
    // One that the user writes holds, under the login's own or above it.
    let limited =
        project("tuning: {statement_timeout_s: 1, max_retries: 0}", "query: 'SELECT 1 AS a FROM pg_sleep(3)'");
    assert!(limited.rivet("run").env("DATABASE_URL", &url).fails(1).stderr.contains("57014"));
    database.run(&format!("DROP ROLE {role}"));

    for server in mysql::servers().into_iter().filter(mysql::Server::is_mariadb) {
        let database = server.database();
        let user = format!("slow{}", database.name);
        server.query("", &format!("CREATE USER {user} IDENTIFIED BY 'secret' WITH MAX_STATEMENT_TIME 0.7"));
        server.query("", &format!("GRANT SELECT ON {}.* TO {user}", database.name));
        let url = format!("mysql://{user}:secret@{}/{}", server.place(), database.name);
        for way in WAYS {
            is_read(&project(way, "query: 'SELECT 1 + SLEEP(2) AS a'"), &url);
        }
        server.query("", &format!("DROP USER {user}"));
    }
}

#[test]
fn no_lock_timeout_lifts_the_logins_own() {
    let mut database = postgres::database();
    let role = format!("brief_{}", database.name);
    database.run(&format!(
        "CREATE TABLE t AS SELECT 1 AS a; GRANT SELECT ON t TO PUBLIC; CREATE ROLE {role} LOGIN PASSWORD 'secret'; \
         ALTER ROLE {role} SET lock_timeout = '300ms'"
    ));
    let url = database.url().replacen("postgres:secret", &format!("{role}:secret"), 1);
    // Planning has a limit of its own: what comes with an export's has none.
    let mut source = PostgresDriver::open(ServerOptions::from_url(url), &Context::detached()).unwrap();
    let request = ExportRequest::whole(Relation::Query("SELECT a FROM t".into()));
    let mut other = database.connect();
    other.batch_execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_secs(2));
            other.batch_execute("ROLLBACK").unwrap();
        });
        assert_eq!(source.type_mappings(&request).unwrap().len(), 1);
    });
    drop(source);
    database.run(&format!("DROP ROLE {role}"));
}
