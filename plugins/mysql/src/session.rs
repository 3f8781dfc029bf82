//! One connection, and the only way anything runs on it: a read-only transaction whose settings
//! were verified inside it.
//!
//! What rivet asks runs under a `sql_mode` of its own; a user's query, and what rivet writes around it, under the mode
//! that the session had after its login.

use std::sync::Arc;
use std::time::Duration;

use rivet_sdk::lexer::{Rules, single};
use rivet_sdk::sql::session::{self, Session as _, Stopper};
use rivet_sdk::{Error, ErrorKind, Result, Retry, SessionPolicy};

use crate::catalog;
use crate::dialect::quoted;
use crate::error::confused;
use crate::options::Endpoint;
use crate::server::Server;
use crate::snapshot;
use crate::stopper::Thread;
use crate::wire::Wire;

/// How long a stopped statement may take to end before its connection is dropped.
const ABANDON: Duration = Duration::from_secs(5);
/// How long the server waits for us to take more rows: a slow destination is no reason to hang up.
const NET_WRITE_TIMEOUT_S: &str = "3600";
/// How long the server keeps a connection that waits for its next chunk.
const WAIT_TIMEOUT_S: &str = "28800";
/// The most that `lock_wait_timeout` takes: a year.
const LONGEST_WAIT_S: u64 = 31_536_000;

/// A connection with what it joined or holds.
pub(crate) struct Session {
    wire: Wire,
    endpoint: Endpoint,
    server: Server,
    /// The `sql_mode` after the login: the server's, or what `init_connect` made of it.
    login_mode: String,
    /// The settings this connection has, so that they are set only when they change.
    applied: Option<(SessionPolicy, Mode)>,
    role: Role,
    /// Of statements whose caller brings none.
    limits: SessionPolicy,
    stopper: Arc<Stopper<Thread>>,
}

/// What the connection's open transaction is.
enum Role {
    /// None between two operations.
    Alone,
    /// The transaction that a snapshot's lock lets begin together with others.
    Holder {
        /// Dropped with the role.
        _lock: snapshot::Lock,
    },
    /// One of those others, or one that is alone.
    Member,
}

/// Whose `sql_mode` statements run under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// None at all.
    Rivet,
    /// The login's.
    Login,
}

impl Session {
    /// Connects, and runs one empty transaction to verify that settings hold.
    pub fn open(endpoint: Endpoint) -> Result<Self> {
        let mut wire = Wire::open(&endpoint)?;
        let login_mode = mode_of(&mut wire)?;
        let stopper = Stopper::of(Thread::of(&endpoint, &wire)?);
        let server = Server::of(wire.version());
        let limits = SessionPolicy::PLANNING;
        let mut session =
            Self { wire, endpoint, server, login_mode, applied: None, role: Role::Alone, limits, stopper };
        // A part of the login, and of its time.
        session.begin(&limits, Mode::Rivet)?;
        session.wire.query("ROLLBACK")?;
        Ok(session)
    }

    /// A handle for another thread.
    pub fn stopper(&self) -> Arc<Stopper<Thread>> {
        Arc::clone(&self.stopper)
    }

