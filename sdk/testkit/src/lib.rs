//! The conformance suite every rivet plugin runs.
