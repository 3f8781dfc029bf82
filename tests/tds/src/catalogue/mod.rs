//! What was declared: databases, schemas, tables, columns, indexes, rights; and the views that tell.

pub mod databases;
pub mod meta;
pub mod server;
pub mod sys;
pub mod views;
