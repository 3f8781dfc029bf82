//! What a PostgreSQL URL means, as libpq reads it: for the source's plugin and for the host's state store.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod parameters;
mod servers;
mod url;

pub use parameters::{SOURCE, STATE};
pub use servers::{Host, Role, Server, SessionAttributes, connect, shuffle};
pub use url::{Address, ChannelBinding};
