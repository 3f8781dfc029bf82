//! The SQL kit: what every SQL driver does the same way.

mod dialect;
pub mod session;
#[cfg(feature = "network")]
pub mod wire;

pub use dialect::{
    Dialect, coalesced, condition, from, key_expressions, order_by, quote_text, table, where_clause, with_key,
    without_key,
};
