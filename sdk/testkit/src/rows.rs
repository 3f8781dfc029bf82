//! Collects an export's rows as texts that can be compared.

use rivet_sdk::arrow_array::{Array, ArrayRef, RecordBatch};
use rivet_sdk::arrow_schema::SchemaRef;
use rivet_sdk::{BatchSink, Error, ExportRequest, ExportStats, Result, Source};

use crate::keep::text;

/// Everything an export sent.
#[derive(Default)]
pub(crate) struct Collected {
    pub schema: Option<SchemaRef>,
    pub batches: Vec<RecordBatch>,
    /// Refuse the batch of this index.
    pub fail_at: Option<usize>,
}

impl BatchSink for Collected {
    fn on_schema(&mut self, schema: SchemaRef) -> Result<()> {
        assert!(self.schema.is_none(), "on_schema was called twice");
        self.schema = Some(schema);
        Ok(())
    }

    fn on_batch(&mut self, batch: RecordBatch) -> Result<()> {
        if self.fail_at == Some(self.batches.len()) {
            return Err(Error::cancelled("the test's sink had enough"));
        }
        self.batches.push(batch);
        Ok(())
    }
}

impl Collected {
    /// One text a row, unambiguous between NULL and any text, in the order of arrival.
    pub fn rows(&self) -> Vec<String> {
        let cell = |column: &ArrayRef, row| match column.is_null(row) {
            true => "\u{0}NULL".to_owned(),
            false => text(column, row),
        };
        let mut rows = Vec::new();
        for batch in &self.batches {
            for row in 0..batch.num_rows() {
                rows.push(batch.columns().iter().map(|column| cell(column, row)).collect::<Vec<_>>().join("\u{1}"));
            }
        }
        rows
    }

    pub fn sorted_rows(&self) -> Vec<String> {
        let mut rows = self.rows();
        rows.sort_unstable();
        rows
    }
}

pub(crate) fn collect(source: &mut dyn Source, request: &ExportRequest) -> (Collected, ExportStats) {
    let mut sink = Collected::default();
    let stats = source.export(request, &mut sink).unwrap();
    let sent: u64 = sink.batches.iter().map(|batch| batch.num_rows() as u64).sum();
    assert_eq!(stats.rows, sent, "the stats' row count is not what was sent");
    (sink, stats)
}
