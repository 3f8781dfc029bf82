//! The databases of the server: a file each.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::OptionalExtension;

use super::meta::Meta;
use crate::error::{SqlError, SqlResult};
use crate::types::collation::Collation;

#[derive(Debug, Clone)]
pub struct Database {
    pub id: i64,
    pub name: String,
    pub path: PathBuf,
}

/// All of them, by their folded names; and the logins beside `sa`.
#[derive(Debug)]
pub struct Databases {
    folder: PathBuf,
    known: Mutex<BTreeMap<String, Database>>,
    logins: Mutex<BTreeMap<String, String>>,
}

impl Databases {
    /// Takes a folder, making `master` and its like if they are not there.
    pub fn open(folder: PathBuf) -> SqlResult<Self> {
        let broken = |error: std::io::Error| SqlError::new(5105, error.to_string());
        std::fs::create_dir_all(&folder).map_err(broken)?;
        let databases = Self { folder, known: Mutex::default(), logins: Mutex::default() };
        for (id, name) in [(1, "master"), (2, "tempdb"), (3, "model"), (4, "msdb")] {
            databases.add(id, name);
        }
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&databases.folder).map_err(broken)? {
            let path = entry.map_err(broken)?.path();
            if path.extension().is_some_and(|extension| extension == "db")
                && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
            {
                found.push(unescaped(name));
            }
        }
        found.sort();
        for name in found {
            if databases.find(&name).is_none() {
                databases.add_with_free_id(&name);
            }
        }
        for name in ["master", "tempdb", "model", "msdb"] {
            if let Some(database) = databases.find(name) {
                databases.initialise(&database, Collation::DEFAULT)?;
            }
        }
        Ok(databases)
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Database>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, id: i64, name: &str) -> Database {
        self.insert(&mut self.known(), id, name)
    }

    /// Two sessions that create at once must not share an id: it is chosen and taken under one lock.
    fn add_with_free_id(&self, name: &str) -> Database {
        let mut known = self.known();
        let id = (5..).find(|id| known.values().all(|database| database.id != *id)).unwrap_or(5);
        self.insert(&mut known, id, name)
    }

    fn insert(&self, known: &mut BTreeMap<String, Database>, id: i64, name: &str) -> Database {
        let path = self.folder.join(format!("{}.db", escaped(name)));
        let database = Database { id, name: name.to_owned(), path };
        known.insert(name.to_lowercase(), database.clone());
        database
    }

    pub fn find(&self, name: &str) -> Option<Database> {
        self.known().get(&name.to_lowercase()).cloned()
    }

    pub fn all(&self) -> Vec<Database> {
        let mut all: Vec<Database> = self.known().values().cloned().collect();
        all.sort_by_key(|database| database.id);
        all
    }

    pub fn create(&self, name: &str, collation: Collation) -> SqlResult<()> {
        if self.find(name).is_some() {
            let message = format!("Database '{name}' already exists. Choose a different database name.");
            return Err(SqlError::new(1801, message).state(3));
        }
        let database = self.add_with_free_id(name);
        self.initialise(&database, collation)
    }

    fn initialise(&self, database: &Database, collation: Collation) -> SqlResult<()> {
        let sqlite = rusqlite::Connection::open(&database.path)?;
        sqlite.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
             CREATE TABLE IF NOT EXISTS tds_meta (one INTEGER PRIMARY KEY, version INTEGER, body TEXT)",
        )?;
        let there: Option<i64> = sqlite.query_row("SELECT one FROM tds_meta", [], |row| row.get(0)).optional()?;
        if there.is_none() {
            let now = crate::types::cast::now().to_datetime().store(crate::types::Kind::DateTime);
            let guid = crate::types::cast::new_guid();
            let body = serde_json::to_string(&Meta::new(collation, now, guid));
            let body = body.map_err(|error| SqlError::new(50000, error.to_string()))?;
            sqlite.execute("INSERT INTO tds_meta VALUES (1, 1, ?1)", [body])?;
        }
        Ok(())
    }

    /// Forgets a database and its files.
    pub fn remove(&self, name: &str) -> SqlResult<()> {
        let Some(database) = self.known().remove(&name.to_lowercase()) else { return Err(missing(name)) };
        for suffix in ["", "-wal", "-shm"] {
            let mut path = database.path.clone().into_os_string();
            path.push(suffix);
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(SqlError::new(5105, error.to_string()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Another database's declarations.
    pub fn meta(&self, database: &Database) -> SqlResult<Meta> {
        let sqlite = rusqlite::Connection::open(&database.path)?;
        let body: String = sqlite.query_row("SELECT body FROM tds_meta", [], |row| row.get(0))?;
        serde_json::from_str(&body).map_err(|error| SqlError::new(50000, error.to_string()))
    }

    /// Adds a login, with the password it will have to give.
    pub fn add_login(&self, name: &str, password: &str) {
        let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        logins.insert(name.to_lowercase(), password.to_owned());
    }

    /// The password of a login made by CREATE LOGIN.
    pub fn login(&self, name: &str) -> Option<String> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner).get(&name.to_lowercase()).cloned()
    }
}

pub fn missing(name: &str) -> SqlError {
    SqlError::new(911, format!("Database '{name}' does not exist. Make sure that the name is entered correctly."))
}

/// A file name for any database name.
fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") }).collect()
}

fn unescaped(file: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = file.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
