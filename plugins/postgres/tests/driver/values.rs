//! Every type at its edges, compared with the database's own answer.

use crate::judge::Judge;
use crate::support::{Schema, export, export_meanwhile, open};
use rivet_sdk::arrow_schema::DataType;
use rivet_sdk::{ColumnRequest, ErrorKind, ExportRequest, OnUnrepresentable, Relation, Source, WantedType};

/// One column per case: its type, its values as SQL, and an expression over `v` whose text
/// is what the Arrow value must read.
const CASES: &[(&str, &[&str], &str)] = &[
    ("boolean", &["true", "false"], "v::text"),
    ("smallint", &["-32768", "32767", "0"], "v"),
    ("integer", &["-2147483648", "2147483647"], "v"),
    ("bigint", &["-9223372036854775808", "9223372036854775807"], "v"),
    ("oid", &["0", "4294967295"], "v"),
    ("xid", &["'4294967295'"], "v"),
    ("real", &["'NaN'", "0.5", "'-0'"], "v"),
    ("double precision", &["'NaN'", "-2.25", "'-0'", "1e-5"], "case when v = 1e-5 then '0.00001' else v::text end"),
    ("numeric(15,2)", &["0", "-0.01", "9999999999999.99", "12.3", "100", "10000"], "v"),
    ("numeric(38,10)", &["9999999999999999999999999999.9999999999", "-0.0000000001", "123456789012.5"], "v"),
    ("numeric(76,20)", &["99999999999999999999999999999999999999999999999999999999.99999999999999999999", "-1"], "v"),
    ("numeric(3,-2)", &["99900", "-100", "0"], "v"),
    ("numeric(2,5)", &["0.00099", "-0.00001"], "v"),
    ("numeric(1000,10)", &["1e900", "-1.5"], "v"),
    (
        "numeric",
        &["'NaN'", "'Infinity'", "'-Infinity'", "0", "0.000", "1e-20", "-1e30", "123456789.00001000", "0.00010001"],
        "v",
    ),
    ("money", &["'-92233720368547758.08'", "1.5", "0"], "v::numeric"),
    ("char(5)", &["'ab'", "''", "'äöüß€'"], "rpad(v::text, 5)"),
    ("varchar(10)", &["'x'", "''", "'日本語'"], "v"),
    ("text", &["''", "'it''s'", "E'line\\nbreak'", "'😀'"], "v"),
    ("name", &["'a_name'"], "v"),
    ("\"char\"", &["'x'", "''"], "v"),
    ("xml", &["'<a>b</a>'"], "v"),
    ("bytea", &["''", "'\\x00ff'"], "encode(v, 'hex')"),
    ("date", &["'4713-01-01 BC'", "'1969-12-31'", "'2000-01-01'", "'5874897-12-31'"], "v - date '1970-01-01'"),
    ("time", &["'00:00'", "'23:59:59.999999'"], "(extract(epoch from v) * 1000000)::int8"),
    (
        "timestamp",
        &["'4713-01-01 00:00:00 BC'", "'1969-12-31 23:59:59.999999'", "'294246-12-31 23:59:59.999999'"],
        "(extract(epoch from v) * 1000000)::numeric(30,0)",
    ),
    (
        "timestamptz",
        &["'4713-01-01 00:00:00+00 BC'", "'2024-02-29 12:00:00.123456+05:30'"],
        "(extract(epoch from v) * 1000000)::numeric(30,0)",
    ),
    ("timetz", &["'24:00:00+00'", "'12:34:56.7+05:30'", "'00:00:00-15:59:59'"], "v"),
    (
        "interval",
        &[
            "'0'",
            "'1 year 2 mons 3 days 04:05:06.789'",
            "'-1 year -2 mons +3 days -04:05:06.5'",
            "'-0.5 s'",
            "'178000000 years'",
            "'100 hours'",
            "'1 mon'",
        ],
        "v",
    ),
    (
        "uuid",
        &["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-fffffffffffe'"],
        "replace(v::text, '-', '')",
    ),
    ("json", &["'{\"a\":  1}'", "'null'"], "v"),
    ("jsonb", &["'{\"a\":  1}'", "'[1e400]'"], "v"),
    (
        "inet",
        &[
            "'10.1.2.3'",
            "'10.1.2.3/8'",
            "'::1'",
            "'::ffff:1.2.3.4'",
            "'::1.2.3.4/96'",
            "'fe80::1:0:0:1'",
            "'1:0:0:2:0:0:0:3'",
            "'::'",
        ],
        "case when masklen(v) in (32, 128) then host(v) else v::text end",
    ),
    ("cidr", &["'10.0.0.0/8'", "'::/0'", "'10.1.2.3/32'"], "v"),
    ("macaddr", &["'08:00:2b:01:02:ff'"], "v"),
    ("macaddr8", &["'08:00:2b:01:02:03:04:05'"], "v"),
    ("bit(10)", &["B'1010000001'"], "v"),
    ("varbit", &["B''", "B'1'"], "v"),
    ("pg_lsn", &["'16/B374D848'", "'0/0'"], "v"),
    ("point", &["'(1.5,-2)'"], "v"),
    ("polygon", &["'((0,0),(1,1),(2,0))'"], "v"),
    ("tsvector", &["'a fat cat'"], "v"),
    ("regclass", &["'pg_class'"], "v"),
    ("int2vector", &["'1 2'"], "v"),
    ("xid8", &["'18446744073709551615'"], "v"),
    ("tid", &["'(1,2)'"], "v"),
    ("mood", &["'sad'", "'über'"], "v"),
    ("positive", &["5"], "v"),
    ("cents", &["5.25"], "v"),
    ("integer[]", &["'{}'", "'{1,NULL,3}'", "'[5:6]={7,8}'"], "'[' || array_to_string(v, ',', '∅') || ']'"),
    ("numeric(10,2)[]", &["'{1.5,NULL}'"], "'[' || array_to_string(v, ',', '∅') || ']'"),
    ("numeric[]", &["'{1.50,NaN}'"], "'[' || array_to_string(v, ',', '∅') || ']'"),
    ("mood[]", &["'{sad,NULL}'"], "'[' || array_to_string(v, ',', '∅') || ']'"),
    ("positive[]", &["'{1,2}'"], "'[' || array_to_string(v, ',', '∅') || ']'"),
    ("text[]", &["'{\"a,b\",NULL,\"\"}'"], "'[' || array_to_string(v, ',', '∅') || ']'"),
    ("point[]", &["'{\"(1,2)\",NULL}'"], "'[' || array_to_string(v, ',', '∅') || ']'"),
    ("inet[]", &["'{10.0.0.1}'"], "'[' || array_to_string(v, ',', '∅') || ']'"),
    ("interval[]", &["'{1 day,2 mons}'"], "'[' || array_to_string(v, ',', '∅') || ']'"),
    (
        "pair",
        &["ROW(1, 'x')", "ROW(NULL, NULL)", "ROW(2, NULL)"],
        "'(' || coalesce((v).a::text, '∅') || ',' || coalesce((v).b, '∅') || ')'",
    ),
    ("pair[]", &["ARRAY[ROW(1, 'x')::pair, NULL]"], "'[(1,x),∅]'"),
    (
        "spot",
        &["ROW('(1,2)', 3)", "ROW(NULL, NULL)"],
        "'(' || coalesce((v).p::text, '∅') || ',' || coalesce((v).n::text, '∅') || ')'",
    ),
    (
        "int4range",
        &["'[1,5)'", "'empty'", "'(,)'", "'[3,)'"],
        "'(' || coalesce(lower(v)::text, '∅') || ',' || coalesce(upper(v)::text, '∅') || ',' || lower_inc(v)::text || ',' || upper_inc(v)::text || ',' || isempty(v)::text || ')'",
    ),
    ("numrange", &["'(1.5,2.50]'"], "'(1.5,2.50,false,true,false)'"),
    (
        "int4multirange",
        &["'{[1,3),[5,8)}'", "'{}'"],
        "case when isempty(v) then '[]' else '[(1,3,true,false,false),(5,8,true,false,false)]' end",
    ),
    ("int4range[]", &["ARRAY['[1,2)'::int4range]"], "'[(1,2,true,false,false)]'"),
    ("hstore", &["'a=>1, b=>NULL'", "''"], "case when v = '' then '{}' else '{(a,1),(b,∅)}' end"),
    ("citext", &["'MiXed'"], "v"),
];

