//! Bytes of a connection: packets out, and the payloads of those that come in joined in one buffer.

use std::sync::Arc;
use std::time::Duration;

use rivet_sdk::cursor::ReadNumbers;
use rivet_sdk::network::Patience;
use rivet_sdk::{Error, ErrorKind, Result};

use crate::error::confused;
use crate::link::{Link, Records};
use crate::packet::{self, HEADER_BYTES, LAST, lossy_utf16};

const RAW_BYTES: usize = 64 << 10;
/// What DONE, the last token of every answer, has.
const DONE_BYTES: usize = 13;

/// A link, and what has come over it.
pub(crate) struct Stream {
    pub link: Arc<Link>,
    /// Bytes as they came, packet headers included; the unread part is `raw_start..raw_end`.
    raw: Vec<u8>,
    raw_start: usize,
    raw_end: usize,
    records: Records,
    /// What the packets carried; the unread part begins at `start`.
    input: Vec<u8>,
    start: usize,
    /// What is still to come of the packet being read, and whether it is the message's last.
    packet_left: usize,
    last: bool,
    pub packet_bytes: usize,
    /// How long the server may keep us waiting. SQL Server has no limit of its own for a statement.
    pub patience: Patience,
    /// What the server is called.
    place: String,
    pub broken: bool,
}

impl ReadNumbers for Stream {
    type Error = Error;

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.need(N)?;
        let found = self.input.get(self.start..).and_then(|rest| rest.first_chunk::<N>()).copied();
        self.start += N;
        found.ok_or_else(|| Error::internal("bytes that were there are gone"))
    }
}

impl Stream {
    /// A stream over a connected link.
    pub fn new(link: Link, patience: Patience, place: String) -> Self {
        Self {
            link: Arc::new(link),
            raw: vec![0; RAW_BYTES],
            raw_start: 0,
            raw_end: 0,
            records: Records::default(),
            input: Vec::new(),
            start: 0,
            packet_left: 0,
            last: true,
            packet_bytes: 4096,
            patience,
            place,
            broken: false,
        }
    }

    /// Sends a message; what was left of an earlier answer is forgotten.
    pub fn send(&mut self, kind: u8, payload: &[u8]) -> Result<()> {
        if self.broken {
            return Err(Error::connection("the connection is broken"));
        }
        self.input.clear();
        self.start = 0;
        self.last = false;
        self.packet_left = 0;
        self.patience.renew();
        for packet in packet::packets(kind, payload, self.packet_bytes) {
            self.link.send(&packet).map_err(|error| self.fail(&error))?;
        }
        Ok(())
    }

    /// Reads the rest of the message, which nobody wants.
    pub fn finish(&mut self) -> Result<()> {
        while !(self.last && self.packet_left == 0) {
            self.fill_some()?;
        }
        Ok(())
    }

    /// Reads messages until one ends with a DONE that `is_last` is satisfied with, for at most `limit`.
    pub fn drain(&mut self, limit: Duration, is_last: impl Fn(&[u8; DONE_BYTES]) -> bool) -> Result<()> {
        self.patience.set(Some(limit));
        loop {
            self.input.clear();
            self.start = 0;
            while !(self.last && self.packet_left == 0) {
                self.fill_some()?;
                // Only the last token of a message is of interest.
                let keep = self.input.len().saturating_sub(DONE_BYTES);
                self.input.drain(..keep);
            }
            if self.input.last_chunk::<DONE_BYTES>().is_some_and(&is_last) {
                self.input.clear();
                self.patience.set(None);
                return Ok(());
            }
            self.last = false;
        }
    }

    /// At most `count` bytes, as many as are there without waiting for more than one.
    #[inline]
    pub fn some(&mut self, count: usize) -> Result<&[u8]> {
        self.need(1)?;
        let count = count.min(self.input.len() - self.start);
        self.bytes(count)
    }

    /// A server that only takes too long can still be asked to stop.
    fn fail(&mut self, error: &std::io::Error) -> Error {
        let error = self.patience.explain(&self.place, error);
        self.broken |= error.kind() != ErrorKind::Timeout;
        error
    }

    /// `count` bytes of the answer.
    #[inline]
    pub fn bytes(&mut self, count: usize) -> Result<&[u8]> {
        self.need(count)?;
        let from = self.start;
        self.start += count;
        Ok(self.input.get(from..self.start).unwrap_or_default())
    }

    pub fn skip(&mut self, mut count: usize) -> Result<()> {
        while count > 0 {
            self.need(1)?;
            let some = count.min(self.input.len() - self.start);
            self.start += some;
            count -= some;
        }
        Ok(())
    }

    /// A text of so many UTF-16 units.
    pub fn text(&mut self, units: usize) -> Result<String> {
        self.bytes(units * 2).map(lossy_utf16)
    }

    #[inline]
    fn need(&mut self, count: usize) -> Result<()> {
        if self.input.len() - self.start >= count { Ok(()) } else { self.fill(count) }
    }

    #[cold]
    fn fill(&mut self, count: usize) -> Result<()> {
        self.input.drain(..self.start);
        self.start = 0;
        while self.input.len() < count {
            if self.last && self.packet_left == 0 {
                self.broken = true;
                return Err(confused("an answer that ends before it should"));
            }
            self.fill_some()?;
        }
        Ok(())
    }

    /// Moves what has arrived of the message into `input`, waiting for some if there is nothing.
    fn fill_some(&mut self) -> Result<()> {
        let had = self.input.len();
        loop {
            let unread = self.raw.get(self.raw_start..self.raw_end).unwrap_or_default();
            if self.packet_left > 0 && !unread.is_empty() {
                let count = self.packet_left.min(unread.len());
                self.input.extend_from_slice(unread.get(..count).unwrap_or_default());
                self.packet_left -= count;
                self.raw_start += count;
            } else if let (0, false, Some(header)) = (self.packet_left, self.last, unread.first_chunk::<HEADER_BYTES>())
            {
                let [kind, status, high, low, ..] = *header;
                let length = usize::from(u16::from_be_bytes([high, low])).checked_sub(HEADER_BYTES);
                let (packet::kind::ANSWER, Some(length)) = (kind, length) else {
                    self.broken = true;
                    return Err(confused("a packet of another kind than an answer"));
                };
                self.raw_start += HEADER_BYTES;
                self.packet_left = length;
                self.last = status & LAST != 0;
            } else if self.input.len() > had || (self.last && self.packet_left == 0) {
                return Ok(());
            } else {
                self.receive()?;
            }
        }
    }

    fn receive(&mut self) -> Result<()> {
        self.raw.copy_within(self.raw_start..self.raw_end, 0);
        self.raw_end -= self.raw_start;
        self.raw_start = 0;
        loop {
            let free = self.raw.get_mut(self.raw_end..).unwrap_or_default();
            match self.link.read(free, &mut self.records, &mut self.patience) {
                Ok(0) => return Err(self.fail(&std::io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => {
                    self.raw_end += count;
                    return Ok(());
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.fail(&error)),
            }
        }
    }
}
