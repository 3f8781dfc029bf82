//! The README's table of types is what the driver answers: `RIVET_BLESS=1` writes it anew.

#![allow(clippy::unwrap_used)]

mod support;

use rivet_sdk::{Source, arrow_schema::DataType};
use support::Database;

const TYPES: &[&str] = &[
    "bit",
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "real",
    "float",
    "decimal(38,10)",
    "numeric(12,2)",
    "money",
    "smallmoney",
    "date",
    "time(6)",
    "time(7)",
    "datetime",
    "smalldatetime",
    "datetime2(6)",
    "datetime2(7)",
    "datetimeoffset(6)",
    "datetimeoffset(7)",
    "char(10)",
    "varchar(50)",
    "varchar(max)",
    "text",
    "nchar(10)",
    "nvarchar(50)",
    "nvarchar(max)",
    "ntext",
    "xml",
    "binary(8)",
    "varbinary(50)",
    "varbinary(max)",
    "image",
    "rowversion",
    "uniqueidentifier",
    "sql_variant",
    "hierarchyid",
    "geometry",
    "geography",
];

fn arrow(data_type: &DataType, extension: Option<&String>) -> String {
    let name = match data_type {
        DataType::Timestamp(unit, zone) => format!("Timestamp({unit:?}{})", if zone.is_some() { ", UTC" } else { "" }),
        DataType::Time64(unit) => format!("Time64({unit:?})"),
        DataType::Decimal128(precision, scale) => format!("Decimal128({precision}, {scale})"),
        other => other.to_string(),
    };
    extension.map_or_else(|| name.clone(), |extension| format!("{name}, {extension}"))
}

#[test]
fn the_readme_says_what_becomes_of_each_type() {
    let database = Database::new();
    let columns: Vec<String> = TYPES.iter().enumerate().map(|(n, of)| format!("c{n} {of} NULL")).collect();
    database.run(&format!("CREATE TABLE every ({})", columns.join(", ").replace("rowversion NULL", "rowversion")));
    let mappings = database.open().type_mappings(&database.request("every")).unwrap();
    let mut table = String::from("| SQL Server | Arrow | fidelity |\n|---|---|---|\n");
    for mapping in &mappings {
        let field = mapping.to_field().unwrap();
        let arrow =
            arrow(field.data_type(), field.metadata().get("ARROW:extension:name").map(|name| name.to_owned()).as_ref());
        table.push_str(&format!("| {} | {arrow} | {} |\n", mapping.source_type, mapping.fidelity.as_str()));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (head, rest) = readme.split_once("<!-- types -->\n").unwrap();
    let (written, tail) = rest.split_once("<!-- /types -->").unwrap();
    if std::env::var_os("RIVET_BLESS").is_some() {
        std::fs::write(path, format!("{head}<!-- types -->\n{table}<!-- /types -->{tail}")).unwrap();
    } else {
        assert_eq!(written, table, "README.md is stale; run the test with RIVET_BLESS=1");
    }
}
