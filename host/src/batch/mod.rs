//! The bounded way of rows from the source's thread to the encoder's.
//!
//! [`channel`] gives a [`Sender`], which is the [`BatchSink`](rivet_sdk::BatchSink) a source
//! exports into, and a [`Receiver`] of checked batches. The queue is bounded by bytes: its own
//! limit, and the process's [`Budget`](crate::budget::Budget). Whichever side fails first, the
//! other one hears of it: a source whose receiver is gone gets `Cancelled`, an encoder whose
//! source failed finds the queue ended without [`Receiver::is_complete`].

mod check;
mod queue;

pub use check::check_schema;
pub use queue::{ChannelSpec, Counters, QueuedBatch, Receiver, Sender, channel};
