use std::collections::BTreeSet;

use rivet_testkit::check_parameters;

use super::*;
use crate::options::Endpoint;

fn endpoint(text: &str) -> Result<Endpoint> {
    Endpoint::new(MssqlOptions { url: Some(Secret::new(text)), ..MssqlOptions::default() })
}

/// Every parameter of the table, with a value that shows that it is honoured: none is read and forgotten.
#[test]
fn every_parameter_does_what_its_table_says() {
    // A value that changes what is understood, and one that is refused; empty where there is none.
    let honoured = [
        ("Server", "tcp:other\\i,7", "np:\\\\h\\pipe"),
        ("Database", "other", ""),
        ("User ID", "other", ""),
        ("Password", "other", ""),
        ("Encrypt", "mandatory", "maybe"),
        ("Trust Server Certificate", "true", "maybe"),
        ("Host Name In Certificate", "other", ""),
        ("CA File", "/ca.pem", ""),
        ("Application Intent", "ReadOnly", "Read"),
        ("Application Name", "other", ""),
        ("Workstation ID", "other", ""),
        ("Connect Timeout", "77", "0"),
        ("Instance", "other", ""),
        ("Authentication", "", "ActiveDirectoryPassword"),
        ("Integrated Security", "", "SSPI"),
        ("Network Library", "", "dbnmpntw"),
        ("Column Encryption Setting", "", "Enabled"),
        ("Type System Version", "", "SQL Server 2005"),
        ("Context Connection", "", "true"),
        ("Replication", "", "true"),
        ("User Instance", "", "true"),
    ];
    let read = |text: &str| {
        endpoint(&format!("Server=h;User ID=me;{text}")).map(|found| format!("{found:?} {}", found.password.expose()))
    };
    let folded = |name: &str| vec![name.to_owned(), name.to_uppercase().replace(' ', "")];
    check_parameters(&PARAMETERS, &honoured, folded, read);
    // Of a parameter that is given twice, the last holds, by whichever of its names.
    assert_eq!(endpoint("Server=a;Data Source=b;UID=me;PWD=x").unwrap().host, "b");
    assert!(endpoint("Server=a;UID=me;Encript=true").unwrap_err().hint().unwrap().contains("`Encrypt`"));
}

/// Every keyword that Microsoft documents for `SqlConnection.ConnectionString`, of System.Data.SqlClient and of
/// Microsoft.Data.SqlClient up to version 6, and rivet's own.
#[test]
fn every_documented_keyword_is_in_the_table() {
    const DOCUMENTED: &str = "Addr;Address;App;Application Intent;Application Name;Async;Asynchronous Processing;\
        AttachDBFilename;Attestation Protocol;Authentication;Column Encryption Setting;Command Timeout;\
        Connect Retry Count;Connect Retry Interval;Connect Timeout;Connection Lifetime;Connection Reset;\
        Connection Timeout;Context Connection;Current Language;Data Source;Database;Enclave Attestation Url;Encrypt;\
        Enlist;Extended Properties;Failover Partner;Failover Partner SPN;Host Name In Certificate;\
        Initial Catalog;Initial File Name;Integrated Security;IP Address Preference;Language;Load Balance Timeout;\
        Max Pool Size;Min Pool Size;Multi Subnet Failover;Multiple Active Result Sets;Net;Network;Network Address;\
        Network Library;Packet Size;Password;Persist Security Info;Pool Blocking Period;Pooling;PWD;Replication;\
        Server;Server Certificate;Server SPN;Timeout;Transaction Binding;Transparent Network IP Resolution;\
        Trust Server Certificate;Trusted_Connection;Type System Version;UID;User;User ID;User Instance;\
        Workstation ID;WSID";
    const OWN: &str = "App Name;CA File;Trust Server Certificate CA;Instance;Instance Name";
    let documented: BTreeSet<&str> = DOCUMENTED.split(';').chain(OWN.split(';')).collect();
    let names: Vec<&str> = PARAMETERS.iter().flat_map(|parameter| parameter.names().iter().copied()).collect();
    let known: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!((known.len(), &known), (names.len(), &documented));
}

#[test]
fn what_is_said_of_encryption_does_not_depend_on_its_order() {
    let mode = |text: &str| {
        endpoint(&format!("Server=h;UID=me;{text}")).map(|found| (found.tls.mode, found.tls.ca_file, found.strict))
    };
    let ca = || Some("/ca.pem".to_owned());
    for (one, other, found) in [
        ("Encrypt=true", "CA File=/ca.pem", (TlsMode::VerifyFull, ca(), false)),
        ("Encrypt=strict", "CA File=/ca.pem", (TlsMode::VerifyFull, ca(), true)),
        ("Encrypt=true", "TrustServerCertificate=true", (TlsMode::Require, None, false)),
    ] {
        assert_eq!(mode(&format!("{one};{other}")).unwrap(), found);
        assert_eq!(mode(&format!("{other};{one}")).unwrap(), found);
    }
    for text in [
        "Encrypt=false;CA File=/ca.pem",
        "CA File=/c;Encrypt=true;TrustServerCertificate=yes",
        "TrustServerCertificate=true;Encrypt=strict",
    ] {
        assert!(mode(text).unwrap_err().hint().is_some(), "{text}");
    }
}

/// `environment: production` demands `require`, which must not take the place of more.
#[test]
fn a_tls_block_never_weakens_what_the_text_demands() {
    let with = |text: &str, strict| {
        Endpoint::new(MssqlOptions {
            url: Some(Secret::new(text)),
            tls: Some(TlsOptions::new(TlsMode::Require)),
            strict_encryption: strict,
            ..MssqlOptions::default()
        })
        .map(|found| (found.tls.mode, found.tls.accept_invalid_certs))
    };
    assert_eq!(with("mssql://me@h?encrypt=true", None).unwrap(), (TlsMode::VerifyFull, false));
    assert_eq!(with("mssql://me@h?encrypt=strict", None).unwrap(), (TlsMode::VerifyFull, false));
    assert_eq!(with("mssql://me@h", Some(true)).unwrap(), (TlsMode::VerifyFull, false));
    assert_eq!(with("mssql://me@h?trustServerCertificate=true", None).unwrap(), (TlsMode::Require, true));
    assert!(with("mssql://me@h?encrypt=disable", None).is_err());
}

#[test]
fn quotes_are_read_as_sqlclient_reads_them() {
    let password =
        |text: &str| endpoint(&format!("Server=h;UID=me;{text}")).map(|found| found.password.expose().to_owned());
    for (text, found) in [
        ("Password=\"a;b\"", "a;b"),
        ("Password='a\"b'", "a\"b"),
        ("Password=\"a\"\"b\" ;Timeout=7", "a\"b"),
        ("Password= a b ", "a b"),
        ("Password=a=b", "a=b"),
        ("Password=;", ""),
        ("Password=x://y", "x://y"),
    ] {
        assert_eq!(password(text).unwrap(), found, "{text}");
    }
    for text in ["Password=\"a\"b;", "Password='a", "Password"] {
        assert!(password(text).unwrap_err().hint().is_some(), "{text}");
    }
}
