//! The protocol's compression: packets arrive inside frames, each packed by itself.
//!
//! Only what the server sends is packed. Our statements are a few hundred bytes and travel in
//! frames that say so; a frame is unpacked piece by piece into the caller's buffer, so that its
//! size costs no memory.

use std::io::{Error, Read, Result, Write};

use flate2::{Decompress, FlushDecompress, Status};
use rivet_sdk::network::{self, Patience, Stream};
use rivet_sdk::sql::wire;
use zstd::stream::raw::{Decoder, Operation};

use crate::options::Compression;

const HEADER_BYTES: usize = 7;
/// The longest frame: its length has three bytes.
const FRAME_BYTES: usize = 0xFF_FFFF;
const BUFFER_BYTES: usize = 64 << 10;

/// A stream that may carry frames.
pub(crate) struct Channel {
    stream: Stream,
    frames: Option<Frames>,
}

struct Frames {
    unpack: Unpack,
    /// What was read from the socket; the unread part is `start..end`.
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes of the current frame that have not been taken from the input.
    packed_left: usize,
    /// Bytes the current frame has still to give.
    plain_left: usize,
    /// Whether the current frame came as it is.
    bare: bool,
    /// Whether the current frame's packed stream has come to its end.
    ended: bool,
    /// The number of our next frame within a command.
    sequence: u8,
}

enum Unpack {
    Zlib(Decompress),
    Zstd(Decoder<'static>),
}

/// How far one step came, and whether it came to the packed stream's end.
struct Step {
    taken: usize,
    given: usize,
    ended: bool,
}

impl Channel {
    pub fn new(stream: Stream) -> Self {
        Self { stream, frames: None }
    }

    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// From now on both sides speak in frames.
    pub fn compress(&mut self, compression: Compression) -> Result<()> {
        let unpack = match compression {
            Compression::None => return Ok(()),
            Compression::Zlib => Unpack::Zlib(Decompress::new(true)),
            Compression::Zstd => Unpack::Zstd(Decoder::new()?),
        };
        self.frames = Some(Frames {
            unpack,
            input: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
            packed_left: 0,
            plain_left: 0,
            bare: true,
            ended: false,
            sequence: 0,
        });
        Ok(())
    }

    pub fn is_compressed(&self) -> bool {
        self.frames.is_some()
    }

    /// Sends packets; `first`: they begin a command.
    pub fn send(&mut self, packets: &[u8], first: bool) -> Result<()> {
        match &mut self.frames {
            None => self.stream.write_all(packets)?,
            Some(frames) => {
                if first {
                    frames.sequence = 0;
                }
                let mut out = Vec::with_capacity(packets.len() + HEADER_BYTES);
                for chunk in packets.chunks(FRAME_BYTES) {
                    let [a, b, c, _] = u32::try_from(chunk.len()).unwrap_or(0).to_le_bytes();
                    // A plain length of zero: the frame is not packed.
                    out.extend([a, b, c, frames.sequence, 0, 0, 0]);
                    out.extend_from_slice(chunk);
                    frames.sequence = frames.sequence.wrapping_add(1);
                }
                self.stream.write_all(&out)?;
            }
        }
        self.stream.flush()
    }
}

impl wire::Channel for Channel {
    fn read(&mut self, patience: &mut Patience, out: &mut [u8]) -> Result<usize> {
        let mut stream = patience.within(&mut self.stream);
        match &mut self.frames {
            None => stream.read(out),
            Some(frames) => frames.read(&mut stream, out),
        }
    }

    fn shutdown(&self) {
        self.stream.shutdown();
    }

    fn gather(&self) {
        self.stream.gather();
    }
}

impl Frames {
    fn read(&mut self, from: &mut impl Read, out: &mut [u8]) -> Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        while self.plain_left == 0 {
            self.begin(from)?;
        }
        let wanted = out.len().min(self.plain_left);
        let out = out.get_mut(..wanted).unwrap_or_default();
        let mut given = 0;
        while given == 0 {
            if self.packed_left > 0 && self.start == self.end {
                self.fill(from)?;
            }
            given = self.step(out)?;
        }
        if self.plain_left == 0 && !self.bare {
            self.finish(from)?;
        }
        Ok(given)
    }

    /// Reads the next frame's header.
    fn begin(&mut self, from: &mut impl Read) -> Result<()> {
        while self.end - self.start < HEADER_BYTES {
            self.fill(from)?;
        }
        let header = self.input.get(self.start..).and_then(|rest| rest.first_chunk::<HEADER_BYTES>());
        let Some([a, b, c, _, d, e, f]) = header.copied() else { return Err(damaged("no header")) };
        self.start += HEADER_BYTES;
        let length = |bytes: [u8; 3]| bytes.iter().rev().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        let (packed, plain) = (length([a, b, c]), length([d, e, f]));
        self.bare = plain == 0;
        self.ended = false;
        self.packed_left = packed;
        self.plain_left = if self.bare { packed } else { plain };
        if packed == 0 && plain > 0 {
            return Err(damaged("an empty frame"));
        }
        Ok(())
    }

    /// Reads a packed frame to its end, where its checksum is.
    fn finish(&mut self, from: &mut impl Read) -> Result<()> {
        while !self.ended {
            if self.packed_left > 0 && self.start == self.end {
                self.fill(from)?;
            }
            let before = self.packed_left;
            if self.step(&mut [0])? > 0 || (!self.ended && self.packed_left == before) {
                return Err(damaged("another length than it says"));
            }
        }
        if self.packed_left > 0 {
            return Err(damaged("bytes after its end"));
        }
        match &mut self.unpack {
            Unpack::Zlib(unpack) => unpack.reset(true),
            Unpack::Zstd(unpack) => unpack.reinit()?,
        }
        Ok(())
    }

