//! docs/reference/types/sqlite.md is what the driver answers: `RIVET_BLESS=1` writes it anew.

use rivet_plugin_sqlite::{SqliteDriver, SqliteOptions};
use rivet_sdk::{Context, ExportRequest, Relation, SourceDriver, TableName};
use rivet_testkit::{check_types_page, type_row};

const TYPES: &[&str] = &[
    "INTEGER",
    "BIGINT",
    "BOOLEAN",
    "REAL",
    "DOUBLE",
    "DECIMAL(12,2)",
    "NUMERIC",
    "TEXT",
    "VARCHAR(20)",
    "JSON",
    "UUID",
    "BLOB",
    "DATE",
    "TIME",
    "DATETIME",
    "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE",
];

#[test]
fn the_page_says_what_becomes_of_each_type() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("types.db");
    let columns: Vec<String> = TYPES.iter().enumerate().map(|(n, of)| format!("c{n} {of}")).collect();
    let sql = format!("CREATE TABLE every ({})", columns.join(", "));
    rusqlite::Connection::open(&file).unwrap().execute_batch(&sql).unwrap();
    let options = SqliteOptions { path: Some(file.display().to_string()), ..SqliteOptions::default() };
    let mut source = SqliteDriver::open(options, &Context::detached()).unwrap();
    let request = ExportRequest::whole(Relation::Table(TableName::unqualified("every")));
    let row = |(n, of): (usize, &&str)| type_row(&mut source, of, &request, &format!("c{n}"));
    let rows = TYPES.iter().enumerate().map(row).collect();
    check_types_page(
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/types/sqlite.md"),
        &["SQLite"],
        &[("SQLite", rows)],
    );
}
