//! Only tests: see `tests/login.rs`.
