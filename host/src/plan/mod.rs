//! What will be done: the plan of one run of one export, complete, serialisable, secret-free.

mod boundary;
mod build;
mod chunks;
mod cover;
mod days;
mod document;
pub mod fingerprint;
mod made_by;
mod moment;
mod output;
mod place;
mod recount;
mod report;
mod scope;
pub mod ties;
mod types;

pub use build::{Inputs, Planned, build, fingerprint, no_snapshot, whole_request};
pub use document::{AsRead, KNOWN_REQUIRED};
pub use fingerprint::Fingerprint;
pub use made_by::{MadeBy, PluginVersion};
pub use output::*;
pub use place::KnownPlace;
pub use report::*;
pub use scope::StandsAt;
pub use types::*;
