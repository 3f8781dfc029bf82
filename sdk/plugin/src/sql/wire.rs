//! A connection that speaks a database's protocol: bytes in a reused buffer, how long a server may keep us waiting,
//! whether its answer is still under way, and what becomes of an answer that nobody wants any more.

use std::io;
use std::ops::Range;
use std::time::Duration;

use crate::network::{Patience, Stream, fill};
use crate::{Error, ErrorKind, Result};

/// Where the bytes come from.
pub trait Channel {
    /// Reads into `buffer`, within the patience; 0 means that the server closed.
    ///
    /// # Errors
    ///
    /// `TimedOut` where the patience is over; any other error means that the connection is lost.
    fn read(&mut self, patience: &mut Patience, buffer: &mut [u8]) -> io::Result<usize>;

    /// Ends both directions.
    fn shutdown(&self);

    /// Told before a read while rows stream: see [`Stream::gather`].
    fn gather(&self) {}
}

impl Channel for Stream {
    fn read(&mut self, patience: &mut Patience, buffer: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut patience.within(self), buffer)
    }

    fn shutdown(&self) {
        Stream::shutdown(self);
    }

    fn gather(&self) {
        Stream::gather(self);
    }
}

/// Told of a message larger than the buffer, again and again while it arrives, with what there is of it and how large
/// it will at least be: go on, or refuse it.
pub type Guard<'a> = dyn FnMut(&[u8], usize) -> Result<()> + 'a;

/// Takes the rows of an export.
pub trait RowSink {
    /// One row, in the buffer it was received in.
    ///
    /// # Errors
    ///
    /// The export is over; its statement is still running.
    fn row(&mut self, row: &[u8]) -> Result<()>;

    /// What a [`Guard`] is told, before the row.
    ///
    /// # Errors
    ///
    /// The row is refused.
    fn arriving(&mut self, have: &[u8], size: usize) -> Result<()>;
}

/// A channel with what was read of it.
pub struct Connection<C> {
    channel: C,
    patience: Patience,
    /// What people know the server as.
    place: String,
    /// All of it is initialised; the unread part is `start..end`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The buffer's size, where no message is larger.
    usual: usize,
    busy: bool,
    streaming: bool,
    broken: bool,
}

impl<C: Channel> Connection<C> {
    /// Over a channel to what people know as `place`. The buffer has `usual` bytes; it grows only for a message that is
    /// larger, and shrinks again.
    pub fn new(channel: C, patience: Patience, place: String, usual: usize) -> Self {
        Self {
            channel,
            patience,
            place,
            buffer: vec![0; usual],
            start: 0,
            end: 0,
            usual,
            busy: false,
            streaming: false,
            broken: false,
        }
    }

    /// What the bytes come from.
    pub const fn channel(&self) -> &C {
        &self.channel
    }

    /// The same, to be changed: compression may begin after the login.
    pub const fn channel_mut(&mut self) -> &mut C {
        &mut self.channel
    }

    /// Limits how long the server may keep us waiting for the answer to each request; None is for ever. Until then,
    /// everything is a part of the login.
    pub fn wait(&mut self, limit: Option<Duration>) {
        self.patience.set(limit);
    }

    /// True once nothing can be sent any more.
    #[inline]
    pub const fn is_broken(&self) -> bool {
        self.broken
    }

    /// True from a request until its answer has been read to its end.
    #[inline]
    pub const fn is_busy(&self) -> bool {
        self.busy
    }

    /// The answer has been read to its end.
    #[inline]
    pub const fn answered(&mut self) {
        self.busy = false;
    }

    /// Rows stream, until the next request.
    #[inline]
    pub const fn streams(&mut self) {
        self.streaming = true;
    }

    /// Nothing can be sent any more: what the server said makes no sense, or it hangs up. Gives `error` back.
    pub fn broken_by(&mut self, error: Error) -> Error {
        self.broken = true;
        error
    }

    /// Gives the connection up.
    pub fn break_off(&mut self) {
        self.broken = true;
        self.channel.shutdown();
    }

    /// Sends a request, or a part of one.
    ///
    /// # Errors
    ///
    /// The connection is broken, or breaks here.
    pub fn send(&mut self, send: impl FnOnce(&mut C) -> io::Result<()>) -> Result<()> {
        if self.broken {
            return Err(Error::connection("the connection is broken"));
        }
        self.busy = true;
        self.streaming = false;
        self.patience.renew();
        send(&mut self.channel).map_err(|error| self.failed(&error))
    }

