//! The conformance suite over the SQL Server driver and a server.

#![allow(clippy::unwrap_used)]

mod support;

use rivet_plugin_mssql::MssqlDriver;
use rivet_sdk::{Relation, TableName};
use rivet_testkit::{SourceSubject, conformance};

fn main() {
    let database = support::Database::new();
    database.run("CREATE TABLE [Order-Items] (id bigint NOT NULL PRIMARY KEY, note nvarchar(50), amount decimal(12,2) NOT NULL, at datetime2(7), gone datetimeoffset(3))");
    database.insert(
        "[Order-Items]",
        (1..=700).map(|i| {
            let note = if i == 7 { "NULL".to_owned() } else { format!("N'note {i} ü'") };
            format!(
                "{}, {note}, {}.{:02}, '2024-01-01T00:00:00.{:07}', '2024-01-01T{:02}:00:00.125+05:30'",
                i * 3 - 300,
                i / 7,
                i % 100,
                i,
                i % 24
            )
        }),
    );
    database.run("CREATE TABLE heap (a int, b varchar(40), c uniqueidentifier, d date, e varbinary(max))");
    database.insert(
        "heap",
        (1..=400).map(|i| {
            let a = if i % 50 == 3 { "NULL".to_owned() } else { (i % 50).to_string() };
            format!(
                "{a}, 'b{i}', '00000000-0000-0000-0000-{i:012}', '2020-{:02}-{:02}', 0x{i:08X}",
                i % 12 + 1,
                i % 28 + 1
            )
        }),
    );
    database.run("CREATE INDEX heap_a ON heap (a)");
    database
        .run("CREATE TABLE composite (a nvarchar(10) NOT NULL, b date NOT NULL, c int NOT NULL, PRIMARY KEY (a, b))");
    database.insert(
        "composite",
        (1..=300_u32).map(|i| {
            let letter = char::from(b'A' + u8::try_from(i % 26).unwrap());
            format!("N'{letter}', '20{:02}-{:02}-{:02}', {i}", i / 26 + 10, i % 12 + 1, i % 28 + 1)
        }),
    );
    database.run("CREATE TABLE empty (id int NOT NULL PRIMARY KEY)");
    let tables = ["Order-Items", "heap", "composite", "empty"].map(|name| database.table(name));
    let query = Relation::Query("SELECT id, note FROM dbo.[Order-Items] WHERE id > 0; -- done".to_owned());
    let url = database.url();
    conformance::<MssqlDriver>(SourceSubject::new(
        "mssql",
        concat!(env!("CARGO_MANIFEST_DIR"), "/options.schema.json"),
        move || rivet_sdk::serde_json::json!({ "url": url }),
        tables.into_iter().chain([query]).collect(),
        Relation::Table(TableName::unqualified("nothing_here")),
    ));
}
