//! Whatever the keys of a table are, its chunks are the table: on every database, each row once. Or else
//! the export is refused, and says why.

use std::cell::RefCell;
use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rivet_tests::{drivers::Driver, mssql, mysql, postgres, readers, rivet, sqlite};

/// A type of keys, and how a random number becomes one of its values.
struct Kind {
    /// As a column's definition says it.
    of: &'static str,
    literal: fn(&dyn Driver, i64) -> String,
}

const fn kind(of: &'static str, literal: fn(&dyn Driver, i64) -> String) -> Kind {
    Kind { of, literal }
}

fn integer(_: &dyn Driver, raw: i64) -> String {
    raw.to_string()
}

fn unsigned(_: &dyn Driver, raw: i64) -> String {
    raw.cast_unsigned().to_string()
}

fn fraction(_: &dyn Driver, raw: i64) -> String {
    let sign = if raw < 0 { "-" } else { "" };
    let raw = raw.unsigned_abs();
    format!("{sign}{}.{:04}", raw / 10_000, raw % 10_000)
}

/// Fractions that no binary number holds as they are written, in all magnitudes.
fn float(_: &dyn Driver, raw: i64) -> String {
    format!("{}e{}", raw as f64 / 3.0, raw.unsigned_abs() % 13)
}

fn day(_: &dyn Driver, raw: i64) -> String {
    let raw = raw.unsigned_abs();
    format!("'{:04}-{:02}-{:02}'", 1900 + raw % 200, 1 + raw / 200 % 12, 1 + raw / 2400 % 28)
}

/// Between 1970 and 2038, which every type of moments holds.
fn moment_of(raw: i64, fraction: &str) -> String {
    let raw = raw.unsigned_abs() / 1_000_000;
    let (day, second) = (raw / 86_400, raw % 86_400);
    let date = format!("{:04}-{:02}-{:02}", 1971 + day % 66, 1 + day / 66 % 12, 1 + day / 792 % 28);
    format!("'{date}T{:02}:{:02}:{:02}.{fraction}'", second / 3600, second / 60 % 60, second % 60)
}

fn microseconds(_: &dyn Driver, raw: i64) -> String {
    moment_of(raw, &format!("{:06}", raw.unsigned_abs() % 1_000_000))
}

/// As SQLite's own functions write it.
fn spaced(driver: &dyn Driver, raw: i64) -> String {
    microseconds(driver, raw).replace('T', " ")
}

fn with_zone(driver: &dyn Driver, raw: i64) -> String {
    microseconds(driver, raw).trim_end_matches('\'').to_owned() + "+00:00'"
}

/// Thirds of a hundredth of a second, as SQL Server rounds them.
fn ticks(_: &dyn Driver, raw: i64) -> String {
    let raw_ticks = raw.unsigned_abs() % 300;
    let ending = ["0", "3", "7"][usize::try_from(raw_ticks % 3).unwrap()];
    moment_of(raw, &format!("{:02}{ending}", raw_ticks / 3))
}

