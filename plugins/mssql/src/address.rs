//! Where a server is and how to reach it, as one text: a URL, or an ADO.NET connection string.

use rivet_sdk::options::{TlsMode, TlsOptions, percent_decoded};
use rivet_sdk::{Error, Result, Secret};

use crate::options::{Intent, MssqlOptions};

/// Reads either; no message repeats any of its secrets.
pub(crate) fn from_text(url: &Secret) -> Result<MssqlOptions> {
    let text = url.expose().trim();
    match text.split_once("://") {
        Some(("mssql" | "sqlserver", rest)) => from_url(rest),
        None if text.contains('=') => from_ado(text),
        _ => Err(Error::config("the URL does not begin with mssql:// or sqlserver://")
            .with_hint("an ADO.NET string (`Server=…;Database=…;User Id=…;Password=…`) works too")),
    }
}

fn from_url(rest: &str) -> Result<MssqlOptions> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.matches('@').count() > 1 {
        return Err(Error::config("the URL has more than one `@`").with_hint(
            "write %40 for an `@` in the user or the password, or give host, port, user, password and database separately",
        ));
    }
    let (login, address) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let (address, instance) = match address.split_once('\\') {
        // host\instance:port
        Some((host, after)) => match after.split_once(':') {
            Some((instance, port)) => (format!("{host}:{port}"), Some(instance.to_owned())),
            None => (host.to_owned(), Some(after.to_owned())),
        },
        None => (address.to_owned(), None),
    };
    let (host, port) = split_port(&address)?;
    let mut options = MssqlOptions {
        host: Some(percent_decoded("host", &host)?),
        port,
        instance,
        user: Some(percent_decoded("user", user)?),
        password: Some(Secret::new(percent_decoded("password", password)?)),
        database: Some(percent_decoded("database", database.trim_end_matches('/'))?).filter(|name| !name.is_empty()),
        ..MssqlOptions::default()
    };
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        set(&mut options, &percent_decoded("query", name)?, percent_decoded("query", value)?)?;
    }
    Ok(options)
}

/// `host`, `host:port`, `[::1]:port`.
fn split_port(address: &str) -> Result<(String, Option<u16>)> {
    let (host, port) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match address.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        },
    };
    let port = port.filter(|port| !port.is_empty()).map(number::<u16>).transpose()?;
    Ok((host.to_owned(), port))
}

/// `Server=tcp:host\instance,port;Database=…`; a value may stand in quotes, doubled inside.
fn from_ado(text: &str) -> Result<MssqlOptions> {
    let mut options = MssqlOptions::default();
    let mut rest = text;
    while !rest.trim_start_matches([';', ' ']).is_empty() {
        rest = rest.trim_start_matches([';', ' ']);
        let Some((name, after)) = rest.split_once('=') else {
            return Err(Error::config("the connection string has a word without `=`"));
        };
        let after = after.trim_start();
        let (value, after) = match after.chars().next() {
            Some(quote @ ('"' | '\'')) => quoted(after, quote)
                .ok_or_else(|| Error::config("the connection string has a quote that is never closed"))?,
            _ => {
                let (value, after) = after.split_once(';').unwrap_or((after, ""));
                (value.trim_end().to_owned(), after)
            }
        };
        rest = after;
        set(&mut options, name.trim(), value)?;
    }
    Ok(options)
}

fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((index, character)) = characters.next() {
        if character != quote {
            value.push(character);
        } else if characters.next_if(|(_, next)| *next == quote).is_some() {
            value.push(quote);
        } else {
            return Some((value, text.get(index + 1..)?));
        }
    }
    None
}

