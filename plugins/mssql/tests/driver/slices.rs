//! The union of the slices is the table, for every way to cut it.

use std::collections::BTreeMap;

use crate::support::{Database, export, fixture, open_url, server, url_of};
use proptest::prelude::*;
use rivet_plugin_mssql::Mssql;
use rivet_sdk::{
    Bound, ColumnRequest, Condition, ErrorKind, ExportRequest, NativeSplit, Relation, Scalar, Source, SplitBy,
    SplitInto, SplitRequest,
};

fn range(column: &str) -> SplitBy {
    SplitBy::Range { column: column.into() }
}

/// How often each row occurs.
fn rows(source: &mut Mssql, request: &ExportRequest) -> BTreeMap<Vec<String>, u32> {
    let mut counts = BTreeMap::new();
    for row in export(source, request).unwrap().0.rows() {
        *counts.entry(row).or_default() += 1;
    }
    counts
}

/// Cuts, reads every slice, and compares with the whole. Gives the number of slices and the
/// share of the largest.
fn check(source: &mut Mssql, of: &ExportRequest, by: SplitBy, into: SplitInto) -> (usize, f64) {
    let split = source.split(&SplitRequest::new(of.clone(), by, into)).unwrap();
    let mut union: BTreeMap<Vec<String>, u32> = BTreeMap::new();
    let (mut largest, mut all) = (0, 0);
    for slice in &split.slices {
        // As it crosses the boundary and lies in a plan.
        let condition = rivet_sdk::serde_json::to_string(&slice.condition).unwrap();
        let condition: Option<Condition> = rivet_sdk::serde_json::from_str(&condition).unwrap();
        let mut part = of.clone();
        part.conditions.extend(condition);
        let found = rows(source, &part);
        let count: u32 = found.values().sum();
        (largest, all) = (largest.max(count), all + count);
        for (row, count) in found {
            *union.entry(row).or_default() += count;
        }
    }
    let whole = rows(source, of);
    let wrong = whole.iter().find(|(row, count)| union.get(*row) != Some(count));
    assert_eq!((wrong, union.len()), (None, whole.len()), "{}", split.method);
    (split.slices.len(), f64::from(largest) / f64::from(all.max(1)))
}

const KEYS: [&str; 12] = ["id", "tiny", "sparse", "n", "m", "skewed", "d", "dt", "sd", "ts", "tz", "u"];

fn many_keys(database: &Database, count: u32) {
    database.run(
        "CREATE TABLE t (id int NOT NULL, tiny tinyint, sparse bigint, n decimal(20,4), m money, skewed int, d date, \
         dt datetime, sd smalldatetime, ts datetime2(7), tz datetimeoffset(7), u uniqueidentifier)",
    );
    database.insert(
        "t",
        (0..count).map(|i| {
            let skewed = match i {
                _ if i % 10 == 0 => "NULL".to_owned(),
                _ if i % 2 == 0 => "7".to_owned(),
                _ => i.to_string(),
            };
            // Scattered, so that neighbours in the table are none in the key.
            let j = i * 7919 % count;
            format!(
                "{i}, {tiny}, {sparse}, {whole}.{fraction:04}, {whole}.{fraction:04}, {skewed}, \
                 '{year}-{month:02}-{day:02}', '{year}-{month:02}-{day:02}T12:00:00.{third}', \
                 '2020-{month:02}-{day:02}T{hour:02}:30:00', '{year}-{month:02}-{day:02}T00:00:00.{j:07}', \
                 '2020-01-{day:02}T{hour:02}:00:00.{j:07}{offset}', '{j:08x}-0000-0000-{k:04x}-{j:012x}'",
                tiny = i % 256,
                sparse = (i64::from(j) - 1500) * 1_000_003_000_001,
                whole = j / 3,
                fraction = j % 3 * 3333,
                year = 1900 + j % 200,
                month = j % 12 + 1,
                day = j % 28 + 1,
                hour = j % 24,
                third = ["000", "003", "007", "997"][j as usize % 4],
                offset = ["+00:00", "+14:00", "-14:00", "+05:30"][j as usize % 4],
                k = j % 9999,
            )
        }),
    );
}

/// A slow suite tries all.
fn slow() -> bool {
    std::env::var_os("RIVET_TEST_SLOW").is_some()
}

