//! A server in this process and the real `tiberius` in front of it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use rivet_tds::{Config, Encryption};
use tiberius::{AuthMethod, Client, Row};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

pub const PASSWORD: &str = "Secret_1";

/// Certificates for the length of a test run: an authority and what it signed.
fn certificates() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("server.ext"), "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n").unwrap();
        for line in [
            "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=authority -keyout ca.key -out ca.crt",
            "req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr",
            "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile server.ext -out server.crt",
        ] {
            let done = Command::new("openssl").args(line.split(' ')).current_dir(folder.path()).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
        folder
    });
    folder.path()
}

pub struct Server {
    _folder: tempfile::TempDir,
    _server: rivet_tds::Server,
    pub optional: SocketAddr,
}

impl Server {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = certificates();
        let anywhere: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let config = Config {
            folder: folder.path().to_owned(),
            certificate: Some((keys.join("server.crt"), keys.join("server.key"))),
            password: PASSWORD.to_owned(),
            listen: vec![
                (anywhere, Encryption::Optional),
                (anywhere, Encryption::Required),
                (anywhere, Encryption::NotSupported),
            ],
            also: Vec::new(),
        };
        let server = rivet_tds::Server::start(config).unwrap();
        let optional = server.addresses()[0];
        Self { _folder: folder, _server: server, optional }
    }

    pub fn client(&self) -> Session {
        self.client_with(|_| {}).unwrap()
    }

    pub fn client_with(&self, change: impl FnOnce(&mut tiberius::Config)) -> tiberius::Result<Session> {
        self.client_at(self.optional, change)
    }

    pub fn client_at(
        &self,
        address: SocketAddr,
        change: impl FnOnce(&mut tiberius::Config),
    ) -> tiberius::Result<Session> {
        let mut config = tiberius::Config::new();
        config.host("localhost");
        config.port(address.port());
        config.authentication(AuthMethod::sql_server("sa", PASSWORD));
        // Its TLS stays out of the workspace's build; `tests/tds/tls` has those tests.
        config.encryption(tiberius::EncryptionLevel::NotSupported);
        change(&mut config);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let socket = TcpStream::connect(address).await.unwrap();
            Client::connect(config, socket.compat_write()).await
        })?;
        Ok(Session { runtime, client })
    }
}

/// A connected `tiberius`.
pub struct Session {
    pub runtime: Runtime,
    pub client: Client<Compat<TcpStream>>,
}

impl Session {
    /// Runs a batch and forgets its rows.
    pub fn run(&mut self, sql: &str) -> &mut Self {
        self.try_rows(sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
        self
    }

    pub fn try_rows(&mut self, sql: &str) -> tiberius::Result<Vec<Row>> {
        self.runtime.block_on(async { self.client.simple_query(sql).await?.into_first_result().await })
    }

    pub fn rows(&mut self, sql: &str) -> Vec<Row> {
        self.try_rows(sql).unwrap_or_else(|error| panic!("{error}\n{sql}"))
    }

    /// The only row's first column, a text.
    pub fn text(&mut self, sql: &str) -> String {
        let rows = self.rows(sql);
        let row = rows.first().unwrap_or_else(|| panic!("no row\n{sql}"));
        row.get::<&str, _>(0).unwrap_or_else(|| panic!("NULL\n{sql}")).to_owned()
    }

    /// The number of the error that a batch ends in.
    pub fn error(&mut self, sql: &str) -> u32 {
        failure(self.try_rows(sql).err().unwrap_or_else(|| panic!("no error\n{sql}")))
    }
}

/// The server's number of an error.
pub fn failure(error: tiberius::error::Error) -> u32 {
    error.code().unwrap_or_else(|| panic!("{error}"))
}
