//! The union of the slices is the table, for every way to cut it.

use std::collections::BTreeMap;

use crate::support::{Database, export, servers};
use proptest::prelude::*;
use rivet_plugin_mysql::Mysql;
use rivet_sdk::{
    Bound, ColumnRequest, Condition, ErrorKind, ExportRequest, Relation, Scalar, Source, SplitBy, SplitInto,
    SplitRequest,
};

const NUMBERS: &str = "WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 900)";

fn range(column: &str) -> SplitBy {
    SplitBy::Range { column: column.into() }
}

fn keyset(key: &[&str]) -> SplitBy {
    SplitBy::Keyset { key: key.iter().map(|name| (*name).to_owned()).collect() }
}

/// How often each row occurs.
fn rows(source: &mut Mysql, request: &ExportRequest) -> BTreeMap<Vec<String>, u32> {
    let mut counts = BTreeMap::new();
    for row in export(source, request).unwrap().0.rows() {
        *counts.entry(row).or_default() += 1;
    }
    counts
}

/// Cuts, reads every slice, and compares with the whole. Gives the number of slices and the
/// share of the largest.
fn check(database: &Database, of: &ExportRequest, by: SplitBy, into: SplitInto) -> (usize, f64) {
    let mut source = database.server.open();
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
    for server in servers() {
        let database = server.database();
        let columns = "id int, sparse bigint, big bigint unsigned, n decimal(20,4), f float, g double, skewed int, d date, ts datetime(6), tz timestamp(3) NULL, y year, word varchar(40)";
        database.run(&format!(
            "CREATE TABLE t ({columns}, PRIMARY KEY (id), KEY (sparse), KEY (big), KEY (n), KEY (f), KEY (g), KEY (skewed), KEY (d), KEY (ts), KEY (tz), KEY (y), KEY (word)); \
             INSERT INTO t {NUMBERS} SELECT i, (i - 450) * 1000003, 18446744073709551615 - i * 7, i / 3.0, i / 7, i / 7e0, \
             CASE WHEN i % 10 = 0 THEN NULL WHEN i % 2 = 0 THEN 7 ELSE i END, \
             CASE WHEN i = 5 THEN '0000-00-00' WHEN i = 6 THEN '2020-02-00' ELSE DATE_ADD('2020-01-01', INTERVAL i DAY) END, \
             TIMESTAMPADD(MICROSECOND, i, '2020-01-01 00:00:00'), TIMESTAMPADD(SECOND, i * 7, '2020-01-01 00:00:00'), 1901 + i % 250, LEFT(SHA2(i, 256), 20) FROM r; \
             CREATE TABLE bare ({columns}); INSERT INTO bare SELECT * FROM t; ANALYZE TABLE t, bare"
        ));
        for table in ["t", "bare"] {
            for column in ["id", "sparse", "big", "n", "f", "g", "skewed", "d", "ts", "tz", "y", "word"] {
                let mut request = database.request(table);
                request.columns_complete = true;
                request.columns = vec![ColumnRequest::new("id", None)];
                for &count in if slow() { &[1, 2, 7, 60][..] } else { &[7] } {
                    let (slices, share) = check(&database, &request, range(column), SplitInto::Count(count));
                    if count == 7 {
                        assert!(slices >= 4, "{table}.{column}: {slices} slices");
                        let limit = if column == "skewed" { 0.55 } else { 0.25 };
                        assert!(share < limit, "{table}.{column}: the largest has {share}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_small_or_empty_table_is_one_slice() {
    for server in servers() {
        let database = server.database();
        database.run("CREATE TABLE t (id int); CREATE TABLE e (id int); INSERT INTO t VALUES (1), (NULL)");
        for table in ["t", "e"] {
            check(&database, &database.request(table), range("id"), SplitInto::Count(4));
            let into = SplitInto::Rows(1_000_000);
            let split = server.open().split(&SplitRequest::new(database.request(table), range("id"), into)).unwrap();
            assert_eq!((split.slices.len(), &split.slices[0].condition), (1, &None));
        }
    }
}

#[test]
fn views_queries_and_filtered_requests_are_cut_too() {
    for server in servers() {
        let database = server.database();
        database.run(&format!(
            "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t {NUMBERS} SELECT i FROM r; CREATE VIEW v AS SELECT * FROM t; ANALYZE TABLE t"
        ));
        check(&database, &database.request("v"), range("id"), SplitInto::Count(5));
        let query = Relation::Query(format!("SELECT id * 2 AS id FROM {}.t", database.name));
        check(&database, &ExportRequest::whole(query), range("id"), SplitInto::Count(5));
        let mut filtered = database.request("t");
        filtered.conditions = vec![Condition::Range {
            key: vec!["id".into()],
            from: Some(Bound::exclusive(vec![Scalar::Integer(400)])),
            to: None,
        }];
        let (slices, share) = check(&database, &filtered, range("id"), SplitInto::Rows(125));
        assert!(slices >= 3 && share < 0.5, "{slices} {share}");
    }
}

#[test]
fn keysets_over_text_and_composite_keys_cover_the_table_once() {
    for server in servers() {
        let database = server.database();
        database.run(&format!(
            "CREATE TABLE t (a varchar(20) COLLATE utf8mb4_bin NOT NULL, b int NOT NULL, c varchar(9) COLLATE utf8mb4_unicode_ci NOT NULL UNIQUE, \
             d char(9) CHARACTER SET sjis NOT NULL, e varbinary(9) NOT NULL, f int, g enum('x', 'a') NOT NULL, \
             PRIMARY KEY (a, b), UNIQUE KEY (d), UNIQUE KEY (e), UNIQUE KEY (f), UNIQUE KEY (g, b)); \
             INSERT INTO t {NUMBERS} SELECT CASE i % 3 WHEN 0 THEN 'ä''' WHEN 1 THEN 'Z ' ELSE '\\\\' END, i, CONCAT(IF(i % 2, 'é', 'E'), i), \
             CONCAT('ア', i), UNHEX(LPAD(HEX(i), 6, '0')), i, 1 + i % 2 FROM r"
        ));
        for key in [&["a", "b"][..], &["c"], &["d"], &["e"]] {
            let (slices, share) = check(&database, &database.request("t"), keyset(key), SplitInto::Count(8));
            assert!(slices == 8 && share < 0.2, "{key:?}: {slices} {share}");
        }
        for column in ["a", "b", "c", "d", "e", "f"] {
            check(&database, &database.request("t"), range(column), SplitInto::Count(8));
        }
        for key in [&["b"][..], &["b", "a"], &["f"], &["g", "b"], &["a"]] {
            let request = SplitRequest::new(database.request("t"), keyset(key), SplitInto::Count(8));
            let refused = server.open().split(&request);
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported, "{key:?}");
        }
        let request = SplitRequest::new(database.request("t"), range("g"), SplitInto::Count(8));
        assert_eq!(server.open().split(&request).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}

#[test]
fn a_large_table_is_cut_by_row_estimates_of_its_index() {
    for server in servers() {
        let database = server.database();
        // Half of the rows lie in a hundredth of the key's span.
        database.run(
            "CREATE TABLE t (id bigint PRIMARY KEY, at datetime NOT NULL, KEY (at)); \
             INSERT INTO t WITH RECURSIVE r AS (SELECT 0 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 899) \
             SELECT v, TIMESTAMPADD(SECOND, v, '2020-01-01') FROM \
             (SELECT IF(a.i % 2, (a.i * 900 + b.i) * 200, a.i * 900 + b.i + 1) AS v FROM r AS a, r AS b) AS s GROUP BY v",
        );
        let rows: u64 = database.run("SELECT COUNT(*) FROM t").parse().unwrap();
        database.run("ANALYZE TABLE t");
        let mut source = server.open();
        for column in ["id", "at"] {
            let request = SplitRequest::new(database.request("t"), range(column), SplitInto::Count(8));
            let split = source.split(&request).unwrap();
            let mut sum = 0;
            for slice in &split.slices {
                let mut part = database.request("t");
                part.conditions.extend(slice.condition.clone());
                let count = source.count(&part).unwrap();
                assert!(count < rows / 3, "{column}: {count} of {rows}, {}", split.method);
                sum += count;
            }
            assert!(sum == rows && (6..=10).contains(&split.slices.len()), "{column}: {} slices", split.slices.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if slow() { 12 } else { 4 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_keys_in_any_number_of_slices_cover_the_table_once(
        keys in prop::collection::btree_set((any::<i64>(), "[a-zA-Zäß' \\\\%_]{0,6}"), 1..60),
        count in 1_u64..20,
    ) {
        for server in servers() {
            let database = server.database();
            database.run("CREATE TABLE t (a bigint NOT NULL, b varchar(9) COLLATE utf8mb4_bin NOT NULL, n int NULL, PRIMARY KEY (b, a), KEY (a), KEY (n))");
            let values: Vec<String> = keys
                .iter()
                .map(|(a, b)| format!("({a}, X'{}', NULLIF({}, 3))", b.bytes().map(|byte| format!("{byte:02x}")).collect::<String>(), a % 5))
                .collect();
            // Trailing spaces make equal keys.
            database.run(&format!("INSERT IGNORE INTO t VALUES {}", values.join(", ")));
            for by in [range("a"), range("n"), keyset(&["b", "a"])] {
                check(&database, &database.request("t"), by, SplitInto::Count(count));
            }
        }
    }
}
