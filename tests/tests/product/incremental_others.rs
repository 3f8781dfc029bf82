//! Watermarks, windows and keys on MariaDB, MySQL and SQL Server: the rows asked for, each once.

use std::collections::BTreeMap;

use rivet_tests::{mssql, mysql, readers, rivet};
use serde_json::Value;

/// A database and the words that differ.
struct Database {
    name: &'static str,
    server: Server,
    /// Two types of moments that meet in one COALESCE.
    moment: &'static str,
    other_moment: &'static str,
    /// Text types whose collation takes `a` for `A`.
    texts: &'static [&'static str],
}

enum Server {
    Mysql(mysql::Database),
    Mssql(Box<mssql::Database>),
}

/// A new database on each server.
fn databases() -> Vec<Database> {
    let mut found: Vec<Database> = mysql::servers()
        .into_iter()
        .map(|server| Database {
            name: server.name,
            moment: "timestamp(6)",
            other_moment: "datetime(6)",
            texts: &[
                "varchar(20) COLLATE utf8mb4_unicode_ci",
                "varchar(20) CHARACTER SET latin1 COLLATE latin1_german1_ci",
            ],
            server: Server::Mysql(server.database()),
        })
        .collect();
    found.push(Database {
        name: "MSSQL",
        // Thirds of a hundredth of a second, which no decimal writes exactly.
        moment: "datetime",
        other_moment: "datetime2(7)",
        texts: &["nvarchar(20) COLLATE Latin1_General_CI_AS", "varchar(20) COLLATE Latin1_General_CI_AS"],
        server: Server::Mssql(Box::new(mssql::database())),
    });
    found
}

impl Database {
    fn url(&self) -> String {
        match &self.server {
            Server::Mysql(database) => database.url(),
            Server::Mssql(database) => database.url(),
        }
    }

    fn run(&mut self, sql: &str) {
        match &mut self.server {
            Server::Mysql(database) => {
                database.run(sql);
            }
            Server::Mssql(database) => database.run(sql),
        }
    }

    fn insert(&mut self, rows: impl IntoIterator<Item = String>) {
        let rows: Vec<String> = rows.into_iter().map(|row| format!("({row})")).collect();
        for some in rows.chunks(500) {
            self.run(&format!("INSERT INTO t VALUES {}", some.join(", ")));
        }
    }

    /// So many minutes from now, in UTC.
    fn minutes(&self, minutes: i64) -> String {
        match self.server {
            Server::Mysql(_) => format!("TIMESTAMPADD(MINUTE, {minutes}, UTC_TIMESTAMP(6))"),
            Server::Mssql(_) => format!("DATEADD(MINUTE, {minutes}, SYSUTCDATETIME())"),
        }
    }

    /// So many seconds from the midnight that began the day before yesterday, in UTC.
    fn at_edge(&self, seconds: i64) -> String {
        match self.server {
            Server::Mysql(_) => {
                format!("TIMESTAMPADD(SECOND, {seconds}, CAST(UTC_DATE() - INTERVAL 2 DAY AS DATETIME(6)))")
            }
            Server::Mssql(_) => {
                format!(
                    "DATEADD(SECOND, {seconds}, CAST(CAST(DATEADD(DAY, -2, SYSUTCDATETIME()) AS date) AS datetime2(7)))"
                )
            }
        }
    }

    fn unix(&self, moment: &str) -> String {
        match self.server {
            Server::Mysql(_) => format!("TIMESTAMPDIFF(SECOND, '1970-01-01', {moment})"),
            Server::Mssql(_) => format!("DATEDIFF(SECOND, '1970-01-01T00:00:00', {moment})"),
        }
    }

    /// A thousand rows, a minute apart, of which `at` is the cursor.
    fn minutes_of_a_day(&mut self) {
        self.run(&format!(
            "CREATE TABLE t (id int NOT NULL PRIMARY KEY, at {} NULL, created {} NULL)",
            self.moment, self.other_moment
        ));
        self.insert((1..=1000).map(|i| format!("{i}, '2024-01-01T{:02}:{:02}:00.003', NULL", i / 60, i % 60)));
    }
}

