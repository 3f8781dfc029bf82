//! What the boundary costs: one driver's rows, drained in process and through the loaded library.
//!
//! `boundary [ROWS [ROUNDS]]` (20 M, 5): the two in turn, CPU time of each, and the ratio of the medians.
//! Nothing is done with the rows, so this is the boundary's share at its largest.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measuring tool: any failure may end it")]

use std::time::Duration;

use rivet_loader::{Plugin, Search, Settings};
use rivet_plugin_example::{ExampleDriver, ExampleOptions};
use rivet_sdk::arrow_array::RecordBatch;
use rivet_sdk::arrow_schema::SchemaRef;
use rivet_sdk::{BatchSink, Context, ExportRequest, Relation, Result, Source, SourceDriver, TableName};
use rustix::time::{ClockId, clock_gettime};

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u32>().unwrap());
    let rows = arguments.next().unwrap_or(20_000_000);
    let rounds = arguments.next().unwrap_or(5);
    let plugin = load();
    let options = serde_json::json!({ "rows": rows });
    let context = Context::detached();
    let (mut linked, mut loaded) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let one = drain(&mut ExampleDriver::open(ExampleOptions { rows }, &context).unwrap(), rows);
        let other = drain(&mut *plugin.open_source(&options, &context).unwrap(), rows);
        println!("round {round}: in process {one:.2?}, loaded {other:.2?}");
        linked.push(one);
        loaded.push(other);
    }
    let (linked, loaded) = (median(linked), median(loaded));
    let ratio = loaded.as_secs_f64() / linked.as_secs_f64();
    let batches = f64::from(rows) / 16_384.0;
    let each = (loaded.as_secs_f64() - linked.as_secs_f64()) / batches * 1e6;
    println!("CPU, medians: in process {linked:.3?}, loaded {loaded:.3?}, ratio {ratio:.4}, {each:.1} µs a batch");
}

/// The library that cargo built beside this example.
fn load() -> Plugin {
    let folder = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
    let found = Search::new([(folder, "--plugin-dir")]).find("example").unwrap();
    let settings = Settings { log: |_, _, _, _| {}, level: log::LevelFilter::Warn, untrusted: false };
    Plugin::load(&found.inspected, settings).unwrap()
}

/// The CPU time of one export.
fn drain(source: &mut dyn Source, rows: u32) -> Duration {
    let request = ExportRequest::whole(Relation::Table(TableName::unqualified("numbers")));
    let mut sink = Drain { rows: 0 };
    let before = cpu();
    source.export(&request, &mut sink).unwrap();
    let spent = cpu() - before;
    assert_eq!(sink.rows, u64::from(rows));
    spent
}

/// Of the whole process: a plugin may have threads.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

struct Drain {
    rows: u64,
}

impl BatchSink for Drain {
    fn on_schema(&mut self, _: SchemaRef) -> Result<()> {
        Ok(())
    }

    fn on_batch(&mut self, batch: RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        Ok(())
    }
}
