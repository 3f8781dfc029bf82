use std::thread;

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use rivet_sdk::TableName;

use super::*;
use crate::budget::Budget;

/// Does in `export` what a test wants of it.
struct Scripted(fn(&mut dyn BatchSink) -> Result<ExportStats>, Arc<AtomicBool>);

impl Source for Scripted {
    fn identity(&mut self) -> Result<Identity> {
        Ok(Identity::new("Scripted", "1", "scripted", "none"))
    }

    fn export(&mut self, _: &ExportRequest, sink: &mut dyn BatchSink) -> Result<ExportStats> {
        (self.0)(sink)
    }

    fn query_scalar(&mut self, _: &str) -> Result<Option<Scalar>> {
        // Heeds nothing but its cancel flag.
        while !self.1.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
        Err(Error::connection("the script broke off"))
    }

    fn type_mappings(&mut self, _: &ExportRequest) -> Result<Vec<TypeMapping>> {
        Ok(Vec::new())
    }

    fn describe(&mut self, _: &Relation) -> Result<Description> {
        panic!("asked to panic in describe")
    }
}

fn threaded(export: fn(&mut dyn BatchSink) -> Result<ExportStats>, cancelled: &Arc<AtomicBool>) -> ThreadedSource {
    let context = InstanceContext::until(Arc::clone(cancelled), &Budget::new(64 << 20));
    ThreadedSource::start("scripted", false, &context, move |cancelled| {
        Ok((Box::new(Scripted(export, cancelled)) as _, ()))
    })
    .unwrap_or_else(|error| panic!("{error}"))
}

fn request(limit: Duration) -> ExportRequest {
    let mut request = ExportRequest::whole(Relation::Table(TableName::unqualified("t")));
    let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    request.session = SessionPolicy::new(Some(limit), None);
    request
}

fn three_batches(sink: &mut dyn BatchSink) -> Result<ExportStats> {
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
    sink.on_schema(Arc::clone(&schema))?;
    for id in 0..3 {
        let column = Arc::new(Int64Array::from(vec![id]));
        sink.on_batch(RecordBatch::try_new(Arc::clone(&schema), vec![column])?)?;
    }
    Ok(ExportStats::new(3))
}

/// Takes so long over each batch, and refuses the one of this number.
struct Slow(Duration, usize, Option<usize>);

impl BatchSink for Slow {
    fn on_schema(&mut self, _: SchemaRef) -> Result<()> {
        Ok(())
    }

    fn on_batch(&mut self, _: RecordBatch) -> Result<()> {
        thread::sleep(self.0);
        if self.2 == Some(self.1) {
            return Err(Error::cancelled("enough"));
        }
        self.1 += 1;
        Ok(())
    }
}

#[test]
fn time_in_which_rows_wait_for_the_host_does_not_count() {
    let mut source = threaded(three_batches, &Arc::default());
    // So that what is left of the grace is nothing.
    let mut sink = Slow(Duration::from_millis(300), 0, None);
    let call = |source: &mut ThreadedSource, sink: &mut Slow, limit| {
        source.export_within(&request(Duration::ZERO), sink, limit)
    };
    let stats =
        call(&mut source, &mut sink, Some(Duration::from_millis(400))).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((stats.rows, sink.1), (3, 3));
    let mut sink = Slow(Duration::ZERO, 0, Some(1));
    let refused = source.export(&request(Duration::from_secs(60)), &mut sink).map(drop);
    assert_eq!(refused.map_err(|error| error.kind()), Err(ErrorKind::Cancelled));
    assert_eq!(sink.1, 1, "no batch came after the one that was refused");
}

#[test]
fn a_wish_to_stop_ends_a_call_and_no_other_is_made() {
    let cancelled = Arc::<AtomicBool>::default();
    let mut source = threaded(three_batches, &cancelled);
    let asking = Arc::clone(&cancelled);
    let asker = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        asking.store(true, Ordering::SeqCst);
    });
    let stopped = source.query_scalar("SELECT 1").map(drop).map_err(|error| (error.kind(), error.message().to_owned()));
    assert_eq!(stopped, Err((ErrorKind::Cancelled, "interrupted".to_owned())));
    let again = source.identity().map(drop).map_err(|error| error.kind());
    assert_eq!(again, Err(ErrorKind::Cancelled), "an interrupted instance is not used again");
    assert!(asker.join().is_ok());
}

#[test]
fn a_thread_that_panics_is_an_error() {
    let mut source = threaded(three_batches, &Arc::default());
    let broken = source.describe(&Relation::Table(TableName::unqualified("t"))).map(drop);
    assert_eq!(broken.map_err(|error| error.kind()), Err(ErrorKind::Panic));
}
