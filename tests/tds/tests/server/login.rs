//! How a client comes in, or not. With encryption: `tests/tds/tls`.

use crate::support::{self, Server, failure};

#[test]
fn nothing_encrypted() {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(client.text("SELECT encrypt_option FROM sys.dm_exec_connections WHERE session_id = @@SPID"), "FALSE");
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
