//! The harness itself: the server is there, and the readers and the server speak of values alike.

use std::process::Command;

use rivet_tests::{
    postgres::{self, User},
    readers::{self, assert_same},
    rivet, sqlite,
};
use serde_json::json;

#[test]
fn a_database_is_the_tests_own_and_gone_afterwards() {
    let mut one = postgres::database();
    let mut two = postgres::database();
    one.run("CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    assert_eq!(two.value("SELECT to_regclass('t')"), None);
    let name = one.name.clone();
    drop(one);
    assert_eq!(two.value(&format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'")).unwrap(), "0");
}

#[test]
fn the_reader_reads_and_no_more() {
    let mut database = postgres::database();
    database.run("CREATE TABLE t (a int); INSERT INTO t VALUES (7)");
    let mut reader = postgres::connect(&database.url_as(User::Reader));
    assert_eq!(reader.query_one("SELECT a FROM t", &[]).unwrap().get::<_, i32>(0), 7);
    assert!(reader.batch_execute("INSERT INTO t VALUES (8)").is_err());
    assert!(reader.batch_execute("CREATE TABLE u ()").is_err());
}

#[test]
fn the_tls_user_is_refused_without_tls() {
    let url = postgres::database().url_as(User::TlsOnly);
    assert!(::postgres::Client::connect(&url, ::postgres::NoTls).is_err());
    assert!(postgres::ca().exists() && postgres::other_ca().exists());
}

/// A Parquet file that pyarrow makes holds what the server's canonical form of the same values says.
#[test]
fn the_server_and_the_readers_agree_on_values() {
    let mut database = postgres::database();
    database.run(
        "CREATE EXTENSION hstore;
         CREATE TYPE pair AS (a int, \"B b\" date);
         CREATE DOMAIN positive AS int CHECK (value > 0);",
    );
    let expected = database.canonical(
        "SELECT true AS bool, (-9223372036854775808)::int8 AS int, 1e16::float8 AS float, '-Infinity'::float4 AS real,
                1.50::numeric(5,2) AS decimal, E'é\\n\"x\"'::text AS text, '\\x00ff'::bytea AS bytes,
                '4714-11-24 BC'::date AS date, '24:00'::time AS time, '294246-12-31 23:59:59.999999'::timestamp AS ts,
                '0001-01-01 00:00:00+00 BC'::timestamptz AS tz, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid AS uuid,
                ARRAY[1,NULL,3] AS list, ARRAY[]::date[] AS none, ARRAY[ROW(1,'2020-01-01')::pair, NULL] AS pairs,
                ROW(NULL,NULL)::pair AS pair, int4range(1,5) AS range, 'k=>v,z=>NULL'::hstore AS map,
                7::positive AS positive, NULL::jsonb AS nothing, 'P1D'::interval AS interval",
    );
    let project = rivet::project();
    let file = project.path("a.parquet");
    let script = r#"
import datetime, sys, uuid
from decimal import Decimal
import pyarrow as pa, pyarrow.parquet as pq
i64 = lambda value, to: pa.array([value], pa.int64()).view(to)
pair = pa.struct([("a", pa.int32()), ("B b", pa.date32())])
bounds = pa.struct([("lower", pa.int32()), ("upper", pa.int32()), ("lower_inclusive", pa.bool_()), ("upper_inclusive", pa.bool_()), ("empty", pa.bool_())])
pq.write_table(pa.table({
    "bool": [True], "int": [-2**63], "float": [1e16], "real": pa.array([float("-inf")], pa.float32()),
    "decimal": pa.array([Decimal("1.50")], pa.decimal256(50, 2)), "text": ["é\n\"x\""], "bytes": [b"\x00\xff"],
    "date": pa.array([-2440588], pa.int32()).view(pa.date32()), "time": i64(86400000000, pa.time64("us")),
    "ts": i64(9223371244799999999, pa.timestamp("us")), "tz": i64(-62167219200000000, pa.timestamp("us", "UTC")),
    "uuid": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11").bytes], pa.binary(16))),
    "list": [[1, None, 3]], "none": pa.array([[]], pa.list_(pa.date32())),
    "pairs": pa.array([[{"a": 1, "B b": datetime.date(2020, 1, 1)}, None]], pa.list_(pair)),
    "pair": pa.array([{"a": None, "B b": None}], pair),
    "range": pa.array([{"lower": 1, "upper": 5, "lower_inclusive": True, "upper_inclusive": False, "empty": False}], bounds),
    "map": pa.array([[("k", "v"), ("z", None)]], pa.map_(pa.string(), pa.string())),
    "positive": pa.array([7], pa.int32()), "nothing": pa.array([None], pa.string()), "interval": ["P1D"],
}), sys.argv[1])
"#;
    let made = Command::new(std::env::var_os("RIVET_TEST_PYTHON").unwrap()).args(["-c", script]).arg(&file).status();
    assert!(made.unwrap().success());
    assert_same(&expected, &readers::parquet(&file));
    let schema = readers::schema(project.folder()).remove(0);
    assert_eq!((schema.rows, schema.leaves[0].physical.as_str(), schema.leaves[0].required), (1, "BOOLEAN", false));
    assert_eq!(readers::sql(&file, "SELECT count(*), sum(positive) FROM t")[0], [Some("1".into()), Some("7".into())]);
}

#[test]
fn null_and_empty_differ_in_csv() {
    let project = rivet::project();
    let file = project.write("a.csv", "a,b\n1,\n\"\",\"x \"\"y\"\"\nz\"\n");
    let table = readers::csv(&file);
    assert_eq!(table.rows, [[json!("1"), json!(null)], [json!(""), json!("x \"y\"\nz")]]);
    let file = project.write("b.csv", "1;NULL\n\"NULL\";2\n");
    let table = readers::csv_with(&file, &json!({"delimiter": ";", "null": "NULL", "header": false}));
    assert_eq!(table.rows, [[json!("1"), json!(null)], [json!("NULL"), json!("2")]]);
}

#[test]
#[should_panic(expected = "expected \"1.50\", found \"1.5\"")]
fn a_decimals_scale_is_part_of_its_value() {
    let mut database = postgres::database();
    let one = database.canonical("SELECT 1.50::numeric AS a");
    let other = database.canonical("SELECT 1.5::numeric AS a");
    assert_same(&one, &other);
}

#[test]
fn sqlite_databases_are_files() {
    let mut database = sqlite::database();
    database.run("CREATE TABLE t (a, b); INSERT INTO t VALUES (1, x'00ff'), (NULL, 'x')");
    assert_eq!(database.rows("SELECT * FROM t"), [[Some("1".into()), Some("00ff".into())], [None, Some("x".into())]]);
    assert!(database.path().exists());
}
