//! Every type at its edges, compared with the database's own answer.

use crate::judge::Judge;
use crate::support::{Server, export, export_meanwhile, open_with, servers};
use rivet_sdk::arrow_schema::DataType;
use rivet_sdk::{ColumnRequest, ErrorKind, ExportRequest, Fidelity, OnUnrepresentable, Relation, Source, WantedType};

/// Where a type exists.
#[derive(Clone, Copy, PartialEq)]
enum On {
    Both,
    MySql,
    MariaDb,
}
use On::{Both, MariaDb, MySql};

/// One column per case: its type, its values as SQL, and an expression over `v` whose text is
/// what the Arrow value must read.
const CASES: &[(On, &str, &[&str], &str)] = &[
    (Both, "tinyint", &["-128", "127", "0"], "v"),
    (Both, "tinyint unsigned", &["0", "255"], "v"),
    (Both, "tinyint(1)", &["0", "1", "2", "-1"], "v"),
    (Both, "smallint", &["-32768", "32767"], "v"),
    (Both, "smallint unsigned", &["0", "65535"], "v"),
    (Both, "mediumint", &["-8388608", "8388607"], "v"),
    (Both, "mediumint unsigned", &["0", "16777215"], "v"),
    (Both, "int", &["-2147483648", "2147483647"], "v"),
    (Both, "int unsigned", &["0", "4294967295"], "v"),
    (Both, "int(5) zerofill", &["42"], "v + 0"),
    (Both, "bigint", &["-9223372036854775808", "9223372036854775807"], "v"),
    (Both, "bigint unsigned", &["0", "18446744073709551615"], "v"),
    (Both, "decimal(15,2)", &["0", "-0.01", "9999999999999.99", "12.3", "-9999999999999.99"], "v"),
    (Both, "decimal(10,2) unsigned", &["0", "99999999.99"], "v"),
    (Both, "decimal(38,10)", &["9999999999999999999999999999.9999999999", "-0.0000000001"], "v"),
    (Both, "decimal(39,0)", &["999999999999999999999999999999999999999", "-1"], "v"),
    (
        Both,
        "decimal(65,30)",
        &[
            "99999999999999999999999999999999999.999999999999999999999999999999",
            "-0.000000000000000000000000000001",
            "7",
        ],
        "v",
    ),
    (Both, "decimal(1,1)", &["0.9", "-0.9"], "v"),
    (
        Both,
        "float",
        &["0.5", "-2.25", "3.4028234663852886e38", "1.1754943508222875e-38"],
        "CASE WHEN v > 1e38 THEN '340282350000000000000000000000000000000' WHEN v > 0 AND v < 1e-37 THEN '0.000000000000000000000000000000000000011754944' ELSE v + 0 END",
    ),
    (Both, "double", &["0.5", "-2.25", "123456789.12345679"], "v"),
    (Both, "date", &["'0001-01-01'", "'1969-12-31'", "'2000-02-29'", "'9999-12-31'"], "DATEDIFF(v, '1970-01-01')"),
    (
        Both,
        "datetime",
        &["'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'"],
        "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', v)",
    ),
    (
        Both,
        "datetime(6)",
        &["'1969-12-31 23:59:59.999999'", "'9999-12-31 23:59:59.999999'", "'2024-02-29 00:00:00.000001'"],
        "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', v)",
    ),
    (Both, "datetime(3)", &["'2024-02-29 12:34:56.789'"], "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', v)"),
    (
        Both,
        "timestamp(6) NULL",
        &["'1970-01-01 00:00:01.000001'", "'2038-01-19 03:14:07.999999'"],
        "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', v)",
    ),
    (Both, "time", &["'00:00:00'", "'23:59:59'"], "TIME_TO_SEC(v) * 1000000"),
    (
        Both,
        "time(6)",
        &["'00:00:00.000001'", "'23:59:59.999999'"],
        "ROUND(TIME_TO_SEC(v) * 1000000) + IF(MICROSECOND(v) > 0 AND TIME_TO_SEC(v) = FLOOR(TIME_TO_SEC(v)), MICROSECOND(v), 0)",
    ),
    (Both, "year", &["1901", "2155", "0"], "v + 0"),
    (Both, "char(5)", &["'ab'", "''", "'äöüß€'"], "v"),
    (Both, "varchar(20)", &["'x'", "''", "'日本語'", "' padded '"], "v"),
    (Both, "varchar(20) CHARACTER SET latin1", &["'é'", "CONVERT(X'8180FF' USING latin1)"], "v"),
    (Both, "varchar(20) CHARACTER SET utf8mb3", &["'é€'", "'??'"], "v"),
    (Both, "varchar(20) CHARACTER SET sjis", &["'日本'", "'ア?'", "''"], "v"),
    (Both, "char(20) CHARACTER SET ucs2", &["'日本?'", "'x'"], "v"),
    (Both, "varchar(20) CHARACTER SET utf16", &["'日本😀?'"], "v"),
    (Both, "varchar(20) CHARACTER SET gbk", &["'中文?'"], "v"),
    (Both, "varchar(20) CHARACTER SET cp1251", &["'привет?'"], "v"),
    (Both, "varchar(20) CHARACTER SET ascii", &["'plain?'"], "v"),
    (Both, "tinytext", &["'it''s'"], "v"),
    (Both, "text", &["''", "'😀'"], "v"),
    (Both, "mediumtext CHARACTER SET utf8mb3", &["'é'"], "v"),
    (Both, "longtext", &["REPEAT('0123456789', 100000)"], "v"),
    (Both, "binary(4)", &["X'00FF'", "''"], "LOWER(HEX(v))"),
    (Both, "varbinary(10)", &["X'00FF27'", "''"], "LOWER(HEX(v))"),
    (Both, "blob", &["X'FFFE'", "''"], "LOWER(HEX(v))"),
    (Both, "longblob", &["REPEAT(X'00', 100000)"], "LOWER(HEX(v))"),
    (Both, "bit(1)", &["b'0'", "b'1'"], "IF(v IS NULL, NULL, IF(v, 'true', 'false'))"),
    (Both, "bit(8)", &["b'0'", "b'11111111'"], "v + 0"),
    (Both, "bit(64)", &["18446744073709551615", "1"], "v + 0"),
    (Both, "enum('sad', '', 'very \"happy\"', 'ü')", &["'sad'", "''", "'ü'"], "v"),
    (Both, "set('a', 'b', 'ü')", &["'a,ü'", "''"], "v"),
    (MySql, "json", &["'{\"big\": 12345678901234567890}'", "'null'", "'[1, \"é\"]'"], "v"),
    (MariaDb, "json", &["'{\"a\" : 1,  \"a\":2}'", "'[123456789012345678901234567890]'"], "v"),
    (
        Both,
        "geometry",
        &["ST_GeomFromText('POINT(1.5 -2)')", "ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')"],
        "LOWER(SUBSTRING(HEX(v), 9))",
    ),
    (MySql, "point SRID 4326", &["ST_GeomFromText('POINT(10 20)', 4326)"], "LOWER(SUBSTRING(HEX(v), 9))"),
    (MySql, "vector(3)", &["STRING_TO_VECTOR('[1,2.5,-3]')"], "IF(v IS NULL, NULL, '[1,2.5,-3]')"),
    (MariaDb, "uuid", &["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"], "REPLACE(v, '-', '')"),
    (MariaDb, "inet6", &["'::1'", "'2001:db8::ff'", "'::ffff:1.2.3.4'"], "v"),
    (MariaDb, "inet4", &["'10.0.0.1'"], "v"),
];

