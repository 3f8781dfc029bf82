//! What the server's error number, or the operating system, says about a failure.

use std::time::Duration;

use rivet_sdk::cursor::{Cursor, ReadNumbers as _};
use rivet_sdk::{Error, ErrorKind, Retry};

/// An ERR packet, taken apart.
#[derive(Debug, Default, Clone)]
pub(crate) struct ServerMessage {
    pub code: u16,
    pub message: String,
}

impl ServerMessage {
    /// Reads an ERR packet, from its 0xFF on.
    pub fn parse(body: &[u8]) -> Self {
        let mut parts = Cursor::new(body.get(1..).unwrap_or_default());
        // An error without a number is an error all the same.
        let code = parts.u16_le().unwrap_or_default();
        let text = match parts.rest() {
            [b'#', rest @ ..] => rest.get(5..).unwrap_or_default(),
            text => text,
        };
        Self { code, message: String::from_utf8_lossy(text).into_owned() }
    }

    /// The error for the host.
    pub fn into_error(self) -> Error {
        let (kind, retry) = classify(self.code);
        let mut error = Error::new(kind, format!("MySQL: {}", self.message)).with_code(self.code.to_string());
        if let Some(retry) = retry {
            error = error.with_retry(retry);
        }
        match hint(self.code).or_else(|| of_kind(kind)) {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

/// Error number to kind, with a retry decision where it is not the kind's own.
fn classify(code: u16) -> (ErrorKind, Option<Retry>) {
    let soon = Some(Retry::Transient(None));
    let later = Some(Retry::Transient(Some(Duration::from_secs(2))));
    match code {
        1044 | 1142 | 1143 | 1227 | 1345 | 1356 | 1370 | 1410 => (ErrorKind::Permission, None),
        1045 | 1130 | 1131 | 1251 | 1698 | 1820 | 1862 | 3118 | 3159 | 3955 | 4151 => (ErrorKind::Auth, None),
        1040 | 1203 | 1226 | 1135 => (ErrorKind::ResourceExhausted, later),
        1037 | 1038 | 1041 | 1021 | 1114 => (ErrorKind::ResourceExhausted, later),
        1049 | 1051 | 1054 | 1109 | 1146 | 1305 | 1412 => (ErrorKind::NotFound, if code == 1412 { soon } else { None }),
        1064 | 1052 | 1055 | 1060 | 1065 | 1066 | 1140 | 1149 | 1222 | 1248 | 1267 | 1292 | 1295 | 1582 | 1690
        | 1792 => (ErrorKind::InvalidQuery, None),
        // A lock that is held on purpose is held again at once.
        1205 => (ErrorKind::Timeout, None),
        3024 | 1969 => (ErrorKind::Timeout, None),
        1213 | 1614 | 3572 | 1020 => (ErrorKind::Transient, soon),
        1053 | 1077 | 1079 | 1927 | 3169 | 4031 => (ErrorKind::Connection, later),
        1158..=1161 | 1184 | 2006 | 2013 | 2055 => (ErrorKind::Connection, None),
        1129 => (ErrorKind::Connection, Some(Retry::Permanent)),
        1153 | 1301 => (ErrorKind::Data, None),
        1366 | 1406 | 1411 | 3140 | 3141 => (ErrorKind::Data, None),
        1235 | 1289 => (ErrorKind::Unsupported, None),
        _ => (ErrorKind::Other, None),
    }
}

fn hint(code: u16) -> Option<&'static str> {
    Some(match code {
        1040 | 1203 | 1226 => {
            "no connection is left for this login: with `parallel: 1` an export needs one, otherwise one more than \
             `parallel`; lower that, or raise the account's MAX_USER_CONNECTIONS, max_user_connections or max_connections"
        }
        1044 => "grant the user SELECT on the database, and check the database's name",
        1045 | 1698 => {
            "check the user and the password, that the user may come from this address, and whether it must use TLS; \
             a password in a URL must be percent-encoded"
        }
        1130 => "no account lets this user in from this address",
        1251 | 3159 => "the account asks for TLS or another login plugin; see `tls`",
        1820 | 1862 => "the password has expired: set a new one with the mysql client",
        3118 | 3955 | 4151 => "the account is locked: an administrator unlocks it with ALTER USER … ACCOUNT UNLOCK",
        1049 => "check the database's name, upper and lower case included",
        1055 => {
            "the query runs under the login's sql_mode, which has ONLY_FULL_GROUP_BY: group by the column, or take ANY_VALUE of it"
        }
        1060 => "give each column of the query a name of its own with AS",
        1146 | 1109 => "check the table's name, upper and lower case included; was it dropped?",
        1054 => "check the column's name in the export",
        1064 => "run the export's query in the mysql client to find the place",
        1142 | 1143 => "grant the user SELECT on the table",
        1227 => "the statement needs a right that the user does not have",
        1356 => "the view's definer lacks rights, or a table below it is gone",
        1205 => "another session holds a lock on the table; raise `lock_timeout_s` or try later",
        1213 => "the server chose this statement as the victim of a deadlock; it is tried again",
        1317 => "somebody stopped the statement on the server (KILL QUERY)",
        3024 | 1969 => "raise `statement_timeout_s`, or make the chunks smaller",
        1153 | 1301 => "a value, or the export's query, is larger than the server's max_allowed_packet; raise that",
        1129 => "the server blocks this host after too many failed connections: FLUSH HOSTS there",
        1792 => "the export's SQL writes; rivet opens sources read-only",
        1053 | 1077 | 1079 => "the server is shutting down",
        1927 | 3169 => "somebody ended the connection on the server (KILL)",
        1412 => "the table was altered while it was read; the next attempt sees it as it is now",
        4031 => "the connection was idle for longer than the server allows",
        1020 => "a row changed while it was read",
        1267 => "the query compares texts of two collations; name one with COLLATE",
        _ => return None,
    })
}

/// Where there is no more to say.
fn of_kind(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::InvalidQuery | ErrorKind::NotFound => "run the export's query in the mysql client to find the place",
        ErrorKind::Data => "a row holds what the query cannot compute with: run it in the mysql client to find the row",
        ErrorKind::Unsupported => "this server does not do that: write the query otherwise, or take a newer one",
        ErrorKind::Auth => "the server does not let this account in: ask its administrator",
        ErrorKind::Permission => "grant the user SELECT on what the query names",
        ErrorKind::ResourceExhausted => "the server has no room left: lower `parallel`, and see its log",
        ErrorKind::Other => "the server's log says more",
        _ => return None,
    })
}

