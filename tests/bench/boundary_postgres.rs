//! What the boundary costs a real driver: one table drained in process and through the loaded library.
//!
//! `boundary_postgres URL TABLE [ROUNDS]`: the two in turn, CPU time of each, and the ratio of the medians. A whole
//! export also encodes and writes, so the boundary's share of a run is smaller still.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measuring tool: any failure may end it")]

use std::time::Duration;

use rivet_loader::{Plugin, Search, Settings};
use rivet_plugin_postgres::PostgresDriver;
use rivet_sdk::arrow_array::RecordBatch;
use rivet_sdk::arrow_schema::SchemaRef;
use rivet_sdk::{BatchSink, Context, ExportRequest, Relation, Result, Source, SourceDriver};
use rustix::time::{ClockId, clock_gettime};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (url, table) = (arguments.next().unwrap(), arguments.next().unwrap());
    let rounds: u32 = arguments.next().map_or(5, |text| text.parse().unwrap());
    let folder = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
    let found = Search::new([(folder, "--plugin-dir")]).find("postgres").unwrap();
    let settings = Settings { log: |_, _, _, _| {}, level: log::LevelFilter::Warn, untrusted: false };
    let plugin = Plugin::load(&found.inspected, settings).unwrap();
    let options = serde_json::json!({ "url": url });
    let context = Context::detached();
    let (mut linked, mut loaded) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let parsed = serde_json::from_value(options.clone()).unwrap();
        let one = drain(&mut PostgresDriver::open(parsed, &context).unwrap(), &table);
        let other = drain(&mut *plugin.open_source(&options, &context).unwrap(), &table);
        println!("round {round}: in process {one:.2?}, loaded {other:.2?}");
        linked.push(one);
        loaded.push(other);
    }
    let (linked, loaded) = (median(linked), median(loaded));
    println!(
        "CPU, medians: in process {linked:.3?}, loaded {loaded:.3?}, ratio {:.4}",
        loaded.as_secs_f64() / linked.as_secs_f64()
    );
}

/// The CPU time of one export.
fn drain(source: &mut dyn Source, table: &str) -> Duration {
    let request = ExportRequest::whole(Relation::Table(table.parse().unwrap()));
    let before = cpu();
    source.export(&request, &mut Drain).unwrap();
    cpu() - before
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

struct Drain;

impl BatchSink for Drain {
    fn on_schema(&mut self, _: SchemaRef) -> Result<()> {
        Ok(())
    }

    fn on_batch(&mut self, _: RecordBatch) -> Result<()> {
        Ok(())
    }
}
