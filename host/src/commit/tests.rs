//! What the commit promises: each promise by itself, then under kills and damage.

mod chain;
mod crash;
mod kill;
mod mutations;
mod promises;
mod repair;
mod store;
