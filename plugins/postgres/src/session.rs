//! One connection, and the only way anything runs on it: a read-only transaction whose
//! settings were made with SET LOCAL and then verified.
//!
//! A user's query reads its own texts as they are read in any other session of the login: where a
//! setting says how, it is left to the login's.
//!
//! Nothing is set for the session: behind a pooler it would reach somebody else's statements,
//! and ours would not keep it.

use std::sync::Arc;
use std::time::Duration;

use rivet_sdk::lexer::{Rules, single};
use rivet_sdk::sql::quote_text;
use rivet_sdk::sql::session::{self, Session as _, Stopper};
use rivet_sdk::{Error, ErrorKind, Result, Retry, SNAPSHOT_LOST, SessionPolicy};

use crate::message::Rows;
use crate::options::Endpoint;
use crate::stopper::Backend;
use crate::wire::Wire;

/// What every transaction sets, and what the server must then show.
const SETTINGS: [(&str, &str); 4] =
    [("TimeZone", "UTC"), ("extra_float_digits", "3"), ("bytea_output", "hex"), ("row_security", "off")];

/// What is set besides where no query of a user's is read. These change what a query's own texts mean.
const OWN_SETTINGS: [(&str, &str); 3] =
    [("DateStyle", "ISO, YMD"), ("IntervalStyle", "iso_8601"), ("standard_conforming_strings", "on")];

/// What takes their place where one is read: dates are written in one form, for boundaries, and read in the login's
/// order; all else is the login's. DEFAULT, because a snapshot's transaction has ours already.
const LOGIN_SETTINGS: &str = "SET LOCAL DateStyle TO DEFAULT; SET LOCAL DateStyle = 'ISO'; \
    SET LOCAL IntervalStyle TO DEFAULT; SET LOCAL standard_conforming_strings TO DEFAULT";

/// Whose settings statements run under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settings {
    Rivet,
    Login,
}

/// How long a stopped statement may take to end before its connection is dropped.
const ABANDON: Duration = Duration::from_secs(5);

/// A connection with what it joined or holds.
pub(crate) struct Session {
    wire: Wire,
    endpoint: Endpoint,
    /// A snapshot of another instance that every transaction reads at.
    joined: Option<String>,
    /// True while this instance's own open transaction is the snapshot.
    held: bool,
    /// Of statements whose caller brings none.
    limits: SessionPolicy,
    stopper: Arc<Stopper<Backend>>,
}

impl Session {
    /// Connects, and runs one empty transaction to verify that settings hold.
    pub fn open(endpoint: Endpoint) -> Result<Self> {
        let mut wire = Wire::open(&endpoint)?;
        // A part of the login, and of its time.
        begin_with_settings(&mut wire, BEGIN, &SessionPolicy::default(), Settings::Rivet)?;
        wire.simple("COMMIT")?;
        let stopper = Stopper::of(Backend::of(&wire)?);
        Ok(Self { wire, endpoint, joined: None, held: false, limits: SessionPolicy::PLANNING, stopper })
    }

    /// A handle for another thread.
    pub fn stopper(&self) -> Arc<Stopper<Backend>> {
        Arc::clone(&self.stopper)
    }

    /// Sets the limits of statements whose caller brings none.
    pub fn limit(&mut self, limits: &SessionPolicy) {
        self.limits = *limits;
    }

    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// `server_version_num`: 150018.
    pub fn version(&self) -> u32 {
        version_number(self.wire.parameter("server_version").unwrap_or_default())
    }

