//! What crosses the boundary between the rivet host and its plugins, and nothing else.
