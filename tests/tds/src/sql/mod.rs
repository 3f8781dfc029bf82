//! T-SQL: its words, its grammar, and what it means in SQLite.

pub mod ast;
pub mod bind;
mod definition;
mod expression;
pub mod parser;
pub mod query;
pub mod statement;
pub mod token;
pub mod types;