const TYPES: &str = "CREATE EXTENSION IF NOT EXISTS hstore SCHEMA public; \
    CREATE EXTENSION IF NOT EXISTS citext SCHEMA public; \
    CREATE TYPE mood AS ENUM ('sad', 'über'); CREATE DOMAIN positive AS int CHECK (VALUE > 0); \
    CREATE DOMAIN cents AS numeric(10,2); CREATE TYPE pair AS (a int, b text); CREATE TYPE spot AS (p point, n int);";

#[test]
fn every_type_arrives_as_the_database_has_it() {
    let schema = Schema::new();
    schema.run(TYPES);
    let (mut source, mut judge) = (open(), Judge::connect());
    for (index, (of, values, expected)) in CASES.iter().enumerate() {
        let table = format!("c{index}");
        let rows: Vec<String> = values.iter().enumerate().map(|(n, value)| format!("({n}, ({value})::{of})")).collect();
        schema.run(&format!(
            "CREATE TABLE {table} (n int PRIMARY KEY, v {of}); INSERT INTO {table} VALUES {}, (999, NULL)",
            rows.join(", ")
        ));
        let expected: Vec<String> = schema
            .run(&format!("SELECT coalesce(({expected})::text, '∅') || '¦' FROM {table} ORDER BY n"))
            .split_terminator('¦')
            .map(|text| text.strip_prefix('\n').unwrap_or(text).to_owned())
            .collect();
        let mut request = schema.request(&table);
        request.order_by = vec!["n".into()];
        let (keep, _) = export(&mut source, &request).unwrap_or_else(|error| panic!("{of}: {error:?}"));
        let mut expected = expected;
        if let Some(last) = expected.last_mut() {
            *last = "∅".to_owned();
        }
        let found = keep.column("v");
        assert_eq!(found, expected, "{of} as {}", keep.data_type("v"));
        let judged = judge.cells(&format!("{}.{table}", schema.0), "v");
        assert_eq!(found, judged, "{of}, as the crate `postgres` reads it");
        assert!(judged.len() > 1, "{of}: NULL alone was judged");
    }
}

