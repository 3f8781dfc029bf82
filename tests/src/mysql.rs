//! The private MariaDB and MySQL that the runner started, and databases on them.

use std::{
    path::PathBuf,
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::Value;

use crate::readers::{Column, Table};

/// Every user's password.
pub const PASSWORD: &str = "secret";

/// Who connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// May do everything.
    Root,
    /// `reader`: may select from the test's own database, nothing else.
    Reader,
    /// `tlsonly`: the same, refused without TLS.
    TlsOnly,
}

/// A server of the runner's, or any other that RIVET_TEST_MARIADB_URL or RIVET_TEST_MYSQL_URL names.
#[derive(Debug, Clone)]
pub struct Server {
    /// `MARIADB` or `MYSQL`.
    pub name: &'static str,
    /// As a user who may do everything.
    pub url: String,
}

/// Every server there is; at least one. MySQL is left out where the runner could not get it.
pub fn servers() -> Vec<Server> {
    let server = |name| Some(Server { name, url: std::env::var(format!("RIVET_TEST_{name}_URL")).ok()? });
    let found: Vec<Server> = ["MARIADB", "MYSQL"].into_iter().filter_map(server).collect();
    assert!(!found.is_empty(), "RIVET_TEST_MARIADB_URL is not set: run `make test`, or `tests/run` with a test's name");
    found
}

impl Server {
    /// Whether this is MariaDB.
    pub fn is_mariadb(&self) -> bool {
        self.query("", "SELECT VERSION()").concat().concat().contains("MariaDB")
    }

    /// The certificate of the authority that signed the server's, on the runner's own servers.
    pub fn ca(&self) -> Option<PathBuf> {
        std::env::var_os(format!("RIVET_TEST_{}_CA", self.name)).map(PathBuf::from)
    }

    /// The server's process, on the runner's own servers.
    pub fn process(&self) -> Option<i32> {
        std::env::var(format!("RIVET_TEST_{}_PID", self.name)).ok()?.parse().ok()
    }

    fn login(&self) -> (&str, &str) {
        self.url.split_once("://").unwrap().1.split_once('@').unwrap().0.split_once(':').unwrap()
    }

    /// `host:port`.
    pub fn place(&self) -> &str {
        self.url.split_once('@').unwrap().1.split('/').next().unwrap()
    }

