//! Columns of dates and times are compared as the instants that their cells stand for: the test knows these, and SQLite
//! gets them written in the ways that it documents.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rivet_plugin_sqlite::{Sqlite, SqliteDriver, SqliteOptions};
use rivet_sdk::arrow_array::{Array, Int64Array, RecordBatch};
use rivet_sdk::arrow_schema::SchemaRef;
use rivet_sdk::{
    BatchSink, Bound, BoundsRequest, ColumnRequest, Condition, Context, ExportRequest, Relation, Result, Scalar,
    Source, SourceDriver, SplitBy, SplitInto, SplitRequest, TableName,
};

#[derive(Default)]
struct Ids(Vec<i64>);

impl BatchSink for Ids {
    fn on_schema(&mut self, _: SchemaRef) -> Result<()> {
        Ok(())
    }

    fn on_batch(&mut self, batch: RecordBatch) -> Result<()> {
        self.0.extend(batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().values());
        Ok(())
    }
}

/// Nanoseconds since 1970, in the years 0001 to 9998; many of them close together.
fn instants() -> impl Strategy<Value = i128> {
    const SECOND: i128 = 1_000_000_000;
    let second = prop_oneof![
        4 => 1_796_000_000_i128..1_796_200_000,
        1 => -3_i128..3,
        1 => -62_135_596_800_i128..253_370_764_800,
    ];
    let nano = prop_oneof![Just(0_i128), (0_i128..1000).prop_map(|ms| ms * 1_000_000), 0..SECOND];
    (second, nano).prop_map(|(second, nano)| second * SECOND + nano)
}

/// A civil date and time of the proleptic Gregorian calendar, found by counting years.
fn civil(seconds: i128) -> (i128, i128, i128, i128) {
    let is_leap = |year: i128| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let (mut day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let mut year = 1970;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if day < 0 {
            year -= 1;
            day += if is_leap(year) { 366 } else { 365 };
        } else if day >= length {
            day -= length;
            year += 1;
        } else {
            break;
        }
    }
    let mut month = 1;
    for length in [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    (year, month, day + 1, second)
}

/// How a text is written: its separator, its zone in minutes (none where absent), and zeros at the end.
type Spelling = (bool, Option<i128>, bool);

fn spelling() -> impl Strategy<Value = Spelling> {
    let zone = prop_oneof![Just(None), Just(Some(0)), (-890_i128..=890).prop_map(Some)];
    (any::<bool>(), zone, any::<bool>())
}

fn text(nanos: i128, (with_t, zone, full): Spelling) -> String {
    let local = nanos.div_euclid(1_000_000_000) + zone.unwrap_or_default() * 60;
    let fraction = nanos.rem_euclid(1_000_000_000);
    let (year, month, day, second) = civil(local);
    let separator = if with_t { 'T' } else { ' ' };
    let mut text = format!("{year:04}-{month:02}-{day:02}{separator}{:02}:{:02}", second / 3600, second / 60 % 60);
    if second % 60 != 0 || fraction != 0 || full {
        text += &format!(":{:02}", second % 60);
    }
    if fraction != 0 {
        let digits = format!("{fraction:09}");
        text += &format!(".{}", if full { &digits } else { digits.trim_end_matches('0') });
    }
    match zone {
        None => {}
        Some(0) if full => text += "Z",
        Some(zone) => {
            let sign = if zone < 0 { '-' } else { '+' };
            text += &format!("{sign}{:02}:{:02}", zone.abs() / 60, zone.abs() % 60);
        }
    }
    text
}

/// A table of these cells, which are SQL, with ids from 1.
fn table(declared: &str, indexed: bool, cells: &[String]) -> (tempfile::TempDir, Sqlite) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("instants.db");
    let mut writer = rusqlite::Connection::open(&file).unwrap();
    writer.execute_batch(&format!("CREATE TABLE t (id INTEGER PRIMARY KEY, u {declared})")).unwrap();
    let rows = writer.transaction().unwrap();
    for cell in cells {
        rows.execute(&format!("INSERT INTO t (u) VALUES ({cell})"), []).unwrap();
    }
    rows.commit().unwrap();
    if indexed {
        writer.execute_batch("CREATE INDEX i ON t (u)").unwrap();
    }
    let options = SqliteOptions { path: Some(file.display().to_string()), ..SqliteOptions::default() };
    (folder, SqliteDriver::open(options, &Context::detached()).unwrap())
}

fn request() -> ExportRequest {
    let mut request = ExportRequest::whole(Relation::Table(TableName::unqualified("t")));
    request.columns = vec![ColumnRequest::new("id", None)];
    request.columns_complete = true;
    request
}

fn between(from: Option<Bound>, to: Option<Bound>) -> Condition {
    Condition::Range { key: vec!["u".into()], from, to }
}

fn ids(source: &mut Sqlite, conditions: Vec<Condition>) -> Vec<i64> {
    let mut request = request();
    request.conditions = conditions;
    request.order_by = vec!["u".into()];
    let mut ids = Ids::default();
    source.export(&request, &mut ids).unwrap();
    let count = source.count(&request).unwrap();
    assert_eq!(count, ids.0.len() as u64);
    ids.0
}

