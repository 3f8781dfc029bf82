//! docs/reference/types/postgresql.md is what the driver answers: `RIVET_BLESS=1` writes it anew.

use crate::support::{Schema, open};
use rivet_testkit::{check_types_page, type_row};

const TYPES: &[&str] = &[
    "boolean",
    "smallint",
    "integer",
    "bigint",
    "oid",
    "xid",
    "real",
    "double precision",
    "numeric(15,2)",
    "numeric(38,10)",
    "numeric(76,20)",
    "numeric(3,-2)",
    "numeric(2,5)",
    "numeric(1000,10)",
    "numeric",
    "money",
    "char(5)",
    "varchar(10)",
    "text",
    "name",
    "\"char\"",
    "xml",
    "bytea",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "interval",
    "uuid",
    "json",
    "jsonb",
    "inet",
    "cidr",
    "macaddr",
    "macaddr8",
    "bit(10)",
    "varbit",
    "pg_lsn",
    "point",
    "polygon",
    "tsvector",
    "regclass",
    "int2vector",
    "xid8",
    "tid",
    "mood",
    "positive",
    "cents",
    "integer[]",
    "numeric(10,2)[]",
    "numeric[]",
    "mood[]",
    "positive[]",
    "text[]",
    "point[]",
    "inet[]",
    "interval[]",
    "pair",
    "pair[]",
    "spot",
    "int4range",
    "numrange",
    "int4multirange",
    "int4range[]",
    "hstore",
    "citext",
];

const SETUP: &str = "CREATE EXTENSION IF NOT EXISTS hstore SCHEMA public; \
    CREATE EXTENSION IF NOT EXISTS citext SCHEMA public; \
    CREATE TYPE mood AS ENUM ('sad', 'über'); CREATE DOMAIN positive AS int CHECK (VALUE > 0); \
    CREATE DOMAIN cents AS numeric(10,2); CREATE TYPE pair AS (a int, b text); CREATE TYPE spot AS (p point, n int);";

#[test]
fn the_page_says_what_becomes_of_each_type() {
    let schema = Schema::new();
    schema.run(SETUP);
    let columns: Vec<String> = TYPES.iter().enumerate().map(|(n, of)| format!("c{n} {of}")).collect();
    schema.run(&format!("CREATE TABLE every ({})", columns.join(", ")));
    let (mut source, request) = (open(), schema.request("every"));
    let row = |(n, of): (usize, &&str)| type_row(&mut source, of, &request, &format!("c{n}"));
    let rows = TYPES.iter().enumerate().map(row).collect();
    check_types_page(
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/types/postgresql.md"),
        &["PostgreSQL"],
        &[("PostgreSQL", rows)],
    );
}