#[test]
fn a_hundred_columns_with_nulls_everywhere_keep_their_places() {
    let schema = Schema::new();
    let columns: Vec<String> =
        (0..100).map(|n| format!("CASE WHEN (i + {n}) % 7 <> 0 THEN i + {n} END AS c{n}")).collect();
    schema.run(&format!("CREATE TABLE wide AS SELECT {} FROM generate_series(1, 1000) AS i", columns.join(", ")));
    let mut request = schema.request("wide");
    request.batch.rows = 77;
    let (keep, _) = export(&mut open(), &request).unwrap();
    let rows = keep.rows();
    assert_eq!(rows.len(), 1000);
    assert!(keep.batches.iter().all(|batch| batch.num_rows() <= 77));
    for (i, row) in (1..).zip(&rows) {
        for (n, value) in (0..).zip(row) {
            let sum: i32 = i + n;
            assert_eq!(*value, if sum % 7 == 0 { "∅".to_owned() } else { sum.to_string() });
        }
    }
}

#[test]
fn values_arrow_cannot_hold_follow_the_policy() {
    let schema = Schema::new();
    for (of, value, found) in [
        ("date", "'infinity'", "infinity"),
        ("date", "'-infinity'", "-infinity"),
        ("timestamp", "'infinity'", "infinity"),
        ("timestamptz", "'-infinity'", "-infinity"),
        ("timestamp", "'294276-12-31 23:59:59.999999'", "294247"),
        ("time", "'24:00'", "24:00"),
        ("numeric(5,2)", "'NaN'", "NaN"),
        ("date[]", "'{infinity}'", "infinity"),
    ] {
        schema.run(&format!(
            "DROP TABLE IF EXISTS odd; CREATE TABLE odd (id int PRIMARY KEY, v {of} NOT NULL); \
             INSERT INTO odd VALUES (41, {value})"
        ));
        let mut source = open();
        let mut request = schema.request("odd");
        let error = export(&mut source, &request).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data, "{of}");
        let text = error.to_string();
        assert!(text.contains("`v`") && text.contains("id=41") && text.contains(found), "{text}");
        assert!(error.hint().unwrap().contains("text"));

        request.on_unrepresentable = OnUnrepresentable::Null;
        let (keep, stats) = export(&mut source, &request).unwrap();
        assert_eq!(keep.column("v"), [if of.ends_with("[]") { "[∅]" } else { "∅" }], "{of}");
        assert_eq!((stats.columns.len(), stats.columns[0].unrepresentable), (1, 1));

        request.on_unrepresentable = OnUnrepresentable::Fail;
        request.columns = vec![ColumnRequest::new("v", Some(WantedType::Text))];
        assert!(export(&mut source, &request).is_ok(), "{of} as text");
    }
}

