//! Whole messages out of a reused buffer, which grows only for messages that are wanted.

use rivet_sdk::{Error, Result, network};

use super::{BUFFER_BYTES, Frame, Guard, HEADER_BYTES, Wire};
use crate::error::confused;

impl Wire {
    /// The next message; a server that goes away after an error has said why.
    #[inline]
    pub(super) fn next_after(&mut self, failure: &Option<Error>, guard: &mut Guard<'_>) -> Result<Frame> {
        self.next(guard).map_err(|error| match failure {
            Some(earlier) if self.broken => earlier.clone(),
            _ => error,
        })
    }

    /// The next whole message.
    #[inline]
    pub(super) fn next(&mut self, guard: &mut Guard<'_>) -> Result<Frame> {
        loop {
            let unread = self.input.get(self.start..self.end).unwrap_or_default();
            let mut wanted = HEADER_BYTES;
            if let Some((header, have)) = unread.split_first_chunk::<HEADER_BYTES>() {
                let [tag, a, b, c, d] = *header;
                let length = i32::from_be_bytes([a, b, c, d]);
                let Some(body) = usize::try_from(length).ok().and_then(|length| length.checked_sub(4)) else {
                    self.broken = true;
                    return Err(confused("a message of impossible length"));
                };
                if have.len() >= body {
                    let from = self.start + HEADER_BYTES;
                    self.start = from + body;
                    return Ok(Frame { tag, body: from..from + body });
                }
                wanted += body;
                if wanted > BUFFER_BYTES {
                    guard(have, body)?;
                }
            }
            self.fill(wanted)?;
        }
    }

    /// Reads more, making room for a message of `wanted` bytes bit by bit.
    #[cold]
    fn fill(&mut self, wanted: usize) -> Result<()> {
        if self.streaming {
            self.stream.gather();
        }
        let mut unread = self.start..self.end;
        let filled = {
            let mut from = self.patience.within(&mut self.stream);
            network::fill(&mut self.input, &mut unread, wanted, BUFFER_BYTES, &mut from)
        };
        (self.start, self.end) = (unread.start, unread.end);
        filled.map_err(|error| self.fail(&error))
    }
}
