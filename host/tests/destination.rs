//! The conformance suite over the host's own destination, a local folder.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use rivet::destination::open_local;
use rivet_testkit::{DestinationSubject, linked_destination_conformance};

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let subject =
        DestinationSubject::new("local", "", move |name| serde_json::json!({ "path": path.join(name) }), 1 << 20);
    linked_destination_conformance(subject, |options, _| open_local(options));
}
