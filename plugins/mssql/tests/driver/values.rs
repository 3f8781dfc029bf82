//! Every type at its edges. What must arrive is written here, not computed.

use crate::judge;
use crate::support::{Database, Keep, export, export_meanwhile};
use rivet_sdk::arrow_schema::{DataType, TimeUnit};
use rivet_sdk::{ColumnRequest, ErrorKind, ExportRequest, Fidelity, OnUnrepresentable, Relation, Source, WantedType};

/// One column per case: its type, and pairs of a value in T-SQL and what its Arrow value reads as
/// (dates and times as integers, bytes as hex).
type Case = (&'static str, &'static [(&'static str, &'static str)]);

const CASES: &[Case] = &[
    ("bit", &[("1", "true"), ("0", "false")]),
    ("tinyint", &[("0", "0"), ("255", "255")]),
    ("smallint", &[("-32768", "-32768"), ("32767", "32767")]),
    ("int", &[("-2147483648", "-2147483648"), ("2147483647", "2147483647")]),
    ("bigint", &[("-9223372036854775808", "-9223372036854775808"), ("9223372036854775807", "9223372036854775807")]),
    ("real", &[("0.5", "0.5"), ("-2.25", "-2.25")]),
    ("float", &[("0.1", "0.1"), ("-2.25", "-2.25"), ("1e-5", "0.00001")]),
    (
        "decimal(38,38)",
        &[
            ("0.99999999999999999999999999999999999999", "0.99999999999999999999999999999999999999"),
            ("-0.00000000000000000000000000000000000001", "-0.00000000000000000000000000000000000001"),
        ],
    ),
    (
        "decimal(38,0)",
        &[("99999999999999999999999999999999999999", "99999999999999999999999999999999999999"), ("-1", "-1")],
    ),
    ("numeric(12,2)", &[("-0.01", "-0.01"), ("9999999999.99", "9999999999.99"), ("0", "0.00")]),
    ("decimal(9,0)", &[("999999999", "999999999")]),
    ("decimal(28,10)", &[("123456789012345678.0123456789", "123456789012345678.0123456789")]),
    (
        "money",
        &[
            ("922337203685477.5807", "922337203685477.5807"),
            ("-922337203685477.5808", "-922337203685477.5808"),
            ("-922337203685477.5807", "-922337203685477.5807"),
            ("0.0001", "0.0001"),
        ],
    ),
    ("smallmoney", &[("214748.3647", "214748.3647"), ("-214748.3648", "-214748.3648")]),
    ("date", &[("'0001-01-01'", "-719162"), ("'9999-12-31'", "2932896"), ("'1970-01-01'", "0")]),
    ("time(0)", &[("'23:59:59'", "86399000000")]),
    ("time(3)", &[("'23:59:59.999'", "86399999000")]),
    ("time(6)", &[("'23:59:59.999999'", "86399999999")]),
    ("time(7)", &[("'23:59:59.9999999'", "86399999999900"), ("'00:00'", "0")]),
    (
        "datetime",
        &[
            ("'1753-01-01T00:00:00'", "-6847804800000000"),
            ("'9999-12-31T23:59:59.997'", "253402300799997000"),
            ("'2024-02-29T12:00:00.003'", "1709208000003000"),
        ],
    ),
    ("smalldatetime", &[("'1900-01-01T00:00:00'", "-2208988800000000"), ("'2079-06-06T23:59:00'", "3453321540000000")]),
    ("datetime2(0)", &[("'0001-01-01T00:00:00'", "-62135596800000000")]),
    ("datetime2(3)", &[("'2024-02-29T12:00:00.123'", "1709208000123000")]),
    (
        "datetime2(7)",
        &[
            ("'0001-01-01T00:00:00'", "-62135596800000000"),
            ("'9999-12-31T23:59:59.9999999'", "253402300799999999"),
            ("'1969-12-31T23:59:59.9999999'", "-1"),
        ],
    ),
    (
        "datetimeoffset(3)",
        &[
            ("'2024-02-29T12:00:00.125+14:00'", "1709157600125000"),
            ("'2024-02-29T12:00:00.125-14:00'", "1709258400125000"),
        ],
    ),
    ("datetimeoffset(7)", &[("'0001-01-01T00:00:00+00:00'", "-62135596800000000")]),
    ("char(5)", &[("'ab'", "ab   "), ("''", "     ")]),
    ("varchar(10)", &[("'x'", "x"), ("''", ""), ("'it''s'", "it's")]),
    ("varchar(20) COLLATE Latin1_General_CI_AS", &[("N'café €'", "café €")]),
    ("varchar(20) COLLATE Cyrillic_General_CI_AS", &[("N'Привет'", "Привет")]),
    ("char(4) COLLATE Greek_CI_AS", &[("N'Αβγ'", "Αβγ ")]),
    ("varchar(20) COLLATE Japanese_CI_AS", &[("N'日本語'", "日本語")]),
    ("varchar(max) COLLATE Polish_CI_AS", &[("N'żółć'", "żółć")]),
    ("varchar(40) COLLATE Latin1_General_100_CI_AS_SC_UTF8", &[("N'😀 日本'", "😀 日本")]),
    ("nchar(4)", &[("N'日本'", "日本  ")]),
    ("nvarchar(40)", &[("N'😀𝄞'", "😀𝄞"), ("N''", ""), ("N'line' + NCHAR(10) + N'break'", "line\nbreak")]),
    ("nvarchar(max)", &[("N'grüße'", "grüße"), ("N''", "")]),
    ("text", &[("'old'", "old")]),
    ("ntext", &[("N'älter'", "älter")]),
    ("xml", &[("'<a>b</a>'", "<a>b</a>")]),
    ("binary(3)", &[("0x00FF", "00ff00")]),
    ("varbinary(5)", &[("0x", ""), ("0x00FF", "00ff")]),
    ("varbinary(max)", &[("0x", ""), ("0xDEADBEEF", "deadbeef")]),
    ("image", &[("0x0102", "0102")]),
    ("uniqueidentifier", &[("'00112233-4455-6677-8899-AABBCCDDEEFF'", "00112233445566778899aabbccddeeff")]),
    (
        "sql_variant",
        &[
            ("CAST(7 AS int)", "7"),
            ("CAST(-0.50 AS decimal(5,2))", "-0.50"),
            ("N'grüße'", "grüße"),
            ("CAST('2024-02-29T12:00:00.1234567' AS datetime2(7))", "2024-02-29 12:00:00.1234567"),
            ("CAST(1 AS bit)", "1"),
            ("CAST('plain' AS varchar(10))", "plain"),
            ("CAST(N'é' COLLATE Latin1_General_CI_AS AS varchar(10))", "é"),
            ("CAST(N'café €' COLLATE SQL_Latin1_General_CP1_CI_AS AS char(8))", "café €  "),
            ("CAST(N'Привет' COLLATE Cyrillic_General_CI_AS AS varchar(10))", "Привет"),
            ("CAST(N'żółć' COLLATE Polish_100_CI_AS AS varchar(10))", "żółć"),
            ("CAST(N'Αβγ' COLLATE Greek_BIN2 AS varchar(10))", "Αβγ"),
            ("CAST(N'😀 日本' COLLATE Latin1_General_100_CI_AS_SC_UTF8 AS varchar(40))", "😀 日本"),
        ],
    ),
    ("hierarchyid", &[("'/1/2.5/'", "/1/2.5/"), ("'/'", "/")]),
    ("geometry", &[("geometry::STGeomFromText('POINT (1 2)', 0)", "0101000000000000000000f03f0000000000000040")]),
    ("geography", &[("geography::STGeomFromText('POINT (1 2)', 4326)", "0101000000000000000000f03f0000000000000040")]),
];

