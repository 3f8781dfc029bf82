//! What every test here needs: a server, a database of its own, and rows as text.
//!
//! The server is the one `RIVET_TEST_MSSQL_URL` names, or the project's own TDS server, started here.

#![allow(dead_code, unused_imports)]

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rivet_plugin_mssql::{Mssql, MssqlDriver, MssqlOptions};
use rivet_sdk::{Context, ExportRequest, Relation, Result, Secret, SourceDriver, TableName};
pub use rivet_testkit::{Keep, export, export_meanwhile};
use tiberius::{AuthMethod, Client, EncryptionLevel, Row};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

const PASSWORD: &str = "Secret_1";

/// The server under test.
pub struct Server {
    /// `mssql://sa:…@127.0.0.1:PORT/master`
    pub url: String,
    /// The fixture's other listeners: encryption demanded, and not offered. None for a real server.
    pub fixture: Option<Fixture>,
}

/// What only the project's own server has.
pub struct Fixture {
    pub required: String,
    pub none: String,
    /// An address that the certificate does not name.
    pub other_name: String,
    pub authority: PathBuf,
}

pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| match std::env::var("RIVET_TEST_MSSQL_URL") {
        Ok(url) => Server { fixture: served(&url), url },
        Err(_) => start(),
    })
}

/// What only the project's own server has. None, said aloud, for a real server.
pub fn fixture() -> Option<&'static Fixture> {
    let fixture = server().fixture.as_ref();
    if fixture.is_none() {
        eprintln!("skipped: the server is a real one, and this takes what only the project's own has");
    }
    fixture
}

/// The project's own server, where `tests/with-servers` started it.
fn served(url: &str) -> Option<Fixture> {
    let address = |name: &str| std::env::var(name).ok();
    let at = |address: String| format!("mssql://sa:{PASSWORD}@{address}/master");
    Some(Fixture {
        required: at(address("RIVET_TEST_MSSQL_REQUIRED")?),
        none: at(address("RIVET_TEST_MSSQL_NONE")?),
        other_name: url.replace("@127.0.0.1:", "@127.0.0.2:"),
        authority: address("RIVET_TEST_MSSQL_CA")?.into(),
    })
}

fn start() -> Server {
    let folder = tempfile::Builder::new().prefix("rivet-tds").tempdir().unwrap().keep();
    certificates(&folder);
    // target/debug/deps/<test>
    let binary = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("rivet-tds");
    assert!(binary.exists(), "{} is not built: cargo build -p rivet-tds", binary.display());
    let ready = folder.join("ready");
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(binary).arg("--folder").arg(folder.join("data"));
    std::fs::create_dir(folder.join("data")).unwrap();
    command.arg("--certificate").arg(folder.join("server.crt")).arg("--key").arg(folder.join("server.key"));
    command.args(["--password", PASSWORD]).arg("--ready").arg(&ready);
    for listener in ["127.0.0.1:0=optional", "127.0.0.1:0=required", "127.0.0.1:0=none", "127.0.0.2:0=optional"] {
        command.args(["--listen", listener]);
    }
    command.stdin(Stdio::null());
    // The signal comes when the thread that started it ends, so that thread stays.
    std::thread::spawn(move || {
        // It serves until it is killed.
        command.spawn().unwrap().wait().unwrap();
    });
    let begin = Instant::now();
    while !ready.exists() {
        assert!(begin.elapsed() < Duration::from_secs(20), "the TDS server does not start");
        std::thread::sleep(Duration::from_millis(5));
    }
    let addresses = std::fs::read_to_string(&ready).unwrap();
    let mut urls = addresses.lines().map(|address| format!("mssql://sa:{PASSWORD}@{address}/master"));
    let url = urls.next().unwrap();
    let mut next = || urls.next().unwrap();
    let fixture = Fixture { required: next(), none: next(), other_name: next(), authority: folder.join("ca.crt") };
    Server { url, fixture: Some(fixture) }
}

