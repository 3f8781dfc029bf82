//! The union of the slices is the table, for every way to cut it.

use std::collections::BTreeMap;

use crate::support::{Schema, export, open};
use rivet_plugin_postgres::Postgres;
use rivet_sdk::{
    Condition, ErrorKind, ExportRequest, NativeSplit, OneReadPoint, Relation, Scalar, Source, SplitBy, SplitInto,
    SplitRequest,
};

fn range(column: &str) -> SplitBy {
    SplitBy::Range { column: column.into() }
}

/// How often each row occurs.
fn rows(source: &mut Postgres, request: &ExportRequest) -> BTreeMap<Vec<String>, u32> {
    let mut counts = BTreeMap::new();
    for row in export(source, request).unwrap().0.rows() {
        *counts.entry(row).or_default() += 1;
    }
    counts
}

/// Cuts, reads every slice, and compares with the whole. Gives the number of slices and the
/// share of the largest.
fn check(of: &ExportRequest, by: SplitBy, into: SplitInto) -> (usize, f64) {
    let mut source = open();
    let split = source.split(&SplitRequest::new(of.clone(), by, into)).unwrap();
    let mut union: BTreeMap<Vec<String>, u32> = BTreeMap::new();
    let (mut largest, mut all) = (0, 0);
    for slice in &split.slices {
        let mut part = of.clone();
        part.conditions.extend(slice.condition.clone());
        let found = rows(&mut source, &part);
        let count: u32 = found.values().sum();
        (largest, all) = (largest.max(count), all + count);
        for (row, count) in found {
            *union.entry(row).or_default() += count;
        }
    }
    let whole = rows(&mut source, of);
    let wrong = whole.iter().find(|(row, count)| union.get(*row) != Some(count));
    assert_eq!((wrong, union.len()), (None, whole.len()), "{}", split.method);
    (split.slices.len(), f64::from(largest) / f64::from(all.max(1)))
}

/// A slow suite tries all.
fn slow() -> bool {
    std::env::var_os("RIVET_TEST_SLOW").is_some()
}

#[test]
fn ranges_over_every_key_type_cover_the_table_once() {
    let schema = Schema::new();
    schema.run(
        "CREATE TABLE t AS SELECT i AS id, (i - 1500)::int8 * 1000003 AS sparse, (i / 3.0)::numeric(20,4) AS n, \
         CASE WHEN i % 10 = 0 THEN NULL WHEN i % 2 = 0 THEN 7 ELSE i END AS skewed, \
         CASE WHEN i = 5 THEN 'infinity' WHEN i = 6 THEN '-infinity' ELSE date '2020-01-01' + i END AS d, \
         CASE WHEN i = 5 THEN 'infinity' ELSE timestamp '2020-01-01' + i * interval '1 minute' END AS ts, \
         CASE WHEN i = 9 THEN '-infinity' ELSE timestamptz '2020-01-01 00:00+00' + i * interval '7.5 s' END AS tz, \
         md5(i::text)::uuid AS u, CASE WHEN i = 5 THEN 'NaN' ELSE (i / 7.0)::float8 END AS f, (i / 7.0)::float4 AS r, md5(i::text) AS word FROM generate_series(1, 3000) AS i; CREATE TABLE fresh AS SELECT * FROM t; ANALYZE t",
    );
    for table in ["t", "fresh"] {
        for column in ["id", "sparse", "n", "skewed", "d", "ts", "tz", "u", "f", "r", "word"] {
            let mut request = schema.request(table);
            request.columns_complete = true;
            request.columns = vec![rivet_sdk::ColumnRequest::new("id", None)];
            for &count in if slow() { &[1, 2, 7, 60][..] } else { &[7] } {
                let (slices, share) = check(&request, range(column), SplitInto::Count(count));
                if count == 7 {
                    assert!(slices >= 4, "{table}.{column}: {slices} slices");
                    let limit = if column == "skewed" { 0.55 } else { 0.25 };
                    assert!(share < limit, "{table}.{column}: the largest has {share}");
                }
            }
        }
    }
}

#[test]
fn a_small_or_empty_table_is_one_slice() {
    let schema = Schema::new();
    schema.run("CREATE TABLE t (id int); CREATE TABLE e (id int); INSERT INTO t VALUES (1), (NULL)");
    for table in ["t", "e"] {
        check(&schema.request(table), range("id"), SplitInto::Count(4));
        let split =
            open().split(&SplitRequest::new(schema.request(table), range("id"), SplitInto::Rows(1_000_000))).unwrap();
        assert_eq!((split.slices.len(), &split.slices[0].condition), (1, &None));
    }
}