#[test]
fn every_type_arrives_as_the_database_has_it() {
    let database = Database::new();
    let mut source = database.open();
    let mut wrong = Vec::new();
    for (index, (of, pairs)) in CASES.iter().enumerate() {
        let table = format!("c{index}");
        database.run(&format!("CREATE TABLE {table} (n int NOT NULL PRIMARY KEY, v {of} NULL)"));
        for (n, (value, _)) in pairs.iter().enumerate() {
            database.run(&format!("INSERT INTO {table} VALUES ({n}, {value})"));
        }
        database.run(&format!("INSERT INTO {table} VALUES (999, NULL)"));
        let mut request = database.request(&table);
        request.order_by = vec!["n".into()];
        match export(&mut source, &request) {
            Ok((keep, _)) => {
                let expected: Vec<&str> = pairs.iter().map(|(_, expected)| *expected).chain(["∅"]).collect();
                let found = keep.column("v");
                if found != expected {
                    wrong.push(format!("{of} as {}: {found:?} not {expected:?}", keep.data_type("v")));
                }
                let mut cells = judge::cells(&database, &table, of, &keep.data_type("v"));
                // The one text of a variant that `tiberius` takes for another code page's.
                let of_utf8 = |sql: &str| *of == "sql_variant" && sql.contains(judge::UTF8);
                for (cell, _) in cells.iter_mut().zip(*pairs).filter(|(_, (sql, _))| of_utf8(sql)) {
                    *cell = None;
                }
                let differ =
                    |(found, judged): (&String, &Option<String>)| judged.as_ref().is_some_and(|it| it != found);
                if cells.len() != found.len() || found.iter().zip(&cells).any(differ) {
                    wrong.push(format!("{of}: {found:?}, where `tiberius` reads {cells:?}"));
                }
                // But for NULL.
                if cells[..cells.len() - 1].iter().flatten().count() == 0 {
                    wrong.push(format!("{of}: no value was judged"));
                }
            }
            Err(error) => wrong.push(format!("{of}: {error:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_variants_text_in_a_code_page_that_only_the_server_knows_is_refused_by_its_row() {
    let database = Database::new();
    database.run("CREATE TABLE t (n int NOT NULL PRIMARY KEY, v sql_variant NULL)");
    database.run(
        "INSERT INTO t VALUES (1, CAST(N'ascii' COLLATE Japanese_CI_AS AS varchar(20))), \
         (2, CAST(N'日本語' COLLATE Japanese_CI_AS AS varchar(20)))",
    );
    let mut source = database.open();
    let mut request = database.request("t");
    request.order_by = vec!["n".into()];
    let error = export(&mut source, &request).map(|_| ()).unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Data, false), "{error:?}");
    assert!(error.to_string().contains("`v`") && error.to_string().contains("row 2"), "{error}");
    assert!(error.hint().unwrap().contains("nvarchar(4000)"), "{error:?}");
    request.on_unrepresentable = OnUnrepresentable::Null;
    let (keep, stats) = export(&mut source, &request).unwrap();
    assert_eq!((keep.column("v"), stats.columns[0].unrepresentable), (vec!["ascii".to_owned(), "∅".to_owned()], 1));
    let cast = "SELECT n, CAST(v AS nvarchar(4000)) AS v FROM t WHERE n = 2";
    let (keep, _) = export(&mut source, &ExportRequest::whole(Relation::Query(cast.into()))).unwrap();
    assert_eq!(keep.column("v"), ["日本語"]);
}

#[test]
fn a_table_altered_while_the_export_begins_is_never_read_as_something_else() {
    for (before, value, after, later) in [
        ("bigint", "4614253070214989087", "float", "1.5"),
        ("datetime2(3)", "'2026-01-02T03:04:05'", "datetimeoffset(3)", "'2026-01-02T03:04:05+02:00'"),
        ("varchar(9) COLLATE Latin1_General_CI_AS", "N'é'", "varchar(9) COLLATE Cyrillic_General_CI_AS", "N'Й'"),
        ("money", "1", "smallmoney", "1"),
        ("varbinary(4)", "0x01", "sql_variant", "N'x'"),
    ] {
        let database = Database::new();
        database.run(&format!("CREATE TABLE t (v {before} NULL); INSERT INTO t VALUES ({value})"));
        let mut source = database.open();
        let mut alter = || {
            database.run("DROP TABLE t");
            database.run(&format!("CREATE TABLE t (v {after} NULL); INSERT INTO t VALUES ({later})"));
        };
        let found = export_meanwhile(&mut source, &database.request("t"), &mut alter).map(|(keep, _)| keep.column("v"));
        let error = found.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Conflict, false), "{before}: {error:?}");
        assert!(error.to_string().contains("`v`"), "{error}");
    }
}

