//! A query means what the database's own client makes of it: comments, quotes and ends are read by the database's
//! rules, and nothing that it says is lost.

use rivet_tests::{
    drivers, mssql, mysql, postgres,
    queries::{self, Client, Dialect, TABLE, Written, judge, texts},
    readers, rivet, slow, sqlite,
};

/// Of each dialect: the slow suite's, and those of the usual run.
fn count() -> usize {
    if slow() { 2400 } else { 80 }
}

fn fill(database: &mut dyn drivers::Driver) {
    for statement in TABLE.split_inclusive(';') {
        database.run(statement);
    }
}

fn filled<D: drivers::Driver>(mut database: D) -> D {
    fill(&mut database);
    database
}

#[test]
fn generated_texts_return_what_postgresqls_client_gets() {
    let mut database = filled(postgres::database());
    let url = database.url_as(postgres::User::Reader);
    judge(&mut database, &url, &texts(Dialect::Postgresql, count(), 1));
}

#[test]
fn generated_texts_return_what_mariadbs_client_gets() {
    of_mysql("MARIADB", 2);
}

#[test]
fn generated_texts_return_what_mysqls_client_gets() {
    of_mysql("MYSQL", 3);
}

fn of_mysql(name: &str, seed: u64) {
    let Some(server) = mysql::servers().into_iter().find(|server| server.name == name) else {
        eprintln!("skipped: {name} is not here");
        return;
    };
    let mut database = filled(server.database());
    let url = database.url();
    judge(&mut database, &url, &texts(Dialect::Mysql, count(), seed));
}

#[test]
fn generated_texts_return_what_sqlite_gets() {
    let mut database = filled(sqlite::database());
    let url = database.url();
    judge(&mut database, &url, &texts(Dialect::Sqlite, count(), 4));
}

#[test]
fn generated_texts_return_what_sql_servers_written_rules_say() {
    let database = filled(mssql::database());
    judge(&mut Written, &database.url(), &texts(Dialect::Sqlserver, count(), 5));
}

/// A query as its database's client reads it, in every way that rivet uses one.
struct Case {
    driver: Box<dyn drivers::Driver>,
    /// Returns `id` and `v`: (2, 'b;'), (3, 'x;').
    query: String,
}

/// Where the condition was lost, or the text refused, by the rules of PostgreSQL.
fn cases() -> Vec<Case> {
    let case = |driver: Box<dyn drivers::Driver>, query: &str| Case { driver, query: query.to_owned() };
    let mut cases = vec![case(
        Box::new(filled(postgres::database())),
        "SELECT id, name || E';' AS v, E'it\\'s -- x' AS w FROM u /* /* */ ; */ WHERE bal > 10 - -5 -- ;\n; -- it's (",
    )];
    for server in mysql::servers() {
        cases.push(case(
            Box::new(filled(server.database())),
            "SELECT id, CONCAT(name, ';') AS v, 'it\\'s -- x' AS w FROM u # '\n WHERE bal > 10--5 /*! AND id > 1 */ \
             /* see logs/*.txt */; # it's (",
        ));
    }
    cases.push(case(
        Box::new(filled(sqlite::database())),
        "SELECT id, name || ';' AS [v], 'it''s' AS [w;--] FROM u /* see logs/*.txt */ WHERE id > 1; /* it's (",
    ));
    cases.push(case(
        Box::new(filled(mssql::database())),
        "SELECT id, name + ';' AS v, 'it''s' AS [w;--]]] FROM u /* /* */ ; */ WHERE \"id\" > 1 -- ;\r\n; -- it's (",
    ));
    cases
}

fn found(project: &rivet::Project) -> Vec<Vec<Option<String>>> {
    let rows = readers::parquet(project.out()).sorted_by("id").rows;
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    rows.iter().map(|row| row.iter().take(2).map(text).collect()).collect()
}

