//! What the server's SQLSTATE, or the operating system, says about a failure.

use std::time::Duration;

use fallible_iterator::FallibleIterator as _;
use postgres_protocol::message::backend::ErrorFields;
use rivet_sdk::sql::error::Product;
use rivet_sdk::{Error, ErrorKind, Retry};

const PRODUCT: Product = Product {
    name: "PostgreSQL",
    protocol: "PostgreSQL's protocol",
    server: "a PostgreSQL server, or of a pooler before one",
    login: "login",
    tool: "psql",
};

/// An ErrorResponse or NoticeResponse, taken apart.
#[derive(Debug, Default, Clone)]
pub(crate) struct ServerMessage {
    pub code: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

impl ServerMessage {
    /// Reads the fields, up to one that is broken.
    pub fn of(mut fields: ErrorFields<'_>) -> Self {
        let mut message = Self::default();
        while let Ok(Some(field)) = fields.next() {
            // Before the login is through it may be in any encoding.
            let text = String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
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
        let hint = our_hint(&self.code).map(str::to_owned).or(self.hint);
        let error = PRODUCT.refused(self.code.clone(), &self.message, classify(&self.code), hint);
        match self.detail {
            Some(detail) => error.with_chain([detail]),
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

/// The server said something the protocol does not allow here.
pub(crate) fn confused(what: impl std::fmt::Display) -> Error {
    PRODUCT.confused(what)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use postgres_protocol::message::backend::Message;

    use super::*;

    fn error(code: &str, message: &str) -> Error {
        let body = [&b"SERROR\0C"[..], code.as_bytes(), b"\0M", message.as_bytes(), b"\0\0"].concat();
        read(&body)
    }

    fn read(body: &[u8]) -> Error {
        let length = i32::try_from(body.len() + 4).unwrap().to_be_bytes();
        let mut bytes = BytesMut::from(&[b"E", &length[..], body].concat()[..]);
        let Message::ErrorResponse(body) = Message::parse(&mut bytes).unwrap().unwrap() else { panic!("no error") };
        ServerMessage::of(body.fields()).into_error()
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
        assert_eq!(read(b"").kind(), ErrorKind::Other);
        assert_eq!(read(b"\xff\xfe").kind(), ErrorKind::Other);
    }
}
