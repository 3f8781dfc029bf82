//! Sources and destinations as they are configured: which plugin, with which options, and how a worker opens its own
//! instance of it. A source's instance has a thread of its own.

mod factories;
mod lock;
mod plugins;
mod relay;
mod threaded;

pub use factories::{ConnectionPermit, DestinationFactory, InstanceContext, SourceFactory};
pub use lock::{NOT_LOCKED, PluginLock};
pub use plugins::Plugins;
pub(crate) use plugins::forward;