/// One parameter of a URL or of an ADO.NET string, by any of its names.
fn set(options: &mut MssqlOptions, name: &str, value: String) -> Result<()> {
    let key: String = name.to_ascii_lowercase().chars().filter(|c| !matches!(c, ' ' | '_' | '-')).collect();
    match key.as_str() {
        "server" | "datasource" | "address" | "addr" | "networkaddress" => {
            let address = value.strip_prefix("tcp:").unwrap_or(&value);
            let (address, port) = address.split_once(',').map_or((address, None), |(host, port)| (host, Some(port)));
            let (host, instance) = address.split_once('\\').map_or((address, None), |(host, name)| (host, Some(name)));
            options.host = Some(if matches!(host, "." | "(local)") { "localhost" } else { host }.to_owned());
            options.instance = instance.map(str::to_owned);
            options.port = port.map(|port| number(port.trim())).transpose()?;
        }
        "database" | "initialcatalog" => options.database = Some(value),
        "userid" | "uid" | "user" => options.user = Some(value),
        "password" | "pwd" => options.password = Some(Secret::new(value)),
        "encrypt" => encrypt(options, &value)?,
        "trustservercertificate" => options.trust_server_certificate = Some(boolean(name, &value)?),
        "applicationintent" => {
            options.application_intent = Some(match value.to_ascii_lowercase().as_str() {
                "readonly" => Intent::ReadOnly,
                "readwrite" => Intent::ReadWrite,
                _ => return Err(Error::config("ApplicationIntent is ReadOnly or ReadWrite")),
            });
        }
        "applicationname" | "app" | "appname" => options.application_name = Some(value),
        "connecttimeout" | "connectiontimeout" | "timeout" => options.connect_timeout_s = Some(number(&value)?),
        "instance" | "instancename" => options.instance = Some(value),
        "cafile" | "trustservercertificateca" => {
            let tls = TlsOptions::new(TlsMode::VerifyFull);
            options.tls.get_or_insert(tls).ca_file = Some(value);
        }
        "integratedsecurity" | "trustedconnection" if matches!(boolean(name, &value), Ok(true) | Err(_)) => {
            return Err(Error::config("Windows authentication is not supported").with_hint("use a SQL login"));
        }
        "authentication" if !value.eq_ignore_ascii_case("SqlPassword") => {
            return Err(
                Error::config(format!("the authentication `{value}` is not supported")).with_hint("use a SQL login")
            );
        }
        // They change nothing that rivet does.
        "integratedsecurity"
        | "trustedconnection"
        | "authentication"
        | "multipleactiveresultsets"
        | "persistsecurityinfo"
        | "pooling"
        | "maxpoolsize"
        | "minpoolsize"
        | "packetsize"
        | "connectretrycount"
        | "connectretryinterval"
        | "commandtimeout"
        | "multisubnetfailover"
        | "workstationid"
        | "wsid" => {}
        _ => {
            return Err(Error::config(format!("the connection string's parameter `{name}` is unknown")).with_hint(
                "known: server, database, user id, password, encrypt, trustServerCertificate, applicationIntent, \
                 applicationName, connectTimeout, instance, caFile",
            ));
        }
    }
    Ok(())
}

fn encrypt(options: &mut MssqlOptions, value: &str) -> Result<()> {
    let mode = match value.to_ascii_lowercase().as_str() {
        "strict" => {
            options.strict_encryption = Some(true);
            return Ok(());
        }
        "true" | "yes" | "mandatory" | "on" if options.trust_server_certificate == Some(true) => TlsMode::Require,
        "true" | "yes" | "mandatory" | "on" => TlsMode::VerifyFull,
        "required" | "require" => TlsMode::Require,
        "false" | "no" | "optional" => TlsMode::Prefer,
        "disable" | "disabled" | "off" | "danger_plaintext" => TlsMode::Disable,
        _ => {
            return Err(Error::config(format!("encrypt={value} is unknown"))
                .with_hint("true (verified), require, false (if the server can), strict or disable"));
        }
    };
    let ca_file = options.tls.take().and_then(|tls| tls.ca_file);
    options.tls = Some(TlsOptions::new(mode).with_ca_file(ca_file));
    Ok(())
}

fn boolean(name: &str, value: &str) -> Result<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err(Error::config(format!("{name} is true or false"))),
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| {
        Error::config("the URL has something else where a number (a port, a timeout) must stand")
            .with_hint("percent-encode special characters in user and password")
    })
}
