//! A database of its own on the server that `RIVET_TEST_MSSQL_URL` names, or on the project's own TDS
//! server, which is started for the length of a test program. Tables are made through `tiberius`.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio::{net::TcpStream, runtime::Runtime};
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use crate::rivet;

const PASSWORD: &str = "Secret_1";

/// Whether the server is the project's own, which can be told to fail (`EXEC rivet_fault`). If not, it is said aloud.
pub fn is_fixture() -> bool {
    let own = std::env::var_os("RIVET_TEST_MSSQL_URL").is_none() || std::env::var_os("RIVET_TEST_MSSQL_NONE").is_some();
    if !own {
        eprintln!("skipped: the server is a real one, and this takes what only the project's own has");
    }
    own
}

fn server() -> &'static str {
    static SERVER: OnceLock<String> = OnceLock::new();
    SERVER.get_or_init(|| std::env::var("RIVET_TEST_MSSQL_URL").unwrap_or_else(|_| start()))
}

fn start() -> String {
    let binary = rivet::binary().with_file_name("rivet-tds");
    assert!(binary.exists(), "{} is not built: cargo build -p rivet-tds", binary.display());
    let folder = tempfile::Builder::new().prefix("rivet-tds").tempdir().unwrap().keep();
    certificates(&folder);
    std::fs::create_dir(folder.join("data")).unwrap();
    let ready = folder.join("ready");
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(binary).arg("--folder").arg(folder.join("data"));
    command.arg("--certificate").arg(folder.join("server.crt")).arg("--key").arg(folder.join("server.key"));
    command.args(["--password", PASSWORD, "--listen", "127.0.0.1:0=optional"]).arg("--ready").arg(&ready);
    command.stdin(Stdio::null());
    // The signal comes when the thread that started it ends, so that thread stays.
    thread::spawn(move || {
        // It serves until it is killed.
        command.spawn().unwrap().wait().unwrap();
    });
    let begin = Instant::now();
    while !ready.exists() {
        assert!(begin.elapsed() < Duration::from_secs(20), "the TDS server does not start");
        thread::sleep(Duration::from_millis(5));
    }
    format!("mssql://sa:{PASSWORD}@{}/master", std::fs::read_to_string(&ready).unwrap().lines().next().unwrap())
}

fn certificates(folder: &Path) {
    let line = "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost -keyout server.key -out server.crt";
    let done = Command::new("openssl").args(line.split(' ')).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// A database, dropped with this value.
pub struct Database {
    name: String,
    session: Session,
}

/// Makes an empty database.
pub fn database() -> Database {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("r{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    Session::connect(server()).run(&format!("CREATE DATABASE {name}"));
    let session = Session::connect(&url_of(server(), &name));
    Database { name, session }
}

impl Database {
    /// Its URL, of a login that may do everything.
    pub fn url(&self) -> String {
        url_of(server(), &self.name)
    }

    /// Runs a batch.
    pub fn run(&mut self, sql: &str) {
        self.session.run(sql);
    }

    /// The number that a query gives.
    pub fn number(&mut self, sql: &str) -> i64 {
        self.session.number(sql)
    }

    /// The URL of another login; the fixture's have one password.
    pub fn url_as(&self, login: &str) -> String {
        self.url().replacen("sa:", &format!("{login}:"), 1)
    }

    /// Inserts rows, as many at a time as one statement takes.
    pub fn insert(&mut self, table: &str, rows: impl IntoIterator<Item = String>) {
        let rows: Vec<String> = rows.into_iter().collect();
        for some in rows.chunks(500) {
            let values: Vec<String> = some.iter().map(|row| format!("({row})")).collect();
            self.run(&format!("INSERT INTO {table} VALUES {}", values.join(", ")));
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !thread::panicking() {
            let name = &self.name;
            let sql = format!("ALTER DATABASE {name} SET SINGLE_USER WITH ROLLBACK IMMEDIATE; DROP DATABASE {name}");
            Session::connect(server()).run(&sql);
        }
    }
}

fn url_of(server: &str, database: &str) -> String {
    let (head, rest) = server.rsplit_once('@').unwrap();
    format!("{head}@{}/{database}", rest.split('/').next().unwrap())
}

struct Session {
    runtime: Runtime,
    client: Client<Compat<TcpStream>>,
}

impl Session {
    fn connect(url: &str) -> Self {
        let (login, rest) = url.split_once("://").unwrap().1.rsplit_once('@').unwrap();
        let (user, password) = login.split_once(':').unwrap();
        let (address, database) = rest.split('?').next().unwrap().split_once('/').unwrap();
        let mut config = Config::new();
        config.authentication(AuthMethod::sql_server(user, password));
        config.database(database);
        config.encryption(EncryptionLevel::NotSupported);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let socket = TcpStream::connect(address).await.unwrap();
            Client::connect(config, socket.compat_write()).await.unwrap()
        });
        Self { runtime, client }
    }

    fn run(&mut self, sql: &str) {
        let Self { runtime, client } = self;
        let done = runtime.block_on(async { client.simple_query(sql).await?.into_results().await });
        done.unwrap_or_else(|error| panic!("{error}\n{}", sql.chars().take(2000).collect::<String>()));
    }

    fn number(&mut self, sql: &str) -> i64 {
        let Self { runtime, client } = self;
        let rows = runtime.block_on(async { client.simple_query(sql).await.unwrap().into_first_result().await });
        i64::from(rows.unwrap()[0].get::<i32, _>(0).unwrap())
    }
}