    /// Unpacks what there is into `out`; how many bytes that was.
    fn step(&mut self, out: &mut [u8]) -> Result<usize> {
        let have = (self.end - self.start).min(self.packed_left);
        let input = self.input.get(self.start..self.start + have).unwrap_or_default();
        let step = if self.bare {
            let count = have.min(out.len());
            out.get_mut(..count).unwrap_or_default().copy_from_slice(input.get(..count).unwrap_or_default());
            Step { taken: count, given: count, ended: false }
        } else {
            self.unpack.step(input, out)?
        };
        self.start += step.taken;
        self.packed_left -= step.taken;
        // The scratch byte of `finish` is none of the frame's.
        self.plain_left -= step.given.min(self.plain_left);
        self.ended = step.ended;
        let stuck = step.taken == 0 && step.given == 0;
        if self.plain_left > 0 && (step.ended || stuck) {
            return Err(damaged("fewer bytes than it says"));
        }
        Ok(step.given)
    }

    fn fill(&mut self, from: &mut impl Read) -> Result<()> {
        let mut unread = self.start..self.end;
        let filled = network::fill(&mut self.input, &mut unread, HEADER_BYTES, BUFFER_BYTES, from);
        (self.start, self.end) = (unread.start, unread.end);
        filled
    }
}

impl Unpack {
    fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Step> {
        match self {
            Self::Zlib(unpack) => {
                let (before_in, before_out) = (unpack.total_in(), unpack.total_out());
                let status = unpack.decompress(input, out, FlushDecompress::None).map_err(damaged)?;
                let count = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(0);
                Ok(Step {
                    taken: count(unpack.total_in(), before_in),
                    given: count(unpack.total_out(), before_out),
                    ended: status == Status::StreamEnd,
                })
            }
            Self::Zstd(unpack) => {
                let status = unpack.run_on_buffers(input, out).map_err(damaged)?;
                Ok(Step { taken: status.bytes_read, given: status.bytes_written, ended: status.remaining == 0 })
            }
        }
    }
}

fn damaged(what: impl std::fmt::Display) -> Error {
    Error::other(format!("a compressed frame is damaged: {what}"))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use flate2::write::ZlibEncoder;

    use super::*;

    fn frames(compression: Compression) -> Frames {
        let unpack = match compression {
            Compression::Zstd => Unpack::Zstd(Decoder::new().unwrap()),
            _ => Unpack::Zlib(Decompress::new(true)),
        };
        let input = vec![0; 64];
        Frames { unpack, input, start: 0, end: 0, packed_left: 0, plain_left: 0, bare: true, ended: false, sequence: 0 }
    }

    fn header(packed: usize, plain: usize) -> Vec<u8> {
        let three = |length: usize| u32::try_from(length).unwrap().to_le_bytes()[..3].to_vec();
        [three(packed), vec![0], three(plain)].concat()
    }

    fn packed(compression: Compression, plain: &[u8]) -> Vec<u8> {
        let body = match compression {
            Compression::Zstd => zstd::bulk::compress(plain, 3).unwrap(),
            _ => {
                let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
        };
        [header(body.len(), plain.len()), body].concat()
    }

    fn read(compression: Compression, bytes: &[u8], step: usize) -> Result<Vec<u8>> {
        let (mut frames, mut from) = (frames(compression), Cursor::new(bytes));
        let (mut all, mut out) = (Vec::new(), vec![0; step]);
        while frames.plain_left > 0 || frames.start < frames.end || from.position() < bytes.len() as u64 {
            let count = frames.read(&mut from, &mut out)?;
            all.extend_from_slice(&out[..count]);
        }
        Ok(all)
    }

    #[test]
    fn frames_of_every_kind_read_back_whatever_the_buffer() {
        let texts: Vec<Vec<u8>> = vec![b"x".to_vec(), b"abc".repeat(400), (0..=255).cycle().take(3000).collect()];
        for compression in [Compression::Zlib, Compression::Zstd] {
            let mut bytes = [header(3, 0), b"raw".to_vec(), header(0, 0)].concat();
            let mut expected = b"raw".to_vec();
            for text in &texts {
                bytes.extend(packed(compression, text));
                expected.extend(text);
            }
            for step in [1, 7, 64, 10_000] {
                assert_eq!(read(compression, &bytes, step).unwrap(), expected, "{step}");
            }
        }
    }

    #[test]
    fn a_damaged_frame_is_an_error() {
        let text = b"abcdefgh".repeat(50);
        for compression in [Compression::Zlib, Compression::Zstd] {
            let good = packed(compression, &text);
            let body = &good[HEADER_BYTES..];
            for (packed, plain) in [(body.len(), text.len() - 1), (body.len(), text.len() + 1), (0, 5)] {
                let bytes = [&header(packed, plain)[..], body].concat();
                assert!(read(compression, &bytes, 64).is_err(), "{packed} {plain}");
            }
            let mut longer = [&header(body.len() + 1, text.len())[..], body].concat();
            longer.push(0);
            assert!(read(compression, &longer, 64).is_err());
            assert!(read(compression, &good[..good.len() - 1], 64).is_err(), "cut off");
        }
        let mut flipped = packed(Compression::Zlib, &text);
        *flipped.last_mut().unwrap() ^= 1;
        assert!(read(Compression::Zlib, &flipped, 64).is_err(), "its checksum is wrong");
    }
}
