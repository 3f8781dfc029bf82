//! How a client comes in, or not, with each way of encryption.

#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use support::{Server, failure};
use tiberius::EncryptionLevel;

#[test]
fn a_login_that_alone_is_encrypted() {
    let server = Server::start();
    let mut client = server.client_with(|config| config.encryption(EncryptionLevel::Off)).unwrap();
    assert_eq!(client.text("SELECT CAST(1 AS varchar(5))"), "1");
    assert_eq!(client.text("SELECT encrypt_option FROM sys.dm_exec_connections WHERE session_id = @@SPID"), "FALSE");
}

#[test]
fn everything_encrypted() {
    let server = Server::start();
    let mut client = server.client_with(|config| config.encryption(EncryptionLevel::Required)).unwrap();
    assert_eq!(client.text("SELECT encrypt_option FROM sys.dm_exec_connections WHERE session_id = @@SPID"), "TRUE");
}

#[test]
fn nothing_encrypted() {
    let server = Server::start();
    let mut client = server.client_with(|config| config.encryption(EncryptionLevel::NotSupported)).unwrap();
    assert_eq!(client.text("SELECT encrypt_option FROM sys.dm_exec_connections WHERE session_id = @@SPID"), "FALSE");
}

#[test]
fn tls_before_everything() {
    let server = Server::start();
    let mut client = server.client_with(|config| config.encryption(EncryptionLevel::Strict)).unwrap();
    assert_eq!(client.text("SELECT encrypt_option FROM sys.dm_exec_connections WHERE session_id = @@SPID"), "TRUE");
}

#[test]
fn a_listener_that_requires_encryption_gets_it() {
    let server = Server::start();
    let mut client = server.client_at(server.required, |config| config.encryption(EncryptionLevel::Off)).unwrap();
    assert_eq!(client.text("SELECT encrypt_option FROM sys.dm_exec_connections WHERE session_id = @@SPID"), "TRUE");
}

#[test]
fn a_listener_without_encryption_disappoints_who_wants_it() {
    let server = Server::start();
    let refused = server.client_at(server.none, |config| config.encryption(EncryptionLevel::Required));
    assert!(refused.err().unwrap().to_string().contains("encryption level"));
    let mut client = server.client_at(server.none, |config| config.encryption(EncryptionLevel::NotSupported)).unwrap();
    assert_eq!(client.text("SELECT CAST(2 AS varchar(5))"), "2");
}

#[test]
fn a_wrong_password_is_18456_and_a_locked_login_18486() {
    let server = Server::start();
    let login = |user: &'static str, password: &'static str| {
        failure(
            server
                .client_with(move |config| {
                    config.authentication(tiberius::AuthMethod::sql_server(user, password));
                })
                .err()
                .unwrap(),
        )
    };
    assert_eq!(login("sa", "wrong"), 18456);
    assert_eq!(login("nobody", support::PASSWORD), 18456);
    assert_eq!(login("locked", support::PASSWORD), 18486);
}

#[test]
fn a_database_that_is_not_there_is_4060() {
    let server = Server::start();
    let refused = server.client_with(|config| config.database("nowhere"));
    assert_eq!(failure(refused.err().unwrap()), 4060);
}