#[test]
fn a_null_in_a_column_that_is_not_null_is_refused_by_name() {
    for of in ["int", "nvarchar(9)", "datetime2(3)", "varbinary(max)"] {
        let database = Database::new();
        database.run(&format!("CREATE TABLE t (id int NOT NULL PRIMARY KEY, v {of} NOT NULL)"));
        let mut source = database.open();
        let mut alter = || {
            database.run("DROP TABLE t");
            database.run(&format!(
                "CREATE TABLE t (id int NOT NULL PRIMARY KEY, v {of} NULL); INSERT INTO t VALUES (41, NULL)"
            ));
        };
        let found = export_meanwhile(&mut source, &database.request("t"), &mut alter).map(|(keep, _)| keep.rows());
        let error = found.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Data, false), "{of}: {error:?}");
        let text = error.to_string();
        assert!(text.contains("column `v` is NOT NULL") && text.contains("id=41"), "{of}: {text}");
        assert!(error.hint().unwrap().contains("query"), "{of}: {error:?}");
    }
}

#[test]
fn a_rowversion_is_eight_bytes_that_grow() {
    let database = Database::new();
    database.run("CREATE TABLE t (n int NOT NULL PRIMARY KEY, v rowversion)");
    database.run("INSERT INTO t (n) VALUES (1); INSERT INTO t (n) VALUES (2)");
    let mut request = database.request("t");
    request.order_by = vec!["n".into()];
    let (keep, _) = export(&mut database.open(), &request).unwrap();
    let found = keep.column("v");
    assert!(found.iter().all(|value| value.len() == 16) && found[0] < found[1], "{found:?}");
}

