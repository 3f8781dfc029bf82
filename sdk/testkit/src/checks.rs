//! The checks: one sentence of the contract each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rivet_sdk::{
    BatchLimits, Bound, BoundsRequest, ColumnRequest, Condition, Context, ErrorKind, ExportRequest, HostServices,
    NativeSplit, OneReadPoint, Relation, Result, SplitBy, SplitInto, SplitRequest, TableFilter, capability, schema_of,
};

use crate::Opened;
use crate::rows::{Collected, collect};

/// A sentence of the contract and how it is checked.
pub(crate) type Check = (&'static str, fn(&Opened));

pub(crate) const ALL: &[Check] = &[
    ("identity_is_stable", identity_is_stable),
    ("unknown_options_are_refused", unknown_options_are_refused),
    ("tables_are_listed", tables_are_listed),
    ("schema_is_the_mappings", schema_is_the_mappings),
    ("batches_keep_their_limits", batches_keep_their_limits),
    ("required_columns_hold_no_null", required_columns_hold_no_null),
    ("count_is_the_rows", count_is_the_rows),
    ("limit_limits", limit_limits),
    ("columns_come_as_asked", columns_come_as_asked),
    ("excluded_columns_stay_out", excluded_columns_stay_out),
    ("missing_relation_is_not_found", missing_relation_is_not_found),
    ("unknown_column_is_refused", unknown_column_is_refused),
    ("several_values_are_not_one", several_values_are_not_one),
    ("release_without_a_read_point_does_nothing", release_without_a_read_point_does_nothing),
    ("slices_are_the_table", slices_are_the_table),
    ("bounds_hold_every_row", bounds_hold_every_row),
    ("a_refusing_sink_stops_the_export", a_refusing_sink_stops_the_export),
    ("cancel_stops_the_export", cancel_stops_the_export),
    ("instances_work_side_by_side", instances_work_side_by_side),
    ("snapshot_can_be_joined", snapshot_can_be_joined),
    ("no_shared_read_point_without_a_snapshot", no_shared_read_point_without_a_snapshot),
];

fn requests(opened: &Opened) -> impl Iterator<Item = ExportRequest> {
    opened.subject.relations.iter().cloned().map(ExportRequest::whole)
}

fn identity_is_stable(opened: &Opened) {
    let first = opened.open().identity().unwrap();
    assert!(!first.id.is_empty() && !first.product.is_empty() && !first.version.is_empty(), "{first:?}");
    assert_eq!(first.id, opened.open().identity().unwrap().id);
}

fn unknown_options_are_refused(opened: &Opened) {
    let mut options = (opened.subject.options)();
    options.as_object_mut().unwrap().insert("no_such_option".into(), 1.into());
    let error = opened.open_with(&options, &Context::detached()).err().expect("an unknown option was accepted");
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
}

fn tables_are_listed(opened: &Opened) {
    if !opened.can(capability::TABLES) {
        return;
    }
    let listed = opened.open().tables(&TableFilter::default()).unwrap();
    for table in opened.subject.relations.iter().filter_map(Relation::table) {
        assert!(listed.iter().any(|summary| summary.table.name == table.name), "{table} is not in {listed:?}");
    }
}

fn schema_is_the_mappings(opened: &Opened) {
    let mut source = opened.open();
    for request in requests(opened) {
        let mappings = source.type_mappings(&request).unwrap();
        assert!(!mappings.is_empty(), "{}: no columns", request.relation);
        let (sink, _) = collect(&mut *source, &request);
        assert_eq!(sink.schema.unwrap(), schema_of(&mappings).unwrap(), "{}", request.relation);
    }
}

fn batches_keep_their_limits(opened: &Opened) {
    let mut source = opened.open();
    for mut request in requests(opened) {
        request.batch = BatchLimits::new(7, 8 << 20);
        let (sink, _) = collect(&mut *source, &request);
        for batch in &sink.batches {
            assert!((1..=7).contains(&batch.num_rows()), "{}: a batch of {} rows", request.relation, batch.num_rows());
        }
    }
}

fn required_columns_hold_no_null(opened: &Opened) {
    let mut source = opened.open();
    for request in requests(opened) {
        let (sink, _) = collect(&mut *source, &request);
        for batch in &sink.batches {
            for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
                assert!(
                    field.is_nullable() || column.null_count() == 0,
                    "{}: NULL in `{}`",
                    request.relation,
                    field.name()
                );
            }
        }
    }
}

fn count_is_the_rows(opened: &Opened) {
    if !opened.can(capability::COUNT) {
        return;
    }
    let mut source = opened.open();
    for request in requests(opened) {
        let (_, stats) = collect(&mut *source, &request);
        assert_eq!(source.count(&request).unwrap(), stats.rows, "{}", request.relation);
    }
}

fn limit_limits(opened: &Opened) {
    let mut source = opened.open();
    for mut request in requests(opened) {
        let (_, whole) = collect(&mut *source, &request);
        for limit in [0, 1, 3] {
            request.limit = Some(limit);
            let (sink, stats) = collect(&mut *source, &request);
            assert_eq!(stats.rows, limit.min(whole.rows), "{} limit {limit}", request.relation);
            assert!(sink.schema.is_some(), "{}: no schema without rows", request.relation);
        }
    }
}