fn cases(server: &Server) -> impl Iterator<Item = &'static (On, &'static str, &'static [&'static str], &'static str)> {
    let here = if server.is_mariadb() { MariaDb } else { MySql };
    CASES.iter().filter(move |(on, ..)| *on == Both || *on == here)
}

#[test]
fn every_type_arrives_as_the_database_has_it() {
    for server in servers() {
        let database = server.database();
        let (mut source, mut judge) = (server.open(), Judge::connect(&server));
        for (index, (_, of, values, expected)) in cases(&server).enumerate() {
            let table = format!("c{index}");
            let rows: Vec<String> = values.iter().enumerate().map(|(n, value)| format!("({n}, {value})")).collect();
            let null = format!("({}, NULL)", values.len());
            database.run(&format!("CREATE TABLE {table} (n int PRIMARY KEY, v {of})"));
            database.run(&format!("INSERT INTO {table} VALUES {}, {null}", rows.join(", ")));
            let mut request = database.request(&table);
            request.order_by = vec!["n".into()];
            let found = export(&mut source, &request).unwrap_or_else(|error| panic!("{of}: {error:?}")).0.column("v");
            // HEX, so that the client's own escapes do not come between.
            let wanted = database
                .run(&format!("SELECT IFNULL(HEX(CONVERT({expected} USING utf8mb4)), '-') FROM {table} ORDER BY n"));
            let wanted: Vec<String> = wanted.lines().map(unhex).collect();
            assert_eq!(found, wanted, "{of} on {}", server.name);
            let judged = judge.cells(&format!("{}.{table}", database.name), of);
            assert_eq!(found, judged, "{of} on {}, as the crate `mysql` reads it", server.name);
            assert!(judged.len() > 1, "{of}: NULL alone was judged");
            let query = Relation::Query(format!("SELECT n, v FROM {}.{table} ORDER BY n", database.name));
            // A query's text column comes without its character set's check, and no SRID is known.
            if !of.contains("SRID") {
                let through = export(&mut source, &ExportRequest::whole(query)).unwrap().0;
                let mut through: Vec<Vec<String>> = through.rows();
                through.sort_by_key(|row| row[0].parse::<i32>().unwrap());
                let through: Vec<String> = through.into_iter().map(|mut row| row.remove(1)).collect();
                assert_eq!(through, wanted, "{of} in a query on {}", server.name);
            }
        }
    }
}

