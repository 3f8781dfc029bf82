//! What the conformance suite reads: a table for each group of types and keys.

use rivet_plugin_mysql::MysqlDriver;
use rivet_sdk::{Relation, TableName, serde_json};
use rivet_testkit::{SourceSubject, conformance};

use crate::support;

const TABLES: &str = "
    CREATE TABLE `Order-Items` (id bigint PRIMARY KEY, note text, amount decimal(12,2) NOT NULL, at timestamp(6) NULL,
        big bigint unsigned, doc json, KEY amount (amount, id));
    INSERT INTO `Order-Items` SELECT n * 3 - 300, IF(n = 7, NULL, CONCAT('note ', n)), n / 7, TIMESTAMPADD(HOUR, n, '2024-01-01'),
        18446744073709551615 - n, JSON_OBJECT('n', n) FROM numbers WHERE n <= 700;
    CREATE TABLE heap (a int, b varchar(20) CHARACTER SET latin1, c binary(4), d date, e datetime(3), f float, g double, t time(6),
        y year, bt bit(5), en enum('x', '', 'z'), st set('p', 'q'), ti tinyint(1), KEY (a), KEY (d), KEY (e), KEY (f), KEY (g), KEY (y), KEY (en));
    INSERT INTO heap SELECT NULLIF(n % 50, 3), CONCAT('ä', n), UNHEX(LPAD(HEX(n), 8, '0')), DATE_ADD('2020-01-01', INTERVAL n DAY),
        TIMESTAMPADD(SECOND, n, '2020-01-01 00:00:00.5'), n / 3, n / 7, SEC_TO_TIME(n * 100), 1901 + n % 200, n % 32, 1 + n % 3, n % 4, n % 2
        FROM numbers WHERE n <= 400;
    CREATE TABLE composite (a varchar(5) COLLATE utf8mb4_bin, b date, c int NOT NULL, PRIMARY KEY (a, b));
    INSERT INTO composite SELECT CHAR(65 + n % 26 USING utf8mb4), DATE_ADD('2020-01-01', INTERVAL n DAY), n FROM numbers WHERE n <= 300;
    CREATE TABLE words (w varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci PRIMARY KEY, k varbinary(8) NOT NULL UNIQUE);
    INSERT INTO words SELECT CONCAT(IF(n % 2, 'é', 'Z'), n, '''\\\\'), UNHEX(HEX(n)) FROM numbers WHERE n <= 300;
    CREATE TABLE no_rows (id int PRIMARY KEY);
    CREATE VIEW view_of AS SELECT id, note FROM `Order-Items`;
    ANALYZE TABLE `Order-Items`, heap, composite, words";

/// Runs the suite over the server of this name, if it is there.
pub fn run(name: &'static str) {
    // At least one of them must be.
    let servers = support::servers();
    let Some(server) = servers.into_iter().find(|server| server.name == name) else {
        eprintln!("skipped: RIVET_TEST_{name}_URL is not set");
        return;
    };
    let database = server.database();
    database.run("CREATE TABLE numbers (n int PRIMARY KEY)");
    database.run(
        "INSERT INTO numbers WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 900) SELECT n FROM r",
    );
    database.run(TABLES);
    let tables = ["Order-Items", "heap", "composite", "words", "no_rows", "view_of"].map(|name| database.table(name));
    let query = Relation::Query(format!("SELECT id, note FROM {}.`Order-Items` WHERE id > 0; -- done", database.name));
    let url = database.url();
    let slow = Relation::Query(format!("SELECT n + SLEEP(1) AS a FROM {}.numbers WHERE n <= 60", database.name));
    let subject = SourceSubject::new(
        "mysql",
        concat!(env!("CARGO_MANIFEST_DIR"), "/options.schema.json"),
        move || serde_json::json!({ "url": url }),
        tables.into_iter().chain([query]).collect(),
        Relation::Table(TableName::unqualified("nothing_here")),
    );
    conformance::<MysqlDriver>(subject.with_slow(slow));
}
