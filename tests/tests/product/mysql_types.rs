//! Every value of every type arrives as it was: what DuckDB and pyarrow read is what MySQL and MariaDB print.

use rivet_tests::{
    mysql::{self, Database, Server},
    readers::{self, assert_same},
    rivet,
};

/// A table with every type at its edges: the least and the greatest value, what is odd, NULL.
const EDGES: &str = r#"
    CREATE TABLE edges (
        id bigint PRIMARY KEY, t tinyint, tu tinyint unsigned, t1 tinyint(1), s smallint, su smallint unsigned, m mediumint, mu mediumint unsigned,
        i int, iu int unsigned, b bigint, bu bigint unsigned, z int(5) unsigned zerofill, n decimal(15,2), n38 decimal(38,10), n65 decimal(65,30), nu decimal(10,2) unsigned,
        f float, d double, dt date, dtm datetime, dt6 datetime(6), ts timestamp NULL, ts6 timestamp(6) NULL, tm time, tm6 time(6), y year,
        c char(5), v varchar(20), vl varchar(20) CHARACTER SET latin1, v3 varchar(20) CHARACTER SET utf8mb3, vs varchar(20) CHARACTER SET sjis, vu varchar(20) CHARACTER SET ucs2,
        tx text, lt longtext, bin binary(4), vb varbinary(9), bl blob, b1 bit(1), b8 bit(8), b64 bit(64),
        e enum('sad', '', 'very "happy"'), st set('a', 'b', 'ü'), g geometry, j json);
    INSERT INTO edges VALUES
      (1, -128, 0, 0, -32768, 0, -8388608, 0, -2147483648, 0, -9223372036854775808, 0, 0,
       -9999999999999.99, -9999999999999999999999999999.9999999999, -99999999999999999999999999999999999.999999999999999999999999999999, 0,
       -3.4028234663852886e38, -1.7976931348623157e308, '0001-01-01', '1000-01-01 00:00:00', '1000-01-01 00:00:00.000000', '1970-01-01 00:00:01', '1970-01-01 00:00:01.000001', '00:00:00', '00:00:00.000001', 1901,
       'ab', '', '', '', '', '', '', '', X'00', '', '', b'0', b'0', 0, 'sad', '', ST_GeomFromText('POINT(0 0)'), '{"a": 1}'),
      (2, 127, 255, 2, 32767, 65535, 8388607, 16777215, 2147483647, 4294967295, 9223372036854775807, 18446744073709551615, 99999,
       9999999999999.99, 9999999999999999999999999999.9999999999, 99999999999999999999999999999999999.999999999999999999999999999999, 99999999.99,
       3.4028234663852886e38, 1.7976931348623157e308, '9999-12-31', '9999-12-31 23:59:59', '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07', '2038-01-19 03:14:07.999999', '23:59:59', '23:59:59.999999', 2155,
       'abcde', 'twenty characters!!!', 'é€ÿ', 'é€', '日本ア', '日本é', 'tab	quote"comma,
newline é 漢字 😀', REPEAT('0123456789', 30000), X'00FF0A0D', X'00FF220A2C', REPEAT(X'FF', 70000), b'1', b'11111111', 18446744073709551615,
       'very "happy"', 'a,b,ü', ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))'), '[12345678901234567890, "é", null]'),
      (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
      (4, 0, 1, 1, -1, 1, -1, 1, -1, 1, -1, 9223372036854775808, 42, -0.01, 0.0000000001, -0.000000000000000000000000000001, 0.01,
       0.1, 5e-324, '1969-12-31', '1969-12-31 23:59:59', '1969-12-31 23:59:59.999999', '2024-02-29 12:00:00', '2024-02-29 12:00:00.500000', '12:34:56', '12:34:56.7', 0,
       ' x ', ' padded ', '?', '?', '?', '?', '\\N', 'NULL', X'5C4E', X'', X'5C', b'1', b'1010', 1, '', 'ü', ST_GeomFromText('LINESTRING(1.5 -2,1e300 -1e-300)'), '"é"');
"#;

/// What only one of the two has.
fn extra(server: &Server) -> &'static str {
    if server.is_mariadb() {
        "CREATE TABLE extra (id int PRIMARY KEY, u uuid, i4 inet4, i6 inet6, j json);
         INSERT INTO extra VALUES (1, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.0.0.1', '2001:db8::ff', '{\"a\" : 1,  \"a\":12345678901234567890123.5}'), (2, NULL, NULL, NULL, NULL)"
    } else {
        "CREATE TABLE extra (id int PRIMARY KEY, v vector(3), p point SRID 4326, j json);
         INSERT INTO extra VALUES (1, STRING_TO_VECTOR('[1,-2.5,0.1]'), ST_GeomFromText('POINT(10 20)', 4326), '[-9223372036854775808, 1.5, {\"é\": \"\\\\u0000\"}]'), (2, NULL, NULL, NULL)"
    }
}

fn export(database: &Database, table: &str, more: &str) -> rivet::Project {
    let project = rivet::project();
    project.config(&format!(
        "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, table: {table}, {more}, destination: {{type: local, path: '{{out}}'}}}}\n"
    ));
    project.rivet("run").env("DATABASE_URL", database.url()).ok();
    project
}

#[test]
fn every_type_at_its_edges_in_parquet() {
    for server in mysql::servers() {
        let database = server.database();
        database.run(EDGES).run(extra(&server));
        for table in ["edges", "extra"] {
            let project = export(&database, table, "format: parquet");
            assert_same(&database.canonical(table, "id"), &readers::parquet(project.out()).sorted_by("id"));
        }
    }
}

#[test]
fn every_type_at_its_edges_in_csv() {
    for server in mysql::servers() {
        let database = server.database();
        database.run(EDGES);
        let project = export(&database, "edges", "format: csv");
        let found = readers::csv(project.out()).sorted_by("id");
        // As docs/reference/csv.md writes each type; floats as numbers, below.
        let micros = |name: &str| format!("DATE_FORMAT({name}, '%Y-%m-%d %H:%i:%s.%f')");
        let instant = |name: &str| format!("CONCAT({}, 'Z')", micros(name));
        let hex = |name: &str| format!("CONCAT('\\\\x', LOWER(HEX({name})))");
        let form = |name: &str| match name {
            "dtm" | "dt6" => micros(name),
            "ts" | "ts6" => instant(name),
            "tm" | "tm6" => format!("TIME_FORMAT({name}, '%H:%i:%s.%f')"),
            "bin" | "vb" | "bl" => hex(name),
            "g" => format!("CONCAT('\\\\x', LOWER(SUBSTRING(HEX({name}), 9)))"),
            "b1" => "IF(b1 IS NULL, NULL, IF(b1 = 1, 'true', 'false'))".to_owned(),
            "b8" | "b64" | "z" | "y" => format!("{name} + 0"),
            "f" => "f + 0e0".to_owned(),
            plain => plain.to_owned(),
        };
        let names: Vec<&str> = found.columns.iter().map(|column| column.name.as_str()).collect();
        let expressions: Vec<String> = names.iter().map(|name| form(name)).collect();
        let expected = database.texts(&expressions, "FROM edges ORDER BY id");
        assert_eq!(found.rows.len(), expected.len());
        for (row, wanted) in found.rows.iter().zip(&expected) {
            for ((name, value), wanted) in names.iter().zip(row).zip(wanted) {
                match (*name, value.as_str(), wanted.as_deref()) {
                    ("d", Some(value), Some(wanted)) => assert_eq!(value.parse::<f64>(), wanted.parse::<f64>()),
                    ("f", Some(value), Some(wanted)) => assert_eq!(value.parse::<f32>(), wanted.parse::<f32>()),
                    (_, value, wanted) => assert_eq!(value, wanted, "{name} on {}", server.name),
                }
            }
        }
    }
}

#[test]
fn not_null_columns_are_required_and_json_and_uuid_are_marked() {
    for server in mysql::servers() {
        let database = server.database();
        let uuid = if server.is_mariadb() { "u uuid" } else { "u binary(16)" };
        database.run(&format!("CREATE TABLE t (id int PRIMARY KEY, j json NOT NULL, {uuid}, g point NOT NULL)"));
        database.run("INSERT INTO t VALUES (1, '{}', NULL, ST_GeomFromText('POINT(1 2)', 3857))");
        let project = export(&database, "t", "format: parquet, columns: {u: uuid}");
        let schema = &readers::schema(project.out())[0];
        let text = format!("{schema:?}");
        assert!(text.contains("JSON") && text.contains("UUID"), "{text}");
        assert!(text.contains("EPSG:3857"), "the SRID stands in the metadata: {text}");
        let nullable: Vec<_> = schema.columns.iter().map(|field| (field.name.as_str(), field.nullable)).collect();
        assert_eq!(nullable, [("id", false), ("j", false), ("u", true), ("g", false)]);
    }
}

#[test]
fn values_that_arrow_cannot_hold_are_refused_by_name_or_counted() {
    for server in mysql::servers() {
        let database = server.database();
        database.run("CREATE TABLE t (id int PRIMARY KEY, d date NOT NULL); INSERT INTO t VALUES (1, '2020-01-01'), (2, '0000-00-00'), (3, '2020-02-00')");
        let config = |more: &str| {
            format!(
                "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, table: t, format: parquet{more}, destination: {{type: local, path: '{{out}}'}}}}\n"
            )
        };
        let project = rivet::project();
        project.config(&config(""));
        let refused = project.rivet("run").env("DATABASE_URL", database.url()).fails(1);
        refused.says(&["`d`", "0000-00-00", "hint:", "on_unrepresentable"]);
        assert!(readers::files(project.out()).is_empty(), "a failed run left a visible file");
        project.config(&config(", on_unrepresentable: null"));
        let output = project.rivet("run").env("DATABASE_URL", database.url()).arg("--json").ok();
        assert_eq!(output.json()["exports"][0]["columns"]["d"]["unrepresentable"], 2);
        let dates = readers::parquet(project.out()).sorted_by("id");
        assert_eq!(dates.column("d").iter().filter(|value| value.is_null()).count(), 2);
    }
}

#[test]
fn fifty_megabytes_in_one_value_arrive_whole() {
    for server in mysql::servers() {
        let database = server.database();
        database.run("CREATE TABLE t (id int PRIMARY KEY, big longtext); INSERT INTO t VALUES (1, ''), (2, REPEAT('0123456789', 5000000))");
        let project = export(&database, "t", "format: parquet");
        let found = readers::sql(project.out(), "SELECT length(big)::VARCHAR, sha256(big) FROM t ORDER BY id");
        let expected = database.texts(&["LENGTH(big)".into(), "SHA2(big, 256)".into()], "FROM t ORDER BY id");
        assert_eq!(found, expected);
    }
}

#[test]
fn four_workers_read_every_row_once() {
    for server in mysql::servers() {
        let database = server.database();
        database.run(
            "CREATE TABLE t (id int PRIMARY KEY, s char(64)); INSERT INTO t WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 400) \
             SELECT (a.i - 1) * 400 + b.i, SHA2(a.i * 1000 + b.i, 256) FROM r AS a, r AS b; ANALYZE TABLE t",
        );
        let opened = || database.rows("SHOW GLOBAL STATUS LIKE 'Connections'")[0][1].parse::<i64>().unwrap();
        let before = opened();
        let project = rivet::project();
        project.config("source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, table: t, format: parquet, mode: chunked, chunk_size: 10000, parallel: 4, destination: {type: local, path: '{out}'}}\n");
        let output = project.rivet("run").arg("--json").env("DATABASE_URL", database.url()).ok();
        let after = opened();
        let summary = output.json()["exports"][0].clone();
        assert_eq!((&summary["rows"], &summary["consistency"]), (&160_000.into(), &"per_chunk".into()), "{summary}");
        assert!(summary["chunks"].as_u64().unwrap() >= 12, "{summary}");
        // Ours to look and four workers, the first with the planner's; other tests may open theirs meanwhile.
        assert!(after - before >= 5, "{before} {after}");
        let found =
            readers::sql(project.out(), "SELECT count(*), count(DISTINCT id), min(id), max(id), sum(id) FROM t");
        let expected = ["160000", "160000", "1", "160000", "12800080000"].map(|text| Some(text.to_owned()));
        assert_eq!(found, [expected.to_vec()]);
    }
}
