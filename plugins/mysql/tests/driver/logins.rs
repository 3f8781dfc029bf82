//! Who gets in: passwords, login plugins, TLS, sockets, limits of connections.

use crate::support::{Server, open_url, open_with, servers};
use rivet_plugin_mysql::{Mysql, MysqlOptions};
use rivet_sdk::options::{TlsMode, TlsOptions};
use rivet_sdk::{ErrorKind, Result, Secret, Source};

fn options(server: &Server) -> MysqlOptions {
    MysqlOptions { url: Some(Secret::new(&server.url)), ..MysqlOptions::default() }
}

fn with_tls(server: &Server, tls: TlsOptions) -> Result<String> {
    let identity = open_with(MysqlOptions { tls: Some(tls), ..options(server) })?.identity()?;
    Ok(identity.notes.iter().find(|note| note.subject == "TLS").unwrap().text.clone())
}

fn mode(mode: TlsMode) -> TlsOptions {
    TlsOptions::new(mode)
}

#[test]
fn a_wrong_password_is_an_auth_error_that_does_not_repeat_it() {
    for server in servers() {
        let user = server.parts().0.split(':').next().unwrap().to_owned();
        for tls in ["disabled", "required"] {
            let url = format!("{}?ssl-mode={tls}", server.url_of(&format!("{user}:not-the-password"), "mysql"));
            let error = open_url(&url).map(|_| ()).unwrap_err();
            assert_eq!((error.kind(), error.code(), error.is_transient()), (ErrorKind::Auth, Some("1045"), false));
            assert!(error.hint().is_some() && !format!("{error:?}").contains("not-the-password"));
        }
        let error = open_url(&server.url_of(&user, "mysql")).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth, "no password at all: {error:?}");
    }
}

#[test]
fn mariadbs_ed25519_is_a_login() {
    for server in servers().into_iter().filter(Server::is_mariadb) {
        let user = format!("ed{}", std::process::id());
        if server.run("SELECT COUNT(*) FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'ed25519'") == "0" {
            server.run("INSTALL SONAME 'auth_ed25519'");
        }
        server.run(&format!("CREATE USER {user} IDENTIFIED VIA ed25519 USING PASSWORD('secret word')"));
        for tls in ["disabled", "required"] {
            let url = |password: &str| format!("{}?ssl-mode={tls}", server.url_of(&format!("{user}:{password}"), ""));
            // Nonces are random: one that ends in a zero comes in time.
            for _ in 0..50 {
                open_url(&url("secret%20word")).unwrap();
            }
            let error = open_url(&url("another%20word")).map(|_| ()).unwrap_err();
            assert_eq!((error.kind(), error.code(), error.is_transient()), (ErrorKind::Auth, Some("1045"), false));
        }
        let error = open_url(&server.url_of(&user, "")).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth, "no password at all: {error:?}");
        server.run(&format!("DROP USER {user}"));
    }
}

#[test]
fn every_tls_mode_does_what_it_says() {
    for server in servers() {
        assert!(with_tls(&server, mode(TlsMode::Disable)).unwrap().contains("plain"));
        assert!(with_tls(&server, mode(TlsMode::Prefer)).unwrap().contains("TLS"));
        assert!(with_tls(&server, mode(TlsMode::Require)).unwrap().contains("TLSv1"));
        let error = with_tls(&server, mode(TlsMode::VerifyFull)).unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Connection, false), "{error:?}");
        let missing = mode(TlsMode::VerifyFull).with_ca_file(Some("/no/such/file".to_owned()));
        assert_eq!(with_tls(&server, missing).unwrap_err().kind(), ErrorKind::Config);
        let Some(ca) = server.fact("CA") else { continue };
        for mode in [TlsMode::VerifyCa, TlsMode::VerifyFull] {
            let tls = TlsOptions::new(mode).with_ca_file(Some(ca.clone()));
            assert!(with_tls(&server, tls).unwrap().contains("TLSv1"));
        }
        let other = mode(TlsMode::VerifyCa).with_ca_file(Some(ca.replace("ca.crt", "other-ca.crt")));
        assert!(!with_tls(&server, other).unwrap_err().is_transient());
        // The certificate is for localhost and 127.0.0.1; the server also answers at 127.0.0.2.
        let elsewhere = Server { url: server.url.replace("127.0.0.1", "127.0.0.2"), ..server.clone() };
        let tls = |mode| TlsOptions::new(mode).with_ca_file(Some(ca.clone()));
        assert!(with_tls(&elsewhere, tls(TlsMode::VerifyCa)).is_ok());
        let error = with_tls(&elsewhere, tls(TlsMode::VerifyFull)).unwrap_err();
        assert!(error.kind() == ErrorKind::Connection && error.hint().is_some(), "{error:?}");
    }
}

#[test]
fn accounts_that_demand_tls_and_locked_accounts_say_so() {
    for server in servers() {
        let user = format!("u{}", std::process::id());
        server.run(&format!("CREATE USER {user} IDENTIFIED BY 'secret word' REQUIRE SSL"));
        let login = format!("{user}:secret%20word");
        let url = |tls: &str| format!("{}?ssl-mode={tls}", server.url_of(&login, ""));
        assert!(open_url(&url("required")).is_ok());
        // A second login takes the cached way.
        assert!(open_url(&url("required")).is_ok());
        let error = open_url(&url("disabled")).map(|_| ()).unwrap_err();
        assert!(error.kind() == ErrorKind::Auth && !error.is_transient(), "{error:?}");
        server.run(&format!("ALTER USER {user} REQUIRE NONE ACCOUNT LOCK"));
        let error = open_url(&url("required")).map(|_| ()).unwrap_err();
        assert!(error.kind() == ErrorKind::Auth && error.hint().is_some(), "{error:?}");
        // Over plain text, with nothing cached: the password goes under the server's RSA key.
        server.run(&format!("ALTER USER {user} IDENTIFIED BY 'secret word' ACCOUNT UNLOCK; FLUSH PRIVILEGES"));
        assert!(open_url(&url("disabled")).is_ok());
        server.run(&format!("DROP USER {user}"));
    }
}

#[test]
fn a_unix_socket_is_a_way_in() {
    for server in servers() {
        let Some(socket) = server.fact("SOCKET") else { continue };
        let (login, _) = server.parts();
        let (user, password) = login.split_once(':').unwrap();
        let options = MysqlOptions {
            socket: Some(socket),
            user: Some(user.into()),
            password: Some(Secret::new(password)),
            ..MysqlOptions::default()
        };
        let identity = open_with(options).unwrap().identity().unwrap();
        assert!(identity.user.unwrap().starts_with(user));
        assert!(identity.notes.iter().any(|note| note.text.contains("Unix socket") && !note.warning));
    }
}

#[test]
fn too_many_connections_are_transient() {
    for server in servers() {
        let user = format!("few{}", std::process::id());
        server.run(&format!("CREATE USER {user} IDENTIFIED BY 'p' WITH MAX_USER_CONNECTIONS 2"));
        let url = server.url_of(&format!("{user}:p"), "");
        let held: Vec<Mysql> = (0..2).map(|_| open_url(&url).unwrap()).collect();
        let error = open_url(&url).map(|_| ()).unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::ResourceExhausted, true), "{error:?}");
        assert!(error.hint().is_some());
        drop(held);
        server.run(&format!("DROP USER {user}"));
    }
}
