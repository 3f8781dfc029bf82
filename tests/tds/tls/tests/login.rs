//! Each way of encryption, as `tiberius` meets it at the TDS server that `tests/with-servers tds` started.

#![allow(clippy::unwrap_used, reason = "test code")]

use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio::net::TcpStream;
use tokio_util::compat::TokioAsyncWriteCompatExt;

fn from_runner(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make test-slow SUITE=tds-tls`"))
}

/// The listener where the client decides.
fn optional() -> String {
    let url = from_runner("RIVET_TEST_MSSQL_URL");
    let address = url.rsplit_once('@').unwrap().1.split_once('/').unwrap().0;
    address.to_owned()
}

/// Logs in with this encryption, and asks the server whether the session has any.
fn is_encrypted(address: &str, encryption: EncryptionLevel) -> tiberius::Result<String> {
    let url = from_runner("RIVET_TEST_MSSQL_URL");
    let (user, password) = url.split_once("://").unwrap().1.rsplit_once('@').unwrap().0.split_once(':').unwrap();
    let mut config = Config::new();
    config.host("localhost");
    config.port(address.rsplit_once(':').unwrap().1.parse().unwrap());
    config.authentication(AuthMethod::sql_server(user, password));
    config.trust_cert_ca(from_runner("RIVET_TEST_MSSQL_CA"));
    config.encryption(encryption);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let socket = TcpStream::connect(address).await.unwrap();
        let mut client = Client::connect(config, socket.compat_write()).await?;
        let asked = "SELECT encrypt_option FROM sys.dm_exec_connections WHERE session_id = @@SPID";
        let rows = client.simple_query(asked).await?.into_first_result().await?;
        Ok(rows[0].get::<&str, _>(0).unwrap().to_owned())
    })
}

#[test]
fn a_login_that_alone_is_encrypted() {
    assert_eq!(is_encrypted(&optional(), EncryptionLevel::Off).unwrap(), "FALSE");
}

#[test]
fn everything_encrypted() {
    assert_eq!(is_encrypted(&optional(), EncryptionLevel::Required).unwrap(), "TRUE");
}

#[test]
fn tls_before_everything() {
    assert_eq!(is_encrypted(&optional(), EncryptionLevel::Strict).unwrap(), "TRUE");
}

#[test]
fn a_listener_that_requires_encryption_gets_it() {
    let required = from_runner("RIVET_TEST_MSSQL_REQUIRED");
    assert_eq!(is_encrypted(&required, EncryptionLevel::Off).unwrap(), "TRUE");
}

#[test]
fn a_listener_without_encryption_disappoints_who_wants_it() {
    let none = from_runner("RIVET_TEST_MSSQL_NONE");
    let refused = is_encrypted(&none, EncryptionLevel::Required);
    assert!(refused.err().unwrap().to_string().contains("encryption level"));
    assert_eq!(is_encrypted(&none, EncryptionLevel::NotSupported).unwrap(), "FALSE");
}
