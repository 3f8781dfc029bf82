//! What a session remembers between requests.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::types::Value;

use super::settings::Settings;
use crate::catalogue::databases::Database;
use crate::engine::Engine;
use crate::login::Login;
use crate::packet::Writer;
use crate::server::{SessionEntry, Shared};
use crate::signals::Signals;
use crate::tls::Transport;
use crate::tokens::{self, Done};
use crate::types::{Kind, Type};

/// A variable or parameter.
#[derive(Debug, Clone)]
pub struct Variable {
    pub ty: Type,
    pub value: Value,
}

/// Variables by their folded names, without the `@`.
pub type Variables = HashMap<String, Variable>;

/// A statement that a client prepared.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub parameters: Vec<(String, Type)>,
    pub text: String,
}

pub struct Session {
    pub shared: Arc<Shared>,
    pub out: Writer<Transport>,
    pub signals: Arc<Signals>,
    pub engine: Engine,
    pub database: Database,
    pub spid: u16,
    pub login: String,
    pub host: String,
    pub application: String,
    pub encrypted: bool,
    pub settings: Settings,
    /// Open BEGINs; and what the client has to name in its requests.
    pub open_transactions: i64,
    pub descriptor: u64,
    pub prepared: HashMap<i32, Prepared>,
    pub next_handle: i32,
    pub last_rows: i64,
    pub last_error: i32,
    pub doomed: bool,
    pending: Option<(u16, u16, u64)>,
    done: Done,
}

impl Session {
    pub fn new(
        shared: Arc<Shared>,
        mut out: Writer<Transport>,
        signals: Arc<Signals>,
        engine: Engine,
        database: Database,
        spid: u16,
        login: &Login,
    ) -> Self {
        let encrypted = out.get_mut().is_encrypted();
        let mut settings =
            Settings { text_size: if login.odbc { i64::from(i32::MAX) } else { 4096 }, ..Settings::default() };
        settings.speak(&login.user);
        crate::types::temporal::set_date_format(&settings.date_format);
        Self {
            shared,
            out,
            signals,
            engine,
            database,
            spid,
            login: login.user.clone(),
            host: login.host.clone(),
            application: login.application.clone(),
            encrypted,
            settings,
            open_transactions: 0,
            descriptor: 0,
            prepared: HashMap::new(),
            next_handle: 1,
            last_rows: 0,
            last_error: 0,
            doomed: false,
            pending: None,
            done: Done::Statement,
        }
    }

    /// Which DONE the following statements end with.
    pub fn set_done(&mut self, done: Done) {
        self.done = done;
    }

    /// Where the next token goes. What waits to know whether more follows goes before it.
    pub fn tokens(&mut self) -> &mut Vec<u8> {
        if let Some((status, command, rows)) = self.pending.take() {
            tokens::done(self.out.buffer(), self.done, status | tokens::MORE, command, rows);
        }
        self.out.buffer()
    }

    /// Ends a statement.
    pub fn done(&mut self, status: u16, command: u16, rows: u64) {
        self.tokens();
        let status = if self.open_transactions > 0 { status | tokens::IN_TRANSACTION } else { status };
        self.pending = Some((status, command, rows));
    }

    /// Ends a statement that touched rows.
    pub fn done_rows(&mut self, command: u16, rows: u64) {
        self.last_rows = i64::try_from(rows).unwrap_or(i64::MAX);
        if self.settings.no_count && command != SELECT {
            self.done(0, command, 0);
        } else {
            self.done(tokens::COUNT, command, rows);
        }
    }

    /// Ends a batch.
    pub fn end_batch(&mut self) -> std::io::Result<()> {
        let (status, command, rows) = self.pending.take().unwrap_or((0, 0, 0));
        tokens::done(self.out.buffer(), Done::Statement, status, command, rows);
        self.out.finish()
    }

    /// Ends a procedure call; `more` calls of the same request may follow.
    pub fn end_procedure(&mut self, status: u16, more: bool) {
        self.tokens();
        let more = if more { tokens::MORE } else { 0 };
        tokens::done(self.out.buffer(), Done::Procedure, status | more, 0xe0, 0);
        self.done = Done::Statement;
    }

    /// Forgets the end of an interrupted statement.
    pub fn abandon(&mut self) {
        self.pending = None;
        self.done = Done::Statement;
    }

    /// Tells the other sessions.
    pub fn publish(&self) {
        crate::types::temporal::set_date_format(&self.settings.date_format);
        if let Some(entry) = self.shared.sessions().get_mut(&self.spid) {
            entry.database.clone_from(&self.database.name);
            entry.isolation = self.settings.isolation;
            entry.lock_timeout = self.settings.lock_timeout;
            entry.deadlock_priority = self.settings.deadlock_priority;
            entry.text_size = self.settings.text_size;
            entry.language.clone_from(&self.settings.language);
            entry.date_format.clone_from(&self.settings.date_format);
            entry.open_transactions = self.open_transactions;
        }
    }
}

/// DONE's command of a SELECT.
pub const SELECT: u16 = 0xc1;

impl SessionEntry {
    pub fn new(login: &Login, database: &str, signals: Arc<Signals>) -> Self {
        let mut settings = Settings::default();
        settings.speak(&login.user);
        Self {
            login: login.user.clone(),
            host: login.host.clone(),
            application: login.application.clone(),
            database: database.to_owned(),
            isolation: settings.isolation,
            status: "sleeping",
            login_time: crate::types::cast::now().to_datetime().store(Kind::DateTime),
            lock_timeout: settings.lock_timeout,
            deadlock_priority: settings.deadlock_priority,
            text_size: settings.text_size,
            language: settings.language,
            date_format: settings.date_format,
            open_transactions: 0,
            signals,
        }
    }
}
