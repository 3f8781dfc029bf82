//! What will be done: the plan of one run of one export, complete, serialisable, secret-free.

mod types;

pub use types::*;
