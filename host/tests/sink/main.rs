//! The sink: rows in, parts out.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod arrow_types;
mod csv;
mod parquet;
mod queue;
mod support;
