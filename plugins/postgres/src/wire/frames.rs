//! Whole messages out of the connection's buffer.

use rivet_sdk::sql::wire::Guard;
use rivet_sdk::{Error, Result};

use super::{BUFFER_BYTES, Frame, HEADER_BYTES, Wire};
use crate::error::confused;

impl Wire {
    /// The next message; a server that goes away after an error has said why.
    #[inline]
    pub(super) fn next_after(&mut self, failure: &Option<Error>, guard: &mut Guard<'_>) -> Result<Frame> {
        self.next(guard).map_err(|error| match failure {
            Some(earlier) if self.connection.is_broken() => earlier.clone(),
            _ => error,
        })
    }

    /// The next whole message.
    #[inline]
    pub(super) fn next(&mut self, guard: &mut Guard<'_>) -> Result<Frame> {
        loop {
            let mut wanted = HEADER_BYTES;
            if let Some((header, have)) = self.connection.unread().split_first_chunk::<HEADER_BYTES>() {
                let [tag, a, b, c, d] = *header;
                let length = i32::from_be_bytes([a, b, c, d]);
                let Some(body) = usize::try_from(length).ok().and_then(|length| length.checked_sub(4)) else {
                    return Err(self.connection.broken_by(confused("a message of impossible length")));
                };
                if have.len() >= body {
                    return Ok(Frame { tag, body: self.connection.take(HEADER_BYTES, body) });
                }
                wanted += body;
                if wanted > BUFFER_BYTES {
                    guard(have, body)?;
                }
            }
            self.connection.fill(wanted)?;
        }
    }
}
