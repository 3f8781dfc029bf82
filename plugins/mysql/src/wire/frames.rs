//! Whole packets out of the connection's buffer.

use std::ops::Range;

use rivet_sdk::Result;
use rivet_sdk::sql::wire::Guard;

use super::{BUFFER_BYTES, FULL, HEADER_BYTES, Wire};

impl Wire {
    /// The next whole packet.
    #[inline]
    pub(super) fn next(&mut self, guard: &mut Guard<'_>) -> Result<Range<usize>> {
        if let Some(([a, b, c, sequence], have)) = self.connection.unread().split_first_chunk::<HEADER_BYTES>() {
            let length = usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16;
            if length < FULL && have.len() >= length && *sequence == self.sequence {
                self.sequence = self.sequence.wrapping_add(1);
                return Ok(self.connection.take(HEADER_BYTES, length));
            }
        }
        self.next_slow(guard)
    }

    /// A packet that has not arrived, or is one of several that belong together: their bodies
    /// are moved together in the buffer.
    #[cold]
    fn next_slow(&mut self, guard: &mut Guard<'_>) -> Result<Range<usize>> {
        // The body so far: it begins after the first header.
        let mut gathered = 0;
        loop {
            let at = if gathered == 0 { 0 } else { HEADER_BYTES + gathered };
            let [a, b, c, sequence] = self.header(at)?;
            // Inside compressed frames servers count the frames, and packets as it comes.
            if sequence != self.sequence && !self.connection.channel().is_compressed() {
                return Err(self.garbled("packets out of order"));
            }
            self.sequence = sequence.wrapping_add(1);
            let length = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
            let wanted = at + HEADER_BYTES + length;
            while self.connection.unread().len() < wanted {
                if wanted > BUFFER_BYTES {
                    let have = self.connection.unread();
                    let end = if gathered == 0 { have.len() } else { HEADER_BYTES + gathered };
                    guard(have.get(HEADER_BYTES..end).unwrap_or_default(), gathered + length)?;
                }
                self.connection.fill(wanted)?;
            }
            if at > 0 {
                self.connection.cut(at..at + HEADER_BYTES);
            }
            gathered += length;
            if length < FULL {
                return Ok(self.connection.take(HEADER_BYTES, gathered));
            }
        }
    }

    /// The header that begins `at` bytes behind what was read.
    fn header(&mut self, at: usize) -> Result<[u8; HEADER_BYTES]> {
        loop {
            if let Some(header) = self.connection.unread().get(at..).and_then(|rest| rest.first_chunk()) {
                return Ok(*header);
            }
            self.connection.fill(at + HEADER_BYTES)?;
        }
    }
}
