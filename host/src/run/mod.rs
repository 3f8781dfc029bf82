//! Runs an export: from what is configured, or from a plan made earlier, to a committed manifest.
//!
//! Every run takes the same steps, whichever command began it:
//!
//! 1. **plan**: which rows, cut how, to where. `rivet run` makes a plan of now, or takes up that of an unfinished run
//!    ([`export`], with [`planning`] and [`resume`]); `rivet apply` checks one that was made earlier ([`apply`]);
//!    `rivet repair` plans some chunks of a committed run again ([`repair`]). The plan is published at the destination:
//!    from there on the run can be resumed.
//! 2. **begin**: the columns are compared with those of the export's last run ([`drift`]), and the journal notes the
//!    run ([`journal`]).
//! 3. **execute**: one read point for all chunks where there is one ([`read_point`]), then a [`pool`] that hands each
//!    chunk to a [`worker`]; an [`attempt`] at a chunk ends with its report at the destination ([`execute`]).
//! 4. **commit**: [`crate::commit`] makes one manifest of all reports.
//! 5. **record**: the journal notes the outcome, the columns are remembered, the watermark moves ([`watermark`]).
//!
//! Steps 2 to 5 are [`sequence::carry_out`], on a [`context::RunContext`]. `rivet apply --chunk` executes one chunk and
//! leaves the rest to `rivet commit`. What is looked at after a commit: [`checks`].
//!
//! What is decided elsewhere, in one place each:
//!
//! - what a part is called: [`crate::commit::keys`];
//! - who removes the parts of dead attempts: [`crate::commit::commit`], by way of `commit/removal.rs`;
//! - what is tried again, and when: [`retry`];
//! - who may hold how much memory: [`crate::budget`]; batches take theirs in [`crate::batch`], drivers through the SDK;
//! - which export begins when: [`queue`]; how many workers may read: [`governor`].

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
mod watch;
mod watermark;
mod worker;

pub use apply::{LeaseRequest, apply, apply_chunk, commit_plan};
pub use draft::{draft_export, plan_export};
pub use export::run_export;
pub use finished::{Checks, Finished};
pub use instance::Endpoints;
pub use moved::{Moved, move_watermark};
pub use options::RunOptions;
pub use queue::{Limits, Waiting, run_queue};
pub use reconcile::reconcile;
pub use reconciliation::{ChunkRows, Compared, CountedAt, Reconciliation};
pub use repair::{Differing, RepairOptions, Repaired, repair};
pub use watch::{ChunkEvent, Watch};