/// The server said something the protocol does not allow here.
pub(crate) fn confused(what: impl std::fmt::Display) -> Error {
    Error::connection(format!("the server's answer is not MySQL's protocol: {what}"))
        .with_retry(Retry::Permanent)
        .with_hint("check that host and port are those of a MySQL or MariaDB server")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: u16) -> Error {
        let body = [&[0xFF][..], &code.to_le_bytes(), b"#HY000text"].concat();
        ServerMessage::parse(&body).into_error()
    }

    #[test]
    fn the_number_decides_kind_and_retry() {
        for (code, kind, transient) in [
            (1045, ErrorKind::Auth, false),
            (1044, ErrorKind::Permission, false),
            (1040, ErrorKind::ResourceExhausted, true),
            (1049, ErrorKind::NotFound, false),
            (1146, ErrorKind::NotFound, false),
            (1054, ErrorKind::NotFound, false),
            (1064, ErrorKind::InvalidQuery, false),
            (1142, ErrorKind::Permission, false),
            (1153, ErrorKind::Data, false),
            (1205, ErrorKind::Timeout, false),
            (1213, ErrorKind::Transient, true),
            (1317, ErrorKind::Other, false),
            (1792, ErrorKind::InvalidQuery, false),
            (1927, ErrorKind::Connection, true),
            (2006, ErrorKind::Connection, true),
            (2013, ErrorKind::Connection, true),
            (3024, ErrorKind::Timeout, false),
            (1969, ErrorKind::Timeout, false),
            (9999, ErrorKind::Other, false),
        ] {
            let error = error(code);
            assert_eq!((error.kind(), error.is_transient()), (kind, transient), "{code}");
            // What needs a person says what to do.
            assert!(transient || error.hint().is_some(), "{code}");
            assert_eq!((error.code(), error.message()), (Some(code.to_string().as_str()), "MySQL: text"));
        }
    }

    #[test]
    fn a_broken_message_is_still_an_error() {
        assert_eq!(ServerMessage::parse(b"").into_error().kind(), ErrorKind::Other);
        assert_eq!(ServerMessage::parse(b"\xff\xfe").into_error().kind(), ErrorKind::Other);
        assert_eq!(ServerMessage::parse(b"\xff\x15\x04#").into_error().kind(), ErrorKind::Auth);
    }
}