#[test]
fn precision_and_scale_are_those_of_the_result_not_of_a_table() {
    let database = Database::new();
    database.run("CREATE TABLE t (a decimal(12,2) NOT NULL, b decimal(5,3) NOT NULL); INSERT INTO t VALUES (1234567890.12, 12.345)");
    let query = ExportRequest::whole(Relation::Query("SELECT CAST(a AS decimal(20,6)) AS a, b AS b FROM t".into()));
    let (keep, _) = export(&mut database.open(), &query).unwrap();
    assert_eq!((keep.data_type("a"), keep.data_type("b")), (DataType::Decimal128(20, 6), DataType::Decimal128(5, 3)));
    assert_eq!(keep.rows(), [["1234567890.120000", "12.345"]]);
}

#[test]
fn lost_hundreds_of_nanoseconds_are_counted_or_kept() {
    let database = Database::new();
    database.run("CREATE TABLE t (id int NOT NULL PRIMARY KEY, v datetime2(7) NOT NULL)");
    database.run("INSERT INTO t VALUES (1, '2024-02-29T12:00:00.1234567'), (2, '2024-02-29T12:00:00.1234560'), (3, '9999-12-31T23:59:59.9999999')");
    let mut source = database.open();
    let mut request = database.request("t");
    request.order_by = vec!["id".into()];
    let mapping = source.type_mappings(&request).unwrap().remove(1);
    assert_eq!(mapping.fidelity, Fidelity::Rounded);
    let (keep, stats) = export(&mut source, &request).unwrap();
    assert_eq!(keep.column("v"), ["1709208000123456", "1709208000123456", "253402300799999999"]);
    assert_eq!((stats.columns.len(), stats.columns[0].rounded), (1, 2));

    request.columns = vec![ColumnRequest::new("v", Some(WantedType::TimestampNs))];
    let error = export(&mut source, &request).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    let text = error.to_string();
    assert!(text.contains("`v`") && text.contains("id=3") && text.contains("2262"), "{text}");
    assert!(error.hint().unwrap().contains("text"));

    request.on_unrepresentable = OnUnrepresentable::Null;
    let (keep, stats) = export(&mut source, &request).unwrap();
    assert_eq!(keep.column("v"), ["1709208000123456700", "1709208000123456000", "∅"]);
    assert_eq!((stats.columns[0].rounded, stats.columns[0].unrepresentable), (0, 1));
    assert_eq!(keep.data_type("v"), DataType::Timestamp(TimeUnit::Nanosecond, None));

    request.columns = vec![ColumnRequest::new("v", Some(WantedType::Text))];
    let (keep, _) = export(&mut source, &request).unwrap();
    assert_eq!(keep.column("v")[2], "9999-12-31 23:59:59.9999999");
}