/// Ways to a column that change how a server sends it: MariaDB writes the bits of a scalar subquery as digits.
const FORMS: &[&str] = &[
    "SELECT o.n, (SELECT x.v FROM {t} AS x WHERE x.n = o.n) AS v FROM {t} AS o",
    "SELECT n, v FROM {t} WHERE n < 1 UNION ALL SELECT n, v FROM {t} WHERE n >= 1",
    "SELECT n, COALESCE(v, v) AS v FROM {t}",
    "SELECT n, IF(n < 0, NULL, v) AS v FROM {t}",
    "SELECT n, MAX(v) AS v FROM {t} GROUP BY n",
    "SELECT n, FIRST_VALUE(v) OVER (PARTITION BY n) AS v FROM {t}",
];

#[test]
fn a_value_is_the_same_whatever_expression_it_comes_through() {
    let mut wrong = Vec::new();
    for server in servers() {
        let database = server.database();
        let mut source = server.open();
        for (index, (_, of, values, expected)) in cases(&server).enumerate() {
            // A query does not say which SRID its column has, and MySQL calls a vector of an expression bytes.
            if of.contains("SRID") || (of.starts_with("vector") && !server.is_mariadb()) {
                continue;
            }
            // An aggregate is none of a shape's, and changes what a double or a set is.
            let shape = ["geometry", "point", "vector", "json", "float", "enum", "set"];
            let forms = if shape.iter().any(|no| of.starts_with(no)) { &FORMS[..2] } else { FORMS };
            let table = format!("c{index}");
            let rows: Vec<String> = values.iter().enumerate().map(|(n, value)| format!("({n}, {value})")).collect();
            let mut make = format!(
                "CREATE TABLE {table} (n int PRIMARY KEY, v {of}); INSERT INTO {table} VALUES {}, ({}, NULL);",
                rows.join(", "),
                values.len()
            );
            let mut ask = String::new();
            let forms: Vec<String> =
                forms.iter().map(|form| form.replace("{t}", &format!("{}.{table}", database.name))).collect();
            for (number, form) in forms.iter().enumerate() {
                make.push_str(&format!("CREATE VIEW w{index}_{number} AS {form};"));
                ask.push_str(&format!(
                    "SELECT IFNULL(HEX(CONVERT({expected} USING utf8mb4)), '-') FROM w{index}_{number} ORDER BY n;"
                ));
            }
            database.run(&make);
            let wanted: Vec<String> = database.run(&ask).lines().map(unhex).collect();
            for (number, (form, wanted)) in forms.iter().zip(wanted.chunks(values.len() + 1)).enumerate() {
                for relation in [database.table(&format!("w{index}_{number}")), Relation::Query(form.clone())] {
                    let mut request = ExportRequest::whole(relation);
                    request.order_by = vec!["n".into()];
                    match export(&mut source, &request).map(|(keep, _)| keep.column("v")) {
                        Ok(found) if found == wanted => {}
                        found => wrong.push(format!("{of} on {}: {form}: {found:?} not {wanted:?}", server.name)),
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_table_altered_while_the_export_begins_is_never_read_as_something_else() {
    for server in servers() {
        for (before, value, after) in [
            ("bigint", "4614253070214989087", "double"),
            ("int", "1078523331", "float"),
            ("date", "'2026-01-02'", "datetime"),
            ("varchar(9)", "'7'", "varbinary(9)"),
            ("datetime", "'2026-01-02 03:04:05'", "timestamp NULL"),
        ] {
            let database = server.database();
            database.run(&format!("CREATE TABLE t (v {before}); INSERT INTO t VALUES ({value})"));
            let mut source = server.open();
            let request = database.request("t");
            let mut alter = || drop(database.run(&format!("ALTER TABLE t MODIFY v {after}")));
            let error = export_meanwhile(&mut source, &request, &mut alter).map(|(keep, _)| keep.rows()).unwrap_err();
            assert!(error.is_transient() && error.to_string().contains("`v`"), "{before} to {after}: {error:?}");
        }
    }
}

#[test]
fn a_null_in_a_column_that_is_not_null_is_refused_by_name() {
    for server in servers() {
        for of in ["int", "varchar(9)", "datetime"] {
            let database = server.database();
            // An engine with snapshots says itself that the table is another one.
            database.run(&format!("CREATE TABLE t (id int PRIMARY KEY, v {of} NOT NULL) ENGINE = MyISAM"));
            let mut source = server.open();
            let mut alter =
                || drop(database.run(&format!("ALTER TABLE t MODIFY v {of} NULL; INSERT INTO t VALUES (41, NULL)")));
            let found = export_meanwhile(&mut source, &database.request("t"), &mut alter).map(|(keep, _)| keep.rows());
            let error = found.unwrap_err();
            assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Data, false), "{of}: {error:?}");
            let text = error.to_string();
            assert!(text.contains("column `v` is NOT NULL") && text.contains("id=41"), "{of}: {text}");
            assert!(error.hint().unwrap().contains("query"), "{of}: {error:?}");
        }
    }
}

#[test]
fn bits_of_any_length_come_as_bytes_through_any_expression() {
    for server in servers() {
        let database = server.database();
        database.run(
            "CREATE TABLE t (n int PRIMARY KEY, a bit(1), b bit(12), c bit(64)); \
             INSERT INTO t VALUES (1, 1, 2730, 18446744073709551615), (2, 0, 49, 1), (3, NULL, NULL, NULL); \
             CREATE VIEW w AS SELECT n, (SELECT a FROM t x WHERE x.n = t.n) AS a, (SELECT b FROM t x WHERE x.n = t.n) AS b, \
             (SELECT c FROM t x WHERE x.n = t.n) AS c FROM t",
        );
        let mut source = server.open();
        for table in ["t", "w"] {
            for (wanted, expected) in [
                ("binary", [["01", "0aaa", "ffffffffffffffff"], ["00", "0031", "0000000000000001"], ["∅"; 3]]),
                ("text", [["1", "2730", "18446744073709551615"], ["0", "49", "1"], ["∅"; 3]]),
                ("decimal(20,0)", [["1", "2730", "18446744073709551615"], ["0", "49", "1"], ["∅"; 3]]),
            ] {
                let mut request = database.request(table);
                request.order_by = vec!["n".into()];
                let wanted: WantedType = wanted.parse().unwrap();
                request.columns = ["a", "b", "c"].map(|name| ColumnRequest::new(name, Some(wanted))).into();
                let rows = export(&mut source, &request).unwrap().0.rows();
                let rows: Vec<_> = rows.iter().map(|row| &row[1..]).collect();
                assert_eq!(rows, expected, "{table} as {wanted} on {}", server.name);
            }
        }
    }
}

fn unhex(line: &str) -> String {
    if line == "-" {
        return "∅".to_owned();
    }
    let bytes: Vec<u8> =
        (0..line.len() / 2).map(|at| u8::from_str_radix(&line[2 * at..2 * at + 2], 16).unwrap()).collect();
    String::from_utf8(bytes).unwrap()
}

fn with(request: &ExportRequest, column: &str, wanted: &str) -> ExportRequest {
    let mut request = request.clone();
    request.columns = vec![ColumnRequest::new(column, Some(wanted.parse::<WantedType>().unwrap()))];
    request
}

#[test]
fn what_arrow_cannot_hold_follows_the_policy() {
    for server in servers() {
        let database = server.database();
        database.run(
            "CREATE TABLE t (id int PRIMARY KEY, d date NOT NULL, dt datetime, ts timestamp NULL, tm time(6), g geometry); \
             INSERT INTO t VALUES (1, '2024-01-01', '2024-01-01', '2024-01-01', '12:00', ST_GeomFromText('POINT(1 1)')); \
             INSERT INTO t VALUES (2, '0000-00-00', '0000-00-00', '0000-00-00', '838:59:59', ST_GeomFromText('POINT(1 1)', 4326)), \
             (3, '2024-00-00', '2024-02-00 01:02:03', NULL, '-838:59:59', NULL), (4, '2024-02-01', NULL, NULL, '-00:00:00.000001', NULL)",
        );
        let mut source = server.open();
        for (column, what) in
            [("d", "zero date"), ("dt", "zero date"), ("ts", "zero date"), ("tm", "838:59:59"), ("g", "SRID 4326")]
        {
            let mut request = database.request("t");
            request.columns_complete = true;
            request.columns = ["id", column].map(|name| ColumnRequest::new(name, None)).into();
            let error = export(&mut source, &request).map(|_| ()).unwrap_err();
            assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Data, false), "{error:?}");
            let text = error.to_string();
            assert!(text.contains(what) && text.contains(&format!("`{column}`")) && text.contains("id=2"), "{text}");
            assert!(error.hint().unwrap().contains("on_unrepresentable"));
            request.on_unrepresentable = OnUnrepresentable::Null;
            request.order_by = vec!["id".into()];
            let (keep, stats) = export(&mut source, &request).unwrap();
            let nulls = keep.column(column).iter().filter(|value| *value == "∅").count() as u64;
            let before =
                database.run(&format!("SELECT COUNT(*) FROM t WHERE {column} IS NULL")).parse::<u64>().unwrap();
            let before = if column == "d" { 0 } else { before };
            assert_eq!((stats.columns[0].name.as_str(), stats.columns[0].unrepresentable), (column, nulls - before));
        }
        for (column, wanted, expected) in [
            ("d", "text", vec!["2024-01-01", "0000-00-00", "2024-00-00", "2024-02-01"]),
            ("tm", "duration", vec!["43200000000", "3020399000000", "-3020399000000", "-1"]),
            ("tm", "text", vec!["12:00:00.000000", "838:59:59.000000", "-838:59:59.000000", "-00:00:00.000001"]),
        ] {
            let mut request = with(&database.request("t"), column, wanted);
            request.order_by = vec!["id".into()];
            request.exclude = ["d", "dt", "ts", "tm", "g"]
                .iter()
                .filter(|name| **name != column)
                .map(|name| (*name).into())
                .collect();
            assert_eq!(export(&mut source, &request).unwrap().0.column(column), expected, "{column} as {wanted}");
        }
        // The server's own form of a geometry has its SRID in front.
        let mut raw = with(&database.request("t"), "g", "binary");
        raw.exclude = ["d", "dt", "ts", "tm"].map(String::from).into();
        let geometries = export(&mut source, &raw).unwrap().0.column("g");
        assert!(geometries[0].starts_with("00000000") && geometries[1].starts_with("e6100000"), "{geometries:?}");
    }
}

#[test]
fn invalid_bytes_never_pass_for_text() {
    for server in servers() {
        let database = server.database();
        // 0x98 is no character of cp1251: the server itself would print a question mark.
        database.run(
            "CREATE TABLE t (id int PRIMARY KEY, v varbinary(20), c varchar(20) CHARACTER SET cp1251); \
             INSERT INTO t VALUES (1, 'ok?', 'ok?'), (2, X'8199FF3F', X'98E03F'), (3, NULL, NULL)",
        );
        assert_eq!(
            database.run("SELECT HEX(c), HEX(CONVERT(c USING utf8mb4)) FROM t WHERE id = 2"),
            "98E03F\t3FD0B03F"
        );
        let mut source = server.open();
        for column in ["v", "c"] {
            let mut request = with(&database.request("t"), column, "text");
            request.exclude = vec![if column == "v" { "c" } else { "v" }.into()];
            request.order_by = vec!["id".into()];
            let error = export(&mut source, &request).map(|_| ()).unwrap_err();
            assert!(error.kind() == ErrorKind::Data && error.to_string().contains("id=2"), "{error:?}");
            request.on_unrepresentable = OnUnrepresentable::Null;
            let (keep, stats) = export(&mut source, &request).unwrap();
            assert_eq!(keep.column(column), ["ok?", "∅", "∅"]);
            assert_eq!(stats.columns[0].unrepresentable, 1);
        }
    }
}

#[test]
fn columns_come_as_the_user_asks_or_are_refused() {
    for server in servers() {
        let database = server.database();
        database.run(
            "CREATE TABLE t (id int PRIMARY KEY, i int, b bigint unsigned, n decimal(20,4), f float, d date, dt datetime(6), \
             ts timestamp(6) NULL, u char(36), ub binary(16), j longtext, bt bit(9), t1 tinyint(1), bin varbinary(9), y year); \
             INSERT INTO t VALUES (1, -7, 42, 12.5, 0.1, '2024-02-29', '2024-02-29 12:00:00.000001', '2024-02-29 12:00:00.000001', \
             'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', X'A0EEBC999C0B4EF8BB6D6BB9BD380A11', '{\"a\": 1}', 257, 1, 'abc', 1999)",
        );
        let mut source = server.open();
        for (column, wanted, expected, data_type) in [
            ("i", "int2", "-7", DataType::Int16),
            ("i", "int8", "-7", DataType::Int64),
            ("i", "text", "-7", DataType::Utf8),
            ("i", "float8", "-7", DataType::Float64),
            ("i", "decimal(10,2)", "-7.00", DataType::Decimal128(10, 2)),
            ("b", "int8", "42", DataType::Int64),
            ("b", "decimal(20,0)", "42", DataType::Decimal128(20, 0)),
            ("n", "decimal(38,10)", "12.5000000000", DataType::Decimal128(38, 10)),
            ("n", "decimal(76,1)", "12.5", DataType::Decimal256(76, 1)),
            ("n", "text", "12.5000", DataType::Utf8),
            ("n", "float8", "12.5", DataType::Float64),
            ("f", "text", "0.10000000149011612", DataType::Utf8),
            ("d", "text", "2024-02-29", DataType::Utf8),
            ("dt", "date", "19782", DataType::Date32),
            (
                "d",
                "timestamp",
                "1709164800000000",
                DataType::Timestamp(rivet_sdk::arrow_schema::TimeUnit::Microsecond, None),
            ),
            (
                "dt",
                "timestamp_ns",
                "1709208000000001000",
                DataType::Timestamp(rivet_sdk::arrow_schema::TimeUnit::Nanosecond, None),
            ),
            (
                "dt",
                "timestamp_tz",
                "1709208000000001",
                DataType::Timestamp(rivet_sdk::arrow_schema::TimeUnit::Microsecond, Some("UTC".into())),
            ),
            ("ts", "text", "2024-02-29 12:00:00.000001", DataType::Utf8),
            ("u", "uuid", "a0eebc999c0b4ef8bb6d6bb9bd380a11", DataType::FixedSizeBinary(16)),
            ("ub", "uuid", "a0eebc999c0b4ef8bb6d6bb9bd380a11", DataType::FixedSizeBinary(16)),
            ("j", "json", "{\"a\": 1}", DataType::Utf8),
            ("bt", "text", "257", DataType::Utf8),
            ("bt", "int8", "257", DataType::Int64),
            ("t1", "bool", "true", DataType::Boolean),
            ("bin", "text", "abc", DataType::Utf8),
            ("y", "int4", "1999", DataType::Int32),
        ] {
            let (keep, _) = export(&mut source, &with(&database.request("t"), column, wanted))
                .unwrap_or_else(|error| panic!("{column} as {wanted}: {error:?}"));
            assert_eq!(
                (keep.column(column), keep.data_type(column)),
                (vec![expected.to_owned()], data_type),
                "{column} as {wanted}"
            );
        }
        for (column, wanted) in
            [("d", "int4"), ("i", "date"), ("f", "uuid"), ("ub", "json"), ("dt", "time"), ("u", "bool")]
        {
            let error = source.type_mappings(&with(&database.request("t"), column, wanted)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnsupportedType, "{column} as {wanted}");
            assert!(error.to_string().contains(column) && error.hint().is_some());
        }
        for (column, wanted) in [("b", "int2"), ("n", "decimal(3,1)"), ("n", "int4")] {
            database.run("UPDATE t SET b = 18446744073709551615, n = 1234.5678");
            let error = export(&mut source, &with(&database.request("t"), column, wanted)).map(|_| ()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Data, "{column} as {wanted}: {error:?}");
            assert!(error.to_string().contains("does not fit"), "{error}");
        }
    }
}

#[test]
fn tinyint1_is_a_number_unless_the_option_says_otherwise() {
    for server in servers() {
        let database = server.database();
        database.run("CREATE TABLE t (id int PRIMARY KEY, b tinyint(1), n tinyint); INSERT INTO t VALUES (1, 0, 5), (2, 1, 6), (3, NULL, 7)");
        let mut request = database.request("t");
        request.order_by = vec!["id".into()];
        assert_eq!(export(&mut server.open(), &request).unwrap().0.data_type("b"), DataType::Int16);
        let options = rivet_plugin_mysql::MysqlOptions {
            url: Some(rivet_sdk::Secret::new(&server.url)),
            tinyint1_as_boolean: true,
            ..Default::default()
        };
        let mut source = open_with(options).unwrap();
        let (keep, _) = export(&mut source, &request).unwrap();
        assert_eq!(
            (keep.column("b"), keep.data_type("n")),
            (["false", "true", "∅"].map(String::from).to_vec(), DataType::Int16)
        );
        assert_eq!(source.type_mappings(&request).unwrap()[1].fidelity, Fidelity::Compatible);
        database.run("UPDATE t SET b = 2 WHERE id = 2");
        let error = export(&mut source, &request).map(|_| ()).unwrap_err();
        assert!(error.kind() == ErrorKind::Data && error.to_string().contains("`b`"), "{error:?}");
    }
}

#[test]
fn fifty_megabytes_arrive_whole_and_larger_values_are_refused_by_name() {
    for server in servers() {
        let database = server.database();
        database.run("CREATE TABLE t (id int PRIMARY KEY, big longtext, after_it int)");
        // Lengths around the size at which a packet continues in the next one.
        let lengths =
            [0_usize, 16_777_205, 16_777_206, 16_777_207, 16_777_208, 16_777_209, 16_777_215, 33_554_420, 50_000_000];
        for (id, length) in lengths.iter().enumerate() {
            database.run(&format!("INSERT INTO t VALUES ({id}, REPEAT('x', {length}), {id})"));
        }
        let mut source = server.open();
        let mut request = database.request("t");
        request.order_by = vec!["id".into()];
        let (keep, _) = export(&mut source, &request).unwrap();
        let rows = keep.rows();
        for (row, (id, length)) in rows.iter().zip(lengths.iter().enumerate()) {
            assert!(row[1].len() == *length && row[1].bytes().all(|byte| byte == b'x'), "{length}");
            assert_eq!((&row[0], &row[2]), (&id.to_string(), &id.to_string()));
        }
        request.max_value_bytes = 20 << 20;
        let error = export(&mut source, &request).map(|_| ()).unwrap_err();
        assert!(error.kind() == ErrorKind::Data && error.to_string().contains("`big`"), "{error:?}");
        assert_eq!(source.count(&request).unwrap(), 9, "the instance goes on");
    }
}
