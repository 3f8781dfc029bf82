//! The MySQL protocol, blocking: packets in a reused buffer, rows parsed where they lie.

mod frames;

use std::ops::Range;
use std::time::Duration;

use rivet_sdk::cursor::{Cursor, ReadNumbers as _};
use rivet_sdk::network::{Closer, Patience, lost};
use rivet_sdk::sql::session::several_rows;
use rivet_sdk::{Error, ErrorKind, Result};

use crate::compress::Channel;
use crate::connect::{Connected, connect};
use crate::error::{ServerMessage, confused};
use crate::options::Endpoint;
use crate::packet::{Greeting, LengthEncoded as _, ResultColumn, Rows, capability, text_row};
use crate::stopper::kill;

const BUFFER_BYTES: usize = 256 << 10;
/// No answer to a question of the planner's is larger; rows of an export are bounded by the caller.
const CONTROL_BYTES: usize = 256 << 20;
const HEADER_BYTES: usize = 4;
/// A packet of this length is continued by the next one.
const FULL: usize = 0xFF_FFFF;

/// What an answer begins with that is neither an end nor an error.
const COUNT: &str = "the number of columns";

const COM_QUIT: u8 = 0x01;
const COM_QUERY: u8 = 0x03;
const COM_FIELD_LIST: u8 = 0x04;
const COM_STMT_PREPARE: u8 = 0x16;
const COM_STMT_EXECUTE: u8 = 0x17;
const COM_STMT_CLOSE: u8 = 0x19;

/// One connection with a session on it.
pub(crate) struct Wire {
    stream: Channel,
    endpoint: Endpoint,
    greeting: Greeting,
    capabilities: u32,
    /// All of it is initialised; the unread part is `start..end`.
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// The number of the next packet, in either direction.
    sequence: u8,
    /// True from a request until its answer has been read to its end.
    busy: bool,
    /// True while rows stream, until the next request.
    streaming: bool,
    broken: bool,
    /// The longest request that the server takes.
    longest: usize,
}

/// A statement the server has parsed.
#[derive(Debug)]
pub(crate) struct Statement {
    id: u32,
    pub parameters: u16,
    pub columns: Vec<ResultColumn>,
}

/// Told of a row larger than the buffer, with what has arrived of it and how large it will at
/// least be: go on, or refuse it.
pub(crate) type Guard<'a> = dyn FnMut(&[u8], usize) -> Result<()> + 'a;

/// Takes the rows of a prepared statement.
pub(crate) trait RowSink {
    /// One row.
    fn row(&mut self, row: &[u8]) -> Result<()>;
    /// What a [`Guard`] is told, before the row.
    fn arriving(&mut self, have: &[u8], size: usize) -> Result<()>;
}

impl Wire {
    /// Connects and logs in. Until [`Wire::wait`] says otherwise, all that follows is a part of the login's time.
    pub fn open(endpoint: &Endpoint) -> Result<Self> {
        Self::open_within(endpoint, endpoint.connect_timeout)
    }

    /// The same within another limit than the endpoint's.
    pub fn open_within(endpoint: &Endpoint, limit: Duration) -> Result<Self> {
        let mut patience = Patience::for_login(limit);
        let Connected { stream, greeting, sequence } = connect(endpoint, &mut patience)?;
        let mut wire = Self {
            stream: Channel::new(stream, patience),
            endpoint: endpoint.clone(),
            greeting,
            capabilities: 0,
            input: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
            sequence,
            busy: false,
            streaming: false,
            broken: false,
            longest: usize::MAX,
        };
        let greeting = wire.greeting.clone();
        let opened = wire.authenticate(endpoint, &greeting);
        wire.busy = false;
        wire.capabilities = opened.inspect_err(|_| wire.broken = true)?;
        wire.stream.compress(endpoint.compression).map_err(|error| lost(&error))?;
        Ok(wire)
    }

    /// Limits how long the server may keep us waiting for the answer to each request; None is for ever.
    pub fn wait(&mut self, limit: Option<Duration>) {
        self.stream.patience.set(limit);
    }

    /// What ends the connection from another thread.
    pub fn closer(&self) -> Result<Closer> {
        self.stream.stream().closer().map_err(|error| lost(&error))
    }

    /// The number by which KILL knows this session.
    pub fn thread(&self) -> u32 {
        self.greeting.thread
    }

    /// The server's `max_allowed_packet`: it hangs up on a longer request, and its word on that is
    /// easily lost with the connection.
    pub fn take_at_most(&mut self, bytes: usize) {
        self.longest = bytes;
    }

    /// What the server greeted with: `9.7.4`, `5.5.5-10.11.14-MariaDB`.
    pub fn version(&self) -> &str {
        &self.greeting.version
    }

    /// `TLSv1.3` and the like; None for plain text.
    pub fn tls_version(&self) -> Option<String> {
        self.stream.stream().tls_version()
    }

    /// Whether nobody between us and the server can listen.
    pub fn is_private(&self) -> bool {
        self.stream.stream().is_private()
    }

    /// True once nothing can be sent any more.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// True while a request has not been answered to its end.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Runs one statement, and gives its rows as texts.
    pub fn query(&mut self, sql: &str) -> Result<Rows> {
        self.query_up_to(sql, usize::MAX)
    }