#[test]
fn half_a_surrogate_pair_is_refused_by_name_or_counted() {
    let database = Database::new();
    database.run("CREATE TABLE t (id int NOT NULL PRIMARY KEY, v nvarchar(10) NOT NULL); INSERT INTO t VALUES (41, NCHAR(0xD83D) + N'x'), (42, N'fine')");
    let mut source = database.open();
    let mut request = database.request("t");
    let error = export(&mut source, &request).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data, "{error:?}");
    assert!(error.to_string().contains("`v`") && error.to_string().contains("id=41"), "{error}");
    request.on_unrepresentable = OnUnrepresentable::Null;
    request.order_by = vec!["id".into()];
    let (keep, stats) = export(&mut source, &request).unwrap();
    assert_eq!(keep.column("v"), ["∅", "fine"]);
    assert_eq!(stats.columns[0].unrepresentable, 1);
}

#[test]
fn a_column_is_what_the_user_asks_for() {
    use WantedType as W;
    let database = Database::new();
    for (index, (of, value, wanted, expected)) in [
        ("int", "7", W::Int8, "7"),
        ("bigint", "7", W::Int2, "7"),
        ("int", "7", W::Decimal(10, 2), "7.00"),
        ("int", "7", W::Text, "7"),
        ("int", "7", W::Float8, "7"),
        ("decimal(12,2)", "12.50", W::Decimal(38, 10), "12.5000000000"),
        ("decimal(12,2)", "12.50", W::Decimal(76, 20), "12.50000000000000000000"),
        ("decimal(12,2)", "12.50", W::Decimal(5, 1), "12.5"),
        ("decimal(12,2)", "12.50", W::Text, "12.50"),
        ("decimal(9,0)", "12", W::Int4, "12"),
        ("money", "12.5", W::Decimal(20, 2), "12.50"),
        ("money", "12.5", W::Text, "12.5000"),
        ("datetime", "'2024-02-29T12:00:00.003'", W::Text, "2024-02-29 12:00:00.003"),
        ("datetime", "'2024-02-29T12:00:00.003'", W::Date, "19782"),
        ("datetime2(3)", "'2024-02-29T12:00:00.125'", W::TimestampTz, "1709208000125000"),
        ("datetimeoffset(0)", "'2024-02-29T12:00:00+02:00'", W::Text, "2024-02-29 12:00:00+02:00"),
        ("datetimeoffset(0)", "'2024-02-29T12:00:00+02:00'", W::Timestamp, "1709200800000000"),
        ("date", "'2024-02-29'", W::Timestamp, "1709164800000000"),
        ("time(7)", "'23:59:59.9999999'", W::Time, "86399999999"),
        ("nvarchar(50)", "N'{\"a\": 1}'", W::Json, "{\"a\": 1}"),
        ("nvarchar(50)", "N'00112233-4455-6677-8899-AABBCCDDEEFF'", W::Uuid, "00112233445566778899aabbccddeeff"),
        ("uniqueidentifier", "'00112233-4455-6677-8899-AABBCCDDEEFF'", W::Text, "00112233-4455-6677-8899-AABBCCDDEEFF"),
        ("varbinary(4)", "0x00FF", W::Text, "0x00FF"),
        ("bit", "1", W::Text, "1"),
        ("float", "1e300", W::Text, "1e300"),
    ]
    .into_iter()
    .enumerate()
    {
        let table = format!("o{index}");
        database.run(&format!("CREATE TABLE {table} (v {of}); INSERT INTO {table} VALUES ({value})"));
        let mut request = database.request(&table);
        request.columns = vec![ColumnRequest::new("v", Some(wanted))];
        let (keep, _) =
            export(&mut database.open(), &request).unwrap_or_else(|error| panic!("{of} as {wanted}: {error:?}"));
        assert_eq!(keep.column("v"), [expected], "{of} as {wanted}");
    }
}

