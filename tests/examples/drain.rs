//! The bench's floor: what the server and the socket cost when nobody looks at the rows.
//!
//! `drain URL STATEMENT...` runs each statement, a `COPY … TO STDOUT (FORMAT binary)`, in a connection
//! and thread of its own, steps over the messages in a large buffer, and prints rows and bytes.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measuring tool: any failure may end it")]

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
};

use bytes::BytesMut;
use postgres_protocol::{
    authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256},
    message::frontend,
};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().expect("usage: drain URL STATEMENT...");
    let threads: Vec<_> = arguments
        .map(|statement| {
            let mut connection = Connection::open(&url);
            thread::spawn(move || connection.drain(&statement))
        })
        .collect();
    let (mut rows, mut bytes) = (0, 0);
    for thread in threads {
        let drained = thread.join().expect("a stream failed");
        rows += drained.0;
        bytes += drained.1;
    }
    println!("{rows} rows, {bytes} bytes");
}

struct Connection {
    socket: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Connection {
    fn open(url: &str) -> Self {
        let (user, password, address, database) = parts(url);
        let socket = TcpStream::connect(address).expect("connect");
        let mut this = Self { socket, buffer: vec![0; 256 * 1024], start: 0, end: 0 };
        let parameters = [("user", user), ("database", database), ("client_encoding", "UTF8")];
        this.send(|out| frontend::startup_message(parameters, out).unwrap());
        let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        loop {
            let (tag, body) = this.message();
            match (tag, body.get(..4).map(|code| u32::from_be_bytes(code.try_into().unwrap()))) {
                (b'R', Some(10)) => {
                    this.send(|out| frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), out).unwrap());
                }
                (b'R', Some(11)) => {
                    scram.update(&body[4..]).unwrap();
                    this.send(|out| frontend::sasl_response(scram.message(), out).unwrap());
                }
                (b'R', Some(12)) => scram.finish(&body[4..]).unwrap(),
                (b'E', _) => panic!("{}", String::from_utf8_lossy(&body)),
                (b'Z', _) => return this,
                _ => {}
            }
        }
    }

    /// Rows and bytes of one statement.
    fn drain(&mut self, statement: &str) -> (u64, u64) {
        self.send(|out| frontend::query(statement, out).unwrap());
        let (mut rows, mut bytes) = (0, 0);
        loop {
            self.fill(5);
            let tag = self.buffer[self.start];
            let length = self.length() + 1;
            match tag {
                b'd' => {
                    rows += 1;
                    bytes += u64::try_from(length).unwrap();
                    self.skip(length);
                }
                // The file's header and trailer travel as rows do.
                b'Z' => return (rows - 2, bytes),
                b'E' => panic!("{}", String::from_utf8_lossy(&self.message().1)),
                _ => self.skip(length),
            }
        }
    }

    fn send(&mut self, build: impl FnOnce(&mut BytesMut)) {
        let mut out = BytesMut::new();
        build(&mut out);
        self.socket.write_all(&out).unwrap();
    }

    /// One whole message: its tag and body.
    fn message(&mut self) -> (u8, Vec<u8>) {
        self.fill(5);
        let length = self.length() + 1;
        self.fill(length);
        let message = &self.buffer[self.start..self.start + length];
        let taken = (message[0], message[5..].to_vec());
        self.start += length;
        taken
    }

    fn length(&self) -> usize {
        let bytes = &self.buffer[self.start + 1..self.start + 5];
        usize::try_from(u32::from_be_bytes(bytes.try_into().unwrap())).unwrap()
    }

    /// Makes at least `wanted` bytes available at `start`.
    fn fill(&mut self, wanted: usize) {
        if self.start + wanted > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if wanted > self.buffer.len() {
                self.buffer.resize(wanted, 0);
            }
        }
        while self.end - self.start < wanted {
            let read = self.socket.read(&mut self.buffer[self.end..]).unwrap();
            assert!(read > 0, "the server closed the connection");
            self.end += read;
        }
    }

    fn skip(&mut self, mut length: usize) {
        loop {
            let here = (self.end - self.start).min(length);
            self.start += here;
            length -= here;
            if length == 0 {
                return;
            }
            (self.start, self.end) = (0, 0);
            self.end = self.socket.read(&mut self.buffer).unwrap();
            assert!(self.end > 0, "the server closed the connection");
        }
    }
}

/// User, password, host:port and database of `postgresql://user:password@host:port/database`.
fn parts(url: &str) -> (&str, &str, &str, &str) {
    let rest = url.split_once("://").expect("a URL").1;
    let (login, rest) = rest.split_once('@').expect("user:password@");
    let (user, password) = login.split_once(':').expect("user:password");
    let (address, database) = rest.split_once('/').expect("host:port/database");
    (user, password, address, database)
}
