//! SQL Server through the real binary: every value of every type arrives as it was inserted, judged by
//! DuckDB and pyarrow; four workers read every row once; what goes wrong says so.

use rivet_tests::{
    mssql::{self, Database},
    readers, rivet,
};
use serde_json::Value;

/// A column: its type, then pairs of what is inserted and what the readers must find (bytes in hex,
/// moments counted from 1970). The first pair's row has the lows, the second's the highs.
type Column = (&'static str, &'static str, [(&'static str, &'static str); 2]);

const EDGES: &[Column] = &[
    ("b", "bit", [("0", "false"), ("1", "true")]),
    ("i1", "tinyint", [("0", "0"), ("255", "255")]),
    ("i2", "smallint", [("-32768", "-32768"), ("32767", "32767")]),
    ("i4", "int", [("-2147483648", "-2147483648"), ("2147483647", "2147483647")]),
    (
        "i8",
        "bigint",
        [("-9223372036854775808", "-9223372036854775808"), ("9223372036854775807", "9223372036854775807")],
    ),
    ("f4", "real", [("-2.25", "-2.25"), ("0.5", "0.5")]),
    ("f8", "float", [("-2.25", "-2.25"), ("0.1", "0.1")]),
    (
        "d38",
        "decimal(38,38)",
        [
            ("-0.99999999999999999999999999999999999999", "-0.99999999999999999999999999999999999999"),
            ("0.00000000000000000000000000000000000001", "0.00000000000000000000000000000000000001"),
        ],
    ),
    (
        "d0",
        "decimal(38,0)",
        [
            ("-99999999999999999999999999999999999999", "-99999999999999999999999999999999999999"),
            ("99999999999999999999999999999999999999", "99999999999999999999999999999999999999"),
        ],
    ),
    ("n12", "numeric(12,2)", [("-9999999999.99", "-9999999999.99"), ("0.01", "0.01")]),
    (
        "m",
        "money",
        [("-922337203685477.5808", "-922337203685477.5808"), ("922337203685477.5807", "922337203685477.5807")],
    ),
    ("sm", "smallmoney", [("-214748.3648", "-214748.3648"), ("214748.3647", "214748.3647")]),
    ("da", "date", [("'0001-01-01'", "-719162"), ("'9999-12-31'", "2932896")]),
    ("t0", "time(0)", [("'00:00:00'", "0"), ("'23:59:59'", "86399000000")]),
    ("t7", "time(7)", [("'00:00:00.0000001'", "100"), ("'23:59:59.9999999'", "86399999999900")]),
    (
        "dt",
        "datetime",
        [("'1753-01-01T00:00:00'", "-6847804800000000"), ("'9999-12-31T23:59:59.997'", "253402300799997000")],
    ),
    (
        "sd",
        "smalldatetime",
        [("'1900-01-01T00:00:00'", "-2208988800000000"), ("'2079-06-06T23:59:00'", "3453321540000000")],
    ),
    (
        "d2",
        "datetime2(6)",
        [("'0001-01-01T00:00:00'", "-62135596800000000"), ("'9999-12-31T23:59:59.999999'", "253402300799999999")],
    ),
    (
        "d7",
        "datetime2(7)",
        [
            ("'0001-01-01T00:00:00.0000001'", "-62135596800000000"),
            ("'9999-12-31T23:59:59.9999999'", "253402300799999999"),
        ],
    ),
    (
        "o",
        "datetimeoffset(3)",
        [
            ("'2024-02-29T12:00:00.125+14:00'", "1709157600125000"),
            ("'2024-02-29T12:00:00.125-14:00'", "1709258400125000"),
        ],
    ),
    ("c", "char(5)", [("'ab'", "ab   "), ("'abcde'", "abcde")]),
    ("v", "varchar(40) COLLATE Latin1_General_CI_AS", [("''", ""), ("N'tab ,\"quote\" é €'", "tab ,\"quote\" é €")]),
    ("vc", "varchar(40) COLLATE Cyrillic_General_CI_AS", [("N'Ё'", "Ё"), ("N'Привет'", "Привет")]),
    ("vj", "varchar(40) COLLATE Japanese_CI_AS", [("N'ｱ'", "ｱ"), ("N'日本語'", "日本語")]),
    ("vu", "varchar(40) COLLATE Latin1_General_100_CI_AS_SC_UTF8", [("N'ß'", "ß"), ("N'😀 漢字'", "😀 漢字")]),
    ("nc", "nchar(4)", [("N'日本'", "日本  "), ("N'😀😀'", "😀😀")]),
    ("nv", "nvarchar(40)", [("N''", ""), ("N'😀𝄞 漢字'", "😀𝄞 漢字")]),
    ("nm", "nvarchar(max)", [("N''", ""), ("N'grüße'", "grüße")]),
    ("tx", "text", [("'old'", "old"), ("'older'", "older")]),
    ("nt", "ntext", [("N'ä'", "ä"), ("N'漢'", "漢")]),
    ("x", "xml", [("N'<a/>'", "<a/>"), ("N'<b>é</b>'", "<b>é</b>")]),
    ("bi", "binary(3)", [("0x00", "000000"), ("0x00FF22", "00ff22")]),
    ("vb", "varbinary(8)", [("0x", ""), ("0x5C0A0D22", "5c0a0d22")]),
    ("vm", "varbinary(max)", [("0x", ""), ("0xDEADBEEF", "deadbeef")]),
    ("im", "image", [("0x00", "00"), ("0x0102", "0102")]),
    (
        "u",
        "uniqueidentifier",
        [
            ("'00000000-0000-0000-0000-000000000000'", "00000000-0000-0000-0000-000000000000"),
            ("'00112233-4455-6677-8899-AABBCCDDEEFF'", "00112233-4455-6677-8899-aabbccddeeff"),
        ],
    ),
    (
        "sv",
        "sql_variant",
        [
            ("CAST(-7 AS int)", "-7"),
            ("CAST('2024-02-29T12:00:00.1234567' AS datetime2(7))", "2024-02-29 12:00:00.1234567"),
        ],
    ),
    ("h", "hierarchyid", [("'/'", "/"), ("'/1/2.5/'", "/1/2.5/")]),
    (
        "ge",
        "geometry",
        [
            ("geometry::STGeomFromText('POINT (0 0)', 0)", "010100000000000000000000000000000000000000"),
            ("geometry::STGeomFromText('POINT (1 2)', 0)", "0101000000000000000000f03f0000000000000040"),
        ],
    ),
];

