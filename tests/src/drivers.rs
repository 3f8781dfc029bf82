//! A database of its own on each server there is, behind one trait: for what every driver promises.

use crate::{mssql, mysql, postgres, sqlite};

/// A database, and the words that differ from one server to another.
pub trait Driver: Send {
    /// Which one, for a failing test to say.
    fn name(&self) -> &'static str;

    /// As a source's `url`.
    fn url(&self) -> String;

    /// Runs statements as somebody who may do everything.
    fn run(&mut self, sql: &str);

    /// A text as a literal.
    fn text(&self, value: &str) -> String {
        format!("'{}'", value.replace('\'', "''"))
    }

    /// A type of moments, without a zone or in UTC.
    fn moment(&self) -> &'static str;

    /// The server's time so many milliseconds ago, in UTC.
    fn ago(&self, milliseconds: u32) -> String;

    /// Inserts rows, as many at a time as every server takes.
    fn insert(&mut self, table: &str, rows: &[String]) {
        for some in rows.chunks(500) {
            let values: Vec<String> = some.iter().map(|row| format!("({row})")).collect();
            self.run(&format!("INSERT INTO {table} VALUES {}", values.join(", ")));
        }
    }
}

/// A new database on PostgreSQL, MariaDB, MySQL (where the runner has it), SQL Server, and in a SQLite file.
pub fn all() -> Vec<Box<dyn Driver>> {
    let mut found: Vec<Box<dyn Driver>> = vec![Box::new(postgres::database())];
    found.extend(mysql::servers().into_iter().map(|server| Box::new(server.database()) as Box<dyn Driver>));
    found.push(Box::new(mssql::database()));
    found.push(Box::new(sqlite::database()));
    found
}

impl Driver for postgres::Database {
    fn name(&self) -> &'static str {
        "POSTGRES"
    }

    fn url(&self) -> String {
        self.url()
    }

    fn run(&mut self, sql: &str) {
        self.run(sql);
    }

    fn moment(&self) -> &'static str {
        "timestamptz"
    }

    fn ago(&self, milliseconds: u32) -> String {
        format!("clock_timestamp() - interval '{milliseconds} milliseconds'")
    }
}

impl Driver for mysql::Database {
    fn name(&self) -> &'static str {
        self.server.name
    }

    fn url(&self) -> String {
        self.url()
    }

    fn run(&mut self, sql: &str) {
        mysql::Database::run(self, sql);
    }

    fn text(&self, value: &str) -> String {
        format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
    }

    fn moment(&self) -> &'static str {
        "datetime(6)"
    }

    fn ago(&self, milliseconds: u32) -> String {
        format!("TIMESTAMPADD(MICROSECOND, -{milliseconds}000, UTC_TIMESTAMP(6))")
    }
}

impl Driver for mssql::Database {
    fn name(&self) -> &'static str {
        "MSSQL"
    }

    fn url(&self) -> String {
        self.url()
    }

    fn run(&mut self, sql: &str) {
        self.run(sql);
    }

    fn text(&self, value: &str) -> String {
        format!("N'{}'", value.replace('\'', "''"))
    }

    /// Of 1/300 s, which no decimal writes exactly.
    fn moment(&self) -> &'static str {
        "datetime"
    }

    fn ago(&self, milliseconds: u32) -> String {
        format!("DATEADD(MILLISECOND, -{milliseconds}, SYSUTCDATETIME())")
    }
}

impl Driver for sqlite::Database {
    fn name(&self) -> &'static str {
        "SQLITE"
    }

    fn url(&self) -> String {
        self.url()
    }

    fn run(&mut self, sql: &str) {
        self.run(sql);
    }

    fn moment(&self) -> &'static str {
        "TIMESTAMP"
    }

    fn ago(&self, milliseconds: u32) -> String {
        format!("strftime('%Y-%m-%d %H:%M:%f', 'now', '-{}.{:03} seconds')", milliseconds / 1000, milliseconds % 1000)
    }
}
