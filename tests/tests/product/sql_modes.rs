//! MySQL and MariaDB: a query runs under the `sql_mode` that the login has, and what rivet writes around it means the
//! same in each. These tests set the mode of the whole server.

use rivet_tests::{
    mysql::{self, Database, Server},
    queries::{self, Client, Dialect, TABLE, Text, judge, texts},
    readers, rivet, slow,
};

/// The server's mode for a while.
struct Mode {
    server: Server,
    before: String,
}

impl Mode {
    /// None where the server does not know the mode.
    fn set(server: &Server, mode: &str) -> Option<Self> {
        let before = server.query("", "SELECT @@GLOBAL.sql_mode")[0].first().cloned().unwrap_or_default();
        server.try_query("", &format!("SET GLOBAL sql_mode = '{mode}'"))?;
        Some(Self { server: server.clone(), before })
    }
}

impl Drop for Mode {
    fn drop(&mut self) {
        self.server.query("", &format!("SET GLOBAL sql_mode = '{}'", self.before));
    }
}

/// Those of the usual run first.
const MODES: [&str; 8] = [
    "PIPES_AS_CONCAT,ANSI_QUOTES,NO_BACKSLASH_ESCAPES",
    "ORACLE",
    "EMPTY_STRING_IS_NULL,NO_UNSIGNED_SUBTRACTION,PAD_CHAR_TO_FULL_LENGTH",
    "",
    "PIPES_AS_CONCAT",
    "NO_BACKSLASH_ESCAPES,IGNORE_SPACE,HIGH_NOT_PRECEDENCE",
    "ANSI,STRICT_ALL_TABLES,NO_ZERO_DATE,PAD_CHAR_TO_FULL_LENGTH",
    "MSSQL",
];

fn modes() -> &'static [&'static str] {
    if slow() { &MODES } else { &MODES[..3] }
}

fn database(server: &Server) -> Database {
    let database = server.database();
    database.run(TABLE);
    database.run(
        "CREATE TABLE k (a varchar(20) COLLATE utf8mb4_bin PRIMARY KEY, c char(5), n int unsigned); INSERT INTO k VALUES \
         ('', 'x', 0), ('it''s', 'a', 1), ('back\\\\slash', '', 2), ('\"q\"', 'c', 3), ('b\\\\''', 'd', 4), ('b\\\\\\\\', 'e', 5)",
    );
    database
}

fn project(more: &str, query: &str) -> rivet::Project {
    let project = rivet::project();
    project.write("q.sql", query);
    project.config(&format!(
        "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, query_file: q.sql, format: parquet, {more}, \
         destination: {{type: local, path: '{{out}}'}}}}\n"
    ));
    project
}

fn landed(project: &rivet::Project) -> Vec<Vec<Option<String>>> {
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let rows = readers::parquet(project.out()).rows;
    let mut rows: Vec<Vec<Option<String>>> = rows.iter().map(|row| row.iter().map(text).collect()).collect();
    rows.sort();
    rows
}

#[test]
fn a_query_means_what_it_means_under_the_logins_mode() {
    for server in mysql::servers() {
        let mut database = database(&server);
        for mode in modes() {
            let Some(_guard) = Mode::set(&server, mode) else { continue };
            let asked: Vec<Text> = [
                "SELECT id, name || '!' AS n FROM u",
                "SELECT \"id\" AS v, id AS i FROM u",
                "SELECT id, 'a\\' AS v FROM u -- '",
                "SELECT id, CONCAT('a', '', 'b\\\\') AS w FROM u",
                "SELECT a, n FROM k WHERE a <> ''",
                "SELECT CONCAT('<', c, '>') AS c, NOT n BETWEEN 1 AND 2 AS b FROM k",
                "SELECT id, COUNT (*) AS c FROM u GROUP BY id",
                "SELECT name, bal + MAX(id) AS i FROM u GROUP BY name",
                "SELECT 1 AS [a;b], 2 AS c",
                "SELECT COUNT(*) AS c, LENGTH('é') AS l FROM u",
            ]
            .map(|sql| Text { sql: sql.to_owned(), meaning: None })
            .to_vec();
            let found = queries::exported(&database.url(), &asked);
            for ((text, expected), found) in asked.iter().zip(database.ask(&asked)).zip(found) {
                match (expected, found) {
                    (Ok(expected), Ok(found)) => {
                        assert_eq!(found, expected, "{} under {mode}: {}", server.name, text.sql);
                    }
                    (Err(_), Err(_)) => {}
                    (expected, found) => {
                        panic!("{} under {mode}: {}\n{expected:?}\n{found:?}", server.name, text.sql);
                    }
                }
            }
        }
    }
}