    /// What has arrived and was not read.
    #[inline]
    pub fn unread(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Reads `skipped` bytes and the `count` after them; where those lie.
    #[inline]
    pub const fn take(&mut self, skipped: usize, count: usize) -> Range<usize> {
        let from = self.start + skipped;
        self.start = from + count;
        from..self.start
    }

    /// Bytes that were read; they are there until the next read.
    #[inline]
    pub fn bytes(&self, place: Range<usize>) -> &[u8] {
        self.buffer.get(place).unwrap_or_default()
    }

    /// Takes bytes out of the middle of what was not read, counted from its beginning: what stands between the parts of
    /// one message.
    pub fn cut(&mut self, piece: Range<usize>) {
        let count = piece.len();
        self.buffer.copy_within(self.start + piece.end..self.end, self.start + piece.start);
        self.end -= count;
    }

    /// Waits for more. `wanted`: the bytes of the message under way, for which room is made bit by bit.
    ///
    /// # Errors
    ///
    /// The connection breaks, or the patience is over. After a `Timeout` the server can still be asked to stop.
    #[cold]
    pub fn fill(&mut self, wanted: usize) -> Result<()> {
        if self.streaming {
            self.channel.gather();
        }
        let mut unread = self.start..self.end;
        let mut from = Within { channel: &mut self.channel, patience: &mut self.patience };
        let filled = fill(&mut self.buffer, &mut unread, wanted, self.usual, &mut from);
        (self.start, self.end) = (unread.start, unread.end);
        filled.map_err(|error| self.failed(&error))
    }

    fn failed(&mut self, error: &io::Error) -> Error {
        let error = self.patience.explain(&self.place, error);
        self.broken |= error.kind() != ErrorKind::Timeout;
        error
    }
}

struct Within<'a, C> {
    channel: &'a mut C,
    patience: &'a mut Patience,
}

impl<C: Channel> io::Read for Within<'_, C> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.channel.read(self.patience, buffer)
    }
}

/// How an answer that nobody wants is ended.
pub trait Protocol {
    /// What the connection is made over.
    type Channel: Channel;

    /// The connection it is spoken on.
    fn connection(&mut self) -> &mut Connection<Self::Channel>;

    /// Asks the server to stop the statement under way.
    ///
    /// # Errors
    ///
    /// The server could not be asked.
    fn cancel(&mut self) -> Result<()>;

    /// Reads what is still on its way, up to the end of the answer.
    ///
    /// # Errors
    ///
    /// The session cannot be used again.
    fn drain(&mut self) -> Result<()>;

    /// Stops the running statement and reads what is still on its way, so that the session can be used again. If the
    /// server keeps us waiting for longer than `limit`, the connection is given up.
    fn abandon(&mut self, limit: Duration) {
        let stopped = !self.connection().is_broken() && self.cancel().is_ok();
        self.connection().wait(Some(limit));
        if !stopped || self.drain().is_err() || self.connection().is_broken() {
            self.connection().break_off();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    use super::*;

    /// Messages of one byte of length and so many bytes; `.` ends an answer.
    struct Dots(Connection<Stream>);

    impl Dots {
        fn next(&mut self) -> Result<Range<usize>> {
            loop {
                let unread = self.0.unread();
                let wanted = 1 + unread.first().map_or(0, |length| usize::from(*length));
                if unread.len() >= wanted && !unread.is_empty() {
                    return Ok(self.0.take(1, wanted - 1));
                }
                self.0.fill(wanted)?;
            }
        }
    }

    impl Protocol for Dots {
        type Channel = Stream;

        fn connection(&mut self) -> &mut Connection<Stream> {
            &mut self.0
        }

        fn cancel(&mut self) -> Result<()> {
            self.0.send(|stream| stream.write_all(b"stop"))
        }

        fn drain(&mut self) -> Result<()> {
            while self.0.is_busy() {
                let message = self.next()?;
                if self.0.bytes(message) == b"." {
                    self.0.answered();
                }
            }
            Ok(())
        }
    }

    fn over(stream: UnixStream) -> Dots {
        Dots(Connection::new(Stream::Unix(stream), Patience::default(), "db:1".to_owned(), 8))
    }

    #[test]
    fn an_abandoned_answer_leaves_the_session_usable() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"\x03abc\x0ca longer one\x01.").unwrap();
        let mut dots = over(ours);
        dots.0.send(|stream| stream.write_all(b"rows")).unwrap();
        let first = dots.next().unwrap();
        assert_eq!((dots.0.bytes(first), dots.0.is_busy()), (&b"abc"[..], true));
        dots.abandon(Duration::from_secs(5));
        assert!(!dots.0.is_busy() && !dots.0.is_broken());
        let mut asked = [0; 8];
        theirs.read_exact(&mut asked).unwrap();
        assert_eq!(&asked, b"rowsstop");
    }

    #[test]
    fn an_answer_without_an_end_is_given_up() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut dots = over(ours);
        dots.0.send(|stream| stream.write_all(b"rows")).unwrap();
        dots.abandon(Duration::from_millis(50));
        assert!(dots.0.is_broken());
        assert_eq!(dots.0.send(|_| Ok(())).unwrap_err().message(), "the connection is broken");
        // Ours is closed, both ways.
        let mut rest = Vec::new();
        theirs.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"rowsstop");
    }

    #[test]
    fn pieces_of_one_message_are_joined_where_they_lie() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"ab--cd").unwrap();
        let mut dots = over(ours);
        while dots.0.unread().len() < 6 {
            dots.0.fill(6).unwrap();
        }
        dots.0.cut(2..4);
        let all = dots.0.take(1, 3);
        assert_eq!((dots.0.bytes(all), dots.0.unread().len()), (&b"bcd"[..], 0));
    }
}