#[test]
fn every_way_to_use_a_query_reads_it_alike() {
    let row = |id: &str, v: &str| vec![Some(id.to_owned()), Some(v.to_owned())];
    let both = vec![row("2", "b;"), row("3", "x;")];
    for mut case in cases() {
        let name = case.driver.name();
        let url = case.driver.url();
        let rivet = |project: &rivet::Project, command: &str| project.rivet(command).env("DATABASE_URL", &url);
        let project = |more: &str| {
            let project = rivet::project();
            // Editors put a byte order mark first.
            project.write("q.sql", format!("\u{feff}{}", case.query));
            project.config(&format!(
                "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, query_file: q.sql, format: parquet, {more}, \
                 destination: {{type: local, path: '{{out}}'}}}}\n"
            ));
            project
        };
        let whole = project("mode: full");
        rivet(&whole, "check").arg("--types").ok();
        rivet(&whole, "run").args(["--reconcile", "--validate"]).ok();
        assert_eq!(found(&whole), both, "{name}");
        rivet(&whole, "reconcile").ok();

        let cut = project("mode: chunked, chunk_column: id, chunk_size: 1, parallel: 2");
        let output = rivet(&cut, "run").args(["--reconcile", "--json"]).ok();
        assert!(output.json()["exports"][0]["chunks"].as_u64().unwrap() >= 2, "{name}\n{output}");
        assert_eq!(found(&cut), both, "{name}");

        // A plan, and a cursor that is a text.
        let planned = project("mode: full, order_by: [v]");
        rivet(&planned, "plan").args(["-o", "plan.json"]).ok();
        let apply = rivet::Command::new().folder(planned.folder()).env("DATABASE_URL", &url);
        apply.args(["apply", "plan.json"]).ok();
        assert_eq!(found(&planned), both, "{name}");
        let grows = project("mode: incremental, cursor_column: v");
        rivet(&grows, "run").ok();
        case.driver.run("INSERT INTO u VALUES (4, 30, 'y')");
        rivet(&grows, "run").args(["--reconcile"]).ok();
        assert_eq!(found(&grows), [both.clone(), vec![row("4", "y;")]].concat(), "{name}");
    }
}

#[test]
fn what_is_not_one_query_is_refused_by_place_and_reads_nothing() {
    for mut driver in drivers::all() {
        fill(&mut *driver);
        for (query, says) in [
            ("SELECT id FROM u;\nSELECT 2", "second statement, which begins here (line 2, column 1)"),
            ("SELECT id FROM u WHERE name = 'a", "quote is never closed"),
            ("SELECT id FROM u) AS x --", "closes a bracket that it never opened (line 1, column 17)"),
            ("-- nothing\n;", "the query is empty"),
        ] {
            let project = rivet::project();
            project.write("q.sql", query);
            project.config(
                "source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, query_file: q.sql, format: csv, \
                 destination: {type: local, path: '{out}'}}\n",
            );
            for command in ["check", "run"] {
                let output = project.rivet(command).env("DATABASE_URL", driver.url()).run();
                assert_ne!(output.code, Some(0), "{}: {query}\n{output}", driver.name());
                let told = format!("{}{}", output.stdout, output.stderr);
                assert!(told.contains(says) && told.contains("hint: "), "{}: {query}\n{output}", driver.name());
            }
            assert!(!project.out().exists() || readers::files(project.out()).is_empty());
        }
    }
}

/// What the role says of texts, dates and intervals is what a query of its means.
#[test]
fn a_postgresql_role_keeps_its_own_reading_of_texts() {
    let mut database = filled(postgres::database());
    let role = format!("{}_role", database.name);
    database.run(&format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'pw'; GRANT SELECT ON u TO {role}; \
         CREATE TABLE days (id int PRIMARY KEY, d date, i interval, t text); GRANT SELECT ON days TO {role}; \
         INSERT INTO days VALUES (1, '2026-02-01', '1 day 02:00', 'back\\slash'), (2, '2026-01-02', '-1 mons', 'b\\\\''s'), \
         (3, '2027-01-02', '1 year', ''); \
         ALTER ROLE {role} SET standard_conforming_strings = off; ALTER ROLE {role} SET DateStyle = 'ISO, DMY'; \
         ALTER ROLE {role} SET IntervalStyle = 'sql_standard'"
    ));
    let url = database.url().replacen("postgres:secret@", &format!("{role}:pw@"), 1);
    let query = "SELECT id, t, 'it\\'s; -- x' AS lit, i::text AS i, \
         (interval '-1 2:03:04')::text AS n FROM days WHERE d = '01/02/2026'::date OR t IN ('back\\\\slash', 'b\\\\\\\\''s', '')";
    let mut client = ::postgres::Client::connect(&url, ::postgres::NoTls).unwrap();
    let mut expected = Vec::new();
    for message in client.simple_query(query).unwrap() {
        if let ::postgres::SimpleQueryMessage::Row(row) = message {
            expected.push((0..5).map(|at| row.get(at).map(str::to_owned)).collect::<Vec<_>>());
        }
    }
    assert_eq!(expected.len(), 3, "{expected:?}");
    drop(client);
    // Boundaries hold backslashes; two workers at one snapshot; nothing of it changes a table's export.
    for more in ["mode: full", "mode: chunked, chunk_by: range, chunk_column: t, chunk_size: 1, parallel: 2"] {
        let project = rivet::project();
        project.write("q.sql", format!("{query};"));
        project.config(&format!(
            "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, query_file: q.sql, format: parquet, {more}, \
             destination: {{type: local, path: '{{out}}'}}}}\n  - {{name: t, table: days, format: parquet, \
             columns: {{i: text}}, destination: {{type: local, path: tables}}}}\n"
        ));
        project.rivet("run").args(["--reconcile"]).env("DATABASE_URL", &url).ok();
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let found = readers::parquet(project.out()).sorted_by("id").rows;
        let found: Vec<Vec<Option<String>>> = found.iter().map(|row| row.iter().map(text).collect()).collect();
        assert_eq!(found, expected, "{more}");
        let tables = readers::parquet(project.path("tables")).sorted_by("id");
        assert_eq!(tables.column("i"), ["P1DT2H", "P-1M", "P1Y"], "a table's text is one for all roles");
    }
    database.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

