//! The only code that makes anything visible. Each of its steps is repeatable.
//!
//! A run is a folder of control objects, `_rivet/<export>/<run_id>/`: the sealed plan, one
//! report a chunk, and one decision object, `manifest.json`. The decision is put-if-absent, so
//! it is either the manifest or the tombstone of an abandoned run. Everything else follows from
//! it and can be repeated by anyone: `docs/adr/0004-commit-protocol.md` says why,
//! `model.rs` tries every interleaving.

mod attempt;
mod chain;
mod decision;
mod finish;
pub mod keys;
#[cfg(test)]
mod model;
#[cfg(test)]
mod model_check;
#[cfg(test)]
mod model_repair;
#[cfg(test)]
mod model_watermark;
mod quality;
mod repair;
mod replace;
mod runs;
mod start;
mod success;
#[cfg(test)]
mod test_store;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_chain;
#[cfg(test)]
mod tests_crash;
#[cfg(test)]
mod tests_kill;
#[cfg(test)]
mod tests_mutations;
#[cfg(test)]
mod tests_repair;
mod text;
mod ties;
mod verify;

pub use attempt::{Outcome, begin_attempt, discard_attempt, fence, publish_report, read_report};
pub use chain::{check_chain, newest_incremental};
pub use decision::{Decision, Tombstone, decision};
pub use finish::{MANIFEST_VERSION, commit};
pub use keys::RunKey;
pub use repair::{REPAIRED_RUN_GONE, take_over};
pub use runs::{
    Cleaned, RunObjects, RunState, abandon, clean, find_run, finish, list_runs, newest_committed, read_plan, recover,
    resume_point, status, unfinished,
};
pub use start::{DOCTOR_PROBE, check_destination, check_published, new_run_id, publish_plan, remove_probes};
pub use success::{Success, is_foreign, own_success};
pub use verify::{Depth, Problem, Validation, validate};
