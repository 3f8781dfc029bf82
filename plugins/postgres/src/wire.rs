//! The PostgreSQL protocol, blocking: messages in a reused buffer, rows parsed where they lie.

mod frames;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::Range;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rivet_libpq::{Role, Server};
use rivet_sdk::network::{Closer, Patience, Stream, lost, while_connecting};
use rivet_sdk::{Error, ErrorKind, Result};

use crate::chosen;
use crate::connect::{Target, targets};
use crate::error::{ServerMessage, confused};
use crate::message::{ResultColumn, Rows, backend_key, data_row, row_description};
use crate::options::Endpoint;
use crate::stopper::cancel;

const BUFFER_BYTES: usize = 256 << 10;
/// No answer to a control message is larger; rows of a COPY are bounded by the caller.
const CONTROL_BYTES: usize = 256 << 20;
const HEADER_BYTES: usize = 5;

/// One connection with a session on it.
pub(crate) struct Wire {
    stream: Stream,
    /// Until [`Wire::wait`] says otherwise, that of the login.
    patience: Patience,
    target: Target,
    /// All of it is initialised; the unread part is `start..end`.
    input: Vec<u8>,
    start: usize,
    end: usize,
    output: BytesMut,
    parameters: BTreeMap<String, String>,
    key: (i32, i32),
    status: u8,
    /// True from a request until the server is ready again.
    busy: bool,
    /// True while rows stream, until the next request.
    streaming: bool,
    broken: bool,
}

/// A whole message in the buffer: its tag, and where its body lies.
struct Frame {
    tag: u8,
    body: Range<usize>,
}

/// Takes what a `COPY … TO STDOUT` sends.
pub(crate) trait CopySink {
    /// One CopyData body.
    fn data(&mut self, data: &[u8]) -> Result<()>;
    /// Told of a body larger than the buffer, again and again while it arrives, with what there is
    /// of it and how large it will be: go on, or refuse it.
    fn arriving(&mut self, have: &[u8], size: usize) -> Result<()>;
}

/// As [`CopySink::arriving`].
type Guard<'a> = dyn FnMut(&[u8], usize) -> Result<()> + 'a;

impl Wire {
    /// A session with the first of the endpoint's servers that is as its URL wants it, or with the one that this
    /// process reads from already.
    pub fn open(endpoint: &Endpoint) -> Result<Self> {
        let chosen = chosen::get(endpoint);
        let mut targets = targets(endpoint)?;
        // A stable sort: the others stay in their order.
        targets.sort_by_key(|target| Some(&target.server) != chosen.as_ref());
        let servers: Vec<Server> = targets.iter().map(|target| target.server.clone()).collect();
        let mut taken = None;
        let log_in = |server: &Server| {
            let target = targets.iter().find(|target| target.server == *server);
            let target = target.ok_or_else(|| Error::internal("a server that is not the endpoint's"))?;
            let mut wire = Self::log_in(endpoint, target.clone())
                .map_err(|error| while_connecting(error, &server.display(), "a PostgreSQL server"))?;
            if let Some(chosen) = chosen.as_ref().filter(|chosen| *chosen != server)
                && wire.role()?.standby
            {
                return Err(Error::connection(format!(
                    "{} is a standby, which may be behind {}, from which this process has read",
                    server.display(),
                    chosen.display()
                ))
                .with_hint("wait until the server is back, or start anew: a new run may read from any of them"));
            }
            taken = Some(server.clone());
            Ok(wire)
        };
        let wire = rivet_libpq::connect(&servers, endpoint.wanted, log_in, Self::role)?;
        if let Some(server) = taken {
            chosen::set(endpoint, server);
        }
        Ok(wire)
    }

    fn role(&mut self) -> Result<Role> {
        let answer = self.simple(Role::QUESTION)?;
        let fact = |index: usize| answer.rows.first().and_then(|row| row.get(index)?.as_deref());
        Role::new(fact(0), fact(1))
    }

    fn log_in(endpoint: &Endpoint, mut target: Target) -> Result<Self> {
        let mut patience = Patience::for_login(endpoint.connect_timeout);
        let stream = target.connect(&mut patience)?;
        let mut wire = Self {
            stream,
            patience,
            target,
            input: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
            output: BytesMut::new(),
            parameters: BTreeMap::new(),
            key: (0, 0),
            status: b'?',
            busy: false,
            streaming: false,
            broken: false,
        };
        // `options` is left out: poolers refuse it. client_encoding is one they know.
        let parameters = [
            ("user", endpoint.user.as_str()),
            ("database", endpoint.database.as_str()),
            ("client_encoding", "UTF8"),
            ("application_name", endpoint.application_name.as_str()),
        ];
        frontend::startup_message(parameters, &mut wire.output)
            .map_err(|_| Error::config("user and database names must not hold a zero byte"))?;
        wire.flush()?;
        wire.authenticate(endpoint)?;
        wire.until_ready(|_, _| Ok(()))?;
        if wire.parameters.get("client_encoding").is_none_or(|encoding| encoding != "UTF8") {
            return Err(Error::connection("the server (or a pooler) did not accept client_encoding UTF8"));
        }
        Ok(wire)
    }