/// A login's language says what a date in its query means.
#[test]
fn a_sql_server_login_keeps_its_own_reading_of_dates() {
    if !mssql::is_fixture() {
        return;
    }
    let mut database = filled(mssql::database());
    for (login, day) in [("deutsch", "2003-01-02"), ("svenska", "2003-02-01")] {
        database.run(&format!("CREATE USER {login} FOR LOGIN {login}; GRANT SELECT ON dbo.u TO {login}"));
        let project = rivet::project();
        project.config(
            "source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, format: parquet, \
             query: \"SELECT id, CAST('2003-02-01' AS datetime) AS d FROM u\", destination: {type: local, path: '{out}'}}\n",
        );
        project.rivet("run").env("DATABASE_URL", database.url_as(login)).ok();
        let found = readers::sql(project.out(), "SELECT DISTINCT d::DATE FROM t");
        // As the login's own client reads it.
        assert_eq!(found, [[Some(day.to_owned())]], "{login}");
    }
}

/// A plugin from before cuts queries in its own way: `doctor` says so, where a query is read.
#[test]
fn doctor_names_a_plugin_that_cuts_queries_in_its_own_way() {
    let project = rivet::project();
    let told = |what: &str| {
        project.config(&format!(
            "source: {{type: hostile, rows: 1}}\nexports:\n  - {{name: mine, {what}, format: csv, \
             destination: {{type: local, path: '{{out}}'}}}}\n"
        ));
        project.rivet("doctor").run().stdout
    };
    let warns =
        |stdout: &str| stdout.lines().any(|line| line.starts_with("[WARN]") && line.contains("`mine` can lose"));
    let stdout = told("query: SELECT 1");
    assert!(warns(&stdout) && stdout.contains("query_rules"), "{stdout}");
    assert!(!warns(&told("table: t")));
    for mut driver in drivers::all() {
        driver.run("CREATE TABLE t (id int)");
        project.config(
            "source: {url_env: DATABASE_URL}\nexports:\n  - {name: mine, query: SELECT 1 AS a, format: csv, \
             destination: {type: local, path: '{out}'}}\n",
        );
        let stdout = project.rivet("doctor").env("DATABASE_URL", driver.url()).ok().stdout;
        assert!(!warns(&stdout) && !stdout.contains("query_rules"), "{stdout}");
    }
}

/// The client that judges must itself tell queries from what is none.
#[test]
fn the_clients_refuse_what_is_no_query() {
    let of = |sql: &str| queries::Text { sql: sql.to_owned(), meaning: None };
    let asked = [of("SELECT 1; SELECT 2"), of("SELECT 'a"), of("SELECT id FROM u WHERE id = 1")];
    let mut clients: Vec<Box<dyn Client>> =
        vec![Box::new(filled(postgres::database())), Box::new(filled(sqlite::database()))];
    clients.extend(mysql::servers().into_iter().map(|server| Box::new(filled(server.database())) as Box<dyn Client>));
    for mut client in clients {
        let answers = client.ask(&asked);
        assert!(answers[0].is_err() && answers[1].is_err(), "{answers:?}");
        assert_eq!(answers[2].as_deref().unwrap(), [[Some("1".to_owned())]]);
    }
}