#[test]
fn what_rivet_writes_around_a_query_means_the_same_in_every_mode() {
    for server in mysql::servers() {
        let mut database = database(&server);
        let url = database.url_as(mysql::User::Root);
        for mode in modes() {
            let Some(_guard) = Mode::set(&server, mode) else { continue };
            let query = "SELECT a, c, n FROM k";
            let expected = database.ask(&[Text { sql: query.to_owned(), meaning: None }]).remove(0).unwrap();
            // Root may lock: the workers of two chunks are at one read point, and one of them goes on to a table.
            for more in [
                "mode: chunked, chunk_by: range, chunk_column: a, chunk_size: 1, parallel: 2",
                "mode: chunked, chunk_column: n, chunk_size: 2, parallel: 2, consistency: snapshot",
                "mode: full, order_by: [a]",
            ] {
                let project = project(more, query);
                let output = project.rivet("run").args(["--reconcile"]).env("DATABASE_URL", &url).run();
                assert_eq!(output.code, Some(0), "{} under {mode}: {more}\n{output}", server.name);
                assert_eq!(landed(&project), expected, "{} under {mode}: {more}", server.name);
            }
            // A cursor that stands at texts with backslashes, and at an empty one: each row once.
            database.run("DROP TABLE IF EXISTS g; CREATE TABLE g (a varchar(20) COLLATE utf8mb4_bin PRIMARY KEY)");
            let grows = project("mode: incremental, cursor_column: a", "SELECT a FROM g -- ;");
            for (rows, all) in
                [("('')", 1), ("('b\\\\'''), ('b')", 3), ("('b\\\\\\\\')", 4), ("('back\\\\'), ('x')", 6)]
            {
                database.run(&format!("INSERT INTO g VALUES {rows}"));
                grows.rivet("run").args(["--reconcile"]).env("DATABASE_URL", &url).ok();
                assert_eq!(landed(&grows).len(), all, "{} under {mode}: {:?}", server.name, landed(&grows));
            }
        }
    }
}

#[test]
fn tables_are_read_alike_in_every_mode() {
    for server in mysql::servers() {
        let database = database(&server);
        let expected = database.canonical("k", "a");
        for mode in modes() {
            let Some(_guard) = Mode::set(&server, mode) else { continue };
            let project = rivet::project();
            project.config(
                "source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, table: k, format: parquet, mode: chunked, \
                 chunk_by: range, chunk_column: a, chunk_size: 2, destination: {type: local, path: '{out}'}}\n",
            );
            project.rivet("run").env("DATABASE_URL", database.url()).ok();
            readers::assert_same(&expected.clone().sorted(), &readers::parquet(project.out()).sorted());
        }
    }
}

#[test]
fn generated_texts_return_what_the_client_gets_in_every_mode() {
    let count = if slow() { 160 } else { 30 };
    for server in mysql::servers() {
        let mut database = database(&server);
        for (mode, seed) in modes().iter().zip(10..) {
            let Some(_guard) = Mode::set(&server, mode) else { continue };
            println!("{} under {mode}", server.name);
            let url = database.url();
            judge(&mut database, &url, &texts(Dialect::Mysql, count, seed));
        }
    }
}
