//! The MySQL protocol, blocking: packets in a reused buffer, rows parsed where they lie.

mod frames;

use std::ops::Range;
use std::time::Duration;

use mysql_common::constants::CapabilityFlags;
use mysql_common::io::ParseBuf;
use mysql_common::packets::StmtPacket;
use rivet_sdk::cursor::Cursor;
use rivet_sdk::network::{Closer, Patience, lost};
use rivet_sdk::sql::session::several_rows;
use rivet_sdk::sql::wire::{Connection, Guard, Protocol, RowSink};
use rivet_sdk::{Error, Result};

use crate::compress::Channel;
use crate::connect::{Connected, connect};
use crate::error::{ServerMessage, confused};
use crate::options::Endpoint;
use crate::packet::{Greeting, LengthEncoded as _, ResultColumn, Rows, text_row};
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
    connection: Connection<Channel>,
    endpoint: Endpoint,
    greeting: Greeting,
    capabilities: CapabilityFlags,
    /// The number of the next packet, in either direction.
    sequence: u8,
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

impl Wire {
    /// Connects and logs in. Until [`Connection::wait`] says otherwise, all that follows is a part of the login's time.
    pub fn open(endpoint: &Endpoint) -> Result<Self> {
        Self::open_within(endpoint, endpoint.connect_timeout)
    }

    /// The same within another limit than the endpoint's.
    pub fn open_within(endpoint: &Endpoint, limit: Duration) -> Result<Self> {
        let mut patience = Patience::for_login(limit);
        let Connected { stream, greeting, sequence } = connect(endpoint, &mut patience)?;
        let mut wire = Self {
            connection: Connection::new(Channel::new(stream), patience, endpoint.display(), BUFFER_BYTES),
            endpoint: endpoint.clone(),
            greeting,
            capabilities: CapabilityFlags::empty(),
            sequence,
            longest: usize::MAX,
        };
        let greeting = wire.greeting.clone();
        let opened = wire.authenticate(endpoint, &greeting);
        wire.connection.answered();
        wire.capabilities = opened.map_err(|error| wire.connection.broken_by(error))?;
        wire.connection.channel_mut().compress(endpoint.compression).map_err(|error| lost(&error))?;
        Ok(wire)
    }

    /// What ends the connection from another thread.
    pub fn closer(&self) -> Result<Closer> {
        self.connection.channel().stream().closer().map_err(|error| lost(&error))
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
        self.connection.channel().stream().tls_version()
    }

    /// Whether nobody between us and the server can listen.
    pub fn is_private(&self) -> bool {
        self.connection.channel().stream().is_private()
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
                self.connection.answered();
                return Ok(Rows::default());
            }
            Some(0xFB) => {
                return Err(self.garbled("it asks for a file of this machine"));
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
                self.connection.answered();
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
        let extended = self.greeting.extends_metadata();
        let mut columns = Vec::new();
        loop {
            let definition = self.answer(&mut control)?;
            if self.is_end(&definition) {
                self.connection.answered();
                return Ok(columns);
            }
            let parsed = ResultColumn::parse(self.body(&definition), extended);
            columns.push(parsed.map_err(|error| self.connection.broken_by(error))?);
        }
    }

    /// Has the server parse one statement. The columns are those it will return; none means
    /// that it is not a SELECT.
    pub fn prepare(&mut self, sql: &str) -> Result<Statement> {
        log::debug!("{sql}");
        self.command(COM_STMT_PREPARE, sql.as_bytes())?;
        let head = self.answer(&mut control)?;
        let Ok(prepared) = ParseBuf(self.body(&head)).parse::<StmtPacket>(()) else {
            return Err(self.garbled("the answer to a PREPARE"));
        };
        let (id, columns, parameters) = (prepared.statement_id(), prepared.num_columns(), prepared.num_params());
        if parameters > 0 {
            self.columns(parameters.into())?;
        }
        let columns = if columns > 0 { self.columns(columns.into())? } else { Vec::new() };
        self.connection.answered();
        Ok(Statement { id, parameters, columns })
    }

    /// Frees a statement. The server does not answer.
    pub fn close(&mut self, statement: &Statement) -> Result<()> {
        if self.connection.is_broken() || self.connection.is_busy() {
            return Ok(());
        }
        self.command(COM_STMT_CLOSE, &statement.id.to_le_bytes())?;
        self.connection.answered();
        Ok(())
    }

