//! What hosts of rivet plugins use: find them, decide whether to trust and load them, and speak
//! to them through the same traits their authors implement.
//!
//! The order of events for one plugin: [`Search`] finds the file and keeps a trace of where it
//! looked; [`inspect`] reads it once, checks that it is a whole library, and reads the ABI
//! numbers from its link section; [`Plugin::load`] loads that same open file, checks descriptor and
//! layout, and hands out instances as [`rivet_sdk::Source`] and [`rivet_sdk::Destination`].
//!
//! ```
//! use rivet_loader::Search;
//!
//! let search = Search::new([("/opt/mine/plugins".into(), "my own folder")]);
//! for candidate in search.list().into_iter().filter(|candidate| candidate.wins) {
//!     match candidate.inspected {
//!         Ok(plugin) => println!("{} {}", candidate.name, plugin.manifest.version),
//!         Err(refused) => println!("{}: {refused}", candidate.name),
//!     }
//! }
//! // Who asks for what is not there is told where was searched.
//! let missing = search.find("no_such_plugin").unwrap_err();
//! assert!(missing.to_string().contains("/opt/mine/plugins (my own folder)"));
//! ```

#![deny(missing_docs)]

mod allocator;
mod inspect;
mod lacks;
mod library;
mod manifest;
mod package;
mod remote;
mod search;
mod step;
mod trust;

pub use allocator::settle_allocator;
pub use inspect::{Inspected, inspect, inspect_steps};
pub use lacks::UNKNOWN_VARIANTS;
pub use library::{HostLog, Plugin, Settings};
pub use manifest::PluginManifest;
pub use package::program_prefix;
pub use remote::{RawDestination, RawSource};
pub use search::{Candidate, Found, Search, SearchFolder, inspect_named};
pub use step::Step;
