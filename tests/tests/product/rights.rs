//! A login with rights on some columns: what it may read is exported in chunks like any other table, what it may not
//! read is named, and only `exclude` leaves a column out.

use rivet_tests::{mssql, mysql, postgres, readers, rivet};

struct Login<'a> {
    url: &'a str,
    table: &'a str,
}

impl Login<'_> {
    fn project(&self, more: &str) -> rivet::Project {
        let project = rivet::project();
        project.config(&format!(
            "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, table: {}, format: parquet, {more}, \
             destination: {{type: local, path: '{{out}}'}}}}\n",
            self.table
        ));
        project
    }

    /// What lands, and the summary.
    fn run(&self, more: &str) -> (rivet::Project, serde_json::Value) {
        let project = self.project(more);
        let checked =
            project.rivet("check").arg("--json").env("DATABASE_URL", self.url).ok().json()["exports"][0].clone();
        let run = project.rivet("run").args(["--json", "--reconcile"]).env("DATABASE_URL", self.url).ok();
        let summary = run.json()["exports"][0].clone();
        assert_eq!(checked["chunks"], summary["chunks"], "{checked}\n{summary}");
        (project, summary)
    }

    /// `check` refuses it, and says these.
    fn refused(&self, more: &str, says: &[&str]) {
        let output = self.project(more).rivet("check").env("DATABASE_URL", self.url).run();
        assert!(matches!(output.code, Some(1 | 2)), "{output}");
        output.says(says);
    }
}

fn sums(project: &rivet::Project, columns: &str) -> Vec<Option<String>> {
    readers::sql(project.out(), &format!("SELECT {columns} FROM t")).remove(0)
}

fn texts<const N: usize>(texts: [&str; N]) -> Vec<Option<String>> {
    texts.map(|text| Some(text.to_owned())).to_vec()
}

