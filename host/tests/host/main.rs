//! The host: what it does with rows, and the commands around a run.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "test code")]

mod commands;
mod sink;
