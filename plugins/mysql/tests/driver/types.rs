//! docs/reference/types/mysql.md is what the driver answers: `RIVET_BLESS=1` writes it anew.

use crate::support::servers;
use rivet_testkit::{check_types_page, type_row};

/// A type, and the only product that has it.
const TYPES: &[(&str, &str)] = &[
    ("tinyint", ""),
    ("tinyint(1)", ""),
    ("tinyint unsigned", ""),
    ("smallint", ""),
    ("smallint unsigned", ""),
    ("mediumint", ""),
    ("mediumint unsigned", ""),
    ("int", ""),
    ("int unsigned", ""),
    ("bigint", ""),
    ("bigint unsigned", ""),
    ("decimal(15,2)", ""),
    ("decimal(10,2) unsigned", ""),
    ("decimal(65,30)", ""),
    ("float", ""),
    ("double", ""),
    ("date", ""),
    ("datetime(6)", ""),
    ("timestamp(6) NULL", ""),
    ("time(6)", ""),
    ("year", ""),
    ("char(5)", ""),
    ("varchar(20)", ""),
    ("varchar(20) CHARACTER SET sjis", ""),
    ("text", ""),
    ("longtext", ""),
    ("enum('a', '')", ""),
    ("set('a', 'b')", ""),
    ("binary(4)", ""),
    ("varbinary(10)", ""),
    ("longblob", ""),
    ("bit(1)", ""),
    ("bit(64)", ""),
    ("json", ""),
    ("geometry", ""),
    ("point SRID 4326", "MySQL"),
    ("vector(3)", "MySQL"),
    ("uuid", "MariaDB"),
    ("inet4", "MariaDB"),
    ("inet6", "MariaDB"),
];

#[test]
fn the_page_says_what_becomes_of_each_type() {
    let mut found = Vec::new();
    for server in servers() {
        let product = if server.is_mariadb() { "MariaDB" } else { "MySQL" };
        let database = server.database();
        let mut source = server.open();
        let mut rows = Vec::new();
        for (index, (of, _)) in TYPES.iter().enumerate().filter(|(_, (_, only))| [product, ""].contains(only)) {
            database.run(&format!("CREATE TABLE t{index} (v {of})"));
            rows.push(type_row(&mut source, of, &database.request(&format!("t{index}")), "v"));
        }
        found.push((product, rows));
    }
    check_types_page(
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/types/mysql.md"),
        &["MariaDB", "MySQL"],
        &found,
    );
}
