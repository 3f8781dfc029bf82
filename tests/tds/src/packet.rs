//! Messages cut into packets of the negotiated size (MS-TDS 2.2.3).

use std::io::{self, Read, Write};

/// SQL batch.
pub const BATCH: u8 = 1;
/// Remote procedure call.
pub const RPC: u8 = 3;
/// Everything a server answers.
pub const RESPONSE: u8 = 4;
/// Attention: the client wants no more of the current answer.
pub const ATTENTION: u8 = 6;
/// Transaction manager request.
pub const TRANSACTION: u8 = 14;
/// LOGIN7.
pub const LOGIN: u8 = 16;
/// PRELOGIN, and the TLS handshake of TDS 7.
pub const PRELOGIN: u8 = 18;

const HEADER: usize = 8;
const END_OF_MESSAGE: u8 = 1;
const IGNORE: u8 = 2;

/// A whole message.
#[derive(Debug)]
pub struct Message {
    pub kind: u8,
    pub body: Vec<u8>,
}

/// Reads one message; None at the stream's end between messages.
pub fn read(stream: &mut impl Read) -> io::Result<Option<Message>> {
    let mut body = Vec::new();
    let mut kind = None;
    loop {
        let mut header = [0; HEADER];
        if kind.is_none() {
            if stream.read(&mut header[..1])? == 0 {
                return Ok(None);
            }
            stream.read_exact(&mut header[1..])?;
        } else {
            stream.read_exact(&mut header)?;
        }
        if *kind.get_or_insert(header[0]) != header[0] {
            return Err(io::Error::other("a packet of another kind inside a message"));
        }
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let Some(length) = length.checked_sub(HEADER) else {
            return Err(io::Error::other("a packet shorter than its header"));
        };
        let start = body.len();
        body.resize(start + length, 0);
        stream.read_exact(&mut body[start..])?;
        if header[1] & END_OF_MESSAGE != 0 {
            if header[1] & IGNORE != 0 {
                // The client changed its mind while it sent this one.
                (kind, body) = (None, Vec::new());
                continue;
            }
            return Ok(Some(Message { kind: header[0], body }));
        }
    }
}

/// Buffers one answer and sends it packet by packet.
#[derive(Debug)]
pub struct Writer<W: Write> {
    stream: W,
    kind: u8,
    size: usize,
    spid: u16,
    number: u8,
    buffer: Vec<u8>,
}

impl<W: Write> Writer<W> {
    pub fn new(stream: W, size: usize) -> Self {
        Self { stream, kind: RESPONSE, size, spid: 0, number: 1, buffer: Vec::new() }
    }

    pub fn set_size(&mut self, size: usize) {
        self.size = size;
    }

    pub fn set_spid(&mut self, spid: u16) {
        self.spid = spid;
    }

    pub fn get_mut(&mut self) -> &mut W {
        &mut self.stream
    }

    pub fn into_inner(self) -> W {
        self.stream
    }

    /// What has not been sent yet; append to it, then call [`Writer::flow`].
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Sends what fills whole packets, once there is a good deal of it.
    pub fn flow(&mut self) -> io::Result<()> {
        if self.buffer.len() < (16 * 1024).max(self.size) {
            return Ok(());
        }
        self.drain(false)
    }

    /// Sends all whole packets now and keeps the rest for the end.
    pub fn push(&mut self) -> io::Result<()> {
        self.drain(false)?;
        self.stream.flush()
    }

    /// Ends the message.
    pub fn finish(&mut self) -> io::Result<()> {
        self.drain(true)?;
        self.number = 1;
        self.stream.flush()
    }

    fn drain(&mut self, end: bool) -> io::Result<()> {
        let room = self.size - HEADER;
        let mut packets = Vec::with_capacity(self.buffer.len() + 64);
        let mut rest = &self.buffer[..];
        // The last packet carries the end; it may be full, and it may not be missing.
        while rest.len() > room {
            let (body, left) = rest.split_at(room);
            packet(&mut packets, self.kind, 0, self.spid, self.number, body);
            self.number = self.number.wrapping_add(1);
            rest = left;
        }
        let left = rest.len();
        if end {
            packet(&mut packets, self.kind, END_OF_MESSAGE, self.spid, self.number, rest);
            self.buffer.clear();
        } else {
            let sent = self.buffer.len() - left;
            self.buffer.drain(..sent);
        }
        self.stream.write_all(&packets)
    }
}

/// One whole message of a single packet.
pub fn single(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet(&mut bytes, kind, END_OF_MESSAGE, 0, 1, body);
    bytes
}

fn packet(into: &mut Vec<u8>, kind: u8, status: u8, spid: u16, number: u8, body: &[u8]) {
    let length = u16::try_from(body.len() + HEADER).unwrap_or(u16::MAX).to_be_bytes();
    let spid = spid.to_be_bytes();
    into.extend([kind, status, length[0], length[1], spid[0], spid[1], number, 0]);
    into.extend_from_slice(body);
}
