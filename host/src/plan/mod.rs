//! What will be done: the plan of one run of one export, complete, serialisable, secret-free.

mod build;
mod chunks;
mod days;
pub mod fingerprint;
mod output;
mod recount;
mod report;
mod scope;
mod types;

pub use build::{Inputs, Planned, build, fingerprint, whole_request};
pub use fingerprint::Fingerprint;
pub use output::*;
pub use report::*;
pub use scope::StandsAt;
pub use types::*;