#[test]
fn ranges_over_every_key_type_cover_the_table_once() {
    let database = Database::new();
    many_keys(&database, 1500);
    let mut source = database.open();
    let mut request = database.request("t");
    request.columns_complete = true;
    request.columns = vec![ColumnRequest::new("id", None)];
    for column in KEYS {
        for &count in if slow() { &[1, 2, 7, 60][..] } else { &[7] } {
            let (slices, share) = check(&mut source, &request, range(column), SplitInto::Count(count));
            if count == 7 {
                assert!(slices >= 4, "{column}: {slices} slices");
                let limit = if column == "skewed" { 0.55 } else { 0.25 };
                assert!(share < limit, "{column}: the largest has {share}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_cut_of_every_key_is_a_partition(key in 0..KEYS.len(), count in 1_u64..40, lower in 0_i128..400, upper in 0_i128..400) {
        thread_local! {
            static DATABASE: (Database, std::cell::RefCell<Mssql>) = {
                let database = Database::new();
                many_keys(&database, 300);
                let source = database.open();
                (database, std::cell::RefCell::new(source))
            };
        }
        DATABASE.with(|(database, source)| {
            let mut request = database.request("t");
            request.conditions = vec![Condition::Range {
                key: vec!["id".into()],
                from: Some(Bound::inclusive(vec![Scalar::Integer(lower)])),
                to: Some(Bound::inclusive(vec![Scalar::Integer(upper)])),
            }];
            check(&mut source.borrow_mut(), &request, range(KEYS[key]), SplitInto::Count(count));
        });
    }
}

#[test]
fn a_small_or_empty_table_is_one_slice() {
    let database = Database::new();
    database.run("CREATE TABLE t (id int NULL); CREATE TABLE e (id int NULL); INSERT INTO t VALUES (1), (NULL)");
    let mut source = database.open();
    for table in ["t", "e"] {
        check(&mut source, &database.request(table), range("id"), SplitInto::Count(4));
        let split =
            source.split(&SplitRequest::new(database.request(table), range("id"), SplitInto::Rows(1_000_000))).unwrap();
        assert_eq!((split.slices.len(), &split.slices[0].condition), (1, &None));
    }
}

#[test]
fn views_queries_and_filtered_requests_are_cut_too() {
    let database = Database::new();
    database.run("CREATE TABLE t (id int NOT NULL)");
    database.insert("t", (1..=1000).map(|i| i.to_string()));
    database.run("CREATE VIEW v AS SELECT * FROM t");
    let mut source = database.open();
    check(&mut source, &database.request("v"), range("id"), SplitInto::Count(5));
    let query = Relation::Query("SELECT id * 2 AS id FROM t".into());
    check(&mut source, &ExportRequest::whole(query), range("id"), SplitInto::Count(5));
    let mut filtered = database.request("t");
    filtered.conditions = vec![Condition::Range {
        key: vec!["id".into()],
        from: Some(Bound::exclusive(vec![Scalar::Integer(500)])),
        to: None,
    }];
    let (slices, share) = check(&mut source, &filtered, range("id"), SplitInto::Rows(125));
    assert!(slices >= 3 && share < 0.5, "{slices} {share}");
}

#[test]
fn keysets_over_texts_in_any_collation_and_composite_keys_cover_the_table_once() {
    let database = Database::new();
    database.run(
        "CREATE TABLE t (a varchar(20) COLLATE Latin1_General_CI_AS NOT NULL, b int NOT NULL, c nvarchar(20) NULL, PRIMARY KEY (a, b)); \
         CREATE TABLE n (k nvarchar(20) COLLATE Latin1_General_BIN2 NOT NULL PRIMARY KEY); \
         CREATE TABLE g (k varchar(20) COLLATE Greek_CI_AS NOT NULL PRIMARY KEY)",
    );
    let word = |i: u32| ["ä''", "Z", "\\", "co-op", "coop", "zé"][i as usize % 6].to_owned();
    database.insert("t", (0..600).map(|i| format!("'{}', {i}, N'x'", word(i))));
    database.insert("n", (0..600_u32).map(|i| format!("N'{}{i}'", ["😀", "Ā", "a", "A"][i as usize % 4])));
    database.insert("g", (0..600_u32).map(|i| format!("N'{}{i}'", ["α", "Ω", "a"][i as usize % 3])));
    let mut source = database.open();
    for (table, key) in [("t", vec!["a", "b"]), ("n", vec!["k"]), ("g", vec!["k"])] {
        let by = SplitBy::Keyset { key: key.into_iter().map(str::to_owned).collect() };
        let (slices, share) = check(&mut source, &database.request(table), by, SplitInto::Count(8));
        assert!(slices == 8 && share < 0.2, "{table}: {slices} {share}");
    }
    for key in [vec!["c"], vec!["b"], vec!["b", "a"]] {
        let by = SplitBy::Keyset { key: key.into_iter().map(str::to_owned).collect() };
        let refused = source.split(&SplitRequest::new(database.request("t"), by, SplitInto::Count(8)));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
    }
}

#[test]
fn physical_ranges_are_refused_with_a_reason() {
    let database = Database::new();
    database.run("CREATE TABLE t (id int NOT NULL)");
    let mut source = database.open();
    assert!(matches!(source.describe(&database.table("t")).unwrap().native, NativeSplit::Impossible(_)));
    let refused = source.split(&SplitRequest::new(database.request("t"), SplitBy::Native, SplitInto::Count(8)));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn literals_survive_a_login_of_any_language() {
    if fixture().is_none() {
        return;
    }
    let database = Database::new();
    many_keys(&database, 900);
    let moment = |text: &str| Some(rivet_sdk::Bound::inclusive(vec![rivet_sdk::Scalar::Timestamp(text.into())]));
    let mut between = database.request("t");
    // The second of January in one order, the first of February in the other.
    between.conditions =
        vec![Condition::Range { key: vec!["dt".into()], from: moment("2020-01-02 03:04:05"), to: None }];
    let expected = rows(&mut database.open(), &between);
    for login in ["deutsch", "svenska"] {
        database.run(&format!("CREATE USER {login} FOR LOGIN {login}; GRANT SELECT ON dbo.t TO {login}"));
        let mut source = open_url(&url_of(&server().url, Some(&format!("{login}:Secret_1")), &database.name)).unwrap();
        assert_eq!(rows(&mut source, &between), expected, "{login}");
        for column in ["d", "dt", "sd", "ts", "tz", "n", "m"] {
            let by = SplitBy::Range { column: column.into() };
            let (slices, _) = check(&mut source, &database.request("t"), by, SplitInto::Count(7));
            assert!(slices >= 4, "{login}, {column}: {slices}");
        }
    }
}