/// Whether order, bounds, ranges and slices of a table are those of `truth`, the instants by id.
fn is_ordered_as(
    source: &mut Sqlite,
    truth: &BTreeMap<i64, i128>,
    edge: i128,
) -> std::result::Result<(), TestCaseError> {
    let sorted = |mut ids: Vec<i64>| {
        ids.sort_unstable();
        ids
    };
    let all = ids(source, Vec::new());
    prop_assert!(all.iter().map(|id| truth.get(id)).is_sorted(), "{all:?}");
    prop_assert_eq!(all.len(), truth.len());

    let found = source.bounds(&BoundsRequest::new(request(), vec!["u".into()])).unwrap();
    let (least, greatest) = (found.least.unwrap(), found.greatest.unwrap());
    for (end, wanted) in [(least, truth.values().min()), (greatest, truth.values().max())] {
        let bound = Some(Bound::inclusive(end));
        let rows = ids(source, vec![between(bound.clone(), bound)]);
        let expected: Vec<i64> = truth.iter().filter(|(_, at)| Some(*at) == wanted).map(|(id, _)| *id).collect();
        prop_assert_eq!(sorted(rows), expected);
    }

    let edge = edge.div_euclid(1000) * 1000;
    let (year, month, day, second) = civil(edge.div_euclid(1_000_000_000));
    let micros = edge.rem_euclid(1_000_000_000) / 1000;
    let time = format!("{:02}:{:02}:{:02}.{micros:06}", second / 3600, second / 60 % 60, second % 60);
    let edge_text = format!("{year:04}-{month:02}-{day:02} {time}");
    for value in [Scalar::Timestamp(edge_text.clone()), Scalar::Instant(format!("{edge_text}+00"))] {
        for (from, to, holds) in [
            (Some(Bound::inclusive(vec![value.clone()])), None, (|at, edge| at >= edge) as fn(i128, i128) -> bool),
            (Some(Bound::exclusive(vec![value.clone()])), None, |at, edge| at > edge),
            (None, Some(Bound::inclusive(vec![value.clone()])), |at, edge| at <= edge),
            (None, Some(Bound::exclusive(vec![value.clone()])), |at, edge| at < edge),
        ] {
            let rows = ids(source, vec![between(from, to)]);
            let expected: Vec<i64> = truth.iter().filter(|(_, at)| holds(**at, edge)).map(|(id, _)| *id).collect();
            prop_assert_eq!(sorted(rows), expected, "{:?}", value);
        }
    }

    let by = SplitBy::Range { column: "u".into() };
    let split = source.split(&SplitRequest::new(request(), by, SplitInto::Rows(3))).unwrap();
    let mut of_slices = Vec::new();
    for slice in split.slices {
        let rows = ids(source, slice.condition.into_iter().collect());
        if let Some(estimate) = slice.rows {
            prop_assert_eq!(rows.len() as u64, estimate);
        }
        of_slices.extend(rows);
    }
    prop_assert_eq!(sorted(of_slices), truth.keys().copied().collect::<Vec<_>>());
    Ok(())
}

fn by_id(instants: impl IntoIterator<Item = i128>) -> BTreeMap<i64, i128> {
    (1..).zip(instants).collect()
}

fn declared() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["DATE", "DATETIME", "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn texts_are_ordered_by_their_instants(
        cells in prop::collection::vec((instants(), spelling()), 1..40),
        declared in declared(), indexed: bool, edge in instants(),
    ) {
        let texts: Vec<String> = cells.iter().map(|(at, spelling)| format!("'{}'", text(*at, *spelling))).collect();
        let (_folder, mut source) = table(declared, indexed, &texts);
        is_ordered_as(&mut source, &by_id(cells.iter().map(|(at, _)| *at)), edge)?;
    }

    #[test]
    fn seconds_are_ordered_by_their_instants(
        seconds in prop::collection::vec(instants().prop_map(|at| at.div_euclid(1_000_000_000)), 1..40),
        declared in declared(), indexed: bool, edge in instants(),
    ) {
        let seconds: Vec<i128> = seconds.into_iter().filter(|at| !(1_721_060..=5_373_484).contains(at)).collect();
        prop_assume!(!seconds.is_empty());
        let cells: Vec<String> = seconds.iter().map(ToString::to_string).collect();
        let (_folder, mut source) = table(declared, indexed, &cells);
        is_ordered_as(&mut source, &by_id(seconds.iter().map(|at| at * 1_000_000_000)), edge)?;
    }

    #[test]
    fn milliseconds_are_ordered_by_their_instants(
        cells in prop::collection::vec(1_000_000_000_000_i128..253_402_300_799_000, 1..40),
        declared in declared(), indexed: bool, edge in instants(),
    ) {
        let texts: Vec<String> = cells.iter().map(ToString::to_string).collect();
        let (_folder, mut source) = table(declared, indexed, &texts);
        is_ordered_as(&mut source, &by_id(cells.iter().map(|at| at * 1_000_000)), edge)?;
    }

    #[test]
    fn julian_days_are_ordered_by_their_instants(
        days in prop::collection::vec(prop_oneof![2_461_374.0_f64..2_461_376.0, 1_721_060.0_f64..5_373_484.0], 1..40),
        declared in declared(), indexed: bool, edge in instants(),
    ) {
        // A real of this size is a whole number of 2^-32: so many nanoseconds, and exactly.
        #[allow(clippy::cast_possible_truncation, reason = "a Julian day times 2^32 is far below 2^63")]
        let nanos = |day: f64| {
            let parts = (day * 4_294_967_296.0) as i64;
            (i128::from(parts) * 86_400_000_000_000).div_euclid(1 << 32) - 210_866_760_000_000_000_000
        };
        let cells: Vec<String> = days.iter().map(|day| format!("{day:?}")).collect();
        let (_folder, mut source) = table(declared, indexed, &cells);
        is_ordered_as(&mut source, &by_id(days.iter().map(|day| nanos(*day))), edge)?;
    }
}
