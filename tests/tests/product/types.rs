//! Every value of every type arrives as it was: what DuckDB and pyarrow read is what PostgreSQL prints.

use rivet_tests::{
    postgres::{self, Database},
    readers::{self, assert_same},
    rivet,
};

/// A table with every type at its edges: the least and the greatest value, what is odd, NULL.
const EDGES: &str = r#"
    CREATE EXTENSION hstore; CREATE EXTENSION citext;
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'very "happy"');
    CREATE TYPE pair AS (a int, "B b" numeric(6,2));
    CREATE DOMAIN positive AS int CHECK (value > 0);
    CREATE TABLE edges (
        id bigint PRIMARY KEY, b boolean, i2 smallint, i4 integer, i8 bigint, f4 real, f8 double precision, o oid,
        n numeric(15,2), n76 numeric(60,10), nneg numeric(5,-2), nfree numeric, m money, c char(5), v varchar(20), t text, nm name, ci citext, x xml,
        by bytea, d date, tm time, ts timestamp, tz timestamptz, ttz timetz, iv interval, u uuid, j json, jb jsonb,
        e mood, p positive, ai int[], at text[], an numeric(8,3)[], au uuid[], ae mood[], co pair, aco pair[],
        r int4range, rt tstzrange, mr int4multirange, h hstore, inet inet, cidr cidr, mac macaddr, bt bit(5), vb varbit, tsv tsvector, pt point, lsn pg_lsn);
    INSERT INTO edges VALUES
      (1, true, -32768, -2147483648, -9223372036854775808, '-Infinity', 'NaN', 0,
       -9999999999999.99, -12345678901234567890123456789012345678901234567890.0123456789, -1234500, 'NaN', '-92233720368547758.08', 'ab', '', '', 'n', 'CaSe', '<a/>',
       '', '4713-01-01 BC', '00:00', '4713-01-01 00:00:00 BC', '4713-01-01 00:00:00+00 BC', '00:00:00+15:59', '-178000000 years', '00000000-0000-0000-0000-000000000000', '{"a" : 1,  "a":2}', '{"big": 12345678901234567890123.5}',
       'sad', 1, '{}', '{}', '{}', '{}', '{}', ROW(NULL, NULL), '{}', 'empty', '(,)', '{}', '', '0.0.0.0/0', '10.0.0.0/8', '00:00:00:00:00:00', B'00000', B'', '', '(0,0)', '0/0'),
      (2, false, 32767, 2147483647, 9223372036854775807, 'Infinity', '-0', 4294967295,
       9999999999999.99, 12345678901234567890123456789012345678901234567890.0123456789, 9999900, 'Infinity', '92233720368547758.07', 'abcde', 'twenty characters!!!', E'tab\tquote"comma,\r\nnewline é 漢字 😀', 'name', 'x', '<b>é</b>',
       '\x00ff0a0d22', '294246-12-31', '23:59:59.999999', '294246-12-31 23:59:59.999999', '294246-12-31 23:59:59.999999+00', '23:59:59.999999-15:59', '178000000 years 11 mons 30 days 04:05:06.789', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'null', '[]',
       'very "happy"', 2147483647, '{1,NULL,-3}', '{"",NULL,"a,b","\"q\"","NULL"}', '{1.5,NULL,-99999.999}', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,NULL}', '{ok,NULL}', ROW(7, 1.25), ARRAY[ROW(1, 2.5)::pair, NULL, ROW(NULL, 0)::pair],
       '[1,10)', '["2020-01-01 00:00+00","2021-01-01 00:00+00"]', '{[1,3),[5,7)}', 'a=>1, "b c"=>NULL, "q\"" => ""', '::1/128', '2001:db8::/32', 'ff:ff:ff:ff:ff:ff', B'11111', B'101', 'fat:1 cat:2A', '(1.5,-2)', 'FFFFFFFF/FFFFFFFF'),
      (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
      (4, true, 0, 0, 0, 3.4028235e38, 5e-324, 1, 0, 0, 0, '123456789012345678901234567890.123456789', 0, '     ', ' padded ', '\N', '', '', '<c/>',
       '\x5c', '1970-01-01', '12:34:56.000001', '1969-12-31 23:59:59.999999', '1969-12-31 23:59:59.999999+00', '12:00+02', '-00:00:00.000001', '12345678-9abc-def0-1234-56789abcdef0', '"é"', '{"k": null}',
       'ok', 2, '{0}', '{x}', '{0}', '{00000000-0000-0000-0000-000000000001}', '{sad}', ROW(0, -0.01), '{}', '(,5)', '[2020-01-01 00:00+00,)', '{(,1),[9,)}', 'k=>v', '192.168.1.1', '0.0.0.0/0', '08:00:2b:01:02:03', B'01010', B'0', 'a', '(1e300,-1e-300)', '16/B374D848');
"#;

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
    let mut database = postgres::database();
    database.run(EDGES);
    let project = export(&database, "edges", "format: parquet");
    assert_same(
        &database.canonical("SELECT * FROM edges ORDER BY id"),
        &readers::parquet(project.out()).sorted_by("id"),
    );
}

