//! What will be done: the plan of one run of one export, complete, serialisable, secret-free.

mod as_read;
mod boundary;
mod build;
mod chunks;
mod column;
mod cover;
mod days;
mod document;
pub mod fingerprint;
mod inputs;
mod made_by;
mod moment;
mod output;
mod place;
mod recount;
mod report;
mod scope;
mod spec;
pub mod ties;
mod types;
mod wanted;

pub use as_read::{AsRead, PLAN_VERSION, PLAN_VERSION_REQUIRING};
pub use build::{Planned, build, configuration_fingerprint, no_snapshot};
pub use column::PlannedColumn;
pub use document::KNOWN_REQUIRED;
pub use fingerprint::Fingerprint;
pub use inputs::{Inputs, StandsAt, whole_request};
pub use made_by::{MadeBy, PluginVersion};
pub use output::*;
pub use place::KnownPlace;
pub use report::*;
pub use spec::*;
pub use types::*;
