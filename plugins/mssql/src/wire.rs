//! TDS, blocking: the login, batches, and the tokens and values of their answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rivet_sdk::cursor::{Cursor, ReadNumbers as _, Short};
use rivet_sdk::network::Patience;
use rivet_sdk::sql::session::Stoppable as _;
use rivet_sdk::{Error, ErrorKind, Result, Scalar};

use crate::connect::connect;
use crate::error::{ServerMessage, confused};
use crate::link::Link;
use crate::login::login;
use crate::meta::{self, ResultColumn};
use crate::options::Endpoint;
use crate::packet::{self, lossy_utf16};
use crate::stream::Stream;

mod cells;

/// The most a value of an ordinary answer may have; rows of an export are bounded by the caller.
const CONTROL_BYTES: usize = 64 << 20;
/// An Azure gateway sends a login on to the node that has the database; once, as a rule.
const MAX_ROUTES: usize = 5;

/// What an error says of a server that did not answer the login itself.
const LOGIN: &str = "login at";

/// One connection with a session on it.
pub(crate) struct Wire {
    stream: Stream,
    /// True from a request until its answer has been read.
    busy: bool,
    version: [u8; 4],
    route: Option<(String, u16)>,
    /// What is left of the piece being read of a value in pieces.
    piece_left: usize,
}

/// The rows of a small answer.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub columns: Vec<ResultColumn>,
    pub rows: Vec<Vec<Scalar>>,
}

/// What comes next in an answer.
#[derive(Debug)]
pub(crate) enum Token {
    Columns(Vec<ResultColumn>),
    Row,
    /// A row that begins with a bit per column, set where it is NULL.
    SparseRow,
    /// A statement ended; true once the whole answer has.
    Done(bool),
}

/// A value in a row.
pub(crate) enum Cell<'a> {
    Null,
    Value(&'a [u8]),
    /// It follows in pieces; its length, if the server said it.
    Pieces(Option<u64>),
}

impl Wire {
    /// Connects and logs in. A relative of SQL Server that hangs up on the list of features gets a login without. Until
    /// [`Wire::set_patience`] says otherwise, all that follows is a part of the login's time.
    pub fn open(endpoint: &Endpoint) -> Result<Self> {
        let began = Instant::now();
        let left = || endpoint.connect_timeout.checked_sub(began.elapsed());
        match Self::log_in(endpoint, true, endpoint.connect_timeout) {
            Err(error)
                if error.kind() == ErrorKind::Connection && error.context().iter().any(|(at, _)| at == LOGIN) =>
            {
                // One that stayed silent has had all of the time.
                let Some(left) = left() else { return Err(error) };
                rivet_sdk::log::debug!("logging in again, without features: {error}");
                Self::log_in(endpoint, false, left)
            }
            opened => opened,
        }
    }

    fn log_in(endpoint: &Endpoint, features: bool, limit: Duration) -> Result<Self> {
        let mut target = (endpoint.host.clone(), endpoint.port);
        for _ in 0..MAX_ROUTES {
            let mut patience = Patience::for_login(limit);
            let link = connect(endpoint, &target.0, target.1, &mut patience)?;
            let mut wire = Self::over(link, patience, endpoint.display());
            wire.send(packet::kind::LOGIN, &login(endpoint, &target.0, features)?)?;
            let outcome = wire.finish(|_, _| Ok(()));
            if let Err(error) = outcome {
                wire.stream.broken = true;
                // What the server says has a number.
                return Err(if error.code().is_some() { error } else { error.with_context(LOGIN, endpoint.display()) });
            }
            match wire.route.take() {
                Some((host, port)) => target = (host, Some(port)),
                None => return Ok(wire),
            }
        }
        Err(Error::connection("the server sent the login from one address to another without an end"))
    }

    fn over(link: Link, patience: Patience, place: String) -> Self {
        Self { stream: Stream::new(link, patience, place), busy: false, version: [0; 4], route: None, piece_left: 0 }
    }

    /// The socket, to stop this session's statement from another thread.
    pub fn link(&self) -> Arc<Link> {
        Arc::clone(&self.stream.link)
    }

    /// 15 for SQL Server 2019.
    pub fn major_version(&self) -> u8 {
        self.version[0]
    }

    /// `TLSv1.2` and the like; None for plain text.
    pub fn tls_version(&self) -> Option<String> {
        self.stream.link.tls_version()
    }

    /// True once nothing can be sent any more.
    pub fn is_broken(&self) -> bool {
        self.stream.broken
    }

    /// True while a request has not been answered to its end.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Limits how long the server may keep us waiting for the answer to each request; None is for ever.
    pub fn set_patience(&mut self, limit: Option<Duration>) {
        self.stream.patience.set(limit);
    }

    /// `count` bytes of the answer.
    #[inline]
    pub fn bytes(&mut self, count: usize) -> Result<&[u8]> {
        self.stream.bytes(count)
    }

    /// Runs a batch, and gives the rows of the last statement that has any.
    pub fn run(&mut self, sql: &str) -> Result<Rows> {
        self.start(sql)?;
        let mut rows = Rows::default();
        self.finish(|wire, token| {
            match token {
                Token::Columns(columns) => rows = Rows { columns, rows: Vec::new() },
                Token::Row | Token::SparseRow => {
                    let row = wire.scalars(&rows.columns, matches!(token, Token::SparseRow))?;
                    rows.rows.push(row);
                }
                Token::Done(_) => {}
            }
            Ok(())
        })?;
        Ok(rows)
    }

    /// Sends a batch; its answer is the caller's to read.
    pub fn start(&mut self, sql: &str) -> Result<()> {
        self.send(packet::kind::BATCH, &packet::batch(sql))
    }

