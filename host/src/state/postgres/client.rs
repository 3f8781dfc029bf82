//! The client, on a thread of its own. It has no limit for an answer, and a server can fall silent: whoever asks gives up
//! waiting, and leaves the thread behind with the connection.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel, sync_channel};
use std::time::Duration;

use postgres::Client;
use rivet_sdk::{Error, Result};

use crate::threads;

/// How long an answer may take. The server's own limits are 20 s for a lock and 30 s for a statement.
const ANSWER: Duration = Duration::from_secs(45);

type Work = Box<dyn FnOnce(&mut Client) + Send>;

/// A connection that is waited for only so long.
pub(super) struct Patient {
    calls: Sender<Work>,
    closed: bool,
    silent: bool,
}

/// What an answer comes with: whether the connection still stands after it.
struct Answer<T> {
    result: Result<T, postgres::Error>,
    closed: bool,
}

impl Patient {
    /// Logs in, within `limit`.
    pub fn log_in(
        limit: Duration,
        connect: impl FnOnce() -> Result<Client, postgres::Error> + Send + 'static,
    ) -> Result<Result<Self, postgres::Error>> {
        let (calls, to_do) = channel::<Work>();
        let (opened, answer) = sync_channel(1);
        threads::start("state", move || {
            let mut client = match connect() {
                Ok(client) => client,
                Err(error) => return drop(opened.send(Err(error))),
            };
            if opened.send(Ok(())).is_ok() {
                while let Ok(work) = to_do.recv() {
                    work(&mut client);
                }
            }
        })?;
        match answer.recv_timeout(limit) {
            Ok(opened) => Ok(opened.map(|()| Self { calls, closed: false, silent: false })),
            Err(_) => Err(silence("the login was not over", limit)),
        }
    }

    /// What the client answers to `work`; an error of its own where it does not answer.
    pub fn ask<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Client) -> Result<T, postgres::Error> + Send + 'static,
    ) -> Result<Result<T, postgres::Error>> {
        let (answer, answers) = sync_channel(1);
        let work = move |client: &mut Client| {
            let result = work(client);
            let closed = client.is_closed();
            // Nobody listens any more to an answer that came too late.
            drop(answer.send(Answer { result, closed }));
        };
        let sent = self.calls.send(Box::new(work)).is_ok();
        match answers.recv_timeout(if sent { ANSWER } else { Duration::ZERO }) {
            Ok(Answer { result, closed }) => {
                self.closed = closed;
                Ok(result)
            }
            Err(why) => {
                self.closed = true;
                self.silent = why == RecvTimeoutError::Timeout;
                Err(silence("there was no answer", ANSWER))
            }
        }
    }

    /// Whether nothing can be asked any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether it is so because the server did not answer: to ask once more is to wait once more.
    pub fn is_silent(&self) -> bool {
        self.silent
    }
}

fn silence(what: &str, limit: Duration) -> Error {
    Error::connection(format!("state store: {what} within {} s", limit.as_secs())).with_hint(
        "the server, or what lies before it, took the connection and fell silent; look at it, then run again",
    )
}
