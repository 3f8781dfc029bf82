//! What the state's server said, and what to do about it.

use std::error::Error as _;
use std::io;

use rivet_sdk::{Error, ErrorKind, Retry, tls};

/// An error of the client: the server's own by its SQLSTATE, the rest is the connection's.
pub(super) fn of(error: &postgres::Error) -> Error {
    let Some(server) = error.as_db_error() else { return of_connection(error) };
    let code = server.code().code();
    let (kind, hint) = match code {
        "28P01" => {
            (ErrorKind::Auth, "check user and password of the state's URL; special characters are percent-encoded")
        }
        "28000" => (
            ErrorKind::Auth,
            "the server's pg_hba.conf has no line that lets this user in from here; it may ask for TLS: `sslmode=require`",
        ),
        "3D000" => (ErrorKind::NotFound, "create the database, or correct its name in the state's URL"),
        "3F000" => {
            (ErrorKind::Permission, "the user's search_path names no schema: give it one that it may create tables in")
        }
        "42501" => (
            ErrorKind::Permission,
            "the state's user makes its own tables: GRANT USAGE, CREATE ON SCHEMA public TO it, or give it a schema of its own",
        ),
        "25006" => (ErrorKind::Permission, "the server is a standby or read-only: the state needs the primary"),
        "53300" => (
            ErrorKind::Transient,
            "no connection is left for the state's login: it takes one of its own for as long as a command runs; try \
             again, give it a login of its own, or raise that login's CONNECTION LIMIT or max_connections",
        ),
        "55P03" | "57014" => {
            (ErrorKind::Transient, "another process holds the state of this export for long; try again")
        }
        "42P01" | "42703" => {
            (ErrorKind::Conflict, "the state's tables were changed by hand: restore them, or drop all rivet_ tables")
        }
        _ if code.starts_with("08") || code.starts_with("57P") => {
            (ErrorKind::Connection, "the state's server is restarting; try again")
        }
        _ if code.starts_with("40") || code.starts_with("53") => (ErrorKind::Transient, "try again"),
        _ => (ErrorKind::Other, "see the log of the state's server"),
    };
    Error::new(kind, format!("state store: {}", server.message())).with_code(code).with_hint(hint)
}

/// Without an answer of the server: the network's errors may pass, those of TLS and login do not.
fn of_connection(error: &postgres::Error) -> Error {
    if let Some(fault) = io_cause(error.source()).and_then(tls::in_io) {
        return Error::connection(format!("state store: TLS failed: {}", fault.text))
            .with_retry(Retry::Permanent)
            .with_hint(fault.hint("name the authority that signed it: `sslrootcert=FILE` in the state's URL"));
    }
    let by_network = match io_cause(error.source()) {
        Some(cause) => !matches!(cause.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput),
        None => error.is_closed(),
    };
    let found = Error::connection(format!("state store: {error}"));
    let found = error.source().map_or(found.clone(), |cause| found.with_source(cause));
    if by_network {
        return found.with_hint("check that the state's server runs, and host and port of its URL");
    }
    found.with_retry(Retry::Permanent).with_hint(
        "check password, sslmode and sslrootcert of the state's URL, and that the certificate names its host",
    )
}

fn io_cause<'a>(mut cause: Option<&'a (dyn std::error::Error + 'static)>) -> Option<&'a io::Error> {
    while let Some(found) = cause {
        if let Some(error) = found.downcast_ref::<io::Error>() {
            return Some(error);
        }
        cause = found.source();
    }
    None
}
