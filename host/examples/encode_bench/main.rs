//! Times the sink: CPU, wall clock, memory and size of encoding a table to one part.
//!
//! `encode_bench lineitem|wide ROWS [parquet|csv] [OUT]` makes rows in memory, once without
//! and once with encoding, and prints the difference. OUT keeps the file for other readers.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use rivet::budget::Budget;
use rivet::plan::{Codec, Compression, CsvSpec, Format, OutputSpec, ParquetSpec, PlannedColumn, RowGroups, Statistics};
use rivet::sink::{ChunkSink, SinkSpec};
use rivet_sdk::{Destination, Fidelity, Object, ObjectWriter, Result, TypeMapping, WriteOptions};

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
mod tables;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let table = arguments.next().unwrap_or_else(|| "lineitem".into());
    let rows: usize = arguments.next().and_then(|rows| rows.parse().ok()).unwrap_or(6_000_000);
    let format = arguments.next().unwrap_or_else(|| "parquet".into());
    let out = arguments.next().map(PathBuf::from);

    let before = Usage::now();
    let plain: usize = tables::batches(&table, rows).map(|batch| batch.get_array_memory_size()).sum();
    let made = Usage::now().since(&before);

    let before = Usage::now();
    let workers: usize = std::env::var("WORKERS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let written = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|worker| {
                let (table, format) = (&table, &format);
                let out = if worker == 0 { out.clone() } else { None };
                scope.spawn(move || encode(table, rows / workers, format, out, workers))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(Ok(0))).sum::<Result<u64>>()
    })?;
    let total = Usage::now().since(&before);
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(
        stderr,
        "{table} {rows} rows, {} MB in memory\nmake:   cpu {:.2} s\nencode: cpu {:.2} s, wall {:.2} s, {} MB out, peak rss {} MB",
        plain >> 20,
        made.cpu_s,
        total.cpu_s - made.cpu_s,
        total.wall_s,
        written >> 20,
        peak_rss_mb(),
    );
    Ok(())
}

fn encode(table: &str, rows: usize, format: &str, out: Option<PathBuf>, workers: usize) -> Result<u64> {
    let target = rivet::sink::row_group_bytes(64 << 20, 512 << 20, u32::try_from(workers).unwrap_or(1));
    let format = match format {
        "csv" => Format::Csv(CsvSpec {
            delimiter: ',',
            quote: '"',
            quote_all: false,
            null: String::new(),
            header: true,
            line_ending: "\r\n".into(),
        }),
        _ => Format::Parquet(ParquetSpec {
            row_groups: RowGroups::Bytes(usize::try_from(target).unwrap_or(usize::MAX)),
            page_size_bytes: 1 << 20,
            dictionary: std::env::var("DICTIONARY").ok().map(|text| text == "1"),
            bloom_filters: Vec::new(),
            statistics: Statistics::Chunk,
            sorting: Vec::new(),
        }),
    };
    let codec = if matches!(format, Format::Csv(_)) { Codec::None } else { Codec::Zstd };
    let output = OutputSpec {
        partition: None,
        format,
        compression: Compression { codec, level: None },
        max_file_size_bytes: None,
        skip_empty: false,
        exported_at_us: None,
        row_hash: std::env::var("ROW_HASH").is_ok(),
    };
    let mut columns = Vec::new();
    for field in tables::schema(table).fields() {
        columns.push(PlannedColumn {
            mapping: TypeMapping::new(field.name(), "bench", Fidelity::Exact, field)?,
            output_name: field.name().clone(),
            wanted: None,
        });
    }
    let budget = Budget::new(512 << 20);
    let mut files = Files { out };
    let spec = SinkSpec {
        columns: &columns,
        output: &output,
        part_when_empty: true,
        share: budget.share(),
        part_key: Box::new(|_, index| format!("part-{index}")),
        on_part: Box::new(|_| Ok(())),
    };
    let mut sink = ChunkSink::new(spec, &mut files)?;
    for batch in tables::batches(table, rows) {
        sink.write(&batch)?;
    }
    Ok(sink.finish()?.parts.iter().map(|part| part.size_bytes).sum())
}

struct Files {
    out: Option<PathBuf>,
}

struct Out {
    file: Option<File>,
    size_bytes: u64,
    key: String,
}

impl ObjectWriter for Out {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.size_bytes += bytes.len() as u64;
        if let Some(file) = &mut self.file {
            file.write_all(bytes).map_err(|error| rivet_sdk::Error::internal(error.to_string()))?;
        }
        Ok(())
    }
    fn finish(&mut self) -> Result<Object> {
        Ok(Object::new(self.key.clone(), self.size_bytes))
    }
    fn abort(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Destination for Files {
    fn location(&self) -> String {
        "bench".into()
    }
    fn create(&mut self, key: &str, _: &WriteOptions) -> Result<Box<dyn ObjectWriter>> {
        let file = match &self.out {
            Some(path) => Some(File::create(path).map_err(|error| rivet_sdk::Error::internal(error.to_string()))?),
            None => None,
        };
        Ok(Box::new(Out { file, size_bytes: 0, key: key.into() }))
    }
    fn put_if_absent(&mut self, _: &str, _: &[u8]) -> Result<bool> {
        Ok(true)
    }
    fn put(&mut self, key: &str, body: &[u8]) -> Result<Object> {
        Ok(Object::new(key, body.len() as u64))
    }
    fn get(&mut self, _: &str) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }
    fn read_at(&mut self, _: &str, _: u64, _: u64) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }
    fn head(&mut self, _: &str) -> Result<Option<Object>> {
        Ok(None)
    }
    fn list(&mut self, _: &str) -> Result<Vec<Object>> {
        Ok(Vec::new())
    }
    fn delete(&mut self, _: &str) -> Result<()> {
        Ok(())
    }
}

struct Usage {
    cpu_s: f64,
    wall: Instant,
}

struct Spent {
    cpu_s: f64,
    wall_s: f64,
}

impl Usage {
    /// CPU of the process so far: user and system ticks, a hundred a second on Linux.
    fn now() -> Self {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
        let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
        Self { cpu_s: (ticks(11) + ticks(12)) / 100.0, wall: Instant::now() }
    }

    fn since(&self, before: &Self) -> Spent {
        Spent { cpu_s: self.cpu_s - before.cpu_s, wall_s: (self.wall - before.wall).as_secs_f64() }
    }
}

fn peak_rss_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}
