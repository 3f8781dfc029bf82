//! Reads a table and throws it away: `decode URL TABLE [ROWS_PER_BATCH]`. For measuring.

use rivet_plugin_postgres::PostgresDriver;
use rivet_sdk::arrow_array::RecordBatch;
use rivet_sdk::arrow_schema::SchemaRef;
use rivet_sdk::options::ServerOptions;
use rivet_sdk::{BatchSink, Context, Error, ExportRequest, Relation, Result, Source, SourceDriver, TableName};

#[derive(Default)]
struct Null {
    batches: u64,
    bytes: u64,
}

impl BatchSink for Null {
    fn on_schema(&mut self, _: SchemaRef) -> Result<()> {
        Ok(())
    }

    fn on_batch(&mut self, batch: RecordBatch) -> Result<()> {
        self.batches += 1;
        self.bytes += u64::try_from(batch.get_array_memory_size()).unwrap_or(0);
        Ok(())
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(table)) = (arguments.next(), arguments.next()) else {
        return Err(Error::config("decode URL TABLE [ROWS_PER_BATCH]"));
    };
    let options = ServerOptions::from_url(url);
    let mut source = PostgresDriver::open(options, &Context::detached())?;
    let mut request = ExportRequest::whole(Relation::Table(TableName::unqualified(table)));
    if let Some(rows) = arguments.next().and_then(|rows| rows.parse().ok()) {
        request.batch.rows = rows;
    }
    let mut sink = Null::default();
    let stats = source.export(&request, &mut sink)?;
    eprintln!("{} rows, {} batches, {} bytes, {:?}", stats.rows, sink.batches, sink.bytes, stats.longest_statement);
    Ok(())
}