    /// As [`Wire::query`], but fails at the second row.
    pub fn query_one(&mut self, sql: &str) -> Result<Rows> {
        self.query_up_to(sql, 1)
    }

    fn query_up_to(&mut self, sql: &str, limit: usize) -> Result<Rows> {
        log::trace!("{sql}");
        self.command(COM_QUERY, sql.as_bytes())?;
        let head = self.answer(&mut control)?;
        match self.body(&head).first() {
            Some(0x00) => {
                self.busy = false;
                return Ok(Rows::default());
            }
            Some(0xFB) => {
                self.broken = true;
                return Err(confused("it asks for a file of this machine"));
            }
            _ => {}
        }
        let count = self.count(&head)?;
        let columns = self.columns(count)?;
        let mut rows = Vec::new();
        let mut failure = None;
        loop {
            let row = self.answer(&mut control)?;
            if self.is_end(&row) {
                self.busy = false;
                return failure.map_or(Ok(Rows { columns, rows }), Err);
            }
            if failure.is_some() {
                continue;
            }
            if rows.len() >= limit {
                return Err(several_rows());
            }
            match text_row(self.body(&row), columns.len()) {
                Ok(row) => rows.push(row),
                Err(error) => failure = Some(error),
            }
        }
    }

    /// The columns of a table or view of the session's database, those that the login may not read as well.
    pub fn field_list(&mut self, table: &str) -> Result<Vec<ResultColumn>> {
        let mut request = table.as_bytes().to_vec();
        request.push(0);
        self.command(COM_FIELD_LIST, &request)?;
        let extended = self.greeting.extended & capability::MARIADB_EXTENDED_METADATA != 0;
        let mut columns = Vec::new();
        loop {
            let definition = self.answer(&mut control)?;
            if self.is_end(&definition) {
                self.busy = false;
                return Ok(columns);
            }
            let parsed = ResultColumn::parse(self.body(&definition), extended);
            columns.push(parsed.inspect_err(|_| self.broken = true)?);
        }
    }

    /// Has the server parse one statement. The columns are those it will return; none means
    /// that it is not a SELECT.
    pub fn prepare(&mut self, sql: &str) -> Result<Statement> {
        log::debug!("{sql}");
        self.command(COM_STMT_PREPARE, sql.as_bytes())?;
        let head = self.answer(&mut control)?;
        let mut parts = Cursor::new(self.body(&head));
        let fields = (parts.u8(), parts.u32_le(), parts.u16_le(), parts.u16_le());
        let (Ok(0), Ok(id), Ok(columns), Ok(parameters)) = fields else {
            return Err(self.garbled("the answer to a PREPARE"));
        };
        if parameters > 0 {
            self.columns(parameters.into())?;
        }
        let columns = if columns > 0 { self.columns(columns.into())? } else { Vec::new() };
        self.busy = false;
        Ok(Statement { id, parameters, columns })
    }

    /// Frees a statement. The server does not answer.
    pub fn close(&mut self, statement: &Statement) -> Result<()> {
        if self.broken || self.busy {
            return Ok(());
        }
        self.command(COM_STMT_CLOSE, &statement.id.to_le_bytes())?;
        self.busy = false;
        Ok(())
    }

    /// Runs a prepared statement and gives every binary row to `sink`, in the buffer it was
    /// received in, after its columns to `on_columns`.
    ///
    /// When `sink` or `on_columns` fails the statement is still running: see [`Wire::abandon`].
    pub fn execute(
        &mut self,
        statement: &Statement,
        on_columns: impl FnOnce(&[ResultColumn]) -> Result<()>,
        sink: &mut impl RowSink,
    ) -> Result<()> {
        let mut request = statement.id.to_le_bytes().to_vec();
        // No cursor: the server sends as fast as we read. One iteration, as ever.
        request.extend([0, 1, 0, 0, 0]);
        self.command(COM_STMT_EXECUTE, &request)?;
        let head = self.answer(&mut control)?;
        let columns = match self.count(&head)? {
            0 => return Err(self.garbled(COUNT)),
            count => self.columns(count)?,
        };
        on_columns(&columns)?;
        loop {
            let row = self.answer(&mut |have, size| sink.arriving(have, size))?;
            let body = self.input.get(row.clone()).unwrap_or_default();
            match body.first() {
                Some(0x00) => {
                    self.streaming = true;
                    sink.row(body)?;
                }
                Some(0xFE) => {
                    self.busy = false;
                    return Ok(());
                }
                _ => return Err(self.garbled("a row")),
            }
        }
    }

    /// Stops the running statement and reads what is still on its way, so that the session
    /// can be used again. If that takes longer than `limit`, the connection is given up.
    pub fn abandon(&mut self, limit: Duration) {
        if self.broken || self.drain(limit).is_err() {
            self.broken = true;
            self.stream.stream().shutdown();
        }
    }

