//! Who gets in, how the way is secured, and that no login's defaults change a value.

use crate::support::{Database, fixture, open_url, options, server, url_of};
use rivet_plugin_mssql::{MssqlDriver, MssqlOptions};
use rivet_sdk::options::{TlsMode, TlsOptions};
use rivet_sdk::{Context, Error, ErrorKind, Result, Scalar, Source, SourceDriver};

fn refused(url: &str) -> Error {
    open_url(url).map(|_| ()).unwrap_err()
}

fn tls_of(url: &str, tls: TlsOptions) -> Result<String> {
    let options = MssqlOptions { tls: Some(tls), ..options(url) };
    let identity = MssqlDriver::open(options, &Context::detached())?.identity()?;
    Ok(identity.notes.iter().find(|note| note.subject == "TLS").unwrap().text.clone())
}

#[test]
fn a_wrong_password_is_an_auth_error_that_does_not_repeat_it() {
    let error = refused(&url_of(&server().url, Some("sa:not-the-password"), "master"));
    assert_eq!((error.kind(), error.code(), error.is_transient()), (ErrorKind::Auth, Some("18456"), false));
    assert!(error.hint().is_some() && !format!("{error:?}").contains("not-the-password"));
}

#[test]
fn a_locked_login_says_how_to_unlock_it() {
    if fixture().is_none() {
        return;
    }
    let error = refused(&url_of(&server().url, Some("locked:Secret_1"), "master"));
    assert_eq!((error.kind(), error.code()), (ErrorKind::Auth, Some("18486")));
    assert!(error.hint().unwrap().contains("UNLOCK"));
}

#[test]
fn every_tls_mode_does_what_it_says() {
    let Some(fixture) = fixture() else { return };
    let mode = |mode| TlsOptions::new(mode);
    let (optional, required, none) = (&server().url, &fixture.required, &fixture.none);
    assert!(tls_of(optional, mode(TlsMode::Disable)).unwrap().contains("plain"));
    for url in [optional, required] {
        for mode_of in [TlsMode::Prefer, TlsMode::Require] {
            assert_eq!(tls_of(url, mode(mode_of)).unwrap(), "TLSv1.2");
        }
    }
    assert!(tls_of(none, mode(TlsMode::Prefer)).unwrap().contains("plain"));
    for (url, mode_of) in [(none, TlsMode::Require), (required, TlsMode::Disable), (optional, TlsMode::VerifyFull)] {
        let error = tls_of(url, mode(mode_of)).unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Connection, false), "{error:?}");
        assert!(error.hint().is_some());
    }
    let authority = fixture.authority.to_str().unwrap().to_owned();
    for mode_of in [TlsMode::VerifyCa, TlsMode::VerifyFull] {
        let tls = mode(mode_of).with_ca_file(Some(authority.clone()));
        assert!(tls_of(optional, tls).unwrap().contains("TLSv1"));
    }
    let known = |mode_of| mode(mode_of).with_ca_file(Some(authority.clone()));
    let error = tls_of(&fixture.other_name, known(TlsMode::VerifyFull)).unwrap_err();
    assert!(
        error.kind() == ErrorKind::Connection && error.hint().unwrap().contains("the certificate names"),
        "{error:?}"
    );
    assert!(tls_of(&fixture.other_name, known(TlsMode::VerifyCa)).is_ok());
    let trusting = MssqlOptions { trust_server_certificate: Some(true), ..options(optional) };
    assert!(MssqlDriver::open(trusting, &Context::detached()).is_ok());
    let missing = mode(TlsMode::VerifyFull).with_ca_file(Some("/no/such/file".to_owned()));
    assert_eq!(tls_of(optional, missing).unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn session_settings_hold_whatever_the_login_has() {
    let database = Database::new();
    let mut source = database.open();
    for (sql, expected) in [
        ("SELECT CONVERT(nvarchar(30), CAST('2003-02-01' AS datetime), 126)", "2003-02-01T00:00:00"),
        ("SELECT CAST(@@LANGUAGE AS nvarchar(50))", "us_english"),
    ] {
        assert_eq!(source.query_scalar(sql).unwrap(), Some(Scalar::Text(expected.into())), "{sql}");
    }
    if server().fixture.is_some() {
        // A query's own dates mean what they mean to the login everywhere.
        for (login, day) in [("deutsch", "2003-01-02T00:00:00"), ("svenska", "2003-02-01T00:00:00")] {
            let mut source = open_url(&url_of(&server().url, Some(&format!("{login}:Secret_1")), "master")).unwrap();
            let sql = "SELECT CONVERT(nvarchar(30), CAST('2003-02-01' AS datetime), 126); -- it's";
            assert_eq!(source.query_scalar(sql).unwrap(), Some(Scalar::Text(day.into())), "{login}");
        }
        let error = refused(&url_of(&server().url, Some("swallow:Secret_1"), "master"));
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Connection, false), "{error:?}");
        assert!(error.hint().unwrap().contains("proxy"), "{error:?}");
    }
}

#[test]
fn a_server_without_a_connection_left_says_what_to_lower() {
    if fixture().is_none() {
        return;
    }
    let database = Database::new();
    database.run("EXEC rivet_fault 'login', 17809");
    let error = refused(&database.url());
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::ResourceExhausted, true), "{error:?}");
    assert!(error.hint().unwrap().contains("`parallel`"));
}

#[test]
fn strict_encryption_is_encrypted_from_the_first_byte() {
    let Some(fixture) = fixture() else { return };
    let tls = TlsOptions::new(TlsMode::VerifyFull).with_ca_file(fixture.authority.to_str().unwrap().to_owned());
    let options = MssqlOptions { tls: Some(tls), strict_encryption: Some(true), ..options(&server().url) };
    let mut source = MssqlDriver::open(options, &Context::detached()).unwrap();
    assert_eq!(source.query_scalar("SELECT 7").unwrap(), Some(Scalar::Integer(7)));
    let notes = source.identity().unwrap().notes;
    assert!(notes.iter().any(|note| note.subject == "TLS" && note.text == "TLSv1.3"), "{notes:?}");
}