#[test]
fn what_does_not_fit_a_wanted_type_is_refused() {
    use WantedType as W;
    let database = Database::new();
    database.run("CREATE TABLE t (d decimal(12,2), b bit, n nvarchar(10)); INSERT INTO t VALUES (12.55, 1, N'x')");
    let mut source = database.open();
    for (column, wanted, kind) in [
        ("d", W::Decimal(5, 1), ErrorKind::Data),
        ("d", W::Decimal(3, 2), ErrorKind::Data),
        ("d", W::Int4, ErrorKind::UnsupportedType),
        ("b", W::Date, ErrorKind::UnsupportedType),
        ("n", W::Duration, ErrorKind::UnsupportedType),
    ] {
        let mut request = database.request("t");
        request.columns = vec![ColumnRequest::new(column, Some(wanted))];
        let error = source.export(&request, &mut Keep::default()).unwrap_err();
        assert_eq!(error.kind(), kind, "{column} as {wanted}: {error:?}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn a_hundred_columns_with_nulls_everywhere_keep_their_places() {
    let database = Database::new();
    let columns: Vec<String> = (0..100).map(|n| format!("c{n} int NULL")).collect();
    database.run(&format!("CREATE TABLE wide ({})", columns.join(", ")));
    database.insert(
        "wide",
        (1..=300).map(|i| {
            let values: Vec<String> = (0..100)
                .map(|n| if (i + n) % 7 == 0 || i % 3 == 0 && n > 5 { "NULL".to_owned() } else { (i + n).to_string() })
                .collect();
            values.join(", ")
        }),
    );
    let mut request = database.request("wide");
    request.batch.rows = 77;
    request.order_by = vec!["c0".into(), "c1".into()];
    let (keep, _) = export(&mut database.open(), &request).unwrap();
    let rows = keep.rows();
    assert_eq!(rows.len(), 300);
    assert!(keep.batches.iter().all(|batch| batch.num_rows() <= 77));
    let mut seen = 0;
    for row in &rows {
        // Some column of the first six says which row it is.
        let Some((n, value)) = row.iter().enumerate().find(|(_, value)| *value != "∅") else {
            panic!("an empty row")
        };
        let i = value.parse::<usize>().unwrap() - n;
        seen += i;
        for (n, value) in row.iter().enumerate() {
            let null = (i + n) % 7 == 0 || i % 3 == 0 && n > 5;
            assert_eq!(*value, if null { "∅".to_owned() } else { (i + n).to_string() }, "{i} {n}");
        }
    }
    assert_eq!(seen, 300 * 301 / 2);
}

#[test]
fn long_values_arrive_whole_and_longer_ones_are_refused_by_name() {
    let database = Database::new();
    database.run("CREATE TABLE t (id int NOT NULL PRIMARY KEY, t nvarchar(max), b varbinary(max))");
    database.run("INSERT INTO t VALUES (1, REPLICATE(CAST(N'0123456789ü😀' AS nvarchar(max)), 1000000), CAST(REPLICATE(CAST('x' AS varchar(max)), 3000000) AS varbinary(max)))");
    let mut source = database.open();
    let (keep, _) = export(&mut source, &database.request("t")).unwrap();
    let row = &keep.rows()[0];
    assert!(row[1] == "0123456789ü😀".repeat(1_000_000) && row[2] == "78".repeat(3_000_000));
    let mut request = database.request("t");
    request.max_value_bytes = 1 << 20;
    let error = source.export(&request, &mut Keep::default()).unwrap_err();
    assert!(error.to_string().contains("`t`") && error.hint().unwrap().contains("max_value_mb"), "{error}");
    // The connection goes on.
    assert_eq!(source.count(&request).unwrap(), 1);
}

#[test]
fn only_a_not_null_of_a_table_is_required() {
    let database = Database::new();
    database.run("CREATE TABLE t (a int NOT NULL, b int NULL, c nvarchar(5) NOT NULL)");
    database.run("CREATE VIEW v AS SELECT * FROM t");
    let mut source = database.open();
    let mut nullable = |request: &ExportRequest| -> Vec<bool> {
        source.type_mappings(request).unwrap().iter().map(|mapping| mapping.field.nullable).collect()
    };
    assert_eq!(nullable(&database.request("t")), [false, true, false]);
    assert_eq!(nullable(&database.request("v")), [true, true, true]);
    let mut request = database.request("t");
    request.on_unrepresentable = OnUnrepresentable::Null;
    assert_eq!(nullable(&request), [false, true, true]);
}