fn project(more: &str) -> rivet::Project {
    let project = rivet::project();
    project.config(&format!(
        "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, table: t, format: parquet, {more}, \
         destination: {{type: local, path: '{{out}}'}}}}\n"
    ));
    project
}

fn run(project: &rivet::Project, database: &Database) -> rivet::Command {
    project.rivet("run").arg("--json").env("DATABASE_URL", database.url())
}

fn rows(project: &rivet::Project, database: &Database) -> u64 {
    run(project, database).ok().json()["exports"][0]["rows"].as_u64().unwrap()
}

fn export(database: &Database, more: &str) -> (rivet::Project, Value) {
    let project = project(more);
    let summary = run(&project, database).ok().json()["exports"][0].clone();
    (project, summary)
}

/// All ids that landed, in order.
fn ids(project: &rivet::Project) -> Vec<i64> {
    let rows = readers::sql(project.out(), "SELECT id FROM t ORDER BY id");
    rows.iter().map(|row| row[0].as_ref().unwrap().parse().unwrap()).collect()
}

#[track_caller]
fn assert_ids(project: &rivet::Project, expected: impl IntoIterator<Item = i64>, what: &str) {
    let expected: Vec<i64> = expected.into_iter().collect();
    assert!(ids(project) == expected, "{what}: {} ids landed, not these {}", ids(project).len(), expected.len());
}

#[test]
fn each_run_takes_the_rows_since_the_last_one() {
    for mut database in databases() {
        let name = database.name;
        database.minutes_of_a_day();
        let project = project("mode: incremental, cursor_column: [at, id], parallel: 2");
        let first = run(&project, &database).ok();
        assert_eq!(first.json()["exports"][0]["rows"], 1000, "{name}");
        first.says(&["at risk: late commits"]);
        assert_eq!(rows(&project, &database), 0, "{name}");
        // The same last instant: the second column tells them apart.
        database.insert((1001..=1005).map(|i| format!("{i}, '2024-01-01T16:40:00.003', NULL")));
        assert_eq!(rows(&project, &database), 5, "{name}");
        // One tick later, and one that comes too late.
        database.insert(["2000, '2024-01-01T16:40:00.007', NULL".into(), "2001, '2023-01-01', NULL".into()]);
        assert_eq!(rows(&project, &database), 1, "{name}");
        assert_eq!(rows(&project, &database), 0, "{name}");
        assert_ids(&project, (1..=1005).chain([2000]), name);
    }
}

#[test]
fn an_empty_table_is_the_beginning_and_not_the_end() {
    for mut database in databases() {
        database.run("CREATE TABLE t (id bigint NOT NULL PRIMARY KEY)");
        let project = project("mode: incremental, cursor_column: id");
        assert_eq!(rows(&project, &database), 0, "{}", database.name);
        database.insert([i64::MIN, 0, i64::MAX].map(|id| id.to_string()));
        assert_eq!(rows(&project, &database), 3, "{}", database.name);
        assert_eq!(rows(&project, &database), 0, "{}", database.name);
    }
}

#[test]
fn rows_younger_than_settle_wait_for_a_later_run() {
    for mut database in databases() {
        let name = database.name;
        database.minutes_of_a_day();
        let (now, settled) = (database.minutes(0), database.minutes(-120));
        database.insert([format!("5000, {now}, NULL"), format!("5001, {settled}, NULL")]);
        let project = project("mode: incremental, cursor_column: [at, id], settle: 1h");
        let first = run(&project, &database).ok();
        assert_eq!(first.json()["exports"][0]["rows"], 1001, "{name}");
        assert!(!first.stderr.contains("at risk"), "{name}: {}", first.stderr);
        // Committed late, with an older cursor, but within the hour.
        let late = database.minutes(-50);
        database.insert([format!("5002, {late}, NULL")]);
        assert_eq!(rows(&project, &database), 0, "{name}");
        let (one, other) = (database.minutes(-61), database.minutes(-110));
        database.run(&format!("UPDATE t SET at = {one} WHERE id = 5000"));
        database.run(&format!("UPDATE t SET at = {other} WHERE id = 5002"));
        assert_eq!(rows(&project, &database), 2, "{name}");
        assert_ids(&project, (1..=1000).chain(5000..=5002), name);
    }
}