#[test]
fn every_compression_and_layout_holds_the_same_values() {
    let mut database = postgres::database();
    database.run(EDGES);
    let expected = database.canonical("SELECT * FROM edges ORDER BY id");
    for more in [
        "compression: snappy",
        "compression: gzip",
        "compression: lz4",
        "compression: none",
        "compression: zstd, compression_level: 19",
        "parquet: {row_group_strategy: fixed_rows, row_group_rows: 1, dictionary: true, statistics: page, bloom_filters: [t, i8]}",
        "parquet: {dictionary: false, statistics: none, page_size_kb: 1}",
    ] {
        let project = export(&database, "edges", &format!("format: parquet, {more}"));
        assert_same(&expected, &readers::parquet(project.out()).sorted_by("id"));
    }
}

#[test]
fn not_null_columns_are_required_and_json_and_uuid_are_marked() {
    let mut database = postgres::database();
    database.run("CREATE TABLE t (id int PRIMARY KEY, j jsonb NOT NULL, u uuid, l int[]); INSERT INTO t VALUES (1, '{}', NULL, '{1}')");
    let project = export(&database, "t", "format: parquet");
    let schema = &readers::schema(project.out())[0];
    let text = format!("{schema:?}");
    assert!(text.contains("JSON") && text.contains("UUID"), "{text}");
    assert!(text.contains("l.list.element"), "{text}");
    let nullable: Vec<_> = schema.columns.iter().map(|field| (field.name.as_str(), field.nullable)).collect();
    assert_eq!(nullable, [("id", false), ("j", false), ("u", true), ("l", true)]);
}

#[test]
fn values_that_arrow_cannot_hold_are_refused_by_name_or_counted() {
    let mut database = postgres::database();
    database.run("CREATE TABLE t (id int PRIMARY KEY, d date); INSERT INTO t VALUES (1, '2020-01-01'), (2, 'infinity'), (3, '-infinity')");
    let config = |more: &str| {
        format!(
            "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, table: t, format: parquet{more}, destination: {{type: local, path: '{{out}}'}}}}\n"
        )
    };
    let project = rivet::project();
    project.config(&config(""));
    project.rivet("run").env("DATABASE_URL", database.url()).fails(1).says(&[
        "`d`",
        "infinity",
        "hint:",
        "on_unrepresentable",
    ]);
    assert!(readers::files(project.out()).is_empty(), "a failed run left a visible file");
    project.config(&config(", on_unrepresentable: null"));
    let output = project.rivet("run").env("DATABASE_URL", database.url()).arg("--json").ok();
    assert_eq!(output.json()["exports"][0]["columns"]["d"]["unrepresentable"], 2);
    let dates = readers::parquet(project.out()).sorted_by("id");
    assert_eq!(dates.column("d").iter().filter(|value| value.is_null()).count(), 2);
}

#[test]
fn large_texts_arrive_whole_and_larger_ones_are_refused_by_name() {
    let mut database = postgres::database();
    database.run("CREATE TABLE t (id int PRIMARY KEY, big text); INSERT INTO t VALUES (1, ''), (2, repeat('0123456789', 5000000))");
    let project = export(&database, "t", "format: parquet");
    let found = readers::sql(project.out(), "SELECT length(big), md5(big) FROM t ORDER BY id");
    let expected = database.rows("SELECT length(big), md5(big) FROM t ORDER BY id");
    assert_eq!(found, expected);
    project.config("source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, table: t, format: parquet, tuning: {max_value_mb: 1}, destination: {type: local, path: '{out}2'}}\n");
    project.rivet("run").env("DATABASE_URL", database.url()).fails(1).says(&["`big`", "hint:"]);
}

