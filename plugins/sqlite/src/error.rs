//! SQLite's errors as rivet's: by result code, and by text only where SQLite has no code.

use rivet_sdk::{Error, ErrorKind, Retry, nearest};
use rusqlite::ErrorCode;

/// The error behind a failed call.
pub fn fault(error: rusqlite::Error) -> Error {
    match error {
        rusqlite::Error::SqliteFailure(code, message) => by_code(code, message.unwrap_or_else(|| code.to_string())),
        rusqlite::Error::SqlInputError { error, msg, offset, .. } => {
            let fault = by_code(error, msg);
            if offset >= 0 { fault.with_context("offset", offset.to_string()) } else { fault }
        }
        rusqlite::Error::MultipleStatement => {
            Error::new(ErrorKind::InvalidQuery, "there is more than one statement").with_hint("keep one SELECT")
        }
        other => Error::new(ErrorKind::Other, other.to_string()),
    }
}

/// What to do where no file can be opened any more.
pub const OUT_OF_FILES: &str = "too many open files: raise the limit (`ulimit -n`), or lower `parallel`";

/// Whether no file can be opened at the moment: SQLite does not say so, but trying tells.
pub fn is_out_of_files() -> bool {
    // EMFILE and ENFILE: of the process, of the system.
    std::fs::File::open("/dev/null").is_err_and(|error| matches!(error.raw_os_error(), Some(24 | 23)))
}

fn by_code(code: rusqlite::ffi::Error, message: String) -> Error {
    let (kind, hint) = match code.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => (
            ErrorKind::Transient,
            Some(
                "another process holds the database; raise `lock_timeout_s`, or `busy_timeout_s` where that is not set",
            ),
        ),
        ErrorCode::SchemaChanged => (ErrorKind::Transient, None),
        ErrorCode::DatabaseCorrupt => {
            (ErrorKind::Integrity, Some("check the file with `PRAGMA integrity_check`, or restore a backup"))
        }
        ErrorCode::NotADatabase => (
            ErrorKind::Config,
            Some("the file is not a SQLite database, or it is encrypted; name another file, or decrypt it first"),
        ),
        ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => {
            (ErrorKind::Permission, Some("allow this user to read the file"))
        }
        ErrorCode::ReadOnly => (ErrorKind::Permission, Some("rivet opens the database read only; use a SELECT")),
        ErrorCode::CannotOpen | ErrorCode::SystemIoFailure if is_out_of_files() => {
            (ErrorKind::ResourceExhausted, Some(OUT_OF_FILES))
        }
        ErrorCode::CannotOpen => (
            ErrorKind::Permission,
            Some("the file must be readable, and a database in WAL mode needs its folder writable for the -shm file"),
        ),
        ErrorCode::SystemIoFailure => {
            (ErrorKind::Connection, Some("the disk or the network drive of the file failed: see the system's log"))
        }
        ErrorCode::OutOfMemory => {
            (ErrorKind::ResourceExhausted, Some("this machine has no memory left: lower `parallel`"))
        }
        ErrorCode::DiskFull => (
            ErrorKind::ResourceExhausted,
            Some("SQLite sorts in temporary files: free space there, or set SQLITE_TMPDIR"),
        ),
        ErrorCode::TooBig => (ErrorKind::Data, Some("a value is larger than SQLite can make in a query: leave it out")),
        ErrorCode::OperationInterrupted | ErrorCode::OperationAborted => (ErrorKind::Cancelled, None),
        // SQLITE_ERROR: unknown names, wrong syntax and failed functions have no codes of their own.
        ErrorCode::Unknown if message.starts_with("no such table") || message.starts_with("no such column") => {
            (ErrorKind::NotFound, Some("check the name in the export's query, in sqlite3 for example"))
        }
        ErrorCode::Unknown => (
            ErrorKind::InvalidQuery,
            Some(
                "run the export's query in sqlite3 to find the place; extensions, and their functions, are not loaded",
            ),
        ),
        _ => (ErrorKind::Other, None),
    };
    let error = Error::new(kind, message).with_code(code.extended_code.to_string());
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// The statement's time limit passed.
pub fn timeout() -> Error {
    Error::new(ErrorKind::Timeout, "the statement ran longer than its time limit")
        .with_retry(Retry::Permanent)
        .with_hint("raise `statement_timeout_s`, or make the chunks smaller")
}

/// A column that is not there, with the nearest one that is.
pub fn no_column<'a>(name: &str, relation: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let error = Error::not_found(format!("no column `{name}` in {relation}"));
    match nearest(name, known) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error,
    }
}