#[test]
fn views_queries_and_filtered_requests_are_cut_too() {
    let schema = Schema::new();
    schema.run(
        "CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 2000) i; CREATE VIEW v AS SELECT * FROM t; ANALYZE t",
    );
    check(&schema.request("v"), range("id"), SplitInto::Count(5));
    let query = Relation::Query(format!("SELECT id * 2 AS id FROM {}.t", schema.0));
    check(&ExportRequest::whole(query), range("id"), SplitInto::Count(5));
    let mut filtered = schema.request("t");
    filtered.conditions = vec![Condition::Range {
        key: vec!["id".into()],
        from: Some(rivet_sdk::Bound::exclusive(vec![Scalar::Integer(1000)])),
        to: None,
    }];
    let (slices, share) = check(&filtered, range("id"), SplitInto::Rows(250));
    assert!(slices >= 3 && share < 0.5, "{slices} {share}");
}

#[test]
fn keysets_over_text_and_composite_keys_cover_the_table_once() {
    let schema = Schema::new();
    schema.run(
        "CREATE TABLE t (a text COLLATE \"C\" NOT NULL, b int NOT NULL, c text, PRIMARY KEY (a, b)); \
         INSERT INTO t SELECT CASE i % 3 WHEN 0 THEN 'ä''' WHEN 1 THEN 'Z' ELSE '\\' END, i, 'x' FROM generate_series(1, 2000) i",
    );
    let by = SplitBy::Keyset { key: vec!["a".into(), "b".into()] };
    let (slices, share) = check(&schema.request("t"), by, SplitInto::Count(8));
    assert!(slices == 8 && share < 0.2, "{slices} {share}");
    let by = SplitBy::Keyset { key: vec!["c".into()] };
    let refused = open().split(&SplitRequest::new(schema.request("t"), by, SplitInto::Count(8)));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn block_ranges_cover_a_heap_once_and_other_relations_say_why_not() {
    let schema = Schema::new();
    schema.run(
        "CREATE TABLE t AS SELECT i, repeat('x', 100) AS pad FROM generate_series(1, 5000) i; \
         CREATE TABLE e (i int); CREATE VIEW v AS SELECT * FROM t; CREATE TABLE p (k int) PARTITION BY LIST (k); ANALYZE t",
    );
    for count in [1, 3, 16, 10_000] {
        check(&schema.request("t"), SplitBy::Native, SplitInto::Count(count));
        check(&schema.request("e"), SplitBy::Native, SplitInto::Count(count));
    }
    let mut source = open();
    assert_eq!(source.describe(&schema.table("t")).unwrap().native, NativeSplit::Possible);
    for table in ["v", "p"] {
        assert!(matches!(source.describe(&schema.table(table)).unwrap().native, NativeSplit::Impossible(_)));
    }
}

#[test]
fn a_snapshot_does_not_reach_into_a_foreign_table() {
    let schema = Schema::new();
    let server = format!("far_{}", std::process::id());
    schema.run(&format!(
        "CREATE FOREIGN DATA WRAPPER {server}; CREATE SERVER {server} FOREIGN DATA WRAPPER {server}; \
         CREATE TABLE t (k int); CREATE TABLE near (k int) PARTITION BY LIST (k); \
         CREATE TABLE near_1 PARTITION OF near FOR VALUES IN (1); CREATE FOREIGN TABLE f (k int) SERVER {server}; \
         CREATE TABLE mixed (k int) PARTITION BY LIST (k); CREATE TABLE mixed_1 PARTITION OF mixed FOR VALUES IN (1); \
         CREATE FOREIGN TABLE mixed_2 PARTITION OF mixed FOR VALUES IN (2) SERVER {server}"
    ));
    let mut source = open();
    let expected = [
        ("t", OneReadPoint::Snapshot),
        ("near", OneReadPoint::Snapshot),
        ("f", OneReadPoint::None),
        ("mixed", OneReadPoint::None),
    ];
    for (table, one_read_point) in expected {
        assert_eq!(source.describe(&schema.table(table)).unwrap().one_read_point, one_read_point, "{table}");
    }
    schema.run(&format!("DROP FOREIGN DATA WRAPPER {server} CASCADE"));
}