#[test]
fn rows_without_a_cursor_are_refused_taken_once_or_counted() {
    for mut database in databases() {
        let name = database.name;
        database.minutes_of_a_day();
        database.insert(["7000, NULL, '2023-01-01'".into(), "7001, NULL, '2023-01-01'".into()]);
        let refused = project("mode: incremental, cursor_column: at");
        run(&refused, &database).fails(1).says(&["2 rows have NULL in the cursor (at)", "on_null_cursor"]);
        assert!(!refused.out().exists() || readers::files(refused.out()).is_empty());

        let included = project("mode: incremental, cursor_column: [at, id], on_null_cursor: include");
        assert_eq!(rows(&included, &database), 1002, "{name}");
        assert_eq!(rows(&included, &database), 0, "{name}");
        assert_ids(&included, (1..=1000).chain([7000, 7001]), name);

        let skipped = project("mode: incremental, cursor_column: [at, id], on_null_cursor: skip");
        run(&skipped, &database).ok().says(&["2 rows have NULL in the cursor (at, id) and stay behind"]);
        assert_ids(&skipped, 1..=1000, name);

        let coalesced = project("mode: incremental, cursor_column: at, cursor_fallback_column: created");
        assert_eq!(rows(&coalesced, &database), 1002, "{name}");
        // Between two ticks of SQL Server's datetime: compared as one, it would never be reached.
        database.insert(["7002, NULL, '2024-01-01T16:40:00.004'".into()]);
        assert_eq!(rows(&coalesced, &database), 1, "{name}");
        assert_eq!(rows(&coalesced, &database), 0, "{name}");
        database.insert(["7003, '2024-01-01T16:40:00.007', NULL".into()]);
        assert_eq!(rows(&coalesced, &database), 1, "{name}");
        assert_ids(&coalesced, (1..=1000).chain(7000..=7003), name);
    }
}

#[test]
fn a_time_window_begins_at_midnight_utc() {
    for mut database in databases() {
        database.run(&format!(
            "CREATE TABLE t (id int, at {} NULL, other {} NULL, d date, u bigint)",
            database.moment, database.other_moment
        ));
        let day = 86_400;
        for (id, seconds) in [(1, -1), (2, 0), (3, day), (4, 30 * day)] {
            let moment = database.at_edge(seconds);
            let unix = database.unix(&moment);
            database.insert([format!("{id}, {moment}, {moment}, {moment}, {unix}")]);
        }
        for (column, kind) in [("at", ""), ("other", ""), ("d", ""), ("u", ", time_column_type: unix")] {
            let (project, _) =
                export(&database, &format!("mode: time_window, time_column: {column}, days_window: 2{kind}"));
            assert_ids(&project, [2, 3], &format!("{} {column}", database.name));
        }
    }
}

/// Ten days of hours from an evening on, and a row without any; gives the day of each.
fn hours(database: &mut Database) -> Vec<Option<String>> {
    database.run(&format!(
        "CREATE TABLE t (id int, at {} NULL, other {} NULL, d date)",
        database.moment, database.other_moment
    ));
    let day = |hour: u32| format!("2024-03-{:02}", 1 + hour / 24);
    let mut rows = vec!["0, NULL, NULL, NULL".to_owned()];
    let mut days = vec![None];
    for i in 1..=240_u32 {
        let hour = 22 + i;
        let at = format!("'{}T{:02}:59:59.997'", day(hour), hour % 24);
        rows.push(format!("{i}, {at}, {at}, '{}'", day(i)));
        days.push(Some(day(hour)));
    }
    database.insert(rows);
    days
}

