//! The conformance suite over a real MySQL server.

#![allow(clippy::unwrap_used)]

mod subject;
mod support;

fn main() {
    subject::run("MYSQL");
}
