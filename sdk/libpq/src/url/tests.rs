use std::collections::BTreeSet;

use rivet_sdk::ErrorKind;
use rivet_testkit::check_parameters;

use super::*;
use crate::parameters::{SOURCE, STATE};
use crate::servers::Host;

fn url(text: &str) -> Result<Address> {
    Address::parse(&Secret::new(text), &SOURCE)
}

fn servers(text: &str) -> Vec<String> {
    url(text).unwrap().servers.iter().map(Server::display).collect()
}

#[test]
fn a_url_is_read_with_any_password_and_every_tls_mode() {
    let found =
        url("postgresql://us%40er:p%40%2F%3Aä?x@db.example:5433/my%20db?sslmode=verify-full&sslrootcert=/ca%20x.pem");
    let found = found.unwrap();
    assert_eq!(found.servers, [Server::new("db.example", 5433)]);
    assert_eq!((found.user.as_str(), found.database.as_str()), ("us@er", "my db"));
    assert_eq!(found.password.unwrap().expose(), "p@/:ä?x");
    let tls = found.tls.unwrap();
    assert_eq!((tls.mode, tls.ca_file.as_deref()), (TlsMode::VerifyFull, Some("/ca x.pem")));
    for (query, mode) in [
        ("sslmode=disable", TlsMode::Disable),
        ("sslmode=allow", TlsMode::Prefer),
        ("sslmode=prefer", TlsMode::Prefer),
        ("sslmode=require", TlsMode::Require),
        ("ssl=true", TlsMode::Require),
        ("sslmode=verify-ca", TlsMode::VerifyCa),
        ("sslmode=require&sslrootcert=/ca.pem", TlsMode::VerifyCa),
        ("sslrootcert=system", TlsMode::VerifyFull),
        ("sslrootcert=/ca.pem", TlsMode::Prefer),
    ] {
        assert_eq!(url(&format!("postgres://u@h/d?{query}")).unwrap().tls.unwrap().mode, mode, "{query}");
    }
    let least = url("postgres://u@h").unwrap();
    assert_eq!((least.database.as_str(), least.tls.is_none(), least.password.is_none()), ("u", true, true));
}

#[test]
fn hosts_addresses_and_ports_belong_together() {
    assert_eq!(servers("postgres://u@a,b:5433,[::1]:5434/d"), ["a:5432", "b:5433", "::1:5434"]);
    assert_eq!(servers("postgres://u@a,b/d?port=6000"), ["a:6000", "b:6000"]);
    assert_eq!(servers("postgres://u@a,b/d?port=6000,"), ["a:6000", "b:5432"]);
    assert_eq!(servers("postgres://u@%2Frun%2Fpg/d"), ["/run/pg/.s.PGSQL.5432"]);
    assert_eq!(servers("postgres:///d?host=/run/pg&port=7&user=u"), ["/run/pg/.s.PGSQL.7"]);
    assert_eq!(servers("postgres://u@old/d?host=new"), ["new:5432"]);
    let found = url("postgres://u@name/d?hostaddr=10.0.0.1").unwrap().servers;
    assert_eq!((found[0].host.clone(), found[0].address.as_deref()), (Host::Tcp("name".into()), Some("10.0.0.1")));
    assert_eq!(servers("postgres://u@/d?hostaddr=10.0.0.1,10.0.0.2"), ["10.0.0.1:5432", "10.0.0.2:5432"]);
    for (text, words) in [
        ("postgres://u@a,b/d?port=1,2,3", "3 ports for 2 hosts"),
        ("postgres://u@a,b/d?hostaddr=10.0.0.1", "2 of host and 1 of hostaddr"),
        ("postgres://u@a,,b/d", "an empty host"),
        ("postgres://u@a/d?hostaddr=b", "no address"),
        ("postgres://u@a:0/d", "port"),
    ] {
        assert!(url(text).unwrap_err().message().contains(words), "{text}");
    }
}

