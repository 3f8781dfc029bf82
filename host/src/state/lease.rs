//! One run of an export at a time: a row that expires, renewed by a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rivet_sdk::{Error, ErrorKind, Result};

use super::State;
use super::holder::Holder;
use super::store::cells;
use crate::threads;

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
    pub fn acquire(&self, export: &str, wait: Duration) -> Result<Lease> {
        let until = Instant::now() + wait;
        let claim = ulid::Ulid::generate().to_string();
        loop {
            let held_by = match self.try_acquire(export, &claim)? {
                Ok(token) => return Lease::keep(self.again()?, export, token),
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
                .with_context("state", self.place()));
            }
            thread::sleep(ASK_EVERY.min(left));
        }
    }

    /// Who holds an export's lease now.
    pub fn holder(&self, export: &str) -> Result<Option<String>> {
        let sql = "SELECT holder FROM rivet_lease WHERE export = ?1 AND expires_ms > {now_ms}";
        let holder = self.query(sql, cells![export])?.first().map(|row| row.text(0)).transpose()?;
        Ok(holder.filter(|holder| !Holder::is_dead(holder)))
    }

    /// The new token, or who holds the lease. With the same claim it may be asked again.
    fn try_acquire(&self, export: &str, claim: &str) -> Result<Result<i64, String>> {
        let this = Holder::this()?.to_text();
        self.transaction(export, |statements| {
            let sql = "SELECT token, holder, claim, CASE WHEN expires_ms > {now_ms} THEN 1 ELSE 0 END
                       FROM rivet_lease WHERE export = ?1";
            let token = match statements.query(sql, cells![export])?.first() {
                None => 1,
                Some(row) if row.optional_text(2)?.as_deref() == Some(claim) => return Ok(Ok(row.integer(0)?)),
                Some(row) => {
                    let holder = row.text(1)?;
                    if row.integer(3)? == 1 && !Holder::is_dead(&holder) {
                        return Ok(Err(holder));
                    }
                    row.integer(0)? + 1
                }
            };
            statements.change(
                "INSERT INTO rivet_lease (export, token, holder, claim, expires_ms)
                 VALUES (?1, ?2, ?3, ?4, {now_ms} + ?5)
                 ON CONFLICT (export) DO UPDATE SET token = excluded.token, holder = excluded.holder,
                     claim = excluded.claim, expires_ms = excluded.expires_ms",
                cells![export, token, this.as_str(), claim, lease_ms()],
            )?;
            Ok(Ok(token))
        })
    }

    /// Lets a lease end in so many milliseconds; false if it is somebody else's by now.
    fn set_lifetime(&self, export: &str, token: i64, milliseconds: i64) -> Result<bool> {
        let sql = "UPDATE rivet_lease SET expires_ms = {now_ms} + ?3 WHERE export = ?1 AND token = ?2";
        self.transaction(export, |statements| Ok(statements.change(sql, cells![export, token, milliseconds])? == 1))
    }
}

impl Lease {
    fn keep(state: State, export: &str, token: i64) -> Result<Self> {
        let lost = Arc::new(AtomicBool::new(false));
        let (stop, stopped) = channel();
        let renewal = Renewal { state, export: export.to_owned(), token, lost: Arc::clone(&lost) };
        let thread = threads::start("lease", move || renewal.run(&stopped))?;
        Ok(Self { export: export.to_owned(), token, lost, stop: Some(stop), renewal: Some(thread) })
    }

    /// Grows with every holder of this export's lease.
    pub fn token(&self) -> i64 {
        self.token
    }

    /// Renews the lease in the store; fails if another run has taken it. Asked right before a
    /// commit: a process that was stopped for long has not noticed by itself yet.
    pub fn check(&self, state: &State) -> Result<()> {
        if !self.lost.load(Ordering::Acquire) && state.set_lifetime(&self.export, self.token, lease_ms())? {
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
    state: State,
    export: String,
    token: i64,
    lost: Arc<AtomicBool>,
}

impl Renewal {
    /// Renews until told to stop, then gives the lease back.
    fn run(&self, stopped: &Receiver<()>) {
        let mut good_until = Instant::now() + LEASE_FOR;
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(RENEW_EVERY) {
            match self.state.set_lifetime(&self.export, self.token, lease_ms()) {
                Ok(true) => good_until = Instant::now() + LEASE_FOR,
                Ok(false) => return self.lost.store(true, Ordering::Release),
                Err(error) => {
                    log::warn!("lease of {}: {error}", self.export);
                    if Instant::now() >= good_until {
                        self.lost.store(true, Ordering::Release);
                    }
                }
            }
        }
        if let Err(error) = self.state.set_lifetime(&self.export, self.token, 0) {
            log::warn!("lease of {} was not given back and ends by itself: {error}", self.export);
        }
    }
}

fn lease_ms() -> i64 {
    i64::try_from(LEASE_FOR.as_millis()).unwrap_or(i64::MAX)
}
