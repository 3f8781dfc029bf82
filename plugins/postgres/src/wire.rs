//! The PostgreSQL protocol, blocking: messages in a reused buffer, rows parsed where they lie.

mod frames;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::ops::Range;

use bytes::BytesMut;
use postgres_protocol::message::backend::{COPY_DATA_TAG, Message, READY_FOR_QUERY_TAG};
use postgres_protocol::message::frontend;
use rivet_libpq::{Role, Server};
use rivet_sdk::network::{Closer, Patience, Stream, lost, while_connecting};
use rivet_sdk::sql::wire::{Connection, Protocol, RowSink};
use rivet_sdk::{Error, Result};

use crate::chosen;
use crate::connect::{Target, targets};
use crate::error::{ServerMessage, confused};
use crate::message::{ResultColumn, Rows, columns, row};
use crate::options::Endpoint;
use crate::stopper::cancel;

const BUFFER_BYTES: usize = 256 << 10;
/// No answer to a control message is larger; rows of a COPY are bounded by the caller.
const CONTROL_BYTES: usize = 256 << 20;
const HEADER_BYTES: usize = 5;
/// The status between two transactions.
const IDLE: u8 = b'I';
/// The status before the first one.
const LOGGING_IN: u8 = b'?';

/// One connection with a session on it.
pub(crate) struct Wire {
    connection: Connection<Stream>,
    target: Target,
    output: BytesMut,
    /// The message that is being taken apart.
    control: BytesMut,
    parameters: BTreeMap<String, String>,
    key: (i32, i32),
    status: u8,
}

