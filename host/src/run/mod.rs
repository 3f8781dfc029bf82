//! Runs chunks: a pool of workers, each with its own instances, attempts, retries, deadlines.
//!
//! There is one way a chunk becomes committed parts: [`attempt`] reads and encodes it and
//! publishes its report, [`crate::commit`] makes the run of all reports. `rivet run`,
//! `rivet apply` and `rivet apply --chunk` differ only in which chunks they put in.

mod age;
mod apply;
mod attempt;
mod checks;
mod context;
mod draft;
mod drift;
mod execute;
mod export;
mod finished;
mod governor;
mod instance;
mod job;
mod journal;
mod message;
mod moved;
mod options;
mod place;
mod plan_check;
mod planning;
mod pool;
mod prepared;
mod queue;
mod read_point;
mod reconcile;
mod reconciliation;
mod repair;
mod resume;
mod retry;
mod sequence;
mod slot;
mod stop;
mod watch;
mod watermark;
mod worker;

pub use apply::{LeaseRequest, apply, apply_chunk, commit_plan};
pub use draft::{draft_export, plan_export};
pub use export::run_export;
pub use finished::{Checks, Finished};
pub use governor::Allowance;
pub use instance::Endpoints;
pub use job::Job;
pub use moved::{Moved, move_watermark};
pub use options::RunOptions;
pub use pool::run_chunks;
pub use queue::{Limits, Waiting, run_queue};
pub use reconcile::reconcile;
pub use reconciliation::{ChunkRows, Compared, CountedAt, Reconciliation};
pub use repair::{Differing, RepairOptions, Repaired, repair};
pub use slot::InstanceSlot;
pub use stop::{Stop, StopReason};
pub use watch::{ChunkEvent, Watch};
