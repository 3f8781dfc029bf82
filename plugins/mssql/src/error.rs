//! What the server's error number, or the operating system, says about a failure.

use std::time::Duration;

use rivet_sdk::cursor::{Cursor, ReadNumbers as _, Short};
use rivet_sdk::{Error, ErrorKind, Result, Retry};

use crate::packet::lossy_utf16;

/// An ERROR or INFO token, taken apart.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct ServerMessage {
    pub number: i32,
    /// Severity: from 20 on the server closes the connection.
    pub class: u8,
    pub message: String,
}

impl ServerMessage {
    /// Reads a token's body, from its number on.
    pub fn parse(body: &[u8]) -> Result<Self, Short> {
        let mut parts = Cursor::new(body);
        let number = i32::from_le_bytes(parts.array()?);
        let [_state, class] = parts.array()?;
        let units = usize::from(parts.u16_le()?);
        Ok(Self { number, class, message: lossy_utf16(parts.bytes(units * 2)?) })
    }

    /// The error for the host.
    pub fn into_error(self) -> Error {
        let (kind, retry) = classify(self.number, self.class);
        let mut error = Error::new(kind, format!("SQL Server: {}", self.message)).with_code(self.number.to_string());
        if let Some(retry) = retry {
            error = error.with_retry(retry);
        }
        match hint(self.number).or_else(|| of_kind(kind)) {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

/// Error number to kind, with a retry decision where it is not the kind's own.
fn classify(number: i32, class: u8) -> (ErrorKind, Option<Retry>) {
    let soon = Some(Retry::Transient(None));
    let later = Some(Retry::Transient(Some(Duration::from_secs(5))));
    match number {
        // Logins: wrong, locked, disabled, expired, not allowed in from here.
        18450 | 18451 | 18452 | 18456 | 18457 | 18458 | 18470 | 18486 | 18487 | 18488 | 40532 | 40615 => {
            (ErrorKind::Auth, None)
        }
        // A database that is not there or not open, a table, a column, a function.
        4060 | 911 | 207 | 208 | 2812 | 4121 | 4902 | 15151 | 40607 => (ErrorKind::NotFound, None),
        229 | 230 | 262 | 297 | 300 | 916 | 15247 | 15562 => (ErrorKind::Permission, None),
        // Deadlock victim, snapshot conflicts, a plan or a schema that changed on the way.
        1205 | 3960 | 3961 | 3966 | 3935 | 41302 | 41305 | 41325 | 41839 | 601 | 615 => (ErrorKind::Transient, soon),
        1222 => (ErrorKind::Timeout, None),
        // Memory, version store, sessions and workers used up.
        701 | 802 | 845 | 8645 | 8651 | 3967 | 3958 | 1204 | 10928 | 10929 | 10936 => {
            (ErrorKind::ResourceExhausted, later)
        }
        17809 | 17810 => (ErrorKind::ResourceExhausted, later),
        40501 | 40544 | 40549 | 40550 | 40551 | 40552 | 40553 | 49918 | 49919 | 49920 | 42108 | 42109 => {
            (ErrorKind::Throttled, Some(Retry::Transient(Some(Duration::from_secs(10)))))
        }
        // Failover, reconfiguration, a secondary not ready, a session that was killed, shutdown.
        40197 | 40143 | 40166 | 40540 | 40613 | 40648 | 4221 | 978 | 982 | 983 | 596 | 6005 | 6006 | 17142 | 18401
        | 10053 | 10054 | 10060 | 64 | 233 | 20 | 121 | 1236 | 4891 => (ErrorKind::Connection, later),
        // Conversion, overflow, truncation, division by zero.
        220 | 232 | 241 | 242 | 244 | 245 | 248 | 517 | 529 | 8114 | 8115 | 8134 | 8152 | 2628 | 8169 | 9402 | 9420
        | 6355 | 3606 => (ErrorKind::Data, None),
        3906 | 3908 => (ErrorKind::InvalidQuery, None),
        _ if class >= 20 => (ErrorKind::Connection, later),
        _ if class == 17 => (ErrorKind::ResourceExhausted, later),
        _ if class == 14 => (ErrorKind::Permission, None),
        _ if class == 13 => (ErrorKind::Transient, soon),
        _ if class == 15 || class == 16 => (ErrorKind::InvalidQuery, None),
        _ => (ErrorKind::Other, None),
    }
}

fn hint(number: i32) -> Option<&'static str> {
    Some(match number {
        18456 => {
            "check the user and the password; a password in a URL must be percent-encoded; SQL logins need mixed mode"
        }
        18452 => "this server lets Windows logins in only: turn mixed mode on and use a SQL login",
        18486 => "the login is locked out: ALTER LOGIN … WITH PASSWORD = '…' UNLOCK",
        18487 | 18488 => "the password has expired or must be changed: change it once in another tool",
        18470 => "the login is disabled: ALTER LOGIN … ENABLE",
        40615 | 40532 => "the Azure SQL firewall does not let this address in, or the login needs its server's name",
        4060 | 911 => "check the database's name, and that the login has a user in it",
        208 => "names follow the database's collation: in a case-sensitive one, upper and lower case count",
        207 => "run the export's query in another tool to find the column",
        102 | 156 | 319 | 1033 => {
            "`query` must be one SELECT that can stand in FROM (…): no WITH before it, no ORDER BY without TOP"
        }
        8155 | 8156 => "give each column of the query a name of its own with AS",
        229 | 230 => "GRANT SELECT ON the table (or its schema) TO the user; for a query, on every table it names",
        262 | 297 | 300 => "the login lacks a right that only diagnostics need",
        916 => "the login has no user in this database: CREATE USER … FOR LOGIN …",
        1222 => {
            "another session holds a lock on the table; raise `lock_timeout_s`, try later, or allow SNAPSHOT isolation"
        }
        1205 => "another session was chosen over this one; it is tried again",
        3960 | 3961 => "something changed under the snapshot; it is tried again",
        17809 | 17810 => {
            "the server has no connection left: with `parallel: 1` an export needs one, otherwise one more than \
             `parallel`; lower that, or raise `user connections`"
        }
        10928 | 10929 | 40501 | 49918 | 49919 | 49920 => {
            "the database is at its limits: lower `parallel`, or scale it up"
        }
        40613 | 40197 => "the database is being moved or started; it is tried again",
        978 => "the replica takes read-only connections alone: `application_intent: read_only`",
        _ => return None,
    })
}

/// Where there is no more to say.
fn of_kind(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::InvalidQuery | ErrorKind::NotFound => "run the export's query in another tool to find the place",
        ErrorKind::Data => "a row holds what the query cannot compute with: run it in another tool to find the row",
        ErrorKind::Auth => "the server does not let this login in: ask its administrator",
        ErrorKind::Permission => "grant the user SELECT on what the query names",
        ErrorKind::ResourceExhausted => "the server has no room left: lower `parallel`, and see its log",
        ErrorKind::Other => "the server's log says more",
        _ => return None,
    })
}