#[test]
fn only_an_enforced_not_null_of_a_table_is_required() {
    let schema = Schema::new();
    schema.run(
        "CREATE TABLE t (a int NOT NULL, b int, d date NOT NULL); CREATE VIEW v AS SELECT * FROM t; \
         CREATE TABLE parent (a int NOT NULL); CREATE TABLE child () INHERITS (parent)",
    );
    let mut source = open();
    let mut nullable = |request: &ExportRequest| -> Vec<bool> {
        source.type_mappings(request).unwrap().iter().map(|mapping| mapping.field.nullable).collect()
    };
    assert_eq!(nullable(&schema.request("t")), [false, true, false]);
    assert_eq!(nullable(&schema.request("v")), [true, true, true]);
    assert_eq!(nullable(&schema.request("parent")), [true]);
    let mut request = schema.request("t");
    request.on_unrepresentable = OnUnrepresentable::Null;
    assert_eq!(nullable(&request), [false, true, true]);
}

#[test]
fn a_not_null_is_not_required_over_a_foreign_partition() {
    let schema = Schema::new();
    let server = format!("far_{}", std::process::id());
    schema.run(&format!(
        "CREATE EXTENSION IF NOT EXISTS file_fdw; CREATE SERVER {server} FOREIGN DATA WRAPPER file_fdw; \
         CREATE TABLE pf (id int NOT NULL, v text NOT NULL) PARTITION BY LIST (id); \
         CREATE TABLE pf_1 PARTITION OF pf FOR VALUES IN (1) PARTITION BY LIST (id); \
         CREATE TABLE pf_1_1 PARTITION OF pf_1 FOR VALUES IN (1); INSERT INTO pf VALUES (1, 'here'); \
         CREATE FOREIGN TABLE pf_2 PARTITION OF pf FOR VALUES IN (2) SERVER {server} \
         OPTIONS (program $$printf '2,\\n'$$, format 'csv')"
    ));
    let mut source = open();
    let mut request = schema.request("pf");
    request.order_by = vec!["id".into()];
    let (keep, _) = export(&mut source, &request).unwrap();
    assert_eq!(keep.column("v"), ["here", "∅"]);
    // A partition of tables alone keeps what its own columns promise.
    let mappings = source.type_mappings(&schema.request("pf_1")).unwrap();
    assert!(mappings.iter().all(|mapping| !mapping.field.nullable));
    schema.run(&format!("DROP SERVER {server} CASCADE"));
}

#[test]
fn a_null_that_the_catalogue_rules_out_is_refused_by_its_row() {
    let schema = Schema::new();
    schema.run(
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, NULL); \
         UPDATE pg_attribute SET attnotnull = true WHERE attrelid = 't'::regclass AND attname = 'v'",
    );
    let mut request = schema.request("t");
    request.order_by = vec!["id".into()];
    let error = export(&mut open(), &request).map(|_| ()).unwrap_err();
    let text = error.to_string();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Data, false), "{error:?}");
    assert!(text.contains("`v`") && text.contains("row 2") && text.contains("id=2"), "{text}");
    assert!(error.hint().unwrap().contains("query"), "{error:?}");
}

#[test]
fn a_table_altered_while_the_export_begins_is_never_read_as_something_else() {
    for (before, value, after) in [
        ("int8", "4614253070214989087", "float8"),
        ("int4", "1078523331", "float4"),
        ("timestamp", "'2026-01-02 03:04:05'", "int8 USING 7"),
        ("text", "'7'", "bytea USING 'ab'"),
        ("int4[]", "'{1078523331}'", "float4[] USING '{1.5}'"),
    ] {
        let schema = Schema::new();
        schema.run(&format!("CREATE TABLE t (v {before}); INSERT INTO t VALUES ({value})"));
        let expected = export(&mut open(), &schema.request("t")).unwrap().0.column("v");
        // The reading session may hold a lock by then: the other one gives up.
        let mut alter = || {
            drop(schema.run(&format!(
                "SET lock_timeout = 200; DO $do$ BEGIN ALTER TABLE t ALTER v TYPE {after}; \
                 EXCEPTION WHEN lock_not_available THEN NULL; END $do$"
            )));
        };
        match export_meanwhile(&mut open(), &schema.request("t"), &mut alter) {
            Ok((keep, _)) => assert_eq!(keep.column("v"), expected, "{before} to {after}"),
            Err(error) => assert!(error.to_string().contains("`v`"), "{before} to {after}: {error:?}"),
        }
    }
}

