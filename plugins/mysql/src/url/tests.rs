use std::collections::BTreeSet;

use rivet_testkit::check_parameters;

use super::*;
use crate::options::MysqlOptions;

fn url(text: &str) -> Result<Endpoint> {
    Endpoint::new(MysqlOptions { url: Some(Secret::new(text)), ..MysqlOptions::default() })
}

#[test]
fn a_url_is_read_with_any_password_and_every_tls_mode() {
    let endpoint =
        url("mysql://us%40er:p%40%2F%3Aä@db.example:3307/my%20db?ssl-mode=VERIFY_IDENTITY&ssl-ca=/ca%20x.pem").unwrap();
    assert_eq!(endpoint.host, Host::Tcp("db.example".into(), 3307));
    assert_eq!((endpoint.user.as_str(), endpoint.database.as_deref()), ("us@er", Some("my db")));
    assert_eq!(endpoint.password.unwrap().expose(), "p@/:ä");
    assert_eq!((endpoint.tls.mode, endpoint.tls.ca_file.as_deref()), (TlsMode::VerifyFull, Some("/ca x.pem")));
    for (query, mode) in [
        ("ssl_mode=DISABLED", TlsMode::Disable),
        ("SSL-MODE=preferred", TlsMode::Prefer),
        ("sslMode=REQUIRED", TlsMode::Require),
        ("ssl-mode=verify-ca", TlsMode::VerifyCa),
        // As MySQL's own clients have it.
        ("ssl-ca=/ca.pem", TlsMode::VerifyCa),
        ("ssl-cert=/c.pem&ssl-key=/k.pem", TlsMode::Prefer),
    ] {
        assert_eq!(url(&format!("mariadb://u@h/d?{query}")).unwrap().tls.mode, mode, "{query}");
    }
}

#[test]
fn a_url_defaults_to_the_usual_port_no_database_and_prefer() {
    let endpoint = url("mysql://u@h").unwrap();
    assert_eq!((endpoint.host, endpoint.database), (Host::Tcp("h".into(), 3306), None));
    assert_eq!((endpoint.tls.mode, endpoint.password), (TlsMode::Prefer, None));
    assert_eq!(url("mysql://u@[::1]:3310/d").unwrap().host, Host::Tcp("::1".into(), 3310));
}

#[test]
fn a_unix_socket_is_a_parameter_or_stands_where_a_host_does() {
    for text in ["mysql://u@localhost/d?socket=/run/s.sock", "mysql://u@%2Frun%2Fs.sock/d", "mysql://u@(/run/s.sock)/d"]
    {
        let found = url(text).unwrap();
        assert_eq!((found.host, found.database.as_deref()), (Host::Unix("/run/s.sock".into()), Some("d")), "{text}");
    }
}

/// Every parameter of the table, with a value that shows that it is honoured: none is read and forgotten.
#[test]
fn every_parameter_does_what_its_table_says() {
    // A value that changes what is understood, and one that is refused; empty where there is none.
    let honoured = [
        ("ssl-mode", "required", "on"),
        ("ssl-ca", "/ca.pem", ""),
        ("ssl-cert", "/c.pem", ""),
        ("ssl-key", "/k.pem", ""),
        ("tls-version", "TLSv1.3", "TLSv1.1"),
        ("socket", "/s", ""),
        ("connect-timeout", "77", "10000"),
        ("compression", "zlib", "REQUIRED"),
        ("get-server-public-key", "", "false"),
        ("charset", "", "latin1"),
    ];
    let read = |query: &str| url(&format!("mysql://me@h/d?{query}")).map(|found| format!("{found:?}"));
    check_parameters(&PARAMETERS, &honoured, |name| vec![name.to_owned()], read);
}

/// Every parameter that MySQL Shell documents for its URIs (8.0 to 26.10), and what drivers call the same.
#[test]
fn every_documented_parameter_is_in_the_table() {
    const DOCUMENTED: &str = "ssl-mode ssl-ca ssl-capath ssl-cert ssl-key ssl-crl ssl-crlpath ssl-cipher tls-version \
        tls-versions tls-ciphersuites tls-ciphers tls-kex force-pqc use-pqc-sign auth-method get-server-public-key \
        server-public-key-path connect-timeout net-read-timeout net-write-timeout compression compression-algorithms \
        compression-level connection-attributes local-infile net-buffer-length max-allowed-packet mysql-plugin-dir \
        plugin-authentication-kerberos-client-mode plugin-authentication-webauthn-client-preserve-privacy \
        plugin-authentication-webauthn-device oci-config-file authentication-oci-client-config-profile \
        authentication-openid-connect-client-id-token-file openid-connect-id-token-file client-interactive";
    const OF_DRIVERS: &str = "sslmode sslca sslcert sslkey socket charset character-set";
    let documented: BTreeSet<&str> = DOCUMENTED.split_whitespace().chain(OF_DRIVERS.split_whitespace()).collect();
    let names: Vec<&str> = PARAMETERS.iter().flat_map(|parameter| parameter.names().iter().copied()).collect();
    let known: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!((known.len(), &known), (names.len(), &documented));
}

#[test]
fn what_cannot_work_is_refused_without_the_password() {
    for (text, words) in [
        ("postgres://u:hunter22@h/d", "does not begin"),
        ("mysql://u:hunter22@h/d?ssl-mode=maybe", "ssl-mode"),
        ("mysql://u:hunter22@h/d?ssl-mode=required&ssl-ca=/ca.pem", "ssl-mode=required"),
        ("mysql://u:hunter22@h/d?ssl-mode=required&SSL_MODE=disabled", "twice"),
        ("mysql://u:hunter22@h/d?allowLocalInfile=true", "allowLocalInfile"),
        ("mysql://u:hunter22@h/d?connect-timeout=0", "connect-timeout=0"),
        ("mysql://u:hunter22@h/d?compression=lz4", "compression=lz4"),
        ("mysql://u:hunter22@h/d?compression", "compression"),
        ("mysql://u:hunter22@h1,h2/d", "several hosts"),
        ("mysql://u:hunter22@h:port/d", "port"),
        ("mysql://u:hunter22@x@h/d", "more than one `@`"),
        ("mysql:///d", "no user"),
        ("mysql://u@/d", "no host"),
    ] {
        let error = url(text).unwrap_err();
        assert!(error.message().contains(words) && error.hint().is_some(), "{text}: {error:?}");
        assert!(!format!("{error:?}").contains("hunter22"), "{error:?}");
    }
}
