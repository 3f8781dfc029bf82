//! How long a server may keep us waiting: for the whole login, and for the answer to each request.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::{Stream, lost};
use crate::{Error, ErrorKind, Retry};

/// Sockets refuse a limit of nothing.
const LEAST: Duration = Duration::from_millis(1);

/// Counts the time in which we wait for a server, and ends the waiting. The time that we take ourselves does not
/// count: a slow destination is no fault of the source's.
#[derive(Debug, Default)]
pub struct Patience {
    limit: Limit,
    /// What is left for the request under way.
    left: Duration,
    /// Whether the socket has a limit of ours.
    armed: bool,
}

#[derive(Debug, Clone, Copy, Default)]
enum Limit {
    /// Waits for ever; keepalive notices a dead peer.
    #[default]
    None,
    /// So long for each request.
    Each(Duration),
    /// Until this moment, whatever arrives meanwhile; so long in all.
    Until(Instant, Duration),
}

impl Patience {
    /// For a login, from its first byte to its last.
    pub fn for_login(limit: Duration) -> Self {
        Self { limit: Limit::Until(Instant::now() + limit, limit), ..Self::default() }
    }

    /// From now on, so long for each request; None is for ever.
    pub fn set(&mut self, each: Option<Duration>) {
        self.limit = each.map_or(Limit::None, Limit::Each);
        self.renew();
    }

    /// A new request begins.
    pub fn renew(&mut self) {
        if let Limit::Each(limit) = self.limit {
            self.left = limit;
        }
    }

    /// How much longer we wait; None is for ever.
    pub fn left(&self) -> Option<Duration> {
        match self.limit {
            Limit::None => None,
            Limit::Each(_) => Some(self.left),
            Limit::Until(end, _) => Some(end.saturating_duration_since(Instant::now())),
        }
    }

    /// A socket that is read and written within it.
    pub fn over<'a, S>(&'a mut self, socket: &'a S) -> Over<'a, S> {
        Over { socket, patience: self }
    }

    /// A stream that is read within it.
    pub fn within<'a>(&'a mut self, stream: &'a mut Stream) -> Within<'a> {
        Within { stream, patience: self }
    }

    /// What a failed read means: that the patience is over, or that the connection is.
    pub fn explain(&self, place: &str, error: &io::Error) -> Error {
        if !is_timeout(error) {
            return lost(error);
        }
        match self.limit {
            Limit::Until(_, limit) => {
                Error::connection(format!("{place} did not complete the login within {} seconds", limit.as_secs()))
                    .with_hint(
                        "the server, or a proxy before it, took the connection and fell silent; raise \
                         `connect_timeout_s` if logins take long there",
                    )
            }
            Limit::Each(limit) => Error::new(
                ErrorKind::Timeout,
                format!("{place} kept a statement waiting for more than {} s", seconds(limit)),
            )
            .with_retry(Retry::Permanent)
            .with_hint(
                "raise `statement_timeout_s`, or make the chunks smaller; a server that answers nobody hangs, or what \
                 lies before it does",
            ),
            Limit::None => lost(error),
        }
    }

    fn read(&mut self, socket: &impl Limited, read: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
        let Some(left) = self.left() else {
            if std::mem::take(&mut self.armed) {
                socket.limit_reads(None)?;
            }
            return read();
        };
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.limit_reads(Some(left.max(LEAST)))?;
        self.armed = true;
        let began = Instant::now();
        let outcome = read();
        self.left = self.left.saturating_sub(began.elapsed());
        outcome.map_err(|error| if is_timeout(&error) { io::ErrorKind::TimedOut.into() } else { error })
    }
}

/// Whole seconds, or what there is below one.
fn seconds(limit: Duration) -> String {
    if limit.subsec_millis() == 0 { limit.as_secs().to_string() } else { limit.as_secs_f32().to_string() }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

/// A socket whose reads can be limited.
pub trait Limited {
    /// None waits for ever.
    fn limit_reads(&self, limit: Option<Duration>) -> io::Result<()>;
}

impl Limited for TcpStream {
    fn limit_reads(&self, limit: Option<Duration>) -> io::Result<()> {
        self.set_read_timeout(limit)
    }
}

impl Limited for UnixStream {
    fn limit_reads(&self, limit: Option<Duration>) -> io::Result<()> {
        self.set_read_timeout(limit)
    }
}

/// A bare socket, read within a patience.
pub struct Over<'a, S> {
    socket: &'a S,
    patience: &'a mut Patience,
}

impl<'a, S: Limited> Read for Over<'a, S>
where
    &'a S: Read,
{
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut socket = self.socket;
        self.patience.read(self.socket, || socket.read(buffer))
    }
}

impl<'a, S: Limited> Write for Over<'a, S>
where
    &'a S: Write,
{
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut socket = self.socket;
        socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut socket = self.socket;
        socket.flush()
    }
}

/// A stream, plain or under TLS, read within a patience.
pub struct Within<'a> {
    stream: &'a mut Stream,
    patience: &'a mut Patience,
}

impl Read for Within<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.stream {
            Stream::Tcp(socket) => self.patience.over(socket).read(buffer),
            Stream::Unix(socket) => self.patience.over(socket).read(buffer),
            // The limit is below TLS: a record that trickles in is many reads.
            Stream::Tls(stream) => {
                let mut socket = self.patience.over(&stream.sock);
                rustls::Stream::new(&mut stream.conn, &mut socket).read(buffer)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Both ends of a connection.
    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn a_login_ends_at_its_limit_though_bytes_trickle_in() {
        let (client, mut server) = pair();
        let trickle = std::thread::spawn(move || {
            while server.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let mut patience = Patience::for_login(Duration::from_millis(300));
        let error = patience.over(&client).read_exact(&mut [0; 4096]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let told = patience.explain("db:1", &error);
        assert!(told.message().contains("db:1 did not complete the login"), "{told}");
        drop(client);
        trickle.join().unwrap();
    }

    #[test]
    fn our_own_time_does_not_count_and_each_request_has_its_own() {
        let (client, mut server) = pair();
        let mut patience = Patience::default();
        patience.set(Some(Duration::from_millis(200)));
        for _ in 0..3 {
            server.write_all(b"x").unwrap();
            std::thread::sleep(Duration::from_millis(250));
            assert_eq!(patience.over(&client).read(&mut [0]).unwrap(), 1);
        }
        let error = patience.over(&client).read(&mut [0]).unwrap_err();
        assert_eq!(patience.explain("db:1", &error).kind(), ErrorKind::Timeout);
        // It stays over, until there is another request.
        server.write_all(b"x").unwrap();
        assert!(patience.over(&client).read(&mut [0]).is_err());
        patience.renew();
        assert_eq!(patience.over(&client).read(&mut [0]).unwrap(), 1);
    }

    #[test]
    fn a_closed_connection_is_told_as_one() {
        let (client, server) = pair();
        drop(server);
        let mut patience = Patience::for_login(Duration::from_secs(5));
        let error = patience.over(&client).read_exact(&mut [0]).unwrap_err();
        assert!(patience.explain("db:1", &error).message().contains("closed the connection"));
    }
}
