//! What a URL says is what the database's own client would do with it, or is refused by name.

use std::process::Command;

use rivet_sdk::options::ServerOptions;
use rivet_sdk::{Context, Source as _, SourceDriver as _};
use rivet_tests::{drivers, mssql, mysql, postgres, readers, rivet, sqlite, standby};

/// What psql answers.
fn psql(url: &str, sql: &str) -> String {
    let output = Command::new("psql").args(["-X", "-q", "-A", "-t", "-d", url, "-c", sql]).output().unwrap();
    assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What the only value of a query is, exported from `url`.
#[track_caller]
fn exported(url: &str, query: &str) -> String {
    let project = rivet::project();
    project.config(&format!(
        "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, query: \"{query}\", format: parquet, \
         destination: {{type: local, path: '{{out}}'}}}}\n"
    ));
    project.rivet("run").env("DATABASE_URL", url).ok();
    readers::sql(project.out(), "SELECT * FROM t").remove(0).remove(0).unwrap()
}

#[test]
fn of_several_postgresql_servers_the_one_is_read_that_psql_reads() {
    let mut pair = standby::paused("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 3)");
    pair.run("INSERT INTO t VALUES (4)");
    let count = "SELECT count(*)::int AS n FROM t";
    let orders = [[pair.standby, pair.primary], [pair.primary, pair.standby]];
    let words = ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"];
    let mut seen = std::collections::BTreeSet::new();
    for (word, ports) in words.iter().flat_map(|word| orders.map(|ports| (word, ports))) {
        let url = pair.url(ports, &format!("target_session_attrs={word}"));
        let expected = psql(&url, count);
        assert_eq!(exported(&url, count), expected, "{word} {ports:?}");
        seen.insert(expected);
    }
    assert_eq!(seen.len(), 2, "psql itself must have read both servers");

    // Whichever server a run begins on, all its sessions are there: snapshot, chunks and their count.
    let project = rivet::project();
    project.config(
        "source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, table: t, format: parquet, mode: chunked, chunk_by: range, \
         chunk_size: 1, parallel: 3, write_mode: replace, reconcile_required: true, \
         destination: {type: local, path: '{out}'}}\n",
    );
    let random = pair.url(orders[0], "load_balance_hosts=random");
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..12 {
        let output = project.rivet("run").arg("--json").env("DATABASE_URL", &random).ok();
        let summary = &output.json()["exports"][0];
        assert_eq!(summary["consistency"], "snapshot", "{summary}");
        let manifest = summary["rows"].as_u64().unwrap();
        assert!([3, 4].contains(&manifest), "{summary}");
        seen.insert(manifest);
    }
    assert_eq!(seen.len(), 2, "twelve runs in a random order began on one server");

    // The state needs the primary, and finds it behind a standby.
    project.config(&format!(
        "source: {{type: example, rows: 10}}\nstate: {{url: '{}'}}\nexports:\n  - {{name: e, table: numbers, format: parquet, \
         destination: {{type: local, path: '{{out}}/e'}}}}\n",
        pair.url(orders[0], "target_session_attrs=primary")
    ));
    project.rivet("run").ok();
    let primary = format!("postgresql://postgres@127.0.0.1:{}/postgres", pair.primary);
    assert_eq!(psql(&primary, "SELECT count(*) FROM rivet_version"), "1");

    // A process that has read from the primary goes to no standby when it is gone, and from a standby to the primary.
    let open = |query: &str, ports| {
        let options = ServerOptions::from_url(pair.url(ports, query));
        rivet_plugin_postgres::PostgresDriver::open(options, &Context::detached())
    };
    let rows = "SELECT count(*) FROM t";
    let from = |source: &mut rivet_plugin_postgres::Postgres| source.query_scalar(rows).unwrap().unwrap().as_text();
    assert_eq!(from(&mut open("connect_timeout=5", orders[0]).unwrap()), "3");
    assert_eq!(from(&mut open("connect_timeout=6", orders[1]).unwrap()), "4");
    pair.end_standby();
    let open = |query: &str, ports| {
        let options = ServerOptions::from_url(pair.url(ports, query));
        rivet_plugin_postgres::PostgresDriver::open(options, &Context::detached())
    };
    assert_eq!(from(&mut open("connect_timeout=5", orders[0]).unwrap()), "4");
}

#[test]
fn a_process_that_read_the_primary_never_goes_on_at_a_standby() {
    let mut pair = standby::paused("CREATE TABLE t (id int)");
    let options = || ServerOptions::from_url(pair.url([pair.primary, pair.standby], ""));
    let open = |options| rivet_plugin_postgres::PostgresDriver::open(options, &Context::detached());
    assert!(open(options()).is_ok());
    let again = options();
    pair.end_primary();
    let error = open(again).map(|_| ()).unwrap_err();
    assert!(error.is_transient() && format!("{error:?}").contains("is a standby, which may be behind"), "{error:?}");
}

#[test]
fn names_and_addresses_in_a_postgresql_url_reach_the_server() {
    let database = postgres::database();
    let port = database.port();
    let url = |query: &str| format!("postgresql://reader:secret@no.such.host:{port}/{}?{query}", database.name);
    let name = "SELECT current_setting('application_name')::text AS a";
    let given = url("hostaddr=127.0.0.1&application_name=mine");
    assert_eq!(exported(&given, name), psql(&given, name));
    assert_eq!(psql(&given, name), "mine");
    let fallback = url("hostaddr=127.0.0.1&fallback_application_name=less");
    assert_eq!(exported(&fallback, name), "less");
    assert_eq!(exported(&url("hostaddr=127.0.0.1"), name), "rivet");
}

#[test]
fn a_name_in_a_sql_server_connection_string_reaches_the_server() {
    let mut database = mssql::database();
    database.run("CREATE TABLE t (id int NOT NULL PRIMARY KEY)");
    database.run("INSERT INTO t VALUES (1), (2)");
    let url = database.url();
    let (place, name) = url.split_once('@').unwrap().1.split_once('/').unwrap();
    let place = place.replace(':', ",");
    let ado = format!("Server=tcp:{place};Initial Catalog={name};User ID=sa;Password=\"Secret_1\"");
    // No `type`: the text itself says whose it is.
    let project = rivet::project();
    project.config(
        "source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, table: t, format: parquet, \
         destination: {type: local, path: '{out}'}}\n",
    );
    project.rivet("run").arg("-vv").env("DATABASE_URL", &ado).ok().never_says("Secret_1");
    assert_eq!(
        readers::sql(project.out(), "SELECT count(*), sum(id) FROM t"),
        [["2", "3"].map(|n| Some(n.to_owned()))]
    );
    project.rivet("doctor").env("DATABASE_URL", &ado).ok().never_says("Secret_1");
    let init = rivet::Command::new().args(["init", "--source-env", "DATABASE_URL", "-o", "made.yaml"]);
    init.folder(project.folder()).env("DATABASE_URL", &ado).ok().never_says("Secret_1");
    let made = std::fs::read_to_string(project.path("made.yaml")).unwrap();
    assert!(made.contains("url_env: DATABASE_URL") && made.contains("table: dbo.t"), "{made}");
    // With the password on the command line, it is not written down.
    let init = rivet::Command::new().args(["init", "--source", &ado, "-o", "other.yaml"]);
    init.folder(project.folder()).ok().never_says("Secret_1");
    assert!(!std::fs::read_to_string(project.path("other.yaml")).unwrap().contains("Secret_1"));
}

/// Of every driver and of the state store: by its name, before anything is read, with what to do.
#[test]
fn what_a_url_says_and_rivet_does_not_do_is_refused_by_name() {
    let (postgres, mssql, sqlite) = (postgres::database(), mssql::database(), sqlite::database());
    let of_postgres = ["service=x", "sslcrl=x", "require_auth=none", "channel_binding=require", "sslmod=require"];
    let of_mssql = ["Failover Partner=x", "Command Timeout=1", "Column Encryption Setting=Enabled"];
    let mut urls = vec![(postgres.url(), of_postgres.to_vec()), (mssql.url(), of_mssql.to_vec())];
    for server in mysql::servers() {
        urls.push((server.database().url(), vec!["auth-method=x", "ssl-cipher=x", "server-public-key-path=x"]));
    }
    urls.push((drivers::Driver::url(&sqlite), vec!["vfs=x", "mode=rwc", "cache=shared"]));
    let project = rivet::project();
    project.config(
        "source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, query: 'SELECT 1 AS a', format: parquet, \
         destination: {type: local, path: '{out}'}}\n",
    );
    for (url, parameters) in urls {
        for parameter in parameters {
            let (name, _) = parameter.split_once('=').unwrap();
            let url = format!("{url}?{}", parameter.replace(' ', "%20"));
            let output = project.rivet("run").env("DATABASE_URL", &url).fails(2);
            output.says(&[name, "hint:"]).never_says(&url);
        }
    }
    project.config(
        "source: {type: example, rows: 10}\nexports:\n  - {name: e, table: numbers, format: parquet, \
         destination: {type: local, path: '{out}'}}\n",
    );
    let state = format!("{}?passfile=x", postgres.url());
    project.rivet("run").env("RIVET_STATE_URL", &state).fails(2).says(&["the state's URL", "passfile", "hint:"]);
}

/// As it lists them itself: whatever version is installed here.
#[test]
fn the_installed_libpq_knows_no_parameter_that_the_reference_lacks() {
    const LIST: &str = "
import ctypes, ctypes.util
class Option(ctypes.Structure):
    _fields_ = [(name, ctypes.c_char_p) for name in ('keyword', 'a', 'b', 'c', 'd', 'e')] + [('size', ctypes.c_int)]
library = ctypes.CDLL(ctypes.util.find_library('pq') or 'libpq.so.5')
library.PQconndefaults.restype = ctypes.POINTER(Option)
options, number = library.PQconndefaults(), 0
while options[number].keyword:
    print(options[number].keyword.decode())
    number += 1
";
    let output = Command::new("python3").args(["-c", LIST]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = include_str!("../../../docs/reference/urls.md");
    for section in ["postgresql", "state"] {
        let (begin, end) = (format!("<!-- {section} -->"), format!("<!-- /{section} -->"));
        let table = page.split_once(&begin).unwrap().1.split_once(&end).unwrap().0;
        let known: Vec<&str> = table.lines().filter_map(|line| line.split('`').nth(1)).collect();
        let listed = String::from_utf8(output.stdout.clone()).unwrap();
        assert!(listed.lines().count() > 30, "{listed}");
        for parameter in listed.lines() {
            assert!(known.contains(&parameter), "{section} lacks {parameter}");
        }
    }
}