/// All bytes differ from one to the next, so that no two orders of them agree.
fn uuid(_: &dyn Driver, raw: i64) -> String {
    let bits = u128::from(raw.cast_unsigned()).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let hex = format!("{bits:032x}");
    format!("'{}-{}-{}-{}-{}'", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Words that byte order, a language's order and one that ignores case each sort in another way; the number
/// keeps unique keys apart in all of them.
fn text(driver: &dyn Driver, raw: i64) -> String {
    const WORDS: [&str; 12] = ["a", "A", "ä", "Äb", "B", "é", "_", "z'", "\\", "ö", "Z", ""];
    let word = WORDS[usize::try_from(raw.unsigned_abs() % 12).unwrap()];
    driver.text(&format!("{word}{:x}", raw.cast_unsigned()))
}

fn keys() -> impl Strategy<Value = Vec<Option<i64>>> {
    // Far apart, close together, negative, and many times the same.
    let key = prop_oneof![any::<i64>(), -20..20_i64, 5_000_000_000..5_000_000_300_i64, Just(7)];
    prop::collection::vec(prop::option::weighted(0.9, key), 0..250)
}

/// An export of table `t`, with its exit code.
fn export(driver: &dyn Driver, more: &str) -> (rivet::Project, rivet::Output) {
    let project = rivet::project();
    project.config(&format!(
        "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, table: t, mode: chunked, format: parquet, {more}, \
         destination: {{type: local, path: '{{out}}'}}}}\n"
    ));
    let output = project.rivet("run").arg("--json").env("DATABASE_URL", driver.url()).run();
    (project, output)
}

#[track_caller]
fn is_the_table(driver: &dyn Driver, rows: usize, more: &str) {
    let what = format!("{} {more}", driver.name());
    let (project, output) = export(driver, more);
    assert_eq!(output.code, Some(0), "{what}\n{output}");
    let found = readers::sql(project.out(), "SELECT count(*), count(DISTINCT n), min(n), max(n) FROM t");
    let rows_text = Some(rows.to_string());
    let ends = if rows == 0 { [None, None] } else { [Some("1".to_owned()), rows_text.clone()] };
    assert_eq!(found[0], [vec![rows_text.clone(), rows_text], ends.to_vec()].concat(), "{what}");
}

#[track_caller]
fn is_refused(driver: &dyn Driver, more: &str, because: &str) {
    let what = format!("{} {more}", driver.name());
    let (project, output) = export(driver, more);
    assert!(matches!(output.code, Some(1 | 2)), "{what}\n{output}");
    assert!(output.stderr.contains(because) && output.stderr.contains("hint"), "{what}: {because:?}?\n{output}");
    assert!(!project.out().exists() || readers::files(project.out()).is_empty(), "{what}");
}

/// Every kind of keys with random values in random chunks: ranges where keys repeat and are missing, a keyset
/// where they are unique, and whatever the planner thinks best.
fn any_keys(driver: impl Driver, kinds: &[Kind], analyze: &str) {
    let driver = RefCell::new(driver);
    // A third of them, each time another one; all in a slow suite.
    let (first, step) = if rivet_tests::slow() { (0, 1) } else { (std::process::id() as usize % 3, 3) };
    for kind in kinds.iter().skip(first).step_by(step) {
        let mut runner = TestRunner::new(Config { cases: 1, failure_persistence: None, ..Config::default() });
        runner
            .run(&(keys(), 1..40_u32, 1..5_u32, any::<bool>()), |(keys, size, parallel, analyzed)| {
                let mut driver = driver.borrow_mut();
                let settings = format!("chunk_size: {size}, parallel: {parallel}");
                driver.run("DROP TABLE IF EXISTS t");
                driver.run(&format!("CREATE TABLE t (n int NOT NULL, k {} NULL)", kind.of));
                driver.run("CREATE INDEX t_k ON t (k)");
                let values: Vec<String> = keys
                    .iter()
                    .map(|key| key.map_or_else(|| "NULL".to_owned(), |key| (kind.literal)(&*driver, key)))
                    .collect();
                let rows = |values: &[String]| -> Vec<String> {
                    values.iter().zip(1..).map(|(value, n)| format!("{n}, {value}")).collect()
                };
                driver.insert("t", &rows(&values));
                if analyzed && !analyze.is_empty() {
                    driver.run(analyze);
                }
                let ranges = format!("chunk_by: range, chunk_column: k, {settings}");
                is_the_table(&*driver, values.len(), &ranges);
                is_the_table(&*driver, values.len(), &format!("chunk_by: auto, {settings}"));

                let unique: BTreeSet<String> = values.into_iter().filter(|value| value != "NULL").collect();
                let unique: Vec<String> = unique.into_iter().collect();
                driver.run("DROP TABLE t");
                driver.run(&format!("CREATE TABLE t (n int NOT NULL, k {} NOT NULL UNIQUE)", kind.of));
                driver.insert("t", &rows(&unique));
                is_the_table(&*driver, unique.len(), &format!("chunk_by_key: k, {settings}"));
                Ok(())
            })
            .unwrap();
    }
}

#[test]
fn postgresql_keys_in_any_chunks_are_the_table() {
    let mut database = postgres::database();
    let name = database.value("SELECT current_database()").unwrap();
    database.run(&format!("ALTER DATABASE \"{name}\" SET timezone = 'Asia/Tokyo'"));
    database
        .run("CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
        .run("CREATE DOMAIN code AS varchar(40) COLLATE \"en-US-x-icu\"");
    let kinds = [
        kind("bigint", integer),
        kind("numeric(24,4)", fraction),
        kind("double precision", float),
        kind("date", day),
        kind("timestamp", microseconds),
        kind("timestamptz", microseconds),
        kind("uuid", uuid),
        kind("text COLLATE \"de-DE-x-icu\"", text),
        kind("text COLLATE caseless", text),
        kind("code", text),
    ];
    any_keys(database, &kinds, "ANALYZE t");
}

#[test]
fn mysql_and_mariadb_keys_in_any_chunks_are_the_table() {
    for server in mysql::servers() {
        let kinds = [
            kind("bigint", integer),
            kind("bigint unsigned", unsigned),
            kind("decimal(24,4)", fraction),
            kind("double", float),
            kind("date", day),
            kind("datetime(6)", microseconds),
            kind("timestamp(6)", microseconds),
            kind("varchar(40) COLLATE utf8mb4_unicode_ci", text),
            kind("varchar(40) COLLATE utf8mb4_german2_ci", text),
            kind("varchar(40) CHARACTER SET latin1 COLLATE latin1_german1_ci", text),
            kind("varchar(40) COLLATE utf8mb4_bin", text),
        ];
        let database = server.database();
        database.begin_sessions_in("+09:00");
        any_keys(database, &kinds, "ANALYZE TABLE t");
    }
}

#[test]
fn mysql_and_mariadb_timestamp_keys_are_the_same_instants_wherever_sessions_begin() {
    for server in mysql::servers() {
        let database = server.database();
        database.begin_sessions_in("+09:00");
        database.run(
            "CREATE TABLE t (n int PRIMARY KEY, k timestamp(6) NOT NULL, d datetime(6) NOT NULL, KEY t_k (k));
             INSERT INTO t WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 300) \
             SELECT n, '2024-03-30 12:00:00.000001' + INTERVAL n * 17 MINUTE, '2024-03-30' + INTERVAL n HOUR FROM i; \
             ANALYZE TABLE t",
        );
        let project = rivet::project();
        project.config(
            "source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, table: t, format: parquet, mode: chunked, \
             chunk_by: range, chunk_column: k, chunk_size: 40, parallel: 3, destination: {type: local, path: '{out}'}}\n",
        );
        let output = project.rivet("run").arg("--json").env("DATABASE_URL", database.url()).ok();
        assert!(output.json()["exports"][0]["chunks"].as_u64().unwrap() > 3, "{output}");
        readers::assert_same(&database.canonical("t", "n"), &readers::parquet(project.out()).sorted_by("n"));
    }
}

#[test]
fn sql_server_keys_in_any_chunks_are_the_table() {
    let kinds = [
        kind("bigint", integer),
        kind("decimal(24,4)", fraction),
        kind("float", float),
        kind("date", day),
        kind("datetime", ticks),
        kind("datetime2(7)", microseconds),
        kind("datetimeoffset(6)", with_zone),
        kind("uniqueidentifier", uuid),
        kind("nvarchar(40) COLLATE Latin1_General_CI_AS", text),
        kind("varchar(40) COLLATE Latin1_General_CS_AS", text),
    ];
    any_keys(mssql::database(), &kinds, "");
}

#[test]
fn sqlite_keys_in_any_chunks_are_the_table() {
    let kinds = [
        kind("INTEGER", integer),
        kind("REAL", float),
        kind("DATE", day),
        kind("TIMESTAMP", spaced),
        kind("TEXT", text),
        kind("TEXT COLLATE NOCASE", text),
    ];
    any_keys(sqlite::database(), &kinds, "ANALYZE");
}

#[test]
fn an_index_that_proves_nothing_is_no_key() {
    // `id` is in no index, `k` in one that leaves rows out, `m` in one that lets NULL be there many times.
    let partial = "CREATE UNIQUE INDEX t_k ON t (k) WHERE k > 5";
    let databases: [(Vec<Box<dyn Driver>>, &str); 2] = [
        (vec![Box::new(postgres::database()), Box::new(mssql::database()), Box::new(sqlite::database())], partial),
        (mysql::servers().into_iter().map(|server| Box::new(server.database()) as Box<dyn Driver>).collect(), ""),
    ];
    for (databases, partial) in databases {
        for mut driver in databases {
            driver.run("CREATE TABLE t (n int NOT NULL, k int NOT NULL, m int NULL)");
            if !partial.is_empty() {
                driver.run(partial);
            }
            driver.run("CREATE UNIQUE INDEX t_m ON t (k, m)");
            let rows = (1..=300_u32).map(|n| match (n % 5, driver.name()) {
                // To SQL Server one NULL is like another.
                (0, "MSSQL") => format!("{n}, {}, {n}", n % 25 / 5),
                (0, _) => format!("{n}, {}, NULL", n % 25 / 5),
                _ => format!("{n}, {}, {n}", n + 5),
            });
            let rows: Vec<String> = rows.collect();
            driver.insert("t", &rows);
            for key in ["k", "[k, m]", "n"] {
                is_refused(&*driver, &format!("chunk_by_key: {key}, chunk_size: 20"), "unique");
            }
            is_refused(&*driver, "chunk_by: keyset, chunk_size: 20", "no full unique index over NOT NULL columns");
            is_the_table(&*driver, 300, "chunk_by: range, chunk_column: k, chunk_size: 20, parallel: 3");
            is_the_table(&*driver, 300, "chunk_by: auto, chunk_size: 20, parallel: 3");
        }
    }
}