/// Every parameter of the tables, with a value that shows that it is honoured: none is read and forgotten.
#[test]
fn every_parameter_does_what_its_table_says() {
    // A value that changes what is understood, and one that is refused; empty where there is none.
    let honoured = [
        ("host", "h1,other", ""),
        ("hostaddr", "10.1.1.1,10.1.1.2", "x,y"),
        // The state store's alone.
        ("options", "-csearch_path%3Dx", ""),
        ("port", "77", "x"),
        ("dbname", "other", ""),
        ("user", "other", ""),
        ("password", "other", ""),
        ("target_session_attrs", "standby", "master"),
        ("load_balance_hosts", "random", "yes"),
        ("connect_timeout", "77", "0"),
        ("application_name", "other", ""),
        ("fallback_application_name", "other", ""),
        ("sslmode", "require", "on"),
        ("ssl", "true", "false"),
        ("sslrootcert", "/ca.pem", ""),
        ("sslcert", "/c.pem", ""),
        ("sslkey", "/k.pem", ""),
        ("ssl_min_protocol_version", "TLSv1.3", "SSLv3"),
        ("ssl_max_protocol_version", "TLSv1.2", "TLSv1.1"),
        ("channel_binding", "disable", "yes"),
        ("gssencmode", "", "require"),
        ("sslnegotiation", "", "direct"),
        ("sslsni", "", "0"),
        ("sslcertmode", "", "require"),
        ("replication", "", "database"),
        ("min_protocol_version", "", "3.2"),
        ("max_protocol_version", "", "2.0"),
    ];
    for parameters in [&SOURCE, &STATE] {
        let read = |query: &str| {
            let url = Secret::new(format!("postgresql://me@h1,h2/d?{query}"));
            Address::parse(&url, parameters).map(|found| {
                let password = found.password.as_ref().map(|secret| secret.expose().to_owned());
                format!("{found:?} {password:?}")
            })
        };
        check_parameters(parameters, &honoured, |name| vec![name.to_owned()], read);
    }
    // Of a parameter that is given twice, the last holds; names are compared letter by letter.
    let twice = url("postgres://u@h/d?sslmode=require&target_session_attrs=any&sslmode=disable").unwrap();
    assert_eq!(twice.tls.unwrap().mode, TlsMode::Disable);
    assert!(url("postgres://u@h/d?SSLMODE=require").unwrap_err().hint().unwrap().contains("sslmode"));
}

/// Every parameter in libpq's documentation, from 9.6 to 18, and what libpq removed since: none is missing, and none
/// has two fates.
#[test]
fn every_documented_parameter_is_in_the_table() {
    const DOCUMENTED: &str = "host hostaddr port dbname user password passfile require_auth channel_binding \
        connect_timeout client_encoding options application_name fallback_application_name keepalives \
        keepalives_idle keepalives_interval keepalives_count tcp_user_timeout replication gssencmode sslmode \
        requiressl sslnegotiation sslcompression sslcert sslkey sslkeylogfile sslpassword sslcertmode sslrootcert \
        sslcrl sslcrldir sslsni requirepeer ssl_min_protocol_version ssl_max_protocol_version min_protocol_version \
        max_protocol_version krbsrvname gsslib gssdelegation scram_client_key scram_server_key service servicefile \
        target_session_attrs load_balance_hosts oauth_issuer oauth_client_id oauth_client_secret oauth_scope";
    let documented: BTreeSet<&str> = DOCUMENTED.split_whitespace().chain(["ssl"]).collect();
    for parameters in [&SOURCE, &STATE] {
        let names: Vec<&str> = parameters.iter().flat_map(|parameter| parameter.names().iter().copied()).collect();
        let known: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!((known.len(), &known), (names.len(), &documented));
    }
}

#[test]
fn what_cannot_be_read_is_refused_without_its_secrets() {
    for (text, words) in [
        ("mysql://u:geheim@h/d", "does not begin"),
        ("postgres://u:geheim@h/d?sslmod=require", "`sslmod`"),
        ("postgres://u:geheim@h/d?sslmode=requird", "requird"),
        ("postgres://u:geheim@h:54x2/d", "port"),
        ("postgres://u:geheim@h/d?target_session_attrs=readwrite", "readwrite"),
        ("postgres://u:geheim@h/d?sslmode=prefer&sslrootcert=system", "sslrootcert=system"),
        ("postgres://u:geheim@h/d?connect_timeout", "connect_timeout"),
        ("postgres://u:geheim@h/d?service=s%2", "service"),
        ("postgres:///d?user=me", "no host"),
        ("postgres://h/d", "no user"),
        ("postgres://u:geheim?sslmode=geheim@h/d?sslmode=x", "`x`"),
        ("postgres://u:pass@geheim@h/d", "more than one `@`"),
        ("postgres://u:pass/geheim@h/d", "more than one `@`"),
        ("postgres://u:geheim@[::1/d", "cannot be read"),
    ] {
        let error = url(text).err().unwrap_or_else(|| panic!("{text} was taken"));
        let shown = format!("{error:?} {error} {:?}", error.hint());
        assert_eq!(error.kind(), ErrorKind::Config, "{text}");
        assert!(shown.contains(words) && error.hint().is_some() && !shown.contains("geheim"), "{text}: {shown}");
    }
}