    fn drain(&mut self, limit: Duration) -> Result<()> {
        kill(&self.endpoint, self.thread())?;
        self.wait(Some(limit));
        while self.busy {
            match self.answer(&mut |_, _| Ok(())) {
                Ok(packet) if self.is_end(&packet) => self.busy = false,
                Ok(_) => {}
                Err(error) if self.busy => return Err(error),
                Err(_) => {}
            }
        }
        // The KILL may have come too late and hit the next statement: let it hit this one.
        let _ = self.query("DO 0");
        if self.broken { Err(Error::connection("the connection is broken")) } else { Ok(()) }
    }

    /// How many columns an answer has.
    fn count(&mut self, head: &Range<usize>) -> Result<usize> {
        let count = Cursor::new(self.body(head)).length().map(usize::try_from);
        let Ok(Ok(count)) = count else { return Err(self.garbled(COUNT)) };
        Ok(count)
    }

    fn columns(&mut self, count: usize) -> Result<Vec<ResultColumn>> {
        let extended = self.greeting.extended & capability::MARIADB_EXTENDED_METADATA != 0;
        let mut columns = Vec::with_capacity(count.min(4096));
        for _ in 0..count {
            let definition = self.answer(&mut control)?;
            let parsed = ResultColumn::parse(self.body(&definition), extended);
            columns.push(parsed.inspect_err(|_| self.broken = true)?);
        }
        if self.capabilities & capability::DEPRECATE_EOF == 0 {
            let end = self.answer(&mut control)?;
            if !self.is_end(&end) {
                return Err(self.garbled("the end of the columns"));
            }
        }
        Ok(columns)
    }

    fn body(&self, packet: &Range<usize>) -> &[u8] {
        self.input.get(packet.clone()).unwrap_or_default()
    }

    /// Whether a packet ends rows or columns; a text row may begin with the same byte, but is
    /// then far longer.
    fn is_end(&self, packet: &Range<usize>) -> bool {
        let longest = if self.capabilities & capability::DEPRECATE_EOF == 0 { 9 } else { FULL };
        self.body(packet).first() == Some(&0xFE) && packet.len() < longest
    }

    fn garbled(&mut self, what: &str) -> Error {
        self.broken = true;
        confused(what)
    }

    /// The next packet during login.
    pub(crate) fn login_message(&mut self) -> Result<Vec<u8>> {
        let packet = self.next(&mut |_, _| Err(confused("a login packet that is too large")))?;
        Ok(self.body(&packet).to_vec())
    }

    /// Sends a packet of the login.
    pub(crate) fn send_login(&mut self, body: &[u8]) -> Result<()> {
        self.send(&[], body)
    }

    fn command(&mut self, command: u8, body: &[u8]) -> Result<()> {
        if body.len() + 1 >= self.longest {
            let (long, most) = (body.len(), self.longest);
            let message = format!("the statement has {long} bytes, and the server's max_allowed_packet is {most}");
            return Err(ServerMessage { code: 1153, message }.into_error());
        }
        self.sequence = 0;
        self.streaming = false;
        self.send(&[command], body)
    }

    fn send(&mut self, head: &[u8], body: &[u8]) -> Result<()> {
        if self.broken {
            return Err(Error::connection("the connection is broken"));
        }
        let first = self.sequence == 0;
        let mut output = Vec::with_capacity(HEADER_BYTES + head.len() + body.len());
        let whole = [head, body].concat();
        let mut chunks: Vec<&[u8]> = whole.chunks(FULL).collect();
        if whole.len().is_multiple_of(FULL) {
            chunks.push(&[]);
        }
        for chunk in chunks {
            let [a, b, c, _] = u32::try_from(chunk.len()).unwrap_or(0).to_le_bytes();
            output.extend([a, b, c, self.sequence]);
            output.extend_from_slice(chunk);
            self.sequence = self.sequence.wrapping_add(1);
        }
        self.busy = true;
        self.stream.patience.renew();
        self.stream.send(&output, first).map_err(|error| self.fail(&error))
    }

    /// A server that only takes too long can still be asked to stop.
    fn fail(&mut self, error: &std::io::Error) -> Error {
        let error = self.stream.patience.explain(&self.endpoint.display(), error);
        self.broken |= error.kind() != ErrorKind::Timeout;
        error
    }

    /// The next packet of an answer; an error of the server ends the answer.
    #[inline]
    fn answer(&mut self, guard: &mut Guard<'_>) -> Result<Range<usize>> {
        let packet = self.next(guard)?;
        if self.input.get(packet.start) == Some(&0xFF) && !packet.is_empty() {
            self.busy = false;
            let message = ServerMessage::parse(self.body(&packet));
            // After these the server hangs up.
            self.broken |= matches!(message.code, 1053 | 1077 | 1079 | 1927 | 3169 | 4031);
            return Err(message.into_error());
        }
        Ok(packet)
    }
}

/// The guard of every answer that is not an export's row.
fn control(_: &[u8], size: usize) -> Result<()> {
    if size > CONTROL_BYTES { Err(confused("a packet that is too large")) } else { Ok(()) }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if !self.broken && !self.busy {
            // The server notices a closed socket too, and counts the session until then.
            if self.command(COM_QUIT, &[]).is_ok() {
                self.stream.stream().farewell();
            }
        }
    }
}
