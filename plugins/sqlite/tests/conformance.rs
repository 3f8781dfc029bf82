//! The conformance suite over a database of odd tables.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use rivet_plugin_sqlite::SqliteDriver;
use rivet_sdk::{Relation, TableName};
use rivet_testkit::{SourceSubject, conformance};

const SCHEMA: &str = r#"
CREATE TABLE every_type (
    id INTEGER PRIMARY KEY, small TINYINT, flag BOOLEAN, ratio DOUBLE, price DECIMAL(12,2), wide NUMERIC(50,10),
    loose NUMERIC, name VARCHAR(20) NOT NULL, raw BLOB, day DATE, at DATETIME, clock TIME,
    doc JSON, uid UUID, untyped, doubled INTEGER GENERATED ALWAYS AS (small * 2) VIRTUAL);
INSERT INTO every_type VALUES
    (-9223372036854775808, -128, 0, -1.7976931348623157e308, -9999999.99, 0.1, 1, '', x'', '0000-01-01',
     '0000-01-01', '00:00', '{"a":1}', '6f1c0a52-8f5c-4b5e-9d8f-0123456789ab', 1),
    (9223372036854775807, 127, 1, 5e-324, 0.01, 12345678901, 0.1, 'größe 🦀', x'00ff', '9999-12-31',
     '9999-12-31 23:59:59.999999', '23:59:59.999999', '[1,null]', x'00112233445566778899aabbccddeeff', 2.5),
    (0, NULL, NULL, NULL, NULL, NULL, 'text', 'nul' || char(0) || 'inside', NULL, 1704067200, 1704067200,
     NULL, 12, NULL, 'three'),
    (1, 0, 1, 1, 7, 7, 7, '''quoted''', x'61', 2460310.5, 2460310.75, '12:34:56', 'null', NULL, NULL);

CREATE TABLE sparse (k INTEGER, word TEXT COLLATE NOCASE UNIQUE, bin BLOB, n REAL);
CREATE INDEX sparse_k ON sparse(k);
CREATE INDEX sparse_bin ON sparse(bin);
CREATE INDEX sparse_n ON sparse(n, k);
CREATE INDEX sparse_partial ON sparse(k) WHERE k > 0;
CREATE INDEX sparse_expression ON sparse(abs(k));
WITH RECURSIVE i(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM i WHERE i < 1299)
INSERT INTO sparse SELECT
    CASE i % 7 WHEN 0 THEN NULL ELSE (i - 600) * i * 1000003 END,
    CASE i % 11 WHEN 0 THEN NULL ELSE 'Wort ''' || i END,
    CASE i % 5 WHEN 0 THEN NULL ELSE CAST('b' || (i % 40) AS BLOB) END,
    (i % 100) / 3.0 - 10 FROM i;

CREATE TABLE keyed (tenant TEXT, number INT, note TEXT, PRIMARY KEY (tenant, number)) WITHOUT ROWID;
WITH RECURSIVE i(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM i WHERE i < 299)
INSERT INTO keyed SELECT 'tenant ' || (i % 3), i - 150, NULL FROM i;

CREATE TABLE loose_key (code TEXT PRIMARY KEY, v INTEGER) ;
INSERT INTO loose_key VALUES (NULL, 1), (NULL, 2), ('a', 3), ('A', 4), ('ß', 5);

CREATE TABLE strict_one (id INTEGER PRIMARY KEY, v ANY, t TEXT NOT NULL) STRICT;
INSERT INTO strict_one VALUES (1, 1, 'a'), (2, x'00', 'b'), (3, 'c', 'c');

CREATE TABLE "Order-Items" ("select" INTEGER PRIMARY KEY DESC, "größe" TEXT, "a ""b"" `c`" TEXT, rowid TEXT);
INSERT INTO "Order-Items" VALUES (1, 'x', 'y', 'z'), (NULL, NULL, NULL, NULL);
CREATE TABLE "select" ("from" INTEGER PRIMARY KEY, "where" TEXT);
INSERT INTO "select" VALUES (1, 'a');
CREATE TABLE "größe" ("ä'ö" INTEGER);
INSERT INTO "größe" VALUES (1), (NULL);
CREATE TABLE "it's `odd` ""too""" (a TEXT);
INSERT INTO "it's `odd` ""too""" VALUES ('a');
CREATE TABLE empty_one (a INTEGER, b);

CREATE VIEW totals AS SELECT k, word, count(*) AS number, sum(n) AS total FROM sparse GROUP BY k, word;
"#;

fn main() {
    // Of this process alone: two of it may run at once. The suite ends the process, so nothing would remove it.
    let file = tempfile::tempdir().unwrap().keep().join("rivet-sqlite-conformance.db");
    rusqlite::Connection::open(&file).unwrap().execute_batch(SCHEMA).unwrap();
    let tables = [
        "sparse",
        "every_type",
        "keyed",
        "loose_key",
        "strict_one",
        "Order-Items",
        "select",
        "größe",
        "it's `odd` \"too\"",
        "empty_one",
        "totals",
    ];
    let mut relations: Vec<Relation> =
        tables.iter().map(|name| Relation::Table(TableName::unqualified(*name))).collect();
    relations.push(Relation::Query("SELECT id, price * 2 AS twice, 'text' AS label FROM every_type; -- end".into()));
    let subject = SourceSubject::new(
        "sqlite",
        concat!(env!("CARGO_MANIFEST_DIR"), "/options.schema.json"),
        move || rivet_sdk::serde_json::json!({ "path": file }),
        relations,
        Relation::Table(TableName::unqualified("nothing_here")),
    );
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS a FROM n";
    conformance::<SqliteDriver>(subject.with_slow(Relation::Query(endless.into())));
}
