//! docs/reference/types/sqlserver.md is what the driver answers: `RIVET_BLESS=1` writes it anew.

use crate::support::Database;
use rivet_testkit::{check_types_page, type_row};

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

#[test]
fn the_page_says_what_becomes_of_each_type() {
    let database = Database::new();
    let columns: Vec<String> = TYPES.iter().enumerate().map(|(n, of)| format!("c{n} {of} NULL")).collect();
    database.run(&format!("CREATE TABLE every ({})", columns.join(", ").replace("rowversion NULL", "rowversion")));
    let (mut source, request) = (database.open(), database.request("every"));
    let row = |(n, of): (usize, &&str)| type_row(&mut source, of, &request, &format!("c{n}"));
    let rows = TYPES.iter().enumerate().map(row).collect();
    check_types_page(
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/types/sqlserver.md"),
        &["SQL Server"],
        &[("SQL Server", rows)],
    );
}