    /// Reads the answer to its end. An error the server reported on the way is returned then.
    pub fn finish(&mut self, mut on_token: impl FnMut(&mut Self, Token) -> Result<()>) -> Result<()> {
        let mut failure: Option<Error> = None;
        loop {
            match self.token(&mut failure) {
                Ok(Token::Done(true)) => return failure.map_or(Ok(()), Err),
                Ok(token) => on_token(self, token)?,
                // A server that goes away after an error has said why.
                Err(error) => return Err(failure.filter(|_| self.stream.broken).unwrap_or(error)),
            }
        }
    }

    /// The next token that means something to the caller; errors are kept in `failure`.
    pub fn token(&mut self, failure: &mut Option<Error>) -> Result<Token> {
        loop {
            match self.stream.u8()? {
                0x81 => return meta::columns(&mut self.stream).map(Token::Columns),
                0xD1 => return Ok(Token::Row),
                0xD2 => return Ok(Token::SparseRow),
                0xFD..=0xFF => return self.done(),
                0xAA => {
                    let message = self.message()?;
                    log_server(&message);
                    let error = message.into_error();
                    // 3621 and the like only say that the statement ended.
                    *failure = failure.take().or(Some(error));
                }
                0xAB => {
                    let message = self.message()?;
                    log_server(&message);
                }
                0xE3 => self.environment()?,
                0xAD => {
                    let length = usize::from(self.stream.u16_le()?);
                    let body = self.stream.bytes(length)?;
                    if let Some(version) = body.last_chunk::<4>() {
                        self.version = *version;
                    }
                }
                0xA9 | 0xA4 | 0xA5 | 0xAC => {
                    let length = usize::from(self.stream.u16_le()?);
                    self.stream.skip(length)?;
                }
                0x79 => self.stream.skip(4)?,
                0xE4 | 0xEE => {
                    let length = self.stream.u32_le()?;
                    self.stream.skip(usize::try_from(length).unwrap_or(usize::MAX))?;
                }
                0xAE => {
                    while self.stream.u8()? != 0xFF {
                        let length = self.stream.u32_le()?;
                        self.stream.skip(usize::try_from(length).unwrap_or(usize::MAX))?;
                    }
                }
                other => {
                    self.stream.broken = true;
                    return Err(confused(format!("a token {other:02X}")));
                }
            }
        }
    }

    fn done(&mut self) -> Result<Token> {
        const MORE: u16 = 0x01;
        const ATTENTION: u16 = 0x20;
        let status = self.stream.u16_le()?;
        self.stream.skip(10)?;
        if status & ATTENTION != 0 {
            self.busy = false;
            return Err(Error::cancelled("the statement was stopped"));
        }
        let over = status & MORE == 0;
        if over {
            // An empty last packet may follow.
            self.stream.finish()?;
            self.busy = false;
        }
        Ok(Token::Done(over))
    }

    fn message(&mut self) -> Result<ServerMessage> {
        let length = usize::from(self.stream.u16_le()?);
        let body = self.stream.bytes(length)?;
        ServerMessage::parse(body).map_err(|Short| confused("an error message that is cut short"))
    }

    fn environment(&mut self) -> Result<()> {
        const PACKET_SIZE: u8 = 4;
        const ROUTING: u8 = 20;
        let length = usize::from(self.stream.u16_le()?);
        let body = self.stream.bytes(length)?;
        let Some((of, rest)) = body.split_first() else { return Ok(()) };
        match *of {
            PACKET_SIZE => {
                let size = rest.split_first().and_then(|(units, rest)| rest.get(..usize::from(*units) * 2));
                let size = size.map(lossy_utf16).and_then(|text| text.parse::<usize>().ok());
                self.stream.packet_bytes = size.unwrap_or(self.stream.packet_bytes).clamp(512, 32_767);
            }
            ROUTING => {
                self.route = Some(route(rest).map_err(|Short| confused("a route that is cut short"))?);
            }
            _ => {}
        }
        Ok(())
    }

    /// Stops the running statement and reads what is still on its way, so that the session can be
    /// used again. If that takes longer than `limit`, the connection is given up.
    pub fn abandon(&mut self, limit: Duration) {
        const ATTENTION: u8 = 0x20;
        let asked = self.stream.link.stop();
        // The answer may have ended before the attention came; its acknowledgement still follows.
        let drained =
            asked.and_then(|()| self.stream.drain(limit, |[token, low, ..]| *token >= 0xFD && low & ATTENTION != 0));
        if self.stream.broken || drained.is_err() {
            self.stream.broken = true;
            self.stream.link.close();
        } else {
            self.busy = false;
        }
    }

    fn send(&mut self, kind: u8, payload: &[u8]) -> Result<()> {
        self.busy = true;
        self.stream.send(kind, payload)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stream.link.close();
    }
}

/// Whether a sparse row's column is NULL.
#[inline]
pub(crate) fn is_null(nulls: &[u8], index: usize) -> bool {
    nulls.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}

/// The host and the port that a login is sent on to.
fn route(body: &[u8]) -> Result<(String, u16), Short> {
    let mut parts = Cursor::new(body);
    let [_, _, _protocol] = parts.array()?;
    let port = parts.u16_le()?;
    let units = usize::from(parts.u16_le()?);
    Ok((lossy_utf16(parts.bytes(units * 2)?), port))
}

fn log_server(message: &ServerMessage) {
    rivet_sdk::log::debug!("SQL Server says {}: {}", message.number, message.message);
}

impl Rows {
    /// The only row.
    pub fn one(self) -> Result<Vec<Scalar>> {
        let mut rows = self.rows.into_iter();
        match (rows.next(), rows.next()) {
            (Some(row), None) => Ok(row),
            _ => Err(confused("not one row where one was expected")),
        }
    }
}

#[cfg(test)]
mod tests;
