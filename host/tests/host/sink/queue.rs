//! The bounded way between the source and the encoder.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use rivet::batch::{ChannelSpec, Counters, Receiver, Sender, channel};
use rivet::budget::Budget;
use rivet_sdk::{BatchSink, ErrorKind};

fn schema() -> Arc<Schema> {
    Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("n", DataType::Int32, true)]))
}

fn rows(count: i64) -> RecordBatch {
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values(0..count));
    let n: ArrayRef = Arc::new(Int32Array::from_iter((0..count).map(|_| None)));
    RecordBatch::try_new(schema(), vec![id, n]).unwrap()
}

fn open(capacity_bytes: u64) -> (Sender, Receiver, ChannelSpec) {
    let spec = ChannelSpec {
        schema: schema(),
        share: Budget::new(1 << 20).share(),
        capacity_bytes,
        cancelled: Arc::new(AtomicBool::new(false)),
        counters: Arc::new(Counters::default()),
    };
    let (sender, receiver) = channel(spec.clone());
    (sender, receiver, spec)
}

#[test]
fn rows_come_through_in_order_and_are_counted() {
    let (mut sender, mut receiver, spec) = open(1000);
    let source = thread::spawn(move || {
        sender.on_schema(schema()).unwrap();
        for count in 1..=20 {
            sender.on_batch(rows(count)).unwrap();
        }
        sender.complete().unwrap();
    });
    let sizes: Vec<usize> = receiver.by_ref().map(|queued| queued.batch.num_rows()).collect();
    assert_eq!(sizes, (1..=20).collect::<Vec<_>>());
    assert!(receiver.is_complete());
    source.join().unwrap();
    assert_eq!(spec.counters.rows.load(Ordering::Relaxed), 210);
    assert_eq!(spec.share.held(), 0);
}

#[test]
fn a_source_that_dies_is_told_from_one_that_is_done() {
    let (mut sender, mut receiver, _) = open(1000);
    sender.on_schema(schema()).unwrap();
    sender.on_batch(rows(1)).unwrap();
    drop(sender);
    assert_eq!(receiver.by_ref().count(), 1);
    assert!(!receiver.is_complete());
}

#[test]
fn a_source_hears_that_the_encoder_is_gone() {
    let (mut sender, receiver, spec) = open(100);
    sender.on_schema(schema()).unwrap();
    sender.on_batch(rows(100)).unwrap();
    let source = thread::spawn(move || sender.on_batch(rows(100)).unwrap_err().kind());
    thread::sleep(std::time::Duration::from_millis(50));
    drop(receiver);
    assert_eq!(source.join().unwrap(), ErrorKind::Cancelled);
    assert_eq!(spec.share.held(), 0);
}

#[test]
fn a_fence_stops_both_sides() {
    let (mut sender, mut receiver, spec) = open(1000);
    sender.on_schema(schema()).unwrap();
    spec.cancelled.store(true, Ordering::Relaxed);
    assert_eq!(sender.on_batch(rows(1)).unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(receiver.next().is_none());
    sender.complete().unwrap();
    assert!(!receiver.is_complete());
}

#[test]
fn a_schema_other_than_the_plans_is_refused_by_column() {
    let (mut sender, _receiver, _) = open(1000);
    let other = Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("n", DataType::Int64, true)]);
    let error = sender.on_schema(Arc::new(other)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.to_string().contains("column 2 `n`: the source delivers type Int64 where the plan has Int32"));

    let (mut sender, _receiver, _) = open(1000);
    let other = Schema::new(vec![Field::new("id", DataType::Int64, true), Field::new("n", DataType::Int32, true)]);
    let error = sender.on_schema(Arc::new(other)).unwrap_err();
    assert!(error.to_string().contains("a nullable column where the plan has NOT NULL"), "{error}");
}

#[test]
fn a_batch_that_contradicts_the_schema_is_refused() {
    let (mut sender, _receiver, _) = open(1000);
    assert_eq!(sender.on_batch(rows(1)).unwrap_err().kind(), ErrorKind::Protocol);
    sender.on_schema(schema()).unwrap();
    let short = rows(1).project(&[0]).unwrap();
    assert_eq!(sender.on_batch(short).unwrap_err().kind(), ErrorKind::Protocol);
    let id: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    let n: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    let nulls = RecordBatch::try_from_iter_with_nullable([("id", id, true), ("n", n, true)]).unwrap();
    let error = sender.on_batch(nulls).unwrap_err();
    assert!(error.to_string().contains("column `id` has 1 NULLs though it is NOT NULL"), "{error}");
}
