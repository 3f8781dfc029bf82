//! One run of an export at a time: a row that expires, renewed by a thread of its own.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rivet_sdk::{Error, ErrorKind, Result};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::holder::Holder;
use super::{BUSY_TIMEOUT, State, state_error};

/// How long a lease outlives its last renewal.
const LEASE_FOR: Duration = Duration::from_secs(60);
const RENEW_EVERY: Duration = Duration::from_secs(15);
const ASK_EVERY: Duration = Duration::from_millis(500);

/// The right to run an export, kept until dropped.
#[derive(Debug)]
pub struct Lease {
    export: String,
    token: i64,
    lost: Arc<AtomicBool>,
    stop: Option<Sender<()>>,
    renewal: Option<JoinHandle<()>>,
}

impl State {
    /// Takes the lease of an export, waiting up to `wait` for its holder. Still held then: an
    /// error of kind `Conflict`, code `busy`. A holder that died on this machine does not count.
    pub fn acquire(&mut self, export: &str, wait: Duration) -> Result<Lease> {
        let until = Instant::now() + wait;
        loop {
            let held_by = match self.try_acquire(export).map_err(|error| self.error(&error))? {
                Ok(token) => return Lease::keep(&self.path, export, token),
                Err(holder) => holder,
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    format!("another run of {export} is going on ({held_by})"),
                )
                .with_code("busy")
                .with_hint("wait for it with `--lock-wait`, or stop it; a lease of a dead machine ends after a minute")
                .with_context("export", export)
                .with_context("file", self.path.display().to_string()));
            }
            thread::sleep(ASK_EVERY.min(left));
        }
    }

    /// The new token, or who holds the lease.
    fn try_acquire(&mut self, export: &str) -> rusqlite::Result<Result<i64, String>> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let row: Option<(i64, String, i64)> = transaction
            .query_row("SELECT token, holder, expires_ms FROM rivet_lease WHERE export = ?1", [export], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?;
        let token = match row {
            Some((_, holder, expires_ms)) if expires_ms > now_ms() && !Holder::is_dead(&holder) => {
                return Ok(Err(holder));
            }
            Some((token, ..)) => token + 1,
            None => 1,
        };
        transaction.execute(
            "INSERT INTO rivet_lease (export, token, holder, expires_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (export) DO UPDATE SET token = excluded.token, holder = excluded.holder,
                 expires_ms = excluded.expires_ms",
            params![export, token, Holder::this().to_text(), now_ms() + millis(LEASE_FOR)],
        )?;
        transaction.commit()?;
        Ok(Ok(token))
    }
}

impl Lease {
    fn keep(path: &Path, export: &str, token: i64) -> Result<Self> {
        let connection = Connection::open(path).map_err(|error| state_error(path, &error))?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(|error| state_error(path, &error))?;
        let lost = Arc::new(AtomicBool::new(false));
        let (stop, stopped) = channel();
        let renewal = Renewal { connection, export: export.to_owned(), token, lost: Arc::clone(&lost) };
        let thread = thread::Builder::new()
            .name("lease".to_owned())
            .spawn(move || renewal.run(&stopped))
            .map_err(|error| Error::new(ErrorKind::ResourceExhausted, format!("start the lease's thread: {error}")))?;
        Ok(Self { export: export.to_owned(), token, lost, stop: Some(stop), renewal: Some(thread) })
    }

    /// Grows with every holder of this export's lease.
    pub fn token(&self) -> i64 {
        self.token
    }

    /// Fails once another run has taken the lease, or it could not be renewed in time.
    pub fn check(&self) -> Result<()> {
        if !self.lost.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Conflict, "the lease was lost: this process was stopped for too long")
            .with_code("lease_lost")
            .with_hint("see `rivet journal` for what runs now")
            .with_context("export", &self.export))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.renewal.take() {
            let _ = thread.join();
        }
    }
}

struct Renewal {
    connection: Connection,
    export: String,
    token: i64,
    lost: Arc<AtomicBool>,
}

impl Renewal {
    /// Renews until told to stop, then gives the lease back.
    fn run(&self, stopped: &Receiver<()>) {
        let mut good_until = Instant::now() + LEASE_FOR;
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(RENEW_EVERY) {
            match self.set_expiry(now_ms() + millis(LEASE_FOR)) {
                Ok(1) => good_until = Instant::now() + LEASE_FOR,
                Ok(_) => return self.lost.store(true, Ordering::Release),
                Err(error) => {
                    log::warn!("lease of {}: {error}", self.export);
                    self.lost.store(Instant::now() >= good_until, Ordering::Release);
                }
            }
        }
        if let Err(error) = self.set_expiry(0) {
            log::warn!("lease of {} was not given back and ends by itself: {error}", self.export);
        }
    }

    fn set_expiry(&self, expires_ms: i64) -> rusqlite::Result<usize> {
        self.connection.execute(
            "UPDATE rivet_lease SET expires_ms = ?3 WHERE export = ?1 AND token = ?2",
            params![self.export, self.token, expires_ms],
        )
    }
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
