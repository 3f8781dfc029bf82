//! The ends of an export: which plugin, with which options, and how a worker opens its own
//! instance of it. A source's stands on a thread of its own.

mod attended;
mod ends;
mod lock;
mod plugins;
mod relay;

pub use ends::{DestinationEnd, Held, Lent, SourceEnd};
pub use lock::{NOT_LOCKED, PluginLock};
pub use plugins::Plugins;
pub(crate) use plugins::forward;
