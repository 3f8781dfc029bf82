//! Runs chunks: a pool of workers, each with its own instances, attempts, retries, deadlines.
//!
//! There is one way a chunk becomes committed parts: [`attempt`] reads and encodes it and
//! publishes its report, [`crate::commit`] makes the run of all reports. `rivet run`,
//! `rivet apply` and `rivet apply --chunk` differ only in which chunks they put in.

mod age;
mod apply;
mod attempt;
mod checks;
mod draft;
mod drift;
mod execute;
mod export;
mod governor;
mod instance;
mod journal;
mod moved;
mod place;
mod planning;
mod pool;
mod queue;
mod read_point;
mod reconcile;
mod repair;
mod resume;
mod stop;
mod watermark;
mod worker;

pub use apply::{Hold, apply, apply_chunk, commit_plan};
pub use checks::Checks;
pub use draft::{draft_export, plan_export};
pub use export::{Finished, RunOptions, Watch, run_export};
pub use governor::Allowance;
pub use instance::Ends;
pub use moved::{Moved, move_watermark};
pub use pool::{ChunkEvent, Job, run_chunks};
pub use queue::{Limits, Waiting, run_queue};
pub use reconcile::{ChunkRows, Compared, CountedAt, Reconciliation, reconcile};
pub use repair::{Differing, RepairOptions, Repaired, repair};
pub use stop::{Stop, StopReason};
pub use worker::Seat;