#[test]
fn a_not_null_that_was_never_validated_is_not_required() {
    let schema = Schema::new();
    if schema.run("SHOW server_version_num").parse::<u32>().unwrap() < 180_000 {
        eprintln!("skipped: such constraints came with PostgreSQL 18");
        return;
    }
    schema.run(
        "CREATE TABLE t (a int); INSERT INTO t VALUES (NULL); ALTER TABLE t ADD CONSTRAINT n NOT NULL a NOT VALID",
    );
    let (keep, _) = export(&mut open(), &schema.request("t")).unwrap();
    assert_eq!(keep.column("a"), ["∅"]);
}

#[test]
fn arrays_of_more_dimensions_are_refused_and_json_keeps_them() {
    let schema = Schema::new();
    schema.run("CREATE TABLE t (id int PRIMARY KEY, v int[]); INSERT INTO t VALUES (7, '{{1,2},{3,4}}')");
    let mut source = open();
    let mut request = schema.request("t");
    let error = export(&mut source, &request).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("2 dimensions") && error.to_string().contains("id=7"), "{error}");
    assert!(error.hint().unwrap().contains("json"));
    request.columns = vec![ColumnRequest::new("v", Some(WantedType::Json))];
    assert_eq!(export(&mut source, &request).unwrap().0.column("v"), ["[[1,2],[3,4]]"]);
}

#[test]
fn overrides_that_fit_are_exact_and_others_are_refused_while_planning() {
    let schema = Schema::new();
    schema.run(
        "CREATE TABLE t (n numeric, i int, ts timestamp, tz timestamptz, iv interval, u text, m money, x point); \
         INSERT INTO t VALUES (12.50, 7, '2024-01-02 03:04:05', '2024-01-02 03:04:05+02', '2 days 1 second', \
         '00000000-0000-0000-0000-0000000000aa', 1.25, '(1,2)')",
    );
    let mut source = open();
    let mut one = |name: &str, wanted: WantedType| {
        let mut request = schema.request("t");
        request.columns_complete = true;
        request.columns = vec![ColumnRequest::new(name, Some(wanted))];
        export(&mut source, &request).map(|(keep, _)| (keep.data_type(name), keep.column(name).remove(0)))
    };
    for (name, wanted, value) in [
        ("n", WantedType::Decimal(10, 3), "12.500"),
        ("n", WantedType::Decimal(50, 1), "12.5"),
        ("n", WantedType::Text, "12.50"),
        ("n", WantedType::Float8, "12.5"),
        ("i", WantedType::Int8, "7"),
        ("i", WantedType::Int2, "7"),
        ("i", WantedType::Decimal(5, 2), "7.00"),
        ("i", WantedType::Float8, "7"),
        ("i", WantedType::Json, "7"),
        ("ts", WantedType::TimestampNs, "1704164645000000000"),
        ("ts", WantedType::TimestampTz, "1704164645000000"),
        ("ts", WantedType::Date, "19724"),
        ("tz", WantedType::Timestamp, "1704157445000000"),
        ("tz", WantedType::Text, "2024-01-02 01:04:05+00"),
        ("iv", WantedType::Duration, "172801000000"),
        ("u", WantedType::Uuid, "000000000000000000000000000000aa"),
        ("u", WantedType::Binary, "30303030303030302d303030302d303030302d303030302d303030303030303030306161"),
        ("m", WantedType::Decimal(10, 2), "1.25"),
        ("x", WantedType::Text, "(1,2)"),
    ] {
        assert_eq!(
            one(name, wanted).unwrap_or_else(|e| panic!("{name} as {wanted}: {e}")).1,
            value,
            "{name} as {wanted}"
        );
    }
    assert_eq!(one("i", WantedType::Int2).unwrap().0, DataType::Int16);
    for (name, wanted) in [("u", WantedType::Int4), ("x", WantedType::Float8), ("i", WantedType::Bool)] {
        assert_eq!(one(name, wanted).unwrap_err().kind(), ErrorKind::UnsupportedType, "{name} as {wanted}");
    }
    for (name, wanted) in [("n", WantedType::Int4), ("n", WantedType::Decimal(3, 2))] {
        let error = one(name, wanted).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data, "{error}");
        assert!(error.to_string().contains("12.50 does not fit"), "{error}");
    }
}