    /// Runs a prepared statement and gives every binary row to `sink`, in the buffer it was
    /// received in, after its columns to `on_columns`.
    ///
    /// When `sink` or `on_columns` fails the statement is still running: see [`Protocol::abandon`].
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
            match self.body(&row).first() {
                Some(0x00) => {
                    self.connection.streams();
                    sink.row(self.body(&row))?;
                }
                Some(0xFE) => {
                    self.connection.answered();
                    return Ok(());
                }
                _ => return Err(self.garbled("a row")),
            }
        }
    }

    /// How many columns an answer has.
    fn count(&mut self, head: &Range<usize>) -> Result<usize> {
        let count = Cursor::new(self.body(head)).length().map(usize::try_from);
        let Ok(Ok(count)) = count else { return Err(self.garbled(COUNT)) };
        Ok(count)
    }

    fn columns(&mut self, count: usize) -> Result<Vec<ResultColumn>> {
        let extended = self.greeting.extends_metadata();
        let mut columns = Vec::with_capacity(count.min(4096));
        for _ in 0..count {
            let definition = self.answer(&mut control)?;
            let parsed = ResultColumn::parse(self.body(&definition), extended);
            columns.push(parsed.map_err(|error| self.connection.broken_by(error))?);
        }
        if !self.capabilities.contains(CapabilityFlags::CLIENT_DEPRECATE_EOF) {
            let end = self.answer(&mut control)?;
            if !self.is_end(&end) {
                return Err(self.garbled("the end of the columns"));
            }
        }
        Ok(columns)
    }

    fn body(&self, packet: &Range<usize>) -> &[u8] {
        self.connection.bytes(packet.clone())
    }

    /// Whether a packet ends rows or columns; a text row may begin with the same byte, but is
    /// then far longer.
    fn is_end(&self, packet: &Range<usize>) -> bool {
        let longest = if !self.capabilities.contains(CapabilityFlags::CLIENT_DEPRECATE_EOF) { 9 } else { FULL };
        self.body(packet).first() == Some(&0xFE) && packet.len() < longest
    }

    fn garbled(&mut self, what: &str) -> Error {
        self.connection.broken_by(confused(what))
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
        self.send(&[command], body)
    }

    fn send(&mut self, head: &[u8], body: &[u8]) -> Result<()> {
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
        self.connection.send(|channel| channel.send(&output, first))
    }

    /// The next packet of an answer; an error of the server ends the answer.
    #[inline]
    fn answer(&mut self, guard: &mut Guard<'_>) -> Result<Range<usize>> {
        let packet = self.next(guard)?;
        if self.body(&packet).first() == Some(&0xFF) {
            self.connection.answered();
            let message = ServerMessage::parse(self.body(&packet));
            return Err(match message.code {
                // After these the server hangs up.
                1053 | 1077 | 1079 | 1927 | 3169 | 4031 => self.connection.broken_by(message.into_error()),
                _ => message.into_error(),
            });
        }
        Ok(packet)
    }
}

impl Protocol for Wire {
    type Channel = Channel;

    fn connection(&mut self) -> &mut Connection<Channel> {
        &mut self.connection
    }

    fn cancel(&mut self) -> Result<()> {
        kill(&self.endpoint, self.thread())
    }

    fn drain(&mut self) -> Result<()> {
        while self.connection.is_busy() {
            match self.answer(&mut |_, _| Ok(())) {
                Ok(packet) if self.is_end(&packet) => self.connection.answered(),
                Ok(_) => {}
                Err(error) if self.connection.is_busy() => return Err(error),
                Err(_) => {}
            }
        }
        // The KILL may have come too late and hit the next statement: let it hit this one.
        let _ = self.query("DO 0");
        Ok(())
    }
}

/// The guard of every answer that is not an export's row.
fn control(_: &[u8], size: usize) -> Result<()> {
    if size > CONTROL_BYTES { Err(confused("a packet that is too large")) } else { Ok(()) }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if !self.connection.is_broken() && !self.connection.is_busy() {
            // The server notices a closed socket too, and counts the session until then.
            if self.command(COM_QUIT, &[]).is_ok() {
                self.connection.channel().stream().farewell();
            }
        }
    }
}