fn edges() -> Database {
    let mut database = mssql::database();
    let columns: Vec<String> = EDGES.iter().map(|(name, of, _)| format!("[{name}] {of} NULL")).collect();
    database.run(&format!("CREATE TABLE edges (id int NOT NULL PRIMARY KEY, {})", columns.join(", ")));
    for row in 0..2 {
        let values: Vec<&str> = EDGES.iter().map(|(_, _, pairs)| pairs[row].0).collect();
        database.run(&format!("INSERT INTO edges VALUES ({row}, {})", values.join(", ")));
    }
    database.run(&format!("INSERT INTO edges VALUES (2{})", ", NULL".repeat(EDGES.len())));
    database
}

fn config(export: &str) -> rivet::Project {
    let project = rivet::project();
    project.config(&format!(
        "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, {export}, destination: {{type: local, path: '{{out}}'}}}}\n"
    ));
    project
}

fn run(database: &Database, export: &str) -> (rivet::Project, Value) {
    let project = config(export);
    let output = project.rivet("run").arg("--json").env("DATABASE_URL", database.url()).ok();
    let summary = output.json()["exports"][0].clone();
    (project, summary)
}

#[test]
fn every_type_at_its_edges_in_parquet() {
    let database = edges();
    let (project, summary) = run(&database, "table: dbo.edges, format: parquet");
    let found = readers::parquet(project.out()).sorted_by("id");
    let mut wrong = Vec::new();
    for (name, of, pairs) in EDGES {
        let expected = [Value::from(pairs[0].1), Value::from(pairs[1].1), Value::Null];
        let found: Vec<Value> = found.column(name).into_iter().cloned().collect();
        if found != expected {
            wrong.push(format!("{name} {of}: {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(summary["columns"]["d7"]["rounded"], 2, "{summary}");
    let schema = &readers::schema(project.out())[0];
    let by_name = |name: &str| schema.columns.iter().find(|field| field.name == name).unwrap();
    assert!(!by_name("id").nullable && by_name("i4").nullable);
    assert_eq!(by_name("n12").metadata["rivet.source_type"], "numeric(12,2)");
    assert_eq!(by_name("d7").metadata["rivet.fidelity"], "rounded");
    assert!(by_name("n12").arrow.contains("12, 2") && schema.leaves.iter().any(|leaf| leaf.logical == "UUID"));
}

#[test]
fn the_same_in_csv() {
    let database = edges();
    let (project, _) = run(&database, "table: dbo.edges, format: csv");
    let found = readers::csv(project.out()).sorted_by("id");
    for (name, of, pairs) in EDGES {
        // Bytes and moments have a text of their own in CSV.
        if ["date", "time", "datetime", "small", "binary", "image", "geo"].iter().any(|odd| of.starts_with(odd))
            || of.starts_with("varbinary")
        {
            continue;
        }
        let expected = [Value::from(pairs[0].1), Value::from(pairs[1].1), Value::Null];
        let found: Vec<Value> = found.column(name).into_iter().cloned().collect();
        assert_eq!(found, expected, "{name} {of}");
    }

    let moments: Vec<_> = found.column("o").into_iter().map(|value| value.as_str()).collect();
    assert_eq!(moments, [Some("2024-02-28 22:00:00.125000Z"), Some("2024-03-01 02:00:00.125000Z"), None]);
}

fn numbered(rows: u32) -> Database {
    let mut database = mssql::database();
    database.run("CREATE TABLE t (id int NOT NULL PRIMARY KEY, s nvarchar(40) NULL)");
    database.insert("t", (1..=rows).map(|i| format!("{i}, N'row {i}'")));
    database
}

fn ids(project: &rivet::Project) -> Vec<Option<String>> {
    readers::sql(project.out(), "SELECT count(*), count(DISTINCT id), min(id), max(id) FROM t").remove(0)
}

fn texts<const N: usize>(values: [&str; N]) -> Vec<Option<String>> {
    values.iter().map(|text| Some((*text).to_owned())).collect()
}

#[test]
fn four_workers_read_every_row_once() {
    let database = numbered(20_000);
    let (project, summary) = run(&database, "table: t, format: parquet, mode: chunked, chunk_size: 1000, parallel: 4");
    assert_eq!(summary["rows"], 20_000);
    assert_eq!(summary["consistency"], "none");
    assert!(summary["chunks"].as_u64().unwrap() >= 15, "{summary}");
    assert_eq!(ids(&project), texts(["20000", "20000", "1", "20000"]));
}

#[test]
fn a_read_point_is_claimed_only_where_statements_have_one() {
    let export =
        |consistency: &str, chunks: &str| format!("table: t, format: parquet, {chunks}, consistency: {consistency}");
    let (one, many) = ("mode: full, chunk_by: none", "mode: chunked, chunk_size: 300, parallel: 2");
    for (setting, lone, several) in [
        ("", "none", "none"),
        ("ALLOW_SNAPSHOT_ISOLATION", "snapshot", "per_chunk"),
        ("READ_COMMITTED_SNAPSHOT", "snapshot", "per_chunk"),
    ] {
        let mut database = numbered(1000);
        if !setting.is_empty() {
            database.run(&format!("ALTER DATABASE CURRENT SET {setting} ON"));
        }
        for (chunks, expected) in [(one, lone), (many, several)] {
            let (_, summary) = run(&database, &export("auto", chunks));
            assert_eq!(summary["consistency"], expected, "{setting} {chunks}");
            let project = config(&export("snapshot", chunks));
            let command = |name: &str| project.rivet(name).env("DATABASE_URL", database.url());
            if expected == "snapshot" {
                let plan = command("plan").ok();
                assert!(plan.stdout.contains("one statement, one read point"), "{plan}");
                assert_eq!(command("run").arg("--json").ok().json()["exports"][0]["consistency"], "snapshot");
                continue;
            }
            for name in ["plan", "check", "run"] {
                let output = command(name).fails(2);
                let why = if expected == "none" { "reads under locks" } else { "no two sessions one moment" };
                output.says(&["`consistency: snapshot` cannot be had", why, "hint:"]);
            }
        }
    }
}

#[test]
fn keys_without_a_number_are_cut_too() {
    let mut database = mssql::database();
    database.run("CREATE TABLE t (id nvarchar(20) COLLATE Latin1_General_CI_AS NOT NULL, n uniqueidentifier NOT NULL, PRIMARY KEY (id, n))");
    database.insert("t", (0..2000).map(|i| format!("N'ä{}', '{i:08x}-1111-2222-3333-{:012x}'", i % 50, 9_999 - i)));
    let (project, _) = run(
        &database,
        "table: t, format: parquet, mode: chunked, chunk_by: range, chunk_column: n, chunk_size: 150, parallel: 3",
    );
    let found = readers::sql(project.out(), "SELECT count(*), count(DISTINCT n), count(DISTINCT id) FROM t").remove(0);
    assert_eq!(found, texts(["2000", "2000", "50"]));
}

#[test]
fn a_sealed_plan_keeps_its_bounds_to_the_last_digit() {
    let mut database = mssql::database();
    database.run(
        "CREATE TABLE t (id int NOT NULL, dt datetime NOT NULL, d2 datetime2(7) NOT NULL, n decimal(20,4) NOT NULL)",
    );
    database.insert(
        "t",
        (0..1200).map(|i| {
            let third = ["000", "003", "007"][i % 3];
            format!(
                "{i}, '2024-02-29T12:{:02}:{:02}.{third}', '2024-02-29T12:00:00.{:07}', {i}.{i:04}",
                i / 60 % 60,
                i % 60,
                i * 3
            )
        }),
    );
    for column in ["dt", "d2", "n"] {
        let project = config(&format!(
            "table: t, format: parquet, mode: chunked, chunk_by: range, chunk_column: {column}, chunk_count: 5"
        ));
        project.rivet("plan").args(["-o", "plan.json"]).env("DATABASE_URL", database.url()).ok();
        let sealed = std::fs::read_to_string(project.path("plan.json")).unwrap();
        assert!(!sealed.contains("Secret_1"), "a plan holds references, no secrets");
        let rivet = |command: &str| {
            rivet::Command::new()
                .folder(project.folder())
                .args([command, "plan.json"])
                .env("DATABASE_URL", database.url())
        };
        rivet("apply").ok();
        assert_eq!(ids(&project), texts(["1200", "1200", "0", "1199"]), "{column}");
        project.rivet("validate").args(["--depth", "full"]).env("DATABASE_URL", database.url()).ok();
    }
}

#[test]
fn a_column_retyped_since_the_plan_is_drift() {
    let mut database = numbered(3);
    let project = config("table: t, format: parquet");
    project.rivet("plan").args(["-o", "plan.json"]).env("DATABASE_URL", database.url()).ok();
    database.run("DROP TABLE t");
    database.run("CREATE TABLE t (id bigint NOT NULL PRIMARY KEY, s nvarchar(40) NULL)");
    let apply = rivet::Command::new().folder(project.folder()).args(["apply", "plan.json"]);
    apply.env("DATABASE_URL", database.url()).fails(4).says(&["`id`", "bigint", "hint:"]);
    assert!(!project.out().exists() || readers::files(project.out()).is_empty());
}

#[test]
fn check_and_doctor_say_what_they_found() {
    let database = edges();
    let project = config("table: dbo.edges, format: parquet");
    let check = project.rivet("check").arg("--types").env("DATABASE_URL", database.url()).run();
    assert!(check.stdout.contains("datetime2(7)") && check.stdout.contains("rounded"), "{check}");
    let doctor = project.rivet("doctor").env("DATABASE_URL", database.url()).run();
    assert!(doctor.stdout.contains("SQL Server") && doctor.stdout.contains("TLS"), "{doctor}");
}

#[test]
fn fifty_megabytes_in_one_value_arrive_whole() {
    let mut database = mssql::database();
    database.run("CREATE TABLE t (id int NOT NULL PRIMARY KEY, big nvarchar(max), bytes varbinary(max))");
    database.run("INSERT INTO t VALUES (1, REPLICATE(CAST(N'0123456789' AS nvarchar(max)), 5000000), NULL), (2, N'ü', CAST(REPLICATE(CAST('x' AS varchar(max)), 50000000) AS varbinary(max)))");
    let (project, _) = run(&database, "table: t, format: parquet");
    let found = readers::sql(project.out(), "SELECT length(big), md5(big), octet_length(bytes) FROM t ORDER BY id");
    let whole = readers::sql(project.out(), "SELECT md5(repeat('0123456789', 5000000))").remove(0).remove(0);
    assert_eq!(found[0][..2], [Some("50000000".to_owned()), whole]);
    assert_eq!(found[1][2], Some("50000000".to_owned()));
    let small = config("table: t, format: parquet, tuning: {max_value_mb: 1}");
    small.rivet("run").env("DATABASE_URL", database.url()).fails(1).says(&["`big`", "hint:"]);
}

#[test]
fn a_wrong_password_is_never_printed() {
    let database = numbered(2);
    let project = config("table: t, format: parquet");
    let wrong = database.url().replace("Secret_1", "n0t-the-pass");
    let output = project.rivet("run").env("DATABASE_URL", wrong).fails(1);
    output.says(&["error:", "hint:", "18456"]).never_says("n0t-the-pass");
}

#[test]
fn what_is_not_there_is_named() {
    let database = numbered(2);
    let fails = |export: &str, code: i32| config(export).rivet("run").env("DATABASE_URL", database.url()).fails(code);
    fails("table: tt, format: parquet", 1).says(&["tt", "hint:", "dbo.t"]);
    fails("table: t, format: parquet, columns: {ss: text}", 1).says(&["ss", "hint:"]);
    fails("query: 'SELECT nope FROM t', format: parquet", 1).says(&["nope"]);
    fails("query: 'SELECT 1 AS a; DROP TABLE t', format: parquet", 1).says(&["second statement", "hint:"]);
    assert_eq!(run(&database, "table: t, format: parquet").1["rows"], 2);
}

#[test]
fn a_connection_that_breaks_in_a_chunk_is_retried_and_nothing_comes_twice() {
    if !mssql::is_fixture() {
        return;
    }
    for fault in ["'disconnect', 1500", "'kill', 1500", "'deadlock', 1500"] {
        let mut database = numbered(6_000);
        database.run(&format!("EXEC rivet_fault {fault}"));
        let (project, summary) =
            run(&database, "table: t, format: parquet, mode: chunked, chunk_size: 2000, parallel: 2");
        assert_eq!(summary["rows"], 6_000, "{fault}: {summary}");
        assert_eq!(ids(&project), texts(["6000", "6000", "1", "6000"]), "{fault}");
    }
}

#[test]
fn a_lock_that_is_held_ends_the_export_at_once() {
    if !mssql::is_fixture() {
        return;
    }
    let mut database = numbered(10);
    database.run("EXEC rivet_fault 'block', 60, 9");
    let project = config("table: t, format: parquet, tuning: {lock_timeout_s: 1}");
    let output = project.rivet("run").env("DATABASE_URL", database.url()).fails(1);
    output.says(&["1222", "hint:", "lock_timeout_s"]);
    assert!(!project.out().exists() || readers::files(project.out()).is_empty());
}
