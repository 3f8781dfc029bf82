//! PostgreSQL source for rivet.
