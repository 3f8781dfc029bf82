//! Finds, checks and loads rivet plugins.
