//! SQLite source for rivet.
