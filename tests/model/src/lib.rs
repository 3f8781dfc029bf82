//! What the commit protocol promises, shown for every interleaving and every death.
//!
//! A crate of its own, because a search through millions of states wants an optimised build and
//! the rest of the tests a quick one. It proves the protocol, not the program: the steps bear the names of
//! the program's crash points, and `commit/tests/kill.rs` of the host kills the program's own code at each of them.
#![cfg(test)]
#![forbid(unsafe_code)]

mod check;
mod commit;
mod repair;
mod search;
mod watermark;
