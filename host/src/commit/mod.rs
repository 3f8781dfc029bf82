//! The only code that makes anything visible. Each of its steps is repeatable.
//!
//! A run is a folder of control objects, `_rivet/<export>/<run_id>/`: the sealed plan, one
//! report a chunk, and one decision object, `manifest.json`. The decision is put-if-absent, so
//! it is either the manifest or the tombstone of an abandoned run. Everything else follows from
//! it and can be repeated by anyone: `docs/adr/0004-commit-protocol.md` says why,
//! `tests/model` tries every interleaving.
//!
//! Each file uses those above it only: `keys`, `text`; `decision`, `ties`, `manifest`; `runs`, which only reads;
//! `removal`, with every deletion, and `success`; `replace`, `chain`, `verify`, `attempt`, `quality`; `commit_run`;
//! `recover`; `start`, `repair`.

mod attempt;
mod chain;
mod commit_run;
mod decision;
pub mod keys;
mod manifest;
mod quality;
mod recover;
mod removal;
mod repair;
mod replace;
mod runs;
mod start;
mod success;
#[cfg(test)]
mod tests;
mod text;
mod ties;
mod verify;

pub use attempt::{Outcome, begin_attempt, discard_attempt, fence, publish_report, read_report};
pub use chain::{check_chain, newest_incremental};
pub use commit_run::commit;
pub use decision::{Decision, Tombstone, decision};
pub use keys::RunKey;
pub use manifest::MANIFEST_VERSION;
pub use recover::{Cleaned, abandon, clean, finish, recover};
pub use repair::{REPAIRED_RUN_GONE, take_over};
pub use runs::{
    RunObjects, RunState, find_run, list_runs, newest_committed, read_plan, resume_point, status, unfinished,
};
pub use start::{DOCTOR_PROBE, check_destination, check_published, new_run_id, publish_plan, remove_probes};
pub use success::{Success, is_foreign, own_success};
pub use verify::{Depth, Problem, Validation, validate};