fn columns_come_as_asked(opened: &Opened) {
    let mut source = opened.open();
    for mut request in requests(opened) {
        let names = |request: &ExportRequest, source: &mut dyn rivet_sdk::Source| -> Vec<String> {
            source.type_mappings(request).unwrap().into_iter().map(|mapping| mapping.name).collect()
        };
        let all = names(&request, &mut *source);
        // The last two, still in the source's order.
        let some: Vec<String> = all.iter().skip(all.len().saturating_sub(2)).cloned().collect();
        request.columns = some.iter().map(|name| ColumnRequest::new(name.clone(), None)).collect();
        assert_eq!(names(&request, &mut *source), all, "an incomplete list must not drop columns");
        request.columns_complete = true;
        assert_eq!(names(&request, &mut *source), some);
        let (sink, _) = collect(&mut *source, &request);
        assert_eq!(sink.schema.unwrap().fields().len(), some.len());
    }
}

fn excluded_columns_stay_out(opened: &Opened) {
    let mut source = opened.open();
    for mut request in requests(opened) {
        let all = source.type_mappings(&request).unwrap();
        let Some(first) = all.first().filter(|_| all.len() > 1) else { continue };
        request.exclude = vec![first.name.clone()];
        let rest = source.type_mappings(&request).unwrap();
        assert_eq!(rest[..], all[1..]);
    }
}

fn missing_relation_is_not_found(opened: &Opened) {
    let mut source = opened.open();
    let missing = &opened.subject.missing_relation;
    let mapped = source.type_mappings(&ExportRequest::whole(missing.clone())).map(|_| ());
    let described = source.describe(missing).map(|_| ());
    for outcome in [mapped, described] {
        let error = outcome.expect_err("a missing relation was found");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
        assert!(!error.is_transient(), "{error:?}");
    }
    // And the instance goes on.
    assert!(source.identity().is_ok());
}

fn several_values_are_not_one(opened: &Opened) {
    // Whoever cuts queries by its database's rules speaks SQL.
    if !opened.can(capability::QUERY_RULES) {
        return;
    }
    let mut source = opened.open();
    for query in ["SELECT 1 AS a UNION ALL SELECT 2 AS a", "SELECT 1 AS a, 2 AS b"] {
        let error = source.query_scalar(query).expect_err("several values were taken for one");
        assert_eq!(error.kind(), ErrorKind::InvalidQuery, "{query}: {error:?}");
    }
    assert!(source.query_scalar("SELECT 1 AS a").unwrap().is_some());
}

fn release_without_a_read_point_does_nothing(opened: &Opened) {
    let mut source = opened.open();
    for _ in 0..2 {
        source.release().unwrap();
    }
    assert!(source.identity().is_ok());
}

fn unknown_column_is_refused(opened: &Opened) {
    let mut source = opened.open();
    for mut request in requests(opened) {
        request.columns = vec![ColumnRequest::new("no_such_column", None)];
        let error = source.type_mappings(&request).expect_err("an unknown column was accepted");
        assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Config), "{error:?}");
        assert!(error.to_string().contains("no_such_column"), "{error}");
    }
}

/// Between the least and the greatest key lie all rows but those without one, and beyond them
/// none.
fn bounds_hold_every_row(opened: &Opened) {
    if !opened.can(capability::BOUNDS) {
        return;
    }
    let mut source = opened.open();
    for request in requests(opened) {
        let (_, whole) = collect(&mut *source, &request);
        let description = source.describe(&request.relation).unwrap();
        for key in description.keys.iter().filter(|key| key.columns.iter().all(|column| column.rangeable)) {
            let key: Vec<String> = key.columns.iter().map(|column| column.name.clone()).collect();
            let bounds = source.bounds(&BoundsRequest::new(request.clone(), key.clone())).unwrap();
            let mut rows = |from: Option<Bound>, to: Option<Bound>| {
                let mut part = request.clone();
                part.conditions.push(Condition::Range { key: key.clone(), from, to });
                collect(&mut *source, &part).1.rows
            };
            let (Some(least), Some(greatest)) = (bounds.least, bounds.greatest) else {
                assert_eq!(bounds.nulls, whole.rows, "{}: no bounds, and rows with a key", request.relation);
                continue;
            };
            let inside = rows(Some(Bound::inclusive(least.clone())), Some(Bound::inclusive(greatest.clone())));
            assert_eq!(inside + bounds.nulls, whole.rows, "{} by {key:?}", request.relation);
            assert_eq!(rows(None, Some(Bound::exclusive(least))), 0, "{} below {key:?}", request.relation);
            assert_eq!(rows(Some(Bound::exclusive(greatest)), None), 0, "{} above {key:?}", request.relation);
        }
    }
}

