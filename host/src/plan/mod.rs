//! What will be done: the plan of one run of one export, complete, serialisable, secret-free. And what came of it: the
//! reports of its chunks, and the manifest.
//!
//! A plan is made by [`crate::planner`]. Nothing in here knows of a configuration: `rivet apply` has none.

mod as_read;
mod column;
mod cover;
mod document;
mod fingerprint;
mod made_by;
mod output;
mod place;
mod report;
mod spec;
pub mod ties;
mod types;

pub use as_read::{AsRead, PLAN_VERSION, PLAN_VERSION_REQUIRING};
pub use column::PlannedColumn;
pub use document::{KNOWN_REQUIRED, TIES};
pub use fingerprint::Fingerprint;
pub use made_by::{MadeBy, PluginVersion};
pub use output::*;
pub use place::KnownPlace;
pub use report::*;
pub use spec::*;
pub use types::*;
