//! Generated rows: the smallest complete rivet plugin.
