//! Whole packets out of a reused buffer, which grows only for packets that are wanted.

use std::ops::Range;

use rivet_sdk::{Result, network};

use super::{BUFFER_BYTES, FULL, Guard, HEADER_BYTES, Wire};

impl Wire {
    /// The next whole packet.
    #[inline]
    pub(super) fn next(&mut self, guard: &mut Guard<'_>) -> Result<Range<usize>> {
        let unread = self.input.get(self.start..self.end).unwrap_or_default();
        if let Some(([a, b, c, sequence], have)) = unread.split_first_chunk::<HEADER_BYTES>() {
            let length = usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16;
            if length < FULL && have.len() >= length && *sequence == self.sequence {
                self.sequence = self.sequence.wrapping_add(1);
                let from = self.start + HEADER_BYTES;
                self.start = from + length;
                return Ok(from..from + length);
            }
        }
        self.next_slow(guard)
    }

    /// A packet that has not arrived, or is one of several that belong together: their bodies
    /// are moved together in the buffer.
    #[cold]
    fn next_slow(&mut self, guard: &mut Guard<'_>) -> Result<Range<usize>> {
        // Relative to `start`: the gathered body begins after the first header.
        let mut gathered = 0;
        loop {
            let header = if gathered == 0 { 0 } else { HEADER_BYTES + gathered };
            self.have(header + HEADER_BYTES)?;
            let at = self.start + header;
            let Some([a, b, c, sequence]) = self.input.get(at..).and_then(|rest| rest.first_chunk().copied()) else {
                return Err(self.garbled("a packet without a header"));
            };
            // Inside compressed frames servers count the frames, and packets as it comes.
            if sequence != self.sequence && !self.stream.is_compressed() {
                return Err(self.garbled("packets out of order"));
            }
            self.sequence = sequence.wrapping_add(1);
            let length = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
            let wanted = header + HEADER_BYTES + length;
            while self.end - self.start < wanted {
                if wanted > BUFFER_BYTES {
                    let body = self.start + HEADER_BYTES;
                    let end = if gathered == 0 { self.end } else { body + gathered };
                    guard(self.input.get(body..end).unwrap_or_default(), gathered + length)?;
                }
                self.fill(wanted)?;
            }
            if header > 0 {
                let at = self.start + header;
                self.input.copy_within(at + HEADER_BYTES..self.end, at);
                self.end -= HEADER_BYTES;
            }
            gathered += length;
            if length < FULL {
                let from = self.start + HEADER_BYTES;
                self.start = from + gathered;
                return Ok(from..from + gathered);
            }
        }
    }

    fn have(&mut self, wanted: usize) -> Result<()> {
        while self.end - self.start < wanted {
            self.fill(wanted)?;
        }
        Ok(())
    }

    /// Reads more, making room for `wanted` bytes bit by bit.
    fn fill(&mut self, wanted: usize) -> Result<()> {
        if self.streaming {
            self.stream.stream().gather();
        }
        let mut unread = self.start..self.end;
        let filled = network::fill(&mut self.input, &mut unread, wanted, BUFFER_BYTES, &mut self.stream);
        (self.start, self.end) = (unread.start, unread.end);
        filled.map_err(|error| self.fail(&error))
    }
}
