//! Runs chunks: a pool of workers, each with its own instances, attempts, retries, deadlines.
//!
//! There is one way a chunk becomes committed parts: [`attempt`] reads and encodes it and
//! publishes its report, [`crate::commit`] makes the run of all reports. `rivet run`,
//! `rivet apply` and `rivet apply --chunk` differ only in which chunks they put in.

mod apply;
mod attempt;
mod checks;
mod drift;
mod export;
mod governor;
mod journal;
mod pool;
mod read_point;
mod reconcile;
mod resume;
mod stop;
mod watermark;
mod worker;

pub use apply::{apply, apply_chunk};
pub use checks::Checks;
pub use export::{Ends, Finished, RunOptions, Watch, draft_export, plan_export, run_export};
pub use governor::Allowance;
pub use pool::{ChunkEvent, Job, run_chunks};
pub use reconcile::{ChunkRows, Compared, CountedAt, Reconciliation, reconcile};
pub use stop::{Stop, StopReason};
