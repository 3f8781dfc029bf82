//! Trouble on demand: `EXEC rivet_fault 'kind', number, times`.
//!
//! A fault belongs to the database of the session that arms it, strikes other sessions of that
//! database, and is used up after so many strikes (once, unless `times` says more).

use std::sync::{Mutex, PoisonError};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `disconnect`: the connection is cut after `number` rows.
    Disconnect,
    /// `kill`: error 596 after `number` rows, and the connection ends.
    Kill,
    /// `error`: the next SELECT from a user's table fails with this error.
    Error,
    /// `error_after_row`: it fails with 1205 after `number` rows.
    Deadlock,
    /// `login`: the next login to this database is refused with this error.
    Login,
    /// `block`: the next SELECT from a user's table waits so many seconds for a lock.
    Block,
    /// `swallow`: SET statements change nothing, as behind a proxy.
    Swallow,
    /// `route`: the next login is sent to port `number`.
    Route,
    /// `slow`: every row of the next SELECT takes so many milliseconds.
    Slow,
    // How a relative of SQL Server differs, for as long as it is armed; nothing is used up.
    /// `lacks_textsize`: there is no `@@TEXTSIZE`.
    LacksTextSize,
    /// `lacks_description`: there is no `sys.dm_exec_describe_first_result_set`.
    LacksDescription,
    /// `lacks_units`: there is no `sys.allocation_units`.
    LacksUnits,
    /// `counts_nothing`: `sys.partitions` says 0 rows of every table.
    CountsNothing,
    /// `no_features`: a login with a list of features is hung up on.
    NoFeatures,
}

impl Kind {
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "disconnect" => Self::Disconnect,
            "kill" => Self::Kill,
            "error" => Self::Error,
            "deadlock" => Self::Deadlock,
            "login" => Self::Login,
            "block" => Self::Block,
            "swallow" => Self::Swallow,
            "route" => Self::Route,
            "slow" => Self::Slow,
            "lacks_textsize" => Self::LacksTextSize,
            "lacks_description" => Self::LacksDescription,
            "lacks_units" => Self::LacksUnits,
            "counts_nothing" => Self::CountsNothing,
            "no_features" => Self::NoFeatures,
            _ => return None,
        })
    }
}

#[derive(Debug)]
struct Fault {
    kind: Kind,
    number: i64,
    times: i64,
    database: String,
    by: u16,
}

/// The faults that are armed.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    pub fn arm(&self, kind: Kind, number: i64, times: i64, database: &str, by: u16) {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.retain(|fault| !(fault.kind == kind && fault.database == database));
        if times > 0 {
            faults.push(Fault { kind, number, times, database: database.to_owned(), by });
        }
    }

    /// Uses up one strike, if such a fault is armed against this session.
    pub fn strike(&self, kind: Kind, database: &str, spid: u16) -> Option<i64> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = faults.iter().position(|fault| {
            fault.kind == kind && fault.database.eq_ignore_ascii_case(database) && fault.by != spid
        })?;
        let number = faults[at].number;
        faults[at].times -= 1;
        if faults[at].times == 0 {
            faults.remove(at);
        }
        Some(number)
    }

    /// Whether such a fault is armed against this session.
    pub fn is_armed(&self, kind: Kind, database: &str, spid: u16) -> bool {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults
            .iter()
            .any(|fault| fault.kind == kind && fault.database.eq_ignore_ascii_case(database) && fault.by != spid)
    }

    /// Forgets a database's faults.
    pub fn clear(&self, database: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|fault| fault.database != database);
    }
}