    /// What is needed to cancel this session's statement from elsewhere.
    pub fn cancel_key(&self) -> (Target, i32, i32) {
        (self.target.clone(), self.key.0, self.key.1)
    }

    /// What ends the connection from another thread.
    pub fn closer(&self) -> Result<Closer> {
        self.stream.closer().map_err(|error| lost(&error))
    }

    /// Limits how long the server may keep us waiting for the answer to each request; None is for ever.
    pub fn wait(&mut self, limit: Option<Duration>) {
        self.patience.set(limit);
    }

    /// The server process the login answer named.
    pub fn process_id(&self) -> i32 {
        self.key.0
    }

    /// A parameter the server reported, such as `server_version`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// The server that answered.
    pub fn server(&self) -> &Server {
        &self.target.server
    }

    /// Whether nobody between us and the server can listen.
    pub fn is_private(&self) -> bool {
        self.stream.is_private()
    }

    /// `TLSv1.3` and the like; None for plain text.
    pub fn tls_version(&self) -> Option<String> {
        self.stream.tls_version()
    }

    /// True once nothing can be sent any more.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// True while a request has not been answered to its end.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// True inside a transaction block, failed or not.
    pub fn in_transaction(&self) -> bool {
        self.status != b'I'
    }

    /// Runs one or more statements of ours, and gives the rows of the last one that has any.
    pub fn simple(&mut self, sql: &str) -> Result<Rows> {
        log::trace!("{sql}");
        frontend::query(sql, &mut self.output).map_err(|_| zero_byte())?;
        self.collect()
    }

    /// Runs exactly one statement, a user's too: several in one text are refused by the server.
    /// At most `limit` rows are fetched; 0 means all.
    pub fn query(&mut self, sql: &str, limit: i32) -> Result<Rows> {
        log::trace!("{sql}");
        self.parse(sql)?;
        frontend::describe(b'P', "", &mut self.output).map_err(|_| zero_byte())?;
        self.execute(limit)?;
        self.collect()
    }

    /// The columns a statement would return, without running it.
    pub fn describe(&mut self, sql: &str) -> Result<Vec<ResultColumn>> {
        frontend::parse("", sql, [], &mut self.output).map_err(|_| zero_byte())?;
        frontend::describe(b'S', "", &mut self.output).map_err(|_| zero_byte())?;
        frontend::sync(&mut self.output);
        Ok(self.collect()?.columns)
    }

    /// Runs a `COPY … TO STDOUT` and gives every CopyData body to `rows`, in the buffer it was
    /// received in.
    ///
    /// When `rows` fails the COPY is still running: see [`Wire::abandon`].
    pub fn copy_out(&mut self, sql: &str, rows: &mut impl CopySink) -> Result<()> {
        log::debug!("{sql}");
        self.parse(sql)?;
        self.execute(0)?;
        self.flush()?;
        let mut failure: Option<Error> = None;
        loop {
            let frame = self.next_after(&failure, &mut |have, size| rows.arriving(have, size))?;
            let body = self.input.get(frame.body.clone()).unwrap_or_default();
            match frame.tag {
                b'd' if failure.is_none() => {
                    self.streaming = true;
                    rows.data(body)?;
                }
                b'd' | b'H' | b'c' | b'C' | b'1' | b'2' => {}
                b'E' => failure = Some(ServerMessage::parse(body).into_error()),
                b'Z' => {
                    self.status = body.first().copied().unwrap_or(b'I');
                    self.busy = false;
                    return failure.map_or(Ok(()), Err);
                }
                other => self.on_asynchronous(other, frame.body)?,
            }
        }
    }

    /// Stops the running statement and reads what is still on its way, so that the session
    /// can be used again. If that takes longer than `limit`, the connection is given up.
    pub fn abandon(&mut self, limit: Duration) {
        if self.broken || self.drain(limit).is_err() {
            self.broken = true;
            self.stream.shutdown();
        }
    }

    fn drain(&mut self, limit: Duration) -> Result<()> {
        let (target, process, secret) = self.cancel_key();
        cancel(&target, process, secret)?;
        self.patience.set(Some(limit));
        loop {
            let frame = self.next(&mut |_, _| Ok(()))?;
            if frame.tag == b'Z' {
                self.status = self.input.get(frame.body.start).copied().unwrap_or(b'I');
                self.busy = false;
                return Ok(());
            }
        }
    }

