//! What an I/O error of the file system means for the user.

use std::io;
use std::path::Path;

use rivet_sdk::{Error, ErrorKind, Retry};

use crate::files::out_of_files;

/// Maps an I/O error to a typed error with the path and what to do.
pub(super) fn file_error(doing: &str, path: &Path, error: &io::Error) -> Error {
    use io::ErrorKind as Io;
    let (kind, hint) = match error.kind() {
        Io::StorageFull => (ErrorKind::ResourceExhausted, Some("free space on the disk, then run again with --resume")),
        Io::QuotaExceeded => (ErrorKind::ResourceExhausted, Some("the quota is used up; raise it or free space")),
        Io::FileTooLarge => (ErrorKind::ResourceExhausted, Some("set a smaller `max_file_size`")),
        Io::PermissionDenied => (ErrorKind::Permission, Some("let the user that runs rivet write there")),
        Io::ReadOnlyFilesystem => (ErrorKind::Permission, Some("the file system is mounted read-only")),
        Io::NotADirectory => (ErrorKind::Config, Some("a component of the path is a file; choose another path")),
        Io::IsADirectory => (ErrorKind::AlreadyExists, Some("a folder has the name that a file should get")),
        Io::InvalidFilename => (ErrorKind::Config, Some("the file system does not allow this name")),
        Io::NotFound => {
            (ErrorKind::NotFound, Some("a folder of the path is not there and cannot be made; choose another path"))
        }
        Io::AlreadyExists => (ErrorKind::AlreadyExists, None),
        Io::Unsupported => (ErrorKind::Unsupported, Some("rivet needs hard links there; choose another file system")),
        Io::Interrupted | Io::ResourceBusy | Io::StaleNetworkFileHandle | Io::TimedOut => (ErrorKind::Transient, None),
        _ => (ErrorKind::Other, None),
    };
    let (kind, hint) = match out_of_files(error.raw_os_error()) {
        Some(hint) => (ErrorKind::ResourceExhausted, Some(hint)),
        None => (kind, hint),
    };
    let mut typed = Error::new(kind, format!("{doing} {}: {error}", path.display()));
    if let Some(code) = error.raw_os_error() {
        typed = typed.with_code(format!("errno {code}"));
    }
    if kind == ErrorKind::Transient {
        typed = typed.with_retry(Retry::Transient(None));
    }
    match hint {
        Some(hint) => typed.with_hint(hint),
        None => typed,
    }
}
