//! stub
use std::io;
use super::state::Session;
pub fn request(_: &mut Session, _: &[u8]) -> io::Result<()> { Ok(()) }