/// A whole message in the buffer: its tag, and where its body lies.
struct Frame {
    tag: u8,
    body: Range<usize>,
}

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
        let place = target.server.display();
        let mut wire = Self {
            connection: Connection::new(stream, patience, place, BUFFER_BYTES),
            target,
            output: BytesMut::new(),
            control: BytesMut::new(),
            parameters: BTreeMap::new(),
            key: (0, 0),
            status: LOGGING_IN,
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
        wire.until_ready(|_| Ok(()))?;
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
        self.connection.channel().closer().map_err(|error| lost(&error))
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
        self.connection.channel().is_private()
    }

    /// `TLSv1.3` and the like; None for plain text.
    pub fn tls_version(&self) -> Option<String> {
        self.connection.channel().tls_version()
    }

    /// True inside a transaction block, failed or not.
    pub fn in_transaction(&self) -> bool {
        self.status != IDLE
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
    /// When `rows` fails the COPY is still running: see [`Protocol::abandon`].
    pub fn copy_out(&mut self, sql: &str, rows: &mut impl RowSink) -> Result<()> {
        log::debug!("{sql}");
        self.parse(sql)?;
        self.execute(0)?;
        self.flush()?;
        let mut failure: Option<Error> = None;
        loop {
            let frame = self.next_after(&failure, &mut |have, size| rows.arriving(have, size))?;
            if frame.tag == COPY_DATA_TAG {
                if failure.is_none() {
                    self.connection.streams();
                    rows.row(self.connection.bytes(frame.body))?;
                }
                continue;
            }
            match self.message(&frame)? {
                Message::ErrorResponse(body) => failure = Some(ServerMessage::of(body.fields()).into_error()),
                Message::ReadyForQuery(body) => return self.ready(body.status(), failure),
                Message::CopyOutResponse(_)
                | Message::CopyDone
                | Message::CommandComplete(_)
                | Message::ParseComplete
                | Message::BindComplete => {}
                other => {
                    if self.asynchronous(other).is_some() {
                        return Err(confused(format!("message `{}` here", char::from(frame.tag))));
                    }
                }
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
        self.until_ready(|message| {
            match message {
                Message::RowDescription(body) => rows = Rows { columns: columns(&body)?, rows: Vec::new() },
                Message::DataRow(body) => rows.rows.push(row(&body)?),
                Message::CopyInResponse(_) | Message::CopyOutResponse(_) => {
                    return Err(confused("a COPY where rows were expected"));
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(rows)
    }

    /// Reads until the server is ready again; an error it reported on the way is returned then.
    fn until_ready(&mut self, mut on_message: impl FnMut(Message) -> Result<()>) -> Result<()> {
        let mut failure: Option<Error> = None;
        loop {
            let frame = self.next_after(&failure, &mut |_, size| match size > CONTROL_BYTES {
                true => Err(confused("a message that is too large")),
                false => Ok(()),
            })?;
            match self.message(&frame)? {
                Message::ErrorResponse(body) => {
                    let error = ServerMessage::of(body.fields()).into_error();
                    if self.status == LOGGING_IN {
                        return Err(self.connection.broken_by(error));
                    }
                    failure = failure.or(Some(error));
                }
                Message::ReadyForQuery(body) => return self.ready(body.status(), failure),
                Message::BackendKeyData(body) => self.key = (body.process_id(), body.secret_key()),
                other => {
                    if let Some(message) = self.asynchronous(other)
                        && let Err(error) = on_message(message)
                    {
                        failure = failure.or(Some(error));
                    }
                }
            }
        }
    }

    fn ready(&mut self, status: u8, failure: Option<Error>) -> Result<()> {
        self.status = status;
        self.connection.answered();
        failure.map_or(Ok(()), Err)
    }

    /// A message that is not a row of a COPY. It is copied: the parser keeps what it reads.
    fn message(&mut self, frame: &Frame) -> Result<Message> {
        self.parsed(frame).map_err(|error| {
            self.connection.broken_by(confused(format!("message `{}`: {error}", char::from(frame.tag))))
        })
    }

    fn parsed(&mut self, frame: &Frame) -> io::Result<Message> {
        self.control.clear();
        self.control.extend_from_slice(self.connection.bytes(frame.body.start - HEADER_BYTES..frame.body.end));
        Message::parse(&mut self.control)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Heeds what the server may say at any time; gives any other message back.
    fn asynchronous(&mut self, message: Message) -> Option<Message> {
        match message {
            Message::ParameterStatus(body) => match (body.name(), body.value()) {
                (Ok(name), Ok(value)) => {
                    self.parameters.insert(name.to_owned(), value.to_owned());
                }
                _ => log::debug!("PostgreSQL sent a parameter that is not UTF-8"),
            },
            Message::NoticeResponse(body) => {
                log::debug!("PostgreSQL notice: {}", ServerMessage::of(body.fields()).message);
            }
            Message::NotificationResponse(_) => {}
            other => return Some(other),
        }
        None
    }

    /// The next message during login, for the authentication exchange, and its tag.
    pub(crate) fn login_message(&mut self) -> Result<(u8, io::Result<Message>)> {
        let frame = self.next(&mut |_, _| Err(confused("a login message that is too large")))?;
        Ok((frame.tag, self.parsed(&frame)))
    }

    /// Sends what `build` puts into the output buffer.
    pub(crate) fn send(&mut self, build: impl FnOnce(&mut BytesMut) -> std::io::Result<()>) -> Result<()> {
        build(&mut self.output).map_err(|_| zero_byte())?;
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        let output = self.output.split();
        self.connection.send(|stream| stream.write_all(&output).and_then(|()| stream.flush()))
    }
}

impl Protocol for Wire {
    type Channel = Stream;

    fn connection(&mut self) -> &mut Connection<Stream> {
        &mut self.connection
    }

    fn cancel(&mut self) -> Result<()> {
        let (target, process, secret) = self.cancel_key();
        cancel(&target, process, secret)
    }

    fn drain(&mut self) -> Result<()> {
        loop {
            let frame = self.next(&mut |_, _| Ok(()))?;
            if frame.tag == READY_FOR_QUERY_TAG {
                let status = self.connection.bytes(frame.body).first().copied();
                return self.ready(status.unwrap_or(IDLE), None);
            }
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if !self.connection.is_broken() {
            self.output.clear();
            frontend::terminate(&mut self.output);
            // A backend counts until its process has ended, and with that the socket.
            if self.flush().is_ok() {
                self.connection.channel().farewell();
            }
        }
    }
}

fn zero_byte() -> Error {
    Error::config("a name or text holds a zero byte, which PostgreSQL cannot take")
}
