//! What a statement may know of its session, held still while it runs.

use std::sync::Arc;

use super::settings::Settings;
use super::state::{Session, Variables};
use crate::catalogue::databases::Database;
use crate::catalogue::meta::Meta;
use crate::error::SqlResult;
use crate::server::Shared;

pub struct Env {
    pub shared: Arc<Shared>,
    pub meta: Arc<Meta>,
    pub database: Database,
    pub login: String,
    pub host: String,
    pub application: String,
    pub spid: u16,
    pub encrypted: bool,
    pub settings: Settings,
    pub open_transactions: i64,
    pub doomed: bool,
    pub last_rows: i64,
    pub last_error: i32,
    pub variables: Variables,
}

impl Env {
    /// The same for another login.
    pub fn with_login(&self, login: &str) -> Self {
        Self {
            shared: self.shared.clone(),
            meta: self.meta.clone(),
            database: self.database.clone(),
            login: login.to_owned(),
            host: self.host.clone(),
            application: self.application.clone(),
            settings: self.settings.clone(),
            variables: self.variables.clone(),
            ..*self
        }
    }

    pub fn is_administrator(&self) -> bool {
        self.login.eq_ignore_ascii_case(super::ADMINISTRATOR)
    }

    /// Whether the server is to differ like this for the session.
    pub fn differs(&self, how: crate::faults::Kind) -> bool {
        self.shared.faults.is_armed(how, &self.database.name, self.spid)
    }

    /// A right to the whole server, e.g. VIEW SERVER STATE.
    pub fn may_on_server(&self, permission: &str) -> bool {
        self.meta.may_at(&self.login.to_lowercase(), permission, &crate::catalogue::meta::Securable::Server)
    }
}

impl Session {
    pub fn env(&mut self, variables: &Variables) -> SqlResult<Arc<Env>> {
        Ok(Arc::new(Env {
            shared: self.shared.clone(),
            meta: self.engine.meta()?,
            database: self.database.clone(),
            login: self.login.to_lowercase(),
            host: self.host.clone(),
            application: self.application.clone(),
            spid: self.spid,
            encrypted: self.encrypted,
            settings: self.settings.clone(),
            open_transactions: self.open_transactions,
            doomed: self.doomed,
            last_rows: self.last_rows,
            last_error: self.last_error,
            variables: variables.clone(),
        }))
    }
}
