//! SQL Server source for rivet.

#![forbid(unsafe_code)]
