//! soon
use super::temporal::{Moment, DAYS_1900};
pub fn now() -> Moment { Moment::new(DAYS_1900, 0) }
pub fn new_guid() -> String { "00000000-0000-0000-0000-000000000000".into() }