#[test]
fn a_value_of_fifty_megabytes_arrives_and_one_over_the_limit_is_refused_by_name() {
    let schema = Schema::new();
    schema.run("CREATE TABLE t AS SELECT 1 AS id, repeat('0123456789', 5000000) AS big, 2 AS after");
    let mut source = open();
    let mut request = schema.request("t");
    let (keep, _) = export(&mut source, &request).unwrap();
    assert_eq!(keep.column("big")[0].len(), 50_000_000);
    assert_eq!(keep.column("after"), ["2"]);
    request.max_value_bytes = 1 << 20;
    let error = export(&mut source, &request).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("`big`") && error.to_string().contains("50000000"), "{error}");
    // The connection lives on.
    assert_eq!(source.count(&request).unwrap(), 1);
}

#[test]
fn batches_end_at_their_bytes() {
    let schema = Schema::new();
    schema.run("CREATE TABLE t AS SELECT i, repeat('x', 1000) AS pad FROM generate_series(1, 20000) AS i");
    let mut request = schema.request("t");
    request.batch.bytes = 1 << 20;
    let (keep, _) = export(&mut open(), &request).unwrap();
    assert!(keep.batches.len() >= 19 && keep.batches.len() <= 30, "{}", keep.batches.len());
}

#[test]
fn queries_map_by_their_result() {
    let mut source = open();
    let sql = "SELECT 1::numeric(12,3) AS d, 'x'::text AS \"Mixed Case\", NULL::int4 AS n -- a comment\n;";
    let (keep, _) = export(&mut source, &ExportRequest::whole(Relation::Query(sql.into()))).unwrap();
    assert_eq!(keep.rows(), [["1.000", "x", "∅"]]);
    assert_eq!(keep.data_type("d"), DataType::Decimal128(12, 3));
    let two = ExportRequest::whole(Relation::Query("SELECT 1; SELECT 2".into()));
    assert_eq!(export(&mut source, &two).map(|_| ()).unwrap_err().kind(), ErrorKind::InvalidQuery);
    let same = ExportRequest::whole(Relation::Query("SELECT 1 AS a, 2 AS a".into()));
    assert_eq!(export(&mut source, &same).map(|_| ()).unwrap_err().kind(), ErrorKind::InvalidQuery);
}

#[test]
fn odd_names_dropped_and_generated_columns_and_partitions_are_read() {
    let schema = Schema::new();
    schema.run(
        "CREATE TABLE \"Odd \"\"Table\" (\"select\" int, gone int, \"é x\" text, g int GENERATED ALWAYS AS (\"select\" * 2) STORED); \
         ALTER TABLE \"Odd \"\"Table\" DROP COLUMN gone; INSERT INTO \"Odd \"\"Table\" VALUES (1, 'a'); \
         CREATE TABLE p (k int, v int) PARTITION BY RANGE (k); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10); \
         CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20); INSERT INTO p SELECT i, i FROM generate_series(0, 19) i; \
         CREATE TABLE nothing ()",
    );
    let mut source = open();
    let (keep, _) = export(&mut source, &schema.request("Odd \"Table")).unwrap();
    assert_eq!(keep.rows(), [["1", "a", "2"]]);
    assert_eq!(export(&mut source, &schema.request("p")).unwrap().1.rows, 20);
    let mut request = schema.request("Odd \"Table");
    request.exclude = vec!["é x".into()];
    assert_eq!(export(&mut source, &request).unwrap().0.rows(), [["1", "2"]]);
    request.exclude = vec!["selec".into()];
    let error = source.type_mappings(&request).unwrap_err();
    assert_eq!((error.kind(), error.hint()), (ErrorKind::NotFound, Some("did you mean `select`?")));
    assert!(source.type_mappings(&schema.request("nothing")).is_err());
}
