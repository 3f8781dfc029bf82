//! The database's file, and what lies beside it: the journal of a transaction, or the log of a database in WAL mode.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rivet_sdk::{Error, ErrorKind, Result};
use rusqlite::ErrorCode;

/// The log of a database in WAL mode, and the journal of one that is not.
const BESIDE: [&str; 2] = ["-wal", "-journal"];

/// A file that was promised not to change, as it was when it was opened.
#[derive(Debug)]
pub struct Immutable {
    file: PathBuf,
    seen: Seen,
}

#[derive(Debug, PartialEq, Eq)]
struct Seen {
    file: (u64, u64, u64, i64, i64),
    beside: [u64; 2],
}

impl Immutable {
    /// Looks at the file. One with changes beside it is refused: who takes no lock does not read them.
    pub fn of(file: &Path) -> Result<Self> {
        let seen = Seen::of(file)?;
        let changes = BESIDE.iter().zip(seen.beside).find(|(_, size)| *size > 0);
        if let Some((suffix, size)) = changes {
            return Err(Error::config(format!(
                "`immutable: true`, but {} holds {size} bytes of changes that would not be read",
                beside(file, suffix).display()
            ))
            .with_hint(
                "have the program that writes the database close it, or run `PRAGMA wal_checkpoint(TRUNCATE)`; or \
                 leave `immutable` out",
            ));
        }
        Ok(Self { file: file.to_owned(), seen })
    }

    /// What SQLite opens it as.
    pub fn uri(&self) -> String {
        let mut uri = String::from("file:");
        for byte in self.file.as_os_str().as_encoded_bytes() {
            match byte {
                b'/' | b'-' | b'_' | b'.' | b'~' => uri.push(char::from(*byte)),
                byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
                byte => uri.push_str(&format!("%{byte:02X}")),
            }
        }
        uri + "?immutable=1"
    }

    /// Fails once somebody has written.
    pub fn check(&self) -> Result<()> {
        if Seen::of(&self.file)? == self.seen {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Conflict, format!("{} was written while it was read", self.file.display()))
            .with_hint("`immutable: true` promises that nobody writes it: read a copy, or leave `immutable` out"))
    }
}

impl Seen {
    fn of(file: &Path) -> Result<Self> {
        let look = |path: &Path| std::fs::metadata(path);
        let failed = |error: io::Error| {
            Error::new(ErrorKind::Connection, format!("cannot look at {}", file.display()))
                .with_source(&error)
                .with_hint("check the path and its permissions")
        };
        let found = look(file).map_err(failed)?;
        let sizes = BESIDE.map(|suffix| look(&beside(file, suffix)).map_or(0, |found| found.len()));
        let inode = |found: &Metadata| (found.dev(), found.ino(), found.len(), found.mtime(), found.mtime_nsec());
        Ok(Self { file: inode(&found), beside: sizes })
    }
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Why a file that is there and can be read was not opened, where SQLite's own words do not say it.
pub fn why_closed(file: &Path, code: Option<ErrorCode>, error: Error) -> Error {
    if !matches!(code, Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen))
        || error.kind() == ErrorKind::ResourceExhausted
    {
        return error;
    }
    if File::open(file).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
        return Error::new(ErrorKind::Permission, format!("{} cannot be read", file.display()))
            .with_hint("allow this user to read the file");
    }
    let folder = file.parent().unwrap_or(Path::new("/")).display();
    if std::fs::metadata(beside(file, "-journal")).is_ok_and(|journal| journal.len() > 0) {
        return Error::new(ErrorKind::Permission, format!("a write to {} was cut off", file.display()))
            .with_hint(format!(
                "its journal must be rolled back first, by a program that may write {folder}: `sqlite3 FILE 'PRAGMA \
                 quick_check'` does it"
            ))
            .with_code("hot_journal");
    }
    if !is_wal(file) {
        return error;
    }
    Error::new(
        ErrorKind::Permission,
        format!("{} is in WAL mode, and its folder {folder} cannot be written", file.display()),
    )
    .with_hint(format!(
        "SQLite keeps a -shm file there for its readers: let this user write {folder}; or, where nobody writes the \
         database meanwhile, set `immutable: true` in the source"
    ))
    .with_code("wal_folder")
}

/// Byte 19 of a database file is 2 where readers need WAL.
fn is_wal(file: &Path) -> bool {
    let mut head = [0_u8; 20];
    File::open(file).and_then(|mut file| file.read_exact(&mut head)).is_ok_and(|()| head[19] == 2)
}
