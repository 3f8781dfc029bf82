//! Whole messages out of a reused buffer, which grows only for messages that are wanted.

use std::io::{ErrorKind as IoKind, Read};

use rivet_sdk::{Error, Result};

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
        let unread = self.end - self.start;
        if self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            self.start = 0;
            self.end = unread;
        }
        if unread == self.input.len() {
            // Doubling, so that a length the guard refuses is never allocated.
            self.input.resize((unread * 2).min(wanted.max(BUFFER_BYTES)).max(unread + 1), 0);
        } else if self.input.len() > BUFFER_BYTES * 4 && wanted <= BUFFER_BYTES && unread <= BUFFER_BYTES {
            self.input.truncate(BUFFER_BYTES);
            self.input.shrink_to_fit();
        }
        loop {
            let free = self.input.get_mut(self.end..).unwrap_or_default();
            match self.stream.read(free) {
                Ok(0) => return Err(self.fail(&IoKind::UnexpectedEof.into())),
                Ok(count) => {
                    self.end += count;
                    return Ok(());
                }
                Err(error) if error.kind() == IoKind::Interrupted => {}
                Err(error) => return Err(self.fail(&error)),
            }
        }
    }
}
