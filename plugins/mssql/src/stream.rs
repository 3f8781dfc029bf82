//! Bytes of a connection: packets out, and the payloads of those that come in joined in one buffer.

use rivet_sdk::cursor::ReadNumbers;
use rivet_sdk::network::Patience;
use rivet_sdk::sql::wire::Connection;
use rivet_sdk::{Error, Result};

use crate::error::confused;
use crate::link::{Incoming, Link};
use crate::packet::{self, HEADER_BYTES, LAST, lossy_utf16};

const RAW_BYTES: usize = 64 << 10;
/// What DONE, the last token of every answer, has.
const DONE_BYTES: usize = 13;

/// A connection, and the messages that came over it.
pub(crate) struct Stream {
    /// Bytes as they came, packet headers included.
    pub connection: Connection<Incoming>,
    /// What the packets carried; the unread part begins at `start`.
    input: Vec<u8>,
    start: usize,
    /// What is still to come of the packet being read, and whether it is the message's last.
    packet_left: usize,
    last: bool,
    pub packet_bytes: usize,
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
            connection: Connection::new(Incoming::over(link), patience, place, RAW_BYTES),
            input: Vec::new(),
            start: 0,
            packet_left: 0,
            last: true,
            packet_bytes: 4096,
        }
    }

    /// Sends a message; what was left of an earlier answer is forgotten.
    pub fn send(&mut self, kind: u8, payload: &[u8]) -> Result<()> {
        self.input.clear();
        self.start = 0;
        self.last = false;
        self.packet_left = 0;
        let packets = packet::packets(kind, payload, self.packet_bytes);
        self.connection.send(|incoming| packets.iter().try_for_each(|packet| incoming.link.send(packet)))
    }

    /// Reads the rest of the message, which nobody wants.
    pub fn finish(&mut self) -> Result<()> {
        while !(self.last && self.packet_left == 0) {
            self.fill_some()?;
        }
        Ok(())
    }

    /// Reads messages until one ends with a DONE that `is_last` is satisfied with.
    pub fn drain(&mut self, is_last: impl Fn(&[u8; DONE_BYTES]) -> bool) -> Result<()> {
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
                return Err(self.connection.broken_by(confused("an answer that ends before it should")));
            }
            self.fill_some()?;
        }
        Ok(())
    }

    /// Moves what has arrived of the message into `input`, waiting for some if there is nothing.
    fn fill_some(&mut self) -> Result<()> {
        let had = self.input.len();
        loop {
            let unread = self.connection.unread();
            if self.packet_left > 0 && !unread.is_empty() {
                let count = self.packet_left.min(unread.len());
                self.input.extend_from_slice(unread.get(..count).unwrap_or_default());
                self.packet_left -= count;
                self.connection.take(count, 0);
            } else if let (0, false, Some(header)) = (self.packet_left, self.last, unread.first_chunk::<HEADER_BYTES>())
            {
                let [kind, status, high, low, ..] = *header;
                let length = usize::from(u16::from_be_bytes([high, low])).checked_sub(HEADER_BYTES);
                let (packet::kind::ANSWER, Some(length)) = (kind, length) else {
                    return Err(self.connection.broken_by(confused("a packet of another kind than an answer")));
                };
                self.connection.take(HEADER_BYTES, 0);
                self.packet_left = length;
                self.last = status & LAST != 0;
            } else if self.input.len() > had || (self.last && self.packet_left == 0) {
                return Ok(());
            } else {
                self.connection.fill(HEADER_BYTES)?;
            }
        }
    }
}
