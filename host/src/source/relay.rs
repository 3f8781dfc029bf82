//! An export's rows on their way from the thread of the instance to whoever asked for them.

use std::sync::mpsc::{Receiver, SyncSender};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use rivet_sdk::{BatchSink, Error, ExportStats, Result};

/// What an export sends to whoever asked for it.
pub(super) enum Told {
    Schema(SchemaRef),
    Batch(RecordBatch),
    Over(Result<ExportStats>),
}

/// The sink of an export, on the instance's thread.
pub(super) struct Relay {
    pub told: SyncSender<Told>,
    pub taken: Receiver<Result<()>>,
}

impl Relay {
    fn pass(&self, told: Told) -> Result<()> {
        let nobody = || Error::cancelled("nobody takes rows any more");
        self.told.send(told).map_err(|_| nobody())?;
        self.taken.recv().map_err(|_| nobody())?
    }
}

impl BatchSink for Relay {
    fn on_schema(&mut self, schema: SchemaRef) -> Result<()> {
        self.pass(Told::Schema(schema))
    }

    fn on_batch(&mut self, batch: RecordBatch) -> Result<()> {
        self.pass(Told::Batch(batch))
    }
}
