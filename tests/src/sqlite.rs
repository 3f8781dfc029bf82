//! SQLite databases in temporary folders.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;

/// A database file; removed with this value.
pub struct Database {
    folder: TempDir,
    connection: Connection,
}

/// Makes an empty database file.
pub fn database() -> Database {
    let folder = tempfile::tempdir().unwrap();
    let connection = Connection::open(folder.path().join("test.db")).unwrap();
    Database { folder, connection }
}

impl Database {
    /// The file.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("test.db")
    }

    /// The folder that the file is alone in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// As a source's `url`.
    pub fn url(&self) -> String {
        format!("sqlite:{}", self.path().display())
    }

    /// Runs statements.
    pub fn run(&mut self, sql: &str) -> &mut Self {
        self.connection.execute_batch(sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
        self
    }

    /// The rows of a query, each value as SQLite's `CAST(… AS TEXT)` gives it; a blob as hex.
    pub fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let mut statement = self.connection.prepare(sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
        let width = statement.column_count();
        let rows = statement.query_map([], |row| {
            (0..width)
                .map(|i| {
                    Ok(match row.get_ref(i)? {
                        rusqlite::types::ValueRef::Null => None,
                        rusqlite::types::ValueRef::Integer(value) => Some(value.to_string()),
                        rusqlite::types::ValueRef::Real(value) => Some(value.to_string()),
                        rusqlite::types::ValueRef::Text(value) => Some(String::from_utf8_lossy(value).into_owned()),
                        rusqlite::types::ValueRef::Blob(value) => {
                            Some(value.iter().map(|byte| format!("{byte:02x}")).collect())
                        }
                    })
                })
                .collect()
        });
        rows.unwrap().collect::<rusqlite::Result<_>>().unwrap()
    }

    /// The connection, for what the methods above don't do.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }
}