/// An authority and what it signed: a certificate for localhost and 127.0.0.1.
fn certificates(folder: &Path) {
    std::fs::write(folder.join("ext"), "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
        .unwrap();
    for line in [
        "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=authority -keyout ca.key -out ca.crt",
        "req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile ext -out server.crt",
    ] {
        let done = Command::new("openssl").args(line.split(' ')).current_dir(folder).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

pub fn options(url: &str) -> MssqlOptions {
    MssqlOptions { url: Some(Secret::new(url)), ..MssqlOptions::default() }
}

pub fn open_url(url: &str) -> Result<Mssql> {
    MssqlDriver::open(options(url), &Context::detached())
}

/// `url` with another login or database.
pub fn url_of(url: &str, login: Option<&str>, database: &str) -> String {
    let (head, rest) = url.split_once("://").unwrap();
    let (old_login, rest) = rest.rsplit_once('@').unwrap();
    let address = rest.split('/').next().unwrap();
    format!("{head}://{}@{address}/{database}", login.unwrap_or(old_login))
}

/// A session of `tiberius`, beside the driver (which only reads).
pub struct Client2 {
    runtime: Runtime,
    client: Client<Compat<TcpStream>>,
}

impl Client2 {
    pub fn connect(url: &str) -> Self {
        let rest = url.split_once("://").unwrap().1;
        let (login, rest) = rest.rsplit_once('@').unwrap();
        let (user, password) = login.split_once(':').unwrap();
        let (address, database) = rest.split('?').next().unwrap().split_once('/').unwrap();
        let mut config = tiberius::Config::new();
        config.authentication(AuthMethod::sql_server(user, password));
        config.database(database);
        config.encryption(EncryptionLevel::NotSupported);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let socket = TcpStream::connect(address).await.unwrap();
            socket.set_nodelay(true).unwrap();
            Client::connect(config, socket.compat_write()).await.unwrap()
        });
        Self { runtime, client }
    }

    pub fn rows(&mut self, sql: &str) -> Vec<Row> {
        let Self { runtime, client } = self;
        let done = runtime.block_on(async { client.simple_query(sql).await?.into_first_result().await });
        done.unwrap_or_else(|error| panic!("{error}\n{sql}"))
    }

    /// The only row's first column, an int.
    pub fn int(&mut self, sql: &str) -> i32 {
        self.rows(sql)[0].get(0).unwrap()
    }
}

/// A database of its own, dropped with its guard.
pub struct Database {
    pub name: String,
    session: RefCell<Client2>,
}

impl Database {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut session = Client2::connect(&server().url);
        session.rows(&format!("CREATE DATABASE {name}"));
        let session = Client2::connect(&url_of(&server().url, None, &name));
        Self { name, session: RefCell::new(session) }
    }

    pub fn url(&self) -> String {
        url_of(&server().url, None, &self.name)
    }

    pub fn open(&self) -> Mssql {
        open_url(&self.url()).unwrap()
    }

    pub fn run(&self, sql: &str) {
        self.session.borrow_mut().rows(sql);
    }

    /// What `tiberius` reads.
    pub fn rows(&self, sql: &str) -> Vec<Row> {
        self.session.borrow_mut().rows(sql)
    }

    pub fn int(&self, sql: &str) -> i32 {
        self.session.borrow_mut().int(sql)
    }

    /// Inserts rows, at most 500 in a statement.
    pub fn insert(&self, table: &str, rows: impl IntoIterator<Item = String>) {
        let rows: Vec<String> = rows.into_iter().collect();
        for some in rows.chunks(500) {
            let values: Vec<String> = some.iter().map(|row| format!("({row})")).collect();
            self.run(&format!("INSERT INTO {table} VALUES {}", values.join(", ")));
        }
    }

    pub fn table(&self, name: &str) -> Relation {
        Relation::Table(TableName::qualified("dbo", name))
    }

    pub fn request(&self, name: &str) -> ExportRequest {
        ExportRequest::whole(self.table(name))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let mut session = Client2::connect(&server().url);
            session.rows(&format!(
                "ALTER DATABASE {0} SET SINGLE_USER WITH ROLLBACK IMMEDIATE; DROP DATABASE {0}",
                self.name
            ));
        }
    }
}
