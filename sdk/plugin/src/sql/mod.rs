//! The SQL kit: what every SQL driver does the same way. What is left to a driver is a connection, a table of types, a
//! dialect and a decoder.
//!
//! - [`Dialect`]: how the database writes SQL; conditions, keys and the statement's shape are rendered over it.
//! - [`columns`]: which columns an export has, how each is selected, and what it becomes.
//! - [`rows`]: decoded rows on their way into batches.
//! - [`number`]: exact numbers on their way into Arrow.
//! - [`split`]: slices of a relation along a key.
//! - [`session`]: a connection with the limits of its statements, and who may stop it.
//! - [`error`]: what a server refused, and what of its answer makes no sense.
//! - `wire`, with the feature `network`: a connection that speaks a protocol, its buffer and its answers' ends.

pub mod columns;
mod dialect;
pub mod error;
pub mod number;
pub mod rows;
pub mod session;
pub mod split;
#[cfg(feature = "network")]
pub mod wire;

pub use dialect::{
    Dialect, coalesced, condition, from, key_expressions, order_by, quote_text, table, tail, where_clause, with_key,
    without_key,
};