    fn parse(&mut self, sql: &str) -> Result<()> {
        frontend::parse("", sql, [], &mut self.output).map_err(|_| zero_byte())?;
        let none = std::iter::empty::<i16>();
        let values = std::iter::empty::<()>();
        let bound = frontend::bind(
            "",
            "",
            none.clone(),
            values,
            |(), _| Ok(postgres_protocol::IsNull::Yes),
            none,
            &mut self.output,
        );
        bound.map_err(|_| Error::internal("a Bind message could not be built"))
    }

    fn execute(&mut self, limit: i32) -> Result<()> {
        frontend::execute("", limit, &mut self.output).map_err(|_| zero_byte())?;
        frontend::sync(&mut self.output);
        Ok(())
    }

    fn collect(&mut self) -> Result<Rows> {
        self.flush()?;
        let mut rows = Rows::default();
        self.until_ready(|tag, body| {
            match tag {
                b'T' => rows = Rows { columns: row_description(body)?, rows: Vec::new() },
                b'D' => rows.rows.push(data_row(body)?),
                b'G' | b'H' => return Err(confused("a COPY where rows were expected")),
                _ => {}
            }
            Ok(())
        })?;
        Ok(rows)
    }

    /// Reads until the server is ready again; an error it reported on the way is returned then.
    fn until_ready(&mut self, mut on_message: impl FnMut(u8, &[u8]) -> Result<()>) -> Result<()> {
        let mut failure: Option<Error> = None;
        loop {
            let frame = self.next_after(&failure, &mut |_, size| match size > CONTROL_BYTES {
                true => Err(confused("a message that is too large")),
                false => Ok(()),
            })?;
            let body = self.input.get(frame.body.clone()).unwrap_or_default();
            match frame.tag {
                b'E' => {
                    let error = ServerMessage::parse(body).into_error();
                    if self.status == b'?' {
                        self.broken = true;
                        return Err(error);
                    }
                    failure = failure.or(Some(error));
                }
                b'Z' => {
                    self.status = body.first().copied().unwrap_or(b'I');
                    self.busy = false;
                    return failure.map_or(Ok(()), Err);
                }
                b'K' => self.key = backend_key(body)?,
                b'S' | b'N' | b'A' => self.on_asynchronous(frame.tag, frame.body)?,
                tag => {
                    if let Err(error) = on_message(tag, body) {
                        failure = failure.or(Some(error));
                    }
                }
            }
        }
    }

    fn on_asynchronous(&mut self, tag: u8, body: Range<usize>) -> Result<()> {
        let body = self.input.get(body).unwrap_or_default();
        match tag {
            b'S' => {
                let mut texts = body.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
                if let (Some(name), Some(value)) = (texts.next(), texts.next()) {
                    self.parameters.insert(name, value);
                }
            }
            b'N' => log::debug!("PostgreSQL notice: {}", ServerMessage::parse(body).message),
            b'A' => {}
            other => return Err(confused(format!("message `{}` here", char::from(other)))),
        }
        Ok(())
    }

    /// The next message during login, for the authentication exchange.
    pub(crate) fn login_message(&mut self) -> Result<(u8, Vec<u8>)> {
        let frame = self.next(&mut |_, _| Err(confused("a login message that is too large")))?;
        let body = self.input.get(frame.body).unwrap_or_default().to_vec();
        Ok((frame.tag, body))
    }

    /// Sends what `build` puts into the output buffer.
    pub(crate) fn send(&mut self, build: impl FnOnce(&mut BytesMut) -> std::io::Result<()>) -> Result<()> {
        build(&mut self.output).map_err(|_| zero_byte())?;
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        if self.broken {
            return Err(Error::connection("the connection is broken"));
        }
        self.busy = true;
        self.streaming = false;
        self.patience.renew();
        let sent = self.stream.write_all(&self.output).and_then(|()| self.stream.flush());
        self.output.clear();
        sent.map_err(|error| self.fail(&error))
    }

    /// A server that only takes too long can still be asked to stop.
    fn fail(&mut self, error: &std::io::Error) -> Error {
        let error = self.patience.explain(&self.server().display(), error);
        self.broken |= error.kind() != ErrorKind::Timeout;
        error
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if !self.broken {
            self.output.clear();
            frontend::terminate(&mut self.output);
            // A backend counts until its process has ended, and with that the socket.
            if self.flush().is_ok() {
                self.stream.farewell();
            }
        }
    }
}

fn zero_byte() -> Error {
    Error::config("a name or text holds a zero byte, which PostgreSQL cannot take")
}