/// The server said something the protocol does not allow here.
pub(crate) fn confused(what: impl std::fmt::Display) -> Error {
    Error::connection(format!("the server's answer is not the TDS protocol: {what}"))
        .with_retry(Retry::Permanent)
        .with_hint("check that host and port are those of a SQL Server")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_decides_kind_and_retry() {
        for (number, class, kind, transient) in [
            (18456, 14, ErrorKind::Auth, false),
            (18486, 14, ErrorKind::Auth, false),
            (4060, 11, ErrorKind::NotFound, false),
            (208, 16, ErrorKind::NotFound, false),
            (207, 16, ErrorKind::NotFound, false),
            (102, 15, ErrorKind::InvalidQuery, false),
            (229, 14, ErrorKind::Permission, false),
            (1205, 13, ErrorKind::Transient, true),
            (1222, 16, ErrorKind::Timeout, false),
            (3960, 16, ErrorKind::Transient, true),
            (40501, 20, ErrorKind::Throttled, true),
            (40613, 17, ErrorKind::Connection, true),
            (49918, 16, ErrorKind::Throttled, true),
            (10928, 16, ErrorKind::ResourceExhausted, true),
            (4221, 16, ErrorKind::Connection, true),
            (596, 21, ErrorKind::Connection, true),
            (8134, 16, ErrorKind::Data, false),
            (50000, 16, ErrorKind::InvalidQuery, false),
            (1, 25, ErrorKind::Connection, true),
        ] {
            let error = ServerMessage { number, class, message: "text".into() }.into_error();
            assert_eq!((error.kind(), error.is_transient()), (kind, transient), "{number}");
            assert_eq!(error.code(), Some(number.to_string().as_str()));
            // What needs a person says what to do.
            assert!(transient || error.hint().is_some(), "{number}");
        }
    }
}
