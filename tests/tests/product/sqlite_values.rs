//! Every declared type of SQLite, read once more by Python's own client: what landed is what that one reads.

use std::collections::BTreeMap;

use rivet_tests::{readers, rivet, sqlite};

/// A column of each type that the driver's page lists, with values at the edges of each.
const TABLE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, small TINYINT, big BIGINT, flag BOOLEAN, r REAL, d DOUBLE, \
     price DECIMAL(12,2), words TEXT, name VARCHAR(20), doc JSON, uid UUID, raw BLOB, day DATE, clock TIME, at DATETIME, \
     stamp TIMESTAMP, instant TIMESTAMP WITH TIME ZONE)";
const ROWS: [&str; 5] = [
    "(-9223372036854775808, -128, 9223372036854775807, 0, -1.7976931348623157e308, 5e-324, -9999999.99, '', '', \
     '{\"a\":1}', '6f1c0a52-8f5c-4b5e-9d8f-0123456789ab', x'', '0001-01-01', '00:00:00', '0001-01-01 00:00:00', \
     '1969-12-31 23:59:59.999999', '2026-11-30T01:30:00+02:00')",
    "(9223372036854775807, 127, -9223372036854775808, 1, 0.1, -0.0, 0.01, 'größe 🦀', '''quoted''', '[1,null]', \
     x'00112233445566778899aabbccddeeff', x'00ff', '9999-12-31', '23:59:59.999999', '9999-12-31 23:59:59.999999', \
     1704067200, 1704067200)",
    "(0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    "(1, 0, 0, 1, 1e22, 123456789.12345679, 1234567.5, 'nul' || char(0) || 'inside', 'a', 'null', \
     '00000000-0000-0000-0000-000000000000', x'61', '2024-02-29', '12:34:56', '2024-02-29T12:00:00.5', \
     '2000-01-01 00:00', '2024-02-29 23:59:59Z')",
    "(2, 1, 1, 0, 3.0, 2.5, 7, ' spaces ', '0', '\"text\"', 'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF', x'ffffffff', \
     '1970-01-01', '00:00:00.000001', '1970-01-01 00:00:00', 0, '1969-12-31T23:59:59.999999-00:00')",
];

#[test]
fn every_type_arrives_as_pythons_own_client_reads_it() {
    let mut database = sqlite::database();
    database.run(&format!("{TABLE}; INSERT INTO t VALUES {}", ROWS.join(", ")));
    let project = rivet::project();
    project.config(&format!(
        "source: {{type: sqlite, path: '{}'}}\nexports:\n  - {{name: t, table: t, format: parquet, destination: \
         {{type: local, path: '{{out}}'}}}}\n",
        database.path().display()
    ));
    project.rivet("run").ok();
    let (file, out) = (database.path(), project.out());
    let arguments = [file.to_str().unwrap(), "t", out.to_str().unwrap()];
    let compared = readers::script("sqlite_values.py", &arguments).unwrap_or_else(|error| panic!("{error}"));
    let compared: BTreeMap<String, u64> = serde_json::from_str(&compared).unwrap();
    assert!(compared.len() == 17 && compared.values().all(|count| *count >= 4), "{compared:?}");
}
