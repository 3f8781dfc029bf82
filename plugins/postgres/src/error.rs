//! What the server's SQLSTATE, or the operating system, says about a failure.

use std::time::Duration;

use rivet_sdk::{Error, ErrorKind, Retry};

/// An ErrorResponse or NoticeResponse, taken apart.
#[derive(Debug, Default, Clone)]
pub(crate) struct ServerMessage {
    pub code: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

impl ServerMessage {
    /// Reads the fields of an ErrorResponse's body.
    pub fn parse(body: &[u8]) -> Self {
        let mut message = Self::default();
        for field in body.split(|byte| *byte == 0) {
            let Some((tag, text)) = field.split_first() else { continue };
            let text = String::from_utf8_lossy(text).into_owned();
            match tag {
                b'C' => message.code = text,
                b'M' => message.message = text,
                b'D' => message.detail = Some(text),
                b'H' => message.hint = Some(text),
                _ => {}
            }
        }
        message
    }

    /// The error for the host.
    pub fn into_error(self) -> Error {
        let (kind, retry) = classify(&self.code);
        let mut error = Error::new(kind, format!("PostgreSQL: {}", self.message)).with_code(self.code.clone());
        if let Some(retry) = retry {
            error = error.with_retry(retry);
        }
        if let Some(detail) = self.detail {
            error = error.with_chain([detail]);
        }
        match our_hint(&self.code).map(str::to_owned).or(self.hint).or_else(|| of_kind(kind).map(str::to_owned)) {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

/// SQLSTATE to kind, with a retry decision where it is not the kind's own.
fn classify(code: &str) -> (ErrorKind, Option<Retry>) {
    let soon = Some(Retry::Transient(None));
    let later = Some(Retry::Transient(Some(Duration::from_secs(2))));
    match code {
        "28P01" | "28000" => (ErrorKind::Auth, None),
        "3D000" | "3F000" | "42P01" | "42703" | "42704" | "42883" => (ErrorKind::NotFound, None),
        "42501" => (ErrorKind::Permission, None),
        "57014" | "25P03" | "25P04" | "57P05" => (ErrorKind::Timeout, None),
        "55P03" => (ErrorKind::Timeout, None),
        "40001" | "40P01" | "40003" => (ErrorKind::Transient, soon),
        "57P01" | "57P02" | "57P03" => (ErrorKind::Connection, later),
        "53300" => (ErrorKind::ResourceExhausted, later),
        // A snapshot too old, or a standby that had to replay over our snapshot.
        "72000" => (ErrorKind::Transient, soon),
        "0A000" => (ErrorKind::Unsupported, None),
        "25006" => (ErrorKind::InvalidQuery, None),
        _ if code.starts_with("08") => (ErrorKind::Connection, None),
        _ if code.starts_with("53") => (ErrorKind::ResourceExhausted, later),
        _ if code.starts_with("28") => (ErrorKind::Auth, None),
        _ if code.starts_with("22") => (ErrorKind::Data, None),
        _ if code.starts_with("42") => (ErrorKind::InvalidQuery, None),
        _ if code.starts_with("40") => (ErrorKind::Transient, soon),
        _ if code.starts_with("58") || code.starts_with("XX") => (ErrorKind::Other, None),
        _ => (ErrorKind::Other, None),
    }
}

fn our_hint(code: &str) -> Option<&'static str> {
    Some(match code {
        "28P01" => "check the user and the password; a password in a URL must be percent-encoded",
        "28000" => "the server's pg_hba.conf has no line that lets this user in from here; it may ask for TLS",
        "3F000" => "check the schema's name, upper and lower case included",
        "42P01" => "check the table's name and schema; a name with upper case is written in double quotes",
        "42703" => "check the column's name; a name with upper case is written in double quotes",
        "42704" | "42883" => "check the name and its schema; a query is read with the login's own search_path",
        "42601" => "run the export's query in psql to find the place",
        "3D000" => "check the database's name; PostgreSQL takes the user's name where none is given",
        "42501" => "grant the user SELECT on the table and USAGE on its schema; row security must not apply to it",
        "57014" => "raise `statement_timeout_s`, or make the chunks smaller",
        "55P03" => "another session holds a lock on the table; raise `lock_timeout_s` or try later",
        "53100" => "the server's disk is full: free space there",
        "53200" => "the server is out of memory: lower `parallel`, or its work_mem",
        "57P01" | "57P02" => "the server is being stopped, or somebody ended the session there",
        "57P03" => "the server is starting or being stopped: try again soon",
        "40001" | "72000" => {
            "a standby may give up statements that hold up its replay: see max_standby_streaming_delay"
        }
        "53300" => {
            "no connection is left for this login: with `parallel: 1` an export needs one, otherwise one more than \
             `parallel`; lower that, or raise the role's CONNECTION LIMIT, the database's, or max_connections"
        }
        "25006" => "the export's SQL writes; rivet opens sources read-only",
        _ => return None,
    })
}

/// Where neither we nor the server have more to say.
fn of_kind(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::InvalidQuery | ErrorKind::NotFound => "run the export's query in psql to find the place",
        ErrorKind::Data => "a row holds what the query cannot compute with: run it in psql to find the row",
        ErrorKind::Unsupported => "this server does not do that: write the query otherwise, or take a newer one",
        ErrorKind::ResourceExhausted => "the server has no room left: lower `parallel`, and see its log",
        ErrorKind::Other => "the server's log says more",
        _ => return None,
    })
}

/// The server said something the protocol does not allow here.
pub(crate) fn confused(what: impl std::fmt::Display) -> Error {
    Error::connection(format!("the server's answer is not PostgreSQL's protocol: {what}"))
        .with_retry(Retry::Permanent)
        .with_hint("check that host and port are those of a PostgreSQL server, or of a pooler before one")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str, message: &str) -> Error {
        let body = [&b"SERROR\0C"[..], code.as_bytes(), b"\0M", message.as_bytes(), b"\0\0"].concat();
        ServerMessage::parse(&body).into_error()
    }

    #[test]
    fn the_code_decides_kind_and_retry() {
        for (code, kind, transient) in [
            ("28P01", ErrorKind::Auth, false),
            ("3D000", ErrorKind::NotFound, false),
            ("42P01", ErrorKind::NotFound, false),
            ("42601", ErrorKind::InvalidQuery, false),
            ("42501", ErrorKind::Permission, false),
            ("57014", ErrorKind::Timeout, false),
            ("40001", ErrorKind::Transient, true),
            ("40P01", ErrorKind::Transient, true),
            ("57P01", ErrorKind::Connection, true),
            ("08006", ErrorKind::Connection, true),
            ("53300", ErrorKind::ResourceExhausted, true),
            ("22012", ErrorKind::Data, false),
            ("XX000", ErrorKind::Other, false),
        ] {
            let error = error(code, "text");
            assert_eq!((error.kind(), error.is_transient()), (kind, transient), "{code}");
            assert_eq!(error.code(), Some(code));
            // What needs a person says what to do.
            assert!(transient || error.hint().is_some(), "{code}");
        }
    }

    #[test]
    fn a_broken_message_is_still_an_error() {
        assert_eq!(ServerMessage::parse(b"").into_error().kind(), ErrorKind::Other);
        assert_eq!(ServerMessage::parse(b"\xff\xfe").into_error().kind(), ErrorKind::Other);
    }
}
