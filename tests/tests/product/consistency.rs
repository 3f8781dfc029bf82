//! What `check` and `plan` say of the rows' read point is what `run` does, and what one of them refuses they all
//! refuse, in the same words: over databases, rights and modes.

use rivet_tests::{
    mssql, mysql,
    postgres::{self, User},
    rivet, slow, sqlite,
};

const SHARED: &str = "one snapshot that all chunks share";
const APART: &str = "each chunk its own read point";

/// A login, and a table that it may read.
struct Case<'a> {
    name: &'a str,
    url: &'a str,
    table: &'a str,
}

/// What all three say; None where they refuse it.
type Said = Option<String>;

impl Case<'_> {
    fn asked(&self, consistency: &str, more: &str) -> Said {
        let project = rivet::project();
        project.config(&format!(
            "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, table: {}, format: csv, {more}, \
             consistency: {consistency}, destination: {{type: local, path: '{{out}}'}}}}\n",
            self.table
        ));
        let command = |name: &str| project.rivet(name).env("DATABASE_URL", self.url);
        let (check, plan, run) = (command("check").run(), command("plan").run(), command("run").arg("--json").run());
        let what = format!("{}: {consistency}, {more}\n{check}\n{plan}\n{run}", self.name);
        assert_eq!((check.code, plan.code), (run.code, run.code), "{what}");
        if run.code != Some(0) {
            assert_eq!(run.code, Some(2), "{what}");
            let refusal = |output: &rivet::Output| {
                let mut lines = output.stderr.lines().filter(|line| line.starts_with("error: "));
                lines.next().expect("a refusal without a word").to_owned()
            };
            let said = refusal(&run);
            assert!(said.contains("snapshot") && run.stderr.contains("hint: "), "{what}");
            assert_eq!((refusal(&check), refusal(&plan)), (said.clone(), said), "{what}");
            return None;
        }
        let line = |output: &rivet::Output| {
            let mut lines = output.stdout.lines().filter_map(|line| line.trim().strip_prefix("consistency"));
            lines.next().expect("no word on consistency").trim().to_owned()
        };
        let said = line(&check);
        assert_eq!(said, line(&plan), "{what}");
        let done = run.json()["exports"][0]["consistency"].as_str().unwrap().to_owned();
        let meant = ["one ", "each chunk", "none"].map(|start| said.starts_with(start));
        let meant = match meant {
            [true, ..] => "snapshot",
            [_, true, _] => "per_chunk",
            _ => "none",
        };
        assert_eq!(done, meant, "{what}");
        if meant != "snapshot" && consistency != "per_chunk" {
            assert!(said.contains(';'), "without the cause: {what}");
        }
        Some(said)
    }

    /// Several chunks are read as `says`, and `consistency: snapshot` is granted or not.
    fn agrees(&self, says: &str, granted: bool) {
        let several = "mode: chunked, chunk_size: 100, parallel: 2";
        let snapshot = self.asked("snapshot", several);
        assert_eq!(snapshot.is_some(), granted, "{}", self.name);
        // Where it is granted, this is what `auto` comes to as well.
        let auto = snapshot.unwrap_or_else(|| self.asked("auto", several).expect("`auto` is refused"));
        assert!(auto.starts_with(says), "{}: {auto}", self.name);
        if !slow() {
            return;
        }
        for more in [
            several,
            "mode: chunked, chunk_size: 100, parallel: 1",
            "mode: full, chunk_by: none",
            "mode: incremental, cursor_column: id, chunk_size: 100",
        ] {
            for consistency in ["auto", "snapshot", "per_chunk"] {
                self.asked(consistency, more);
            }
        }
    }
}

fn rows() -> String {
    let rows: Vec<String> = (1..=500).map(|id| format!("({id})")).collect();
    rows.join(", ")
}

#[test]
fn check_plan_and_run_agree_on_postgresql() {
    let mut database = postgres::database();
    let role = format!("cons_{}", database.name);
    database.run(&format!(
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES {rows}; CREATE TABLE n (id int, x int); \
         INSERT INTO n SELECT id FROM t; ANALYZE; CREATE ROLE {role} LOGIN PASSWORD 'secret'; \
         REVOKE ALL ON n FROM PUBLIC; GRANT USAGE ON SCHEMA public TO {role}; GRANT SELECT (id, x) ON n TO {role}",
        rows = rows()
    ));
    let reader = database.url_as(User::Reader);
    Case { name: "reader", url: &reader, table: "t" }.agrees(SHARED, true);
    Case { name: "without a key", url: &reader, table: "n" }.agrees(SHARED, true);
    let url = database.url().replacen("postgres:", &format!("{role}:"), 1);
    Case { name: "columns", url: &url, table: "n" }.agrees("one statement", true);
    database.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn check_plan_and_run_agree_on_mysql() {
    for server in mysql::servers() {
        let database = server.database();
        database.run(&format!(
            "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES {rows}; ANALYZE TABLE t; \
             CREATE TABLE m (id int PRIMARY KEY) ENGINE = MyISAM; INSERT INTO m SELECT id FROM t; ANALYZE TABLE m",
            rows = rows()
        ));
        let (reader, root) = (database.url(), database.url_as(mysql::User::Root));
        Case { name: "SELECT", url: &reader, table: "t" }.agrees(APART, false);
        Case { name: "all", url: &root, table: "t" }.agrees(SHARED, true);
        Case { name: "MyISAM", url: &root, table: "m" }.agrees(APART, false);
        // The right comes with a role that the login has from its start.
        let id = database.name.replace("test_", "");
        let (user, role) = (format!("u{id}"), format!("r{id}"));
        let name = &database.name;
        let default = if server.is_mariadb() {
            format!("SET DEFAULT ROLE {role} FOR {user}")
        } else {
            format!("SET DEFAULT ROLE {role} TO {user}")
        };
        database.run(&format!(
            "CREATE ROLE {role}; GRANT RELOAD ON *.* TO {role}; CREATE USER {user} IDENTIFIED BY 'secret'; \
             GRANT SELECT ON {name}.* TO {user}; GRANT {role} TO {user}; {default}"
        ));
        let url = database.url().replacen("reader:", &format!("{user}:"), 1);
        Case { name: "RELOAD by a role", url: &url, table: "t" }.agrees(SHARED, true);
        database.run(&format!("DROP USER {user}; DROP ROLE {role}"));
    }
}

#[test]
fn check_plan_and_run_agree_on_sqlite_and_sql_server() {
    let mut file = sqlite::database();
    file.run(&format!("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES {}", rows()));
    Case { name: "SQLite", url: &file.url(), table: "t" }.agrees(APART, false);
    for setting in ["", "ALLOW_SNAPSHOT_ISOLATION", "READ_COMMITTED_SNAPSHOT"] {
        let mut database = mssql::database();
        database.run("CREATE TABLE t (id int NOT NULL PRIMARY KEY)");
        database.insert("t", (1..=500).map(|id| id.to_string()));
        if !setting.is_empty() {
            database.run(&format!("ALTER DATABASE CURRENT SET {setting} ON"));
        }
        Case { name: setting, url: &database.url(), table: "t" }
            .agrees(if setting.is_empty() { "none" } else { APART }, false);
    }
}