    /// Runs `work` between the beginning and the end of a transaction; in the holder of a snapshot, under a savepoint.
    fn under<T>(
        &mut self,
        policy: &SessionPolicy,
        settings: Settings,
        work: impl FnOnce(&mut Wire, Rules) -> Result<T>,
    ) -> Result<T> {
        self.reconnect()?;
        self.wire.wait(policy.patience());
        let begin = match (self.held, &self.joined) {
            (true, _) => "SAVEPOINT rivet".to_owned(),
            (false, None) => BEGIN.to_owned(),
            (false, Some(token)) => format!("{BEGIN}; SET TRANSACTION SNAPSHOT {}", quote_text(token)),
        };
        let begun = begin_with_settings(&mut self.wire, &begin, policy, settings);
        let begun = begun.map_err(|error| if self.joined.is_some() { snapshot_gone(error) } else { error });
        let outcome = begun.and_then(|rules| work(&mut self.wire, rules));
        self.end(outcome.is_ok());
        outcome.map_err(|error| self.stopper.tell(error, |code| (code == "57014").then_some("57014")))
    }

    fn end(&mut self, succeeded: bool) {
        if self.wire.is_busy() {
            self.wire.abandon(ABANDON);
        }
        if self.wire.is_broken() {
            return;
        }
        let end = match (self.held, succeeded) {
            (true, _) => "ROLLBACK TO SAVEPOINT rivet; RELEASE SAVEPOINT rivet",
            (false, true) => "COMMIT",
            (false, false) => "ROLLBACK",
        };
        // Every row has arrived by now. A connection that dies here is opened anew next time.
        if (self.held || self.wire.in_transaction())
            && let Err(error) = self.wire.simple(end)
        {
            log::debug!("ending a transaction: {error}");
        }
    }

    fn reconnect(&mut self) -> Result<()> {
        if !self.wire.is_broken() {
            return Ok(());
        }
        if self.held {
            return Err(Error::connection("the connection that held the snapshot is lost")
                .with_retry(Retry::Permanent)
                .with_hint("start the export again: its read point is gone"));
        }
        self.wire = Wire::open(&self.endpoint)?;
        self.stopper.moves_to(Backend::of(&self.wire)?);
        Ok(())
    }

    /// Opens the transaction that is the snapshot, and gives the row `sql` returns in it.
    pub fn hold(&mut self, sql: &str) -> Result<Rows> {
        self.release();
        self.reconnect()?;
        let mut begin = format!("{BEGIN}; SET LOCAL idle_in_transaction_session_timeout = 0");
        if self.version() >= 170_000 {
            begin.push_str("; SET LOCAL transaction_timeout = 0");
        }
        self.wire.wait(self.limits.patience());
        let answer = begin_with_settings(&mut self.wire, &begin, &self.limits, Settings::Rivet)
            .and_then(|_| self.wire.simple(sql));
        match answer {
            Ok(rows) => {
                self.held = true;
                Ok(rows)
            }
            Err(error) => {
                self.end(false);
                Err(error)
            }
        }
    }

    /// From now on every transaction reads at another instance's snapshot.
    pub fn join(&mut self, token: &str) -> Result<()> {
        self.release();
        self.joined = Some(token.to_owned());
        self.planning(|_| Ok(())).inspect_err(|_| self.joined = None)
    }

    /// Lets go of a snapshot, held or joined.
    pub fn release(&mut self) {
        self.joined = None;
        if std::mem::take(&mut self.held) {
            self.end(false);
        }
    }
}

impl session::Session for Session {
    type Wire = Wire;

    fn limits(&self) -> SessionPolicy {
        self.limits
    }

    fn transaction<T>(&mut self, policy: &SessionPolicy, work: impl FnOnce(&mut Wire) -> Result<T>) -> Result<T> {
        self.under(policy, Settings::Rivet, |wire, _| work(wire))
    }

    fn query<T>(
        &mut self,
        policy: &SessionPolicy,
        sql: &str,
        work: impl FnOnce(&mut Wire, &str) -> Result<T>,
    ) -> Result<T> {
        self.under(policy, Settings::Login, |wire, rules| {
            let one = single(&rules, sql)?;
            // The server's own word on the text as it was written: what it refuses alone is not tried in brackets.
            wire.describe(sql)?;
            work(wire, one)
        })
    }
}

