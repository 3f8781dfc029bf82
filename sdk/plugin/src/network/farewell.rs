//! The end of a connection, seen from both sides.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use super::Stream;

/// How long a server may take to close its side.
const FAREWELL: Duration = Duration::from_secs(2);

impl Stream {
    /// After the last word to a server: waits a moment until it has closed its side. From then on it no longer counts
    /// the connection, and who may have one only can open the next.
    pub fn farewell(&self) {
        let until = Instant::now() + FAREWELL;
        let mut rest = [0; 4096];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            // What still arrives is of no use to anybody, sealed or not.
            match self.read_raw(&mut rest, left) {
                Ok(1..) if !left.is_zero() => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => return,
            }
        }
    }

    fn read_raw(&self, buffer: &mut [u8], limit: Duration) -> io::Result<usize> {
        let limit = Some(limit.max(Duration::from_millis(1)));
        match self {
            Self::Tcp(socket) => {
                socket.set_read_timeout(limit)?;
                (&*socket).read(buffer)
            }
            Self::Unix(socket) => {
                socket.set_read_timeout(limit)?;
                (&*socket).read(buffer)
            }
            Self::Tls(stream) => {
                stream.sock.set_read_timeout(limit)?;
                (&stream.sock).read(buffer)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_farewell_ends_when_the_other_side_has_gone() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let server = std::thread::spawn(move || {
            theirs.write_all(b"a last word").unwrap();
            std::thread::sleep(Duration::from_millis(100));
            // Read before: the other side may be through before this thread goes on.
            let closing = Instant::now();
            drop(theirs);
            closing
        });
        let stream = Stream::Unix(ours);
        stream.farewell();
        assert!(Instant::now() >= server.join().unwrap());
    }
}