#[test]
fn a_column_is_what_the_user_asks_for() {
    let mut database = postgres::database();
    database.run("CREATE TABLE t (id int PRIMARY KEY, n numeric, i int, drop_me text, old text); INSERT INTO t VALUES (1, 12.5, 7, 'x', 'y'), (2, -0.0000000001, NULL, NULL, NULL)");
    let project = export(
        &database,
        "t",
        "format: parquet, columns: {n: 'decimal(38,10)', i: text}, exclude: [drop_me], rename: {old: new}, meta_columns: {exported_at: true, row_hash: true}",
    );
    let found = readers::sql(
        project.out(),
        "SELECT id, n::VARCHAR, typeof(n), i, typeof(i), new, typeof(_rivet_exported_at), count(_rivet_row_hash) OVER () FROM t ORDER BY id",
    );
    assert_eq!(
        found[0][..6],
        ["1", "12.5000000000", "DECIMAL(38,10)", "7", "VARCHAR", "y"].map(|text| Some(text.to_owned()))
    );
    assert_eq!(found[1][1], Some("-0.0000000001".to_owned()));
    assert_eq!(found[0][6..], ["TIMESTAMP WITH TIME ZONE", "2"].map(|text| Some(text.to_owned())));
}

#[test]
fn a_csv_tells_null_from_empty_and_reads_back_everywhere() {
    let mut database = postgres::database();
    database.run("CREATE TABLE t (id int PRIMARY KEY, s text, n numeric(10,3), d date, b boolean, y bytea);
        INSERT INTO t VALUES (1, '', -1.5, '2024-02-29', true, '\\x00ff'), (2, NULL, NULL, NULL, NULL, NULL),
            (3, E'a,\"b\"\\r\\nc', 0, '0001-01-01', false, ''), (4, ' lead and trail ', 1234567.891, '9999-12-31', true, '\\x22')");
    for (compression, ending) in [("none", ".csv"), ("gzip", ".csv.gz"), ("zstd", ".csv.zst")] {
        let project = export(&database, "t", &format!("format: csv, compression: {compression}"));
        let files = readers::files(project.out());
        assert!(files.iter().all(|file| file.to_string_lossy().ends_with(ending)), "{files:?}");
        let found = readers::csv(project.out()).sorted_by("id");
        let texts = database.rows("SELECT id::text, s, n::text, d::text, b::text, y::text FROM t ORDER BY id");
        let expected: Vec<Vec<serde_json::Value>> =
            texts.into_iter().map(|row| row.into_iter().map(serde_json::Value::from).collect()).collect();
        assert_eq!(found.rows, expected, "{compression}");
    }
}

#[test]
fn check_tells_of_names_and_decimals_that_readers_do_not_take() {
    let mut database = postgres::database();
    database.run(
        "CREATE TABLE odd (id int, \"ID\" int, \"a.b\" int, \"Unit Price (€)\" int, wide numeric(60, 2)); \
         INSERT INTO odd VALUES (1, 2, 3, 4, 12345678901234567890123456789012345678901234567890.25)",
    );
    let project = rivet::project();
    project.config(
        "source: {url_env: DATABASE_URL}\nexports:\n  - {name: e, table: odd, format: parquet, destination: {type: local, path: '{out}'}}\n",
    );
    let notes = |target: Option<&str>| -> Vec<(String, String)> {
        let check = project.rivet("check").args(["--types", "--json"]).env("DATABASE_URL", database.url());
        let check = target.into_iter().fold(check, |check, target| check.args(["--target", target]));
        let columns = check.ok().json()["exports"][0]["columns"].clone();
        let noted = columns.as_array().unwrap().iter().filter_map(|column| {
            Some((column["column"].as_str().unwrap().to_owned(), column["note"].as_str()?.to_owned()))
        });
        noted.collect()
    };
    let names = |notes: Vec<(String, String)>| notes.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(notes(None)), ["id", "ID", "wide"]);
    assert_eq!(names(notes(Some("bigquery"))), ["id", "ID", "a.b", "Unit Price (€)", "wide"]);
    assert_eq!(names(notes(Some("clickhouse"))), [""; 0]);
    // As the readers that are here do take it.
    project.rivet("run").env("DATABASE_URL", database.url()).ok();
    let read = readers::sql(
        project.out(),
        "SELECT string_agg(column_name, ' '), list_extract(list(column_type), -1) FROM (DESCRIBE SELECT * FROM t)",
    );
    assert_eq!(read, [["id ID_1 a.b Unit Price (€) wide", "DOUBLE"].map(|text| Some(text.to_owned()))]);
}