/// The server refuses a snapshot whose holder has ended, under codes of several classes.
fn snapshot_gone(error: Error) -> Error {
    if error.is_transient() {
        return error;
    }
    Error::new(ErrorKind::Conflict, "the snapshot cannot be read at any more")
        .with_source(&error)
        .with_code(SNAPSHOT_LOST)
        .with_retry(Retry::Permanent)
        .with_hint("the snapshot lives as long as the connection that made it; start the export again")
}

const BEGIN: &str = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// Begins, sets and verifies. Gives the rules by which the server reads texts.
fn begin_with_settings(wire: &mut Wire, begin: &str, policy: &SessionPolicy, settings: Settings) -> Result<Rules> {
    let mut sql = begin.to_owned();
    let mut wanted = Vec::new();
    let mut shown = Vec::new();
    let own: &[(&str, &str)] = match settings {
        Settings::Rivet => &OWN_SETTINGS,
        Settings::Login => {
            sql.push_str("; ");
            sql.push_str(LOGIN_SETTINGS);
            shown.push("split_part(current_setting('DateStyle'), ',', 1)".to_owned());
            wanted.push(("DateStyle", "ISO".to_owned()));
            &[]
        }
    };
    for (name, value) in SETTINGS.iter().chain(own) {
        let (name, value) = (*name, *value);
        sql.push_str(&format!("; SET LOCAL {name} = {}", quote_text(value)));
        shown.push(format!("current_setting('{name}')"));
        wanted.push((name, value.to_owned()));
    }
    let limits = [("statement_timeout", policy.statement_timeout_ms), ("lock_timeout", policy.lock_timeout_ms)];
    for (name, limit) in limits {
        // No limit is no limit: the role's own would be one that nobody here asked for.
        let limit = limit.unwrap_or(0).min(i32::MAX.unsigned_abs().into());
        sql.push_str(&format!("; SET LOCAL {name} = {limit}"));
        shown.push(format!("(extract(epoch FROM current_setting('{name}')::interval) * 1000)::int8::text"));
        wanted.push((name, limit.to_string()));
    }
    shown.push("current_setting('transaction_read_only')".to_owned());
    wanted.push(("transaction_read_only", "on".to_owned()));
    shown.push("current_setting('client_encoding')".to_owned());
    wanted.push(("client_encoding", "UTF8".to_owned()));
    shown.push("current_setting('standard_conforming_strings')".to_owned());
    sql.push_str(&format!("; SELECT {}", shown.join(", ")));
    let rows = wire.simple(&sql)?;
    let row = rows.rows.first().ok_or_else(|| Error::connection("the server did not show its settings"))?;
    for ((name, wanted), found) in wanted.iter().zip(row) {
        if found.as_ref() != Some(wanted) {
            let found = found.as_deref().unwrap_or("nothing");
            return Err(Error::new(
                ErrorKind::Connection,
                format!("the setting {name} is {found} although it was set to {wanted}"),
            )
            .with_retry(Retry::Permanent)
            .with_hint("a proxy between rivet and PostgreSQL swallows SET; connect past it"));
        }
    }
    Ok(Rules::postgresql(row.last().is_none_or(|conforming| conforming.as_deref() != Some("off"))))
}

/// 150018 from `15.18 (Debian …)`, 90624 from `9.6.24`.
fn version_number(version: &str) -> u32 {
    let mut numbers = version
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .next()
        .unwrap_or_default()
        .split('.')
        .map(|number| number.parse::<u32>().unwrap_or(0).min(9_999));
    let (first, second, third) =
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if first >= 10 { first * 10_000 + second } else { first * 10_000 + second * 100 + third }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_every_shape_are_numbers() {
        for (text, number) in
            [("15.18 (Debian 15.18-0+deb12u1)", 150_018), ("9.6.24", 90_624), ("18beta2", 180_000), ("", 0)]
        {
            assert_eq!(version_number(text), number, "{text}");
        }
    }
}
