//! Makes the plan of a run from what is configured and from what the source says.
//!
//! [`build`] asks which rows the run takes ([`scope`]), has them cut into [`chunks`], and seals the result. What a plan
//! or a watermark belongs to is known by its [`fingerprint`].

mod boundary;
mod build;
mod chunks;
mod days;
pub mod fingerprint;
mod inputs;
mod moment;
mod place;
mod recount;
mod scope;
mod wanted;

pub use build::{Planned, build, configuration_fingerprint, no_snapshot};
pub use inputs::{Inputs, StandsAt, whole_request};
