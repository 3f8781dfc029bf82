//! An export's rows on their way from the thread of the instance to whoever asked for them.

use std::sync::mpsc::{Receiver, SyncSender};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use rivet_sdk::{BatchSink, Error, ExportStats, Result};

/// What an export sends to whoever asked for it.
pub(super) enum ExportMessage {
    Schema(SchemaRef),
    Batch(RecordBatch),
    Over(Result<ExportStats>),
}

/// The sink of an export, on the instance's thread.
pub(super) struct Relay {
    pub messages: SyncSender<ExportMessage>,
    pub acknowledged: Receiver<Result<()>>,
}

impl Relay {
    fn pass(&self, message: ExportMessage) -> Result<()> {
        let nobody = || Error::cancelled("nobody takes rows any more");
        self.messages.send(message).map_err(|_| nobody())?;
        self.acknowledged.recv().map_err(|_| nobody())?
    }
}

impl BatchSink for Relay {
    fn on_schema(&mut self, schema: SchemaRef) -> Result<()> {
        self.pass(ExportMessage::Schema(schema))
    }

    fn on_batch(&mut self, batch: RecordBatch) -> Result<()> {
        self.pass(ExportMessage::Batch(batch))
    }
}