fn slices_are_the_table(opened: &Opened) {
    let mut source = opened.open();
    for request in requests(opened) {
        let (whole, _) = collect(&mut *source, &request);
        let whole = whole.sorted_rows();
        for by in ways_to_split(opened, &mut *source, &request.relation) {
            for into in [SplitInto::Count(1), SplitInto::Count(4), SplitInto::Rows(13)] {
                let split = source.split(&SplitRequest::new(request.clone(), by.clone(), into)).unwrap();
                assert!(!split.slices.is_empty(), "no slices");
                let mut rows = Vec::new();
                for slice in &split.slices {
                    let mut part = request.clone();
                    part.conditions.extend(slice.condition.clone());
                    rows.extend(collect(&mut *source, &part).0.rows());
                }
                rows.sort_unstable();
                assert!(
                    rows == whole,
                    "{} by {by:?} into {into:?}: {} rows in slices, {} in the table",
                    request.relation,
                    rows.len(),
                    whole.len()
                );
            }
        }
    }
}

fn ways_to_split(opened: &Opened, source: &mut dyn rivet_sdk::Source, relation: &Relation) -> Vec<SplitBy> {
    let description = source.describe(relation).unwrap();
    let mut ways = Vec::new();
    for key in &description.keys {
        let Some(column) = key.columns.first() else { continue };
        if opened.can(capability::SPLIT_RANGE) && column.rangeable {
            ways.push(SplitBy::Range { column: column.name.clone() });
        }
        if opened.can(capability::SPLIT_KEYSET) && key.unique && key.columns.iter().all(|column| !column.nullable) {
            ways.push(SplitBy::Keyset { key: key.columns.iter().map(|column| column.name.clone()).collect() });
        }
    }
    if opened.can(capability::SPLIT_NATIVE) && description.native == NativeSplit::Possible {
        ways.push(SplitBy::Native);
    }
    ways
}

fn a_refusing_sink_stops_the_export(opened: &Opened) {
    let mut source = opened.open();
    for mut request in requests(opened) {
        request.batch.rows = 1;
        let (whole, _) = collect(&mut *source, &request);
        let fail_at = whole.batches.len().min(2);
        if whole.batches.len() <= fail_at {
            continue;
        }
        let mut sink = Collected { fail_at: Some(fail_at), ..Collected::default() };
        let error = source.export(&request, &mut sink).expect_err("the sink's error was ignored");
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error:?}");
        assert_eq!(sink.batches.len(), fail_at, "batches came after the sink refused");
        // A new instance always works; the old one may be closed.
        source = opened.open();
        assert_eq!(collect(&mut *source, &request).0.batches.len(), whole.batches.len());
    }
}

struct Stop(AtomicBool);

impl HostServices for Stop {
    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    fn reserve(&self, _: u64) -> Result<()> {
        Ok(())
    }

    fn try_reserve(&self, _: u64) -> bool {
        true
    }

    fn release(&self, _: u64) {}
}

fn cancel_stops_the_export(opened: &Opened) {
    let stop = Arc::new(Stop(AtomicBool::new(false)));
    let mut source = opened.open_with(&(opened.subject.options)(), &Context::new(stop.clone())).unwrap();
    let mut request = requests(opened).next().unwrap();
    request.batch.rows = 1;
    stop.0.store(true, Ordering::SeqCst);
    let error = source.export(&request, &mut Collected::default()).expect_err("a cancelled export finished");
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error:?}");
}

fn instances_work_side_by_side(opened: &Opened) {
    let expected: Vec<usize> = {
        let mut source = opened.open();
        requests(opened).map(|request| collect(&mut *source, &request).0.rows().len()).collect()
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut source = opened.open();
                let found: Vec<usize> =
                    requests(opened).map(|request| collect(&mut *source, &request).0.rows().len()).collect();
                assert_eq!(found, expected);
            });
        }
    });
}

fn snapshot_can_be_joined(opened: &Opened) {
    if !opened.can(capability::SNAPSHOT) {
        return;
    }
    let mut holder = opened.open();
    let Some(snapshot) = holder.snapshot(2).unwrap() else { return };
    assert!(!snapshot.read_point.is_empty());
    for request in requests(opened) {
        let expected = collect(&mut *holder, &request).0.sorted_rows();
        let mut worker = opened.open();
        worker.join(&snapshot).unwrap();
        assert!(collect(&mut *worker, &request).0.sorted_rows() == expected, "{}", request.relation);
        worker.release().unwrap();
    }
    holder.release().unwrap();
    if !opened.can(capability::SNAPSHOT_ALONE) {
        return;
    }
    assert!(holder.snapshot(0).unwrap().is_some(), "a snapshot for others, and none for itself");
    for request in requests(opened) {
        let expected = collect(&mut *opened.open(), &request).0.sorted_rows();
        assert!(collect(&mut *holder, &request).0.sorted_rows() == expected, "{} alone", request.relation);
    }
    holder.release().unwrap();
}

fn no_shared_read_point_without_a_snapshot(opened: &Opened) {
    if opened.can(capability::SNAPSHOT) {
        return;
    }
    for relation in &opened.subject.relations {
        let promised = opened.open().describe(relation).unwrap().one_read_point;
        assert_ne!(promised, OneReadPoint::Snapshot, "{relation}");
    }
}
