//! What every test here needs: servers, a database of its own on each, and rows as text.

#![allow(dead_code, unused_imports)]

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rivet_plugin_mysql::{Mysql, MysqlDriver, MysqlOptions};
use rivet_sdk::{Context, ExportRequest, Relation, Result, Secret, SourceDriver, TableName};
pub use rivet_testkit::{Keep, export, export_meanwhile};

/// A server under test. `make test` starts MariaDB and MySQL; a variable may also name any other.
#[derive(Debug, Clone)]
pub struct Server {
    /// `MARIADB` or `MYSQL`, as in RIVET_TEST_MYSQL_URL.
    pub name: &'static str,
    /// As a user who may do everything.
    pub url: String,
}

/// Every server there is; at least one.
pub fn servers() -> Vec<Server> {
    let found: Vec<Server> = ["MARIADB", "MYSQL"].into_iter().filter_map(server).collect();
    assert!(
        !found.is_empty(),
        "neither RIVET_TEST_MARIADB_URL nor RIVET_TEST_MYSQL_URL is set: `make test` starts servers and sets them"
    );
    found
}

/// The server of this name.
pub fn server(name: &'static str) -> Option<Server> {
    let url = std::env::var(format!("RIVET_TEST_{name}_URL")).ok()?;
    Some(Server { name, url })
}

impl Server {
    /// A fact that only the servers of `make test` have: `CA`, `SOCKET`, `PID`.
    pub fn fact(&self, fact: &str) -> Option<String> {
        std::env::var(format!("RIVET_TEST_{}_{fact}", self.name)).ok()
    }

    /// `user:password`, `host:port`.
    pub fn parts(&self) -> (String, String) {
        let rest = self.url.split_once("://").unwrap().1;
        let (login, place) = rest.split_once('@').unwrap();
        (login.to_owned(), place.split('/').next().unwrap().to_owned())
    }

    /// The URL for another user, or database.
    pub fn url_of(&self, login: &str, database: &str) -> String {
        format!("mysql://{login}@{}/{database}", self.parts().1)
    }

    pub fn open(&self) -> Mysql {
        open_url(&self.url).unwrap()
    }

    pub fn is_mariadb(&self) -> bool {
        self.run("SELECT VERSION()").contains("MariaDB")
    }

    /// Runs SQL as a user would, beside the driver (which only reads). Gives tab-separated rows.
    pub fn run(&self, sql: &str) -> String {
        self.run_in("", sql)
    }

    fn run_in(&self, database: &str, sql: &str) -> String {
        let (login, place) = self.parts();
        let (user, password) = login.split_once(':').unwrap_or((&login, ""));
        let (host, port) = place.split_once(':').unwrap_or((&place, "3306"));
        let output = Command::new("mariadb")
            .args(["--no-defaults", "--batch", "--skip-column-names", "--default-character-set=utf8mb4"])
            .args(["--init-command", "SET time_zone = '+00:00', sql_mode = ''"])
            .args(["-h", host, "-P", port, "-u", user, "--skip-ssl-verify-server-cert", "--max-allowed-packet=512M"])
            .env("MYSQL_PWD", password)
            .args((!database.is_empty()).then_some(database))
            .args(["-e", sql])
            .output()
            .expect("the mariadb client must be installed");
        assert!(output.status.success(), "{sql}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end_matches('\n').to_owned()
    }

    /// A database of the test's own.
    pub fn database(&self) -> Database {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        self.run(&format!("DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name} CHARACTER SET utf8mb4"));
        Database { server: self.clone(), name }
    }
}

pub fn open_url(url: &str) -> Result<Mysql> {
    open_with(MysqlOptions { url: Some(Secret::new(url)), ..MysqlOptions::default() })
}

pub fn open_with(options: MysqlOptions) -> Result<Mysql> {
    MysqlDriver::open(options, &Context::detached())
}

/// A database that is dropped with its guard.
pub struct Database {
    pub server: Server,
    pub name: String,
}

impl Database {
    /// Runs SQL in it.
    pub fn run(&self, sql: &str) -> String {
        self.server.run_in(&self.name, sql)
    }

    pub fn url(&self) -> String {
        self.server.url_of(&self.server.parts().0, &self.name)
    }

    pub fn table(&self, name: &str) -> Relation {
        Relation::Table(TableName::qualified(&self.name, name))
    }

    pub fn request(&self, name: &str) -> ExportRequest {
        ExportRequest::whole(self.table(name))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.server.run(&format!("DROP DATABASE {}", self.name));
        }
    }
}
