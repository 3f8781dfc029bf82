//! The conformance suite over a real MariaDB server.

#![allow(clippy::unwrap_used)]

mod subject;
mod support;

fn main() {
    subject::run("MARIADB");
}