#[test]
fn postgresql_exports_the_columns_that_a_login_may_read() {
    let mut database = postgres::database();
    let role = format!("colu_{}", database.name);
    database.run(&format!(
        "CREATE TABLE people (name text, ssn text); \
         INSERT INTO people SELECT repeat('n', 100), 's' FROM generate_series(1, 30000); ANALYZE people; \
         CREATE TABLE keyed (id int PRIMARY KEY, ssn int NOT NULL, n int NOT NULL, UNIQUE (n, ssn)); \
         INSERT INTO keyed SELECT i, i, i FROM generate_series(1, 30000) i; ANALYZE keyed; \
         CREATE ROLE {role} LOGIN PASSWORD 'secret'; GRANT USAGE ON SCHEMA public TO {role}; \
         REVOKE ALL ON people, keyed FROM PUBLIC; GRANT SELECT (name) ON people TO {role}; \
         GRANT SELECT (id, n) ON keyed TO {role}"
    ));
    let url = database.url().replacen("postgres:", &format!("{role}:"), 1);
    let people = Login { url: &url, table: "people" };

    // Without a key, and without `ctid`: one chunk, and `check` says why.
    let (project, summary) = people.run("exclude: [ssn], parallel: 2, chunk_size: 1000");
    assert_eq!((&summary["chunks"], &summary["consistency"]), (&1.into(), &"snapshot".into()), "{summary}");
    assert_eq!(sums(&project, "count(*), sum(length(name))"), texts(["30000", "3000000"]));
    let check = people.project("exclude: [ssn], parallel: 2").rivet("check").env("DATABASE_URL", &url).ok();
    assert!(check.stdout.contains("GRANT SELECT (ctid)"), "{check}");
    people.refused("exclude: [ssn], mode: chunked, chunk_by: native", &["`ctid`", "hint:"]);
    database.run(&format!("GRANT SELECT (ctid) ON people TO {role}"));
    let (project, summary) = people.run("exclude: [ssn], parallel: 2, mode: chunked, chunk_size: 1000");
    assert_eq!(
        (&summary["strategy"]["name"], &summary["reconciliation"]["agrees"]),
        (&"native".into(), &true.into()),
        "{summary}"
    );
    assert_eq!(sums(&project, "count(*)"), texts(["30000"]));

    // Named, whatever wants it: the export, the key, the cursor.
    people.refused("mode: full", &["the column `ssn` of", "people", "`exclude: [ssn]`"]);
    people.refused("exclude: [snn]", &["`snn`", "did you mean `ssn`?"]);
    people.refused("exclude: [ssn, nome]", &["`nome`"]);
    people.refused("exclude: [ssn], mode: chunked, chunk_column: ssn", &["the column `ssn` of"]);
    let keyed = Login { url: &url, table: "keyed" };
    keyed.refused("exclude: [ssn], mode: chunked, chunk_by_key: [n, ssn]", &["the column `ssn` of"]);
    keyed.refused("exclude: [ssn], mode: incremental, cursor_column: ssn", &["the column `ssn` of"]);
    for more in [
        "mode: chunked, chunk_size: 5000",
        "mode: chunked, chunk_column: n, chunk_size: 5000",
        "mode: incremental, cursor_column: n",
    ] {
        let (project, summary) = keyed.run(&format!("exclude: [ssn], parallel: 2, {more}"));
        assert_eq!(
            sums(&project, "count(*), sum(id), sum(n)"),
            texts(["30000", "450015000", "450015000"]),
            "{summary}"
        );
    }
    // What is left of an index with a hidden column tells no rows apart.
    keyed.refused("exclude: [ssn], mode: chunked, chunk_by_key: [n]", &["(n) is not a unique key"]);
    listed(&url, &["people", "keyed"], "ssn");

    // Closed as a whole.
    database.run(
        "CREATE SCHEMA hidden; CREATE TABLE hidden.t (a int); CREATE TABLE closed (a int); \
         CREATE TABLE secured (a int); ALTER TABLE secured ENABLE ROW LEVEL SECURITY; REVOKE ALL ON closed FROM PUBLIC",
    );
    database.run(&format!("GRANT SELECT ON hidden.t, secured TO {role}"));
    Login { url: &url, table: "hidden.t" }.refused("mode: full", &["schema hidden", "USAGE"]);
    Login { url: &url, table: "closed" }.refused("mode: full", &["the login may not read", "closed", "SELECT"]);
    Login { url: &url, table: "secured" }.refused("mode: full", &["row security", "BYPASSRLS"]);
    database.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn mysql_exports_the_columns_that_a_login_may_read() {
    for server in mysql::servers() {
        let database = server.database();
        let (name, user) = (database.name.clone(), format!("l{}", database.name.replace("test_", "")));
        database.run(
            "CREATE TABLE u (id int PRIMARY KEY, name varchar(20), pw varchar(20), KEY (name)); \
             INSERT INTO u VALUES (1, 'a', 'x'), (2, 'b', 'y'), (3, 'c', 'z'), (4, 'd', NULL); \
             CREATE TABLE k (a int NOT NULL, pw int NOT NULL, b int NOT NULL, PRIMARY KEY (a, pw), UNIQUE (b, pw)); \
             INSERT INTO k VALUES (1, 1, 1), (1, 2, 1), (2, 3, 2), (3, 4, 3); CREATE VIEW v AS SELECT id, pw FROM u",
        );
        database.run(&format!(
            "CREATE USER {user} IDENTIFIED BY '{}'; GRANT SELECT (id, name) ON {name}.u TO {user}; \
             GRANT SELECT (a, b) ON {name}.k TO {user}; GRANT SELECT (id) ON {name}.v TO {user}",
            mysql::PASSWORD
        ));
        let url = database.url().replacen("reader:", &format!("{user}:"), 1);
        let u = Login { url: &url, table: "u" };
        for more in ["mode: full", "mode: chunked, chunk_size: 1", "mode: incremental, cursor_column: id"] {
            let (project, summary) = u.run(&format!("exclude: [pw], parallel: 2, {more}"));
            assert_eq!(
                sums(&project, "count(*), sum(id), string_agg(name, '' ORDER BY name)"),
                texts(["4", "10", "abcd"]),
                "{summary}"
            );
        }
        u.refused("mode: full", &["the column `pw` of", "`exclude: [pw]`"]);
        u.refused("exclude: [nope, pw]", &["`nope`"]);
        u.refused("exclude: [name]", &["the column `pw` of"]);
        u.refused("exclude: [pw], mode: chunked, chunk_column: pw", &["the column `pw` of"]);
        u.refused("exclude: [pw], mode: incremental, cursor_column: pw", &["the column `pw` of"]);
        let k = Login { url: &url, table: "k" };
        let (project, summary) = k.run("exclude: [pw], mode: chunked, chunk_size: 1");
        // MariaDB shows no index with a column that the login may not read.
        let strategy = if server.name == "MARIADB" { "none" } else { "range" };
        assert_eq!(summary["strategy"]["name"], strategy, "{summary}");
        assert_eq!(sums(&project, "count(*), sum(a), sum(b)"), texts(["4", "7", "7"]));
        for key in ["a", "b"] {
            let says = format!("({key}) is not a unique key");
            k.refused(&format!("exclude: [pw], mode: chunked, chunk_by_key: [{key}]"), &[&says]);
        }
        let (project, _) = Login { url: &url, table: "v" }.run("exclude: [pw]");
        assert_eq!(sums(&project, "sum(id)"), texts(["10"]));
        // In another database than the session's; without one, the server does not tell.
        let other = url.replacen(&format!("/{name}"), "/information_schema", 1);
        let qualified = format!("{name}.u");
        Login { url: &other, table: &qualified }.run("exclude: [pw]");
        let none = url.replacen(&format!("/{name}"), "/", 1);
        Login { url: &none, table: &qualified }.refused("exclude: [pw]", &["does not say which", "`database`"]);
        listed(&url, &["u", "k"], "pw");
        server.query("", &format!("DROP USER {user}"));
    }
}

#[test]
fn sql_server_exports_the_columns_that_a_login_may_read() {
    if !mssql::is_fixture() {
        return;
    }
    let mut database = mssql::database();
    database.run(
        "CREATE TABLE u (id int NOT NULL PRIMARY KEY, name varchar(20), pw varchar(20)); \
         CREATE TABLE k (a int NOT NULL, pw int NOT NULL, b int NOT NULL, PRIMARY KEY (a, pw)); \
         CREATE USER reader FOR LOGIN reader; GRANT SELECT (id, name) ON dbo.u TO reader; \
         GRANT SELECT ON dbo.k TO reader; DENY SELECT ON dbo.k (pw) TO reader",
    );
    database.insert("u", ["1, 'a', 'x'", "2, 'b', 'y'", "3, 'c', NULL", "4, 'd', NULL"].map(str::to_owned));
    database.insert("k", ["1, 1, 1", "1, 2, 1", "2, 3, 2", "3, 4, 3"].map(str::to_owned));
    let url = database.url_as("reader");
    let u = Login { url: &url, table: "u" };
    for more in ["mode: full", "mode: chunked, chunk_size: 1", "mode: incremental, cursor_column: id"] {
        let (project, summary) = u.run(&format!("exclude: [pw], {more}"));
        let found = sums(&project, "count(*), sum(id), string_agg(name, '' ORDER BY name)");
        assert_eq!(found, texts(["4", "10", "abcd"]), "{summary}");
    }
    u.refused("mode: full", &["the column `pw` of", "`exclude: [pw]`"]);
    u.refused("exclude: [nope, pw]", &["`nope`"]);
    u.refused("exclude: [pw], mode: incremental, cursor_column: pw", &["the column `pw` of"]);
    let k = Login { url: &url, table: "k" };
    let (project, summary) = k.run("exclude: [pw], mode: chunked, chunk_size: 1");
    assert_eq!(summary["strategy"]["name"], "range", "{summary}");
    assert_eq!(sums(&project, "count(*), sum(a), sum(b)"), texts(["4", "7", "7"]));
    k.refused("exclude: [pw], mode: chunked, chunk_by_key: [a]", &["(a) is not a unique key"]);
    k.refused("exclude: [pw], mode: chunked, chunk_by_key: [a, pw]", &["the column `pw` of"]);
    listed(&url, &["u", "k"], "pw");
}

/// `init` writes, and globs take, what the login may read.
fn listed(url: &str, tables: &[&str], hidden: &str) {
    let project = rivet::project();
    let init = rivet::Command::new()
        .args(["init", "--source-env", "DATABASE_URL", "--output"])
        .arg(project.path("rivet.yaml"))
        .args(tables.iter().flat_map(|table| ["--table", table]))
        .folder(project.folder())
        .env("DATABASE_URL", url)
        .ok();
    let written = std::fs::read_to_string(project.path("rivet.yaml")).unwrap();
    assert_eq!(written.matches(&format!("exclude: [{hidden}]")).count(), tables.len(), "{init}\n{written}");
    project.rivet("check").env("DATABASE_URL", url).ok();
    let globs: Vec<String> = tables.iter().map(|table| format!("'{}*'", &table[..1])).collect();
    project.config(&format!(
        "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: 'e_{{table}}', tables: [{}], exclude: [{hidden}, name], \
         format: csv, destination: {{type: local, path: '{{out}}/{{table}}'}}}}\n",
        globs.join(", ")
    ));
    let check = project.rivet("check").arg("--json").env("DATABASE_URL", url).run();
    let found = check.json()["exports"].as_array().unwrap().clone();
    assert!(found.len() >= tables.len(), "{check}");
}