    /// Sets the limits of statements whose caller brings none.
    pub fn limit(&mut self, limits: &SessionPolicy) {
        self.limits = *limits;
    }

    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    pub fn server(&self) -> Server {
        self.server
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The `sql_mode` that queries run under.
    pub fn login_mode(&self) -> &str {
        &self.login_mode
    }

    /// Runs `work` between the beginning and the end of a transaction; in a member of a snapshot, in the snapshot's.
    fn under<T>(&mut self, policy: &SessionPolicy, mode: Mode, work: impl FnOnce(&mut Wire) -> Result<T>) -> Result<T> {
        self.reconnect()?;
        self.wire.wait(policy.patience());
        let outcome = self.begin(policy, mode).and_then(|()| work(&mut self.wire));
        self.end();
        outcome.map_err(|error| self.stopper.tell(error, |code| matches!(code, "1317" | "1028").then_some("1317")))
    }

    fn begin(&mut self, policy: &SessionPolicy, mode: Mode) -> Result<()> {
        if self.applied != Some((*policy, mode)) {
            self.apply(policy, mode)?;
        }
        if matches!(self.role, Role::Alone) {
            self.wire.query("START TRANSACTION READ ONLY")?;
        }
        if let Err(first) = self.verify(policy, mode) {
            // Behind a pooler this may be a server connection that has not seen our settings.
            if first.kind() != ErrorKind::Connection || self.wire.is_broken() {
                return Err(first);
            }
            self.apply(policy, mode)?;
            self.verify(policy, mode)?;
        }
        Ok(())
    }

    fn end(&mut self) {
        if self.wire.is_busy() {
            self.wire.abandon(ABANDON);
        }
        if self.wire.is_broken() || !matches!(self.role, Role::Alone) {
            return;
        }
        // Every row has arrived by now. A connection that dies here is opened anew next time.
        if let Err(error) = self.wire.query("ROLLBACK") {
            log::debug!("ending a transaction: {error}");
        }
    }

    fn reconnect(&mut self) -> Result<()> {
        if !self.wire.is_broken() {
            return Ok(());
        }
        if !matches!(self.role, Role::Alone) {
            return Err(snapshot::lost("the connection that read at the snapshot is lost"));
        }
        self.wire = Wire::open(&self.endpoint)?;
        self.login_mode = mode_of(&mut self.wire)?;
        self.applied = None;
        self.stopper.moves_to(Thread::of(&self.endpoint, &self.wire)?);
        Ok(())
    }

    fn apply(&mut self, policy: &SessionPolicy, mode: Mode) -> Result<()> {
        self.applied = None;
        self.wire.query("SET NAMES utf8mb4")?;
        let sets: Vec<String> = self
            .settings(policy, mode)
            .into_iter()
            .map(|(name, value, _)| format!("{name} = {value}"))
            .filter(|set| !set.starts_with("character_set"))
            .collect();
        self.wire.query(&format!("SET SESSION {}", sets.join(", SESSION ")))?;
        if matches!(self.role, Role::Alone) {
            // Not inside a transaction: there it would be about the next one.
            self.wire.query("ROLLBACK")?;
            self.wire.query("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")?;
            self.wire.query("START TRANSACTION READ ONLY")?;
        }
        self.applied = Some((*policy, mode));
        Ok(())
    }

    /// Variable, the value as SQL, and what the server must then show.
    fn settings(&self, policy: &SessionPolicy, mode: Mode) -> Vec<(&'static str, String, String)> {
        let text = |value: &str| (quoted(value), value.to_owned());
        let number = |value: &str| (value.to_owned(), value.to_owned());
        let mut settings = vec![
            ("time_zone", text("+00:00")),
            // The number has one meaning in every mode, and '' does not.
            (
                "sql_mode",
                match (mode, self.login_mode.as_str()) {
                    (Mode::Rivet, _) | (Mode::Login, "") => ("0".to_owned(), String::new()),
                    (Mode::Login, mode) => text(mode),
                },
            ),
            ("character_set_client", text("utf8mb4")),
            ("character_set_connection", text("utf8mb4")),
            ("character_set_results", text("utf8mb4")),
            ("autocommit", number("1")),
            ("sql_select_limit", number("18446744073709551615")),
            ("sql_big_selects", number("1")),
            ("sql_auto_is_null", number("0")),
            ("net_write_timeout", number(NET_WRITE_TIMEOUT_S)),
            ("wait_timeout", number(WAIT_TIMEOUT_S)),
        ];
        if self.server.is_mysql_since(80_003) {
            // Sizes are read as they are, not as they were yesterday.
            settings.push(("information_schema_stats_expiry", number("0")));
        }
        let limit = policy.statement_timeout_ms.unwrap_or(0);
        if self.server.mariadb {
            let seconds = format!("{}.{:06}", limit / 1000, limit % 1000 * 1000);
            settings.push(("max_statement_time", (seconds.clone(), seconds)));
        } else {
            settings.push(("max_execution_time", number(&limit.min(u32::MAX.into()).to_string())));
        }
        // No limit is the longest that there is: the server's own would be one that nobody here asked for.
        let seconds =
            policy.lock_timeout_ms.map_or(LONGEST_WAIT_S, |limit| limit.div_ceil(1000).clamp(1, LONGEST_WAIT_S));
        let seconds = seconds.to_string();
        settings.push(("lock_wait_timeout", number(&seconds)));
        settings.push(("innodb_lock_wait_timeout", number(&seconds)));
        settings.into_iter().map(|(name, (sql, shown))| (name, sql, shown)).collect()
    }

    fn verify(&mut self, policy: &SessionPolicy, mode: Mode) -> Result<()> {
        let mut wanted: Vec<(&str, String)> =
            self.settings(policy, mode).into_iter().map(|(name, _, shown)| (name, shown)).collect();
        wanted.push((self.server.read_only_variable(), "1".to_owned()));
        let list: Vec<String> = wanted.iter().map(|(name, _)| format!("@@SESSION.{name}")).collect();
        let rows = self.wire.query(&format!("SELECT {}, @@SESSION.max_allowed_packet", list.join(", ")))?;
        let row = rows.rows.first().ok_or_else(|| Error::connection("the server did not show its settings"))?;
        for ((name, wanted), found) in wanted.iter().zip(row) {
            if found.as_ref() != Some(wanted) {
                let found = found.as_deref().unwrap_or("nothing");
                self.applied = None;
                return Err(Error::new(
                    ErrorKind::Connection,
                    format!("the setting {name} is `{found}` although it was set to `{wanted}`"),
                )
                .with_retry(Retry::Permanent)
                .with_hint("a proxy between rivet and the server swallows SET; connect past it"));
            }
        }
        let most = row.get(wanted.len()).and_then(|found| found.as_deref()?.parse().ok());
        self.wire.take_at_most(most.ok_or_else(|| confused("no max_allowed_packet"))?);
        Ok(())
    }

    /// Takes the lock under which members may join, and opens the first of the transactions.
    pub fn hold(&mut self) -> Result<Option<snapshot::Held>> {
        self.release()?;
        self.reconnect()?;
        self.wire.wait(self.limits.patience());
        self.apply(&self.limits(), Mode::Rivet)?;
        self.wire.query("ROLLBACK")?;
        let Some((held, lock)) = snapshot::take(&mut self.wire, self.server)? else { return Ok(None) };
        self.role = Role::Holder { _lock: lock };
        Ok(Some(held))
    }

    /// From now on reads in one transaction of its own, which takes no lock.
    pub fn hold_alone(&mut self) -> Result<snapshot::Held> {
        self.release()?;
        self.reconnect()?;
        self.apply(&SessionPolicy::default(), Mode::Rivet)?;
        self.wire.query("ROLLBACK")?;
        let held = snapshot::alone(&mut self.wire, self.server)?;
        self.role = Role::Member;
        Ok(held)
    }

    /// From now on reads in a transaction that begins at the snapshot's point.
    pub fn join(&mut self, token: &str) -> Result<()> {
        self.release()?;
        self.reconnect()?;
        self.wire.wait(self.limits.patience());
        self.apply(&self.limits(), Mode::Rivet)?;
        self.wire.query("ROLLBACK")?;
        snapshot::begin(&mut self.wire, token)?;
        self.role = Role::Member;
        Ok(())
    }

    /// Lets go of a snapshot, held or joined, and of the holder's lock. Fails where the lock had
    /// been lost before: then those who joined may not be at one point.
    pub fn release(&mut self) -> Result<()> {
        let role = std::mem::replace(&mut self.role, Role::Alone);
        if matches!(role, Role::Alone) {
            return Ok(());
        }
        let held = matches!(role, Role::Holder { .. });
        // Nobody may join from here on.
        drop(role);
        self.applied = None;
        let unlocked = if held { self.wire.query("UNLOCK TABLES").map(|_| ()) } else { Ok(()) };
        if !self.wire.is_broken()
            && let Err(error) = self.wire.query("ROLLBACK")
        {
            log::debug!("releasing a snapshot: {error}");
        }
        unlocked.map_err(|error| {
            snapshot::lost("the snapshot's lock was lost before it was released: its workers may not be at one point")
                .with_source(&error)
        })
    }
}

impl session::Session for Session {
    type Wire = Wire;

    fn limits(&self) -> SessionPolicy {
        self.limits
    }

    fn transaction<T>(&mut self, policy: &SessionPolicy, work: impl FnOnce(&mut Wire) -> Result<T>) -> Result<T> {
        self.under(policy, Mode::Rivet, work)
    }

    fn query<T>(
        &mut self,
        policy: &SessionPolicy,
        sql: &str,
        work: impl FnOnce(&mut Wire, &str) -> Result<T>,
    ) -> Result<T> {
        self.reconnect()?;
        let rules = if self.server.mariadb { Rules::mariadb(&self.login_mode) } else { Rules::mysql(&self.login_mode) };
        self.under(policy, Mode::Login, |wire| {
            let one = single(&rules, sql)?;
            // The server's own word on the text as it was written: what it refuses alone is not tried in brackets.
            let statement = catalog::select(wire, sql)?;
            wire.close(&statement)?;
            work(wire, one)
        })
    }
}

fn mode_of(wire: &mut Wire) -> Result<String> {
    let mode = wire.query("SELECT @@SESSION.sql_mode")?;
    Ok(mode.value().unwrap_or_default().to_owned())
}
