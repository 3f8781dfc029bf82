//! What happens to the file while it is open.

use std::fs;

use rivet_plugin_sqlite::{SqliteDriver, SqliteOptions};
use rivet_sdk::{Context, Source, SourceDriver};
use rusqlite::Connection;

#[test]
fn a_write_that_is_cut_off_after_the_file_was_opened_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (file, other) = (folder.path().join("a.db"), folder.path().join("b.db"));
    let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a')";
    Connection::open(&file).unwrap().execute_batch(table).unwrap();
    let options = SqliteOptions { path: Some(file.display().to_string()), ..SqliteOptions::default() };
    let mut source = SqliteDriver::open(options, &Context::detached()).unwrap();
    let count = "SELECT count(*) FROM t";
    assert!(source.query_scalar(count).unwrap().is_some());
    // As a machine leaves it that loses its power in the middle: file and journal, and nobody who holds them.
    let writer = Connection::open(&other).unwrap();
    writer.execute_batch("PRAGMA cache_size = 1; PRAGMA cache_spill = 1").unwrap();
    writer.execute_batch(table).unwrap();
    let rows = "BEGIN; WITH RECURSIVE r(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM r WHERE n < 20000)
                INSERT INTO t SELECT n, hex(randomblob(50)) FROM r";
    writer.execute_batch(rows).unwrap();
    for suffix in ["-journal", ""] {
        let bytes = fs::read(folder.path().join(format!("b.db{suffix}"))).unwrap();
        fs::write(folder.path().join(format!("a.db{suffix}")), bytes).unwrap();
    }
    let error = source.query_scalar(count).unwrap_err();
    assert_eq!(error.code(), Some("hot_journal"), "{error:?}");
    assert!(error.message().contains("was cut off") && error.hint().is_some(), "{error:?}");
}
