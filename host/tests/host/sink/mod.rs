//! The sink: rows in, parts out.

mod arrow_types;
mod csv;
mod parquet;
mod queue;
mod support;