#[test]
fn days_are_windows_with_a_chunk_for_null() {
    for mut database in databases() {
        hours(&mut database);
        for (column, days, chunks) in [("at", 1, 12), ("other", 1, 12), ("d", 3, 5), ("at", 30, 1)] {
            let what = format!("{} {column}", database.name);
            let more = format!("mode: chunked, chunk_column: {column}, chunk_by_days: {days}, parallel: 2");
            let (project, summary) = export(&database, &more);
            assert_eq!(summary["strategy"]["name"], "days", "{what}");
            assert_eq!(summary["chunks"], chunks, "{what}: {summary}");
            assert_ids(&project, 0..=240, &what);
        }
    }
}

#[test]
fn partitions_are_days_of_utc() {
    for mut database in databases() {
        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        for day in hours(&mut database) {
            *expected.entry(day.unwrap_or_else(|| "__HIVE_DEFAULT_PARTITION__".to_owned())).or_default() += 1;
        }
        for column in ["at", "other"] {
            let what = format!("{} {column}", database.name);
            let (project, _) = export(&database, &format!("partition_by: {column}, partition_granularity: day"));
            let mut found: BTreeMap<String, u64> = BTreeMap::new();
            for file in readers::files(project.out()) {
                let folder = file.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
                let day = folder.strip_prefix(&format!("{column}=")).unwrap().to_owned();
                let count = readers::sql(&file, "SELECT count(*) FROM t")[0][0].clone().unwrap();
                *found.entry(day).or_default() += count.parse::<u64>().unwrap();
            }
            assert_eq!(found, expected, "{what}");
            assert_ids(&project, 0..=240, &what);
        }
    }
}

#[test]
fn texts_that_ignore_case_are_keys_and_cursors() {
    for mut database in databases() {
        for of in database.texts {
            let what = format!("{} {of}", database.name);
            database.run(&format!("CREATE TABLE t (k {of} NOT NULL, n int NOT NULL, id int, PRIMARY KEY (k, n))"));
            let words = match database.server {
                Server::Mysql(_) => ["'a", "'B", "'ä", "'Z", "'é", "'ß", "'_", "'''", "'\\\\"],
                Server::Mssql(_) => ["N'a", "N'B", "N'ä", "N'Z", "N'é", "N'ß", "N'_", "N'''", "N'\\"],
            };
            database.insert((1..=3000_usize).map(|i| format!("{}{}', {i}, {i}", words[i % 9], i / 3)));
            for more in ["chunk_by: keyset", "chunk_by_key: [k, n]"] {
                let (project, summary) =
                    export(&database, &format!("mode: chunked, {more}, chunk_size: 200, parallel: 3"));
                assert_eq!(summary["strategy"]["name"], "keyset", "{what} {more}");
                assert!(summary["chunks"].as_u64().unwrap() > 5, "{what}: {summary}");
                assert_ids(&project, 1..=3000, &what);
            }
            let project = project("mode: incremental, cursor_column: [k, n]");
            assert_eq!(rows(&project, &database), 3000, "{what}");
            // Which of these letters is the last one, each collation says for itself.
            let last = match database.server {
                Server::Mysql(_) => "SELECT k, 1000000, 3001 FROM t ORDER BY k DESC LIMIT 1",
                Server::Mssql(_) => "SELECT TOP (1) k, 1000000, 3001 FROM t ORDER BY k DESC",
            };
            database.run(&format!("INSERT INTO t {last}"));
            assert_eq!(rows(&project, &database), 1, "{what}");
            assert_eq!(rows(&project, &database), 0, "{what}");
            assert_ids(&project, 1..=3001, &what);
            database.run("DROP TABLE t");
        }
    }
}

#[test]
fn a_zero_date_is_a_value_and_not_null() {
    for mut database in databases().into_iter().filter(|database| matches!(database.server, Server::Mysql(_))) {
        database.run("CREATE TABLE t (id int, at datetime NOT NULL)");
        database.insert(["1, '0000-00-00'", "2, '2024-01-01'", "3, '2024-01-02'"].map(str::to_owned));
        let project =
            project("mode: incremental, cursor_column: at, on_null_cursor: include, on_unrepresentable: 'null'");
        assert_eq!(rows(&project, &database), 3, "{}", database.name);
        assert_ids(&project, 1..=3, database.name);
    }
}