    /// Runs statements as root, and gives the rows they return; NULL is `NULL`.
    #[track_caller]
    pub fn query(&self, database: &str, sql: &str) -> Vec<Vec<String>> {
        let output = self.client(database, sql);
        assert!(output.status.success(), "{sql}\n{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    }

    /// The same for statements that may well fail, which is None: somebody ends their session.
    pub fn try_query(&self, database: &str, sql: &str) -> Option<String> {
        let output = self.client(database, sql);
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    fn client(&self, database: &str, sql: &str) -> Output {
        let (user, password) = self.login();
        let (host, port) = self.place().split_once(':').unwrap_or((self.place(), "3306"));
        Command::new("mariadb")
            .args(["--no-defaults", "--batch", "--skip-column-names", "--default-character-set=utf8mb4"])
            .args(["--init-command", "SET time_zone = '+00:00', sql_mode = ''", "--max-allowed-packet=512M"])
            .args(["-h", host, "-P", port, "-u", user, "--skip-ssl-verify-server-cert"])
            .env("MYSQL_PWD", password)
            .args((!database.is_empty()).then_some(database))
            .args(["-e", sql])
            .output()
            .expect("the mariadb client must be installed")
    }

    /// Makes a database of the test's own, in which `reader` and `tlsonly` may read.
    pub fn database(&self) -> Database {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        self.query("", &format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"));
        for user in ["reader", "tlsonly"] {
            self.query("", &format!("GRANT SELECT ON {name}.* TO {user}"));
        }
        Database { server: self.clone(), name }
    }
}

/// A fresh database; dropped with this value.
pub struct Database {
    /// Where it is.
    pub server: Server,
    /// The name it has there.
    pub name: String,
}

impl Database {
    /// A user's URL.
    pub fn url_as(&self, user: User) -> String {
        let (root, password) = self.server.login();
        let (user, password) = match user {
            User::Root => (root, password),
            User::Reader => ("reader", PASSWORD),
            User::TlsOnly => ("tlsonly", PASSWORD),
        };
        format!("mysql://{user}:{password}@{}/{}", self.server.place(), self.name)
    }

    /// The reader's URL.
    pub fn url(&self) -> String {
        self.url_as(User::Reader)
    }

    /// Has sessions of users who may not do everything begin in this zone, if they begin in this database; those in
    /// other databases as before. Until the server is told otherwise.
    pub fn begin_sessions_in(&self, zone: &str) {
        let set = format!("SET time_zone = IF(DATABASE() <=> '{}', '{zone}', @@time_zone)", self.name);
        self.server.query("", &format!("SET GLOBAL init_connect = \"{set}\""));
        // As a client sees it that asks for nothing.
        let (host, port) = self.server.place().split_once(':').unwrap_or((self.server.place(), "3306"));
        for (database, expected) in [(&*self.name, zone), ("information_schema", "SYSTEM")] {
            let output = Command::new("mariadb")
                .args(["--no-defaults", "--batch", "--skip-column-names", "-h", host, "-P", port, "-u", "reader"])
                .args(["--skip-ssl-verify-server-cert", "-e", "SELECT @@time_zone", database])
                .env("MYSQL_PWD", PASSWORD)
                .output()
                .unwrap();
            let found = String::from_utf8(output.stdout).unwrap();
            assert_eq!(found.trim(), expected, "{database}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }

    /// Runs statements as root.
    #[track_caller]
    pub fn run(&self, sql: &str) -> &Self {
        self.server.query(&self.name, sql);
        self
    }

    /// The rows of a query, each value as the server prints it.
    #[track_caller]
    pub fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        self.server.query(&self.name, sql)
    }

    /// The values of expressions over a table, each exactly as the server prints it.
    #[track_caller]
    pub fn texts(&self, expressions: &[String], tail: &str) -> Vec<Vec<Option<String>>> {
        // HEX, so that neither the client's escapes nor NULL's spelling come between.
        let list: Vec<String> =
            expressions.iter().map(|sql| format!("IFNULL(HEX(CONVERT(({sql}) USING utf8mb4)), '-')")).collect();
        let rows = self.rows(&format!("SELECT {} {tail}", list.join(", ")));
        rows.into_iter().map(|row| row.iter().map(|hex| unhex(hex)).collect()).collect()
    }

    /// A table's rows in the readers' canonical form: what a faithful export of it must hold.
    pub fn canonical(&self, table: &str, order: &str) -> Table {
        let described = self.rows(&format!(
            "SELECT COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = '{}' AND TABLE_NAME = '{table}' ORDER BY ORDINAL_POSITION",
            self.name
        ));
        let forms: Vec<(String, &str, String)> = described
            .iter()
            .map(|row| {
                let (kind, sql) = form(&row[1], &format!("`{}`", row[0]));
                (row[0].clone(), kind, sql)
            })
            .collect();
        let expressions: Vec<String> = forms.iter().map(|(_, _, sql)| sql.clone()).collect();
        let rows = self.texts(&expressions, &format!("FROM `{table}` ORDER BY {order}"));
        let columns = forms
            .iter()
            .map(|(name, kind, _)| Column { name: name.clone(), kind: (*kind).to_owned(), readers: Vec::new() })
            .collect();
        let value = |(kind, text): (&str, Option<String>)| match (kind, text) {
            (_, None) => Value::Null,
            // The server prints the float as the double it equals.
            ("float32", Some(text)) => Value::from(text.parse::<f32>().unwrap().to_string()),
            ("list", Some(text)) => {
                let items = text.trim_matches(['[', ']']).split(',').map(|item| Value::from(item.to_owned()));
                Value::Array(items.collect())
            }
            (_, Some(text)) => Value::from(text),
        };
        let kinds: Vec<&str> = forms.iter().map(|(_, kind, _)| *kind).collect();
        let rows = rows.into_iter().map(|row| kinds.iter().copied().zip(row).map(value).collect()).collect();
        Table { columns, rows }
    }
}

/// The kind of a declared type, and the expression that gives a value's canonical text.
fn form(of: &str, value: &str) -> (&'static str, String) {
    let base = of.split(['(', ' ']).next().unwrap();
    match base {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year" => ("int", format!("{value} + 0")),
        "bit" if of == "bit(1)" => ("boolean", format!("IF({value} IS NULL, NULL, IF({value} = 1, 'true', 'false'))")),
        "bit" => ("int", format!("{value} + 0")),
        "decimal" => ("decimal", value.to_owned()),
        "float" => ("float32", format!("{value} + 0e0")),
        "double" => ("float64", value.to_owned()),
        "date" => ("date", format!("DATEDIFF({value}, '1970-01-01')")),
        // A time's own microseconds, which TIME_TO_SEC leaves out.
        "time" => ("time_us", format!("TIME_TO_SEC({value}) DIV 1 * 1000000 + MICROSECOND({value})")),
        "datetime" => ("timestamp_us", format!("TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {value})")),
        "timestamp" => ("timestamptz_us", format!("TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {value})")),
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
            ("binary", format!("LOWER(HEX({value}))"))
        }
        // Four bytes of SRID, then WKB.
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" => {
            ("binary", format!("LOWER(SUBSTRING(HEX({value}), 9))"))
        }
        "vector" => ("list", format!("VECTOR_TO_STRING({value})")),
        "uuid" => ("uuid", value.to_owned()),
        _ => ("text", value.to_owned()),
    }
}

fn unhex(hex: &str) -> Option<String> {
    if hex == "-" {
        return None;
    }
    let bytes = (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap());
    Some(String::from_utf8(bytes.collect()).unwrap())
}

impl Drop for Database {
    fn drop(&mut self) {
        // In a panicking test the server may be the reason: the runner removes everything anyway.
        if !std::thread::panicking() {
            self.server.query("", &format!("DROP DATABASE IF EXISTS {}", self.name));
        }
    }
}
