//! From what the user configured to where and how to connect.

use std::time::Duration;

use rivet_sdk::options::{TlsMode, TlsOptions};
use rivet_sdk::schemars::JsonSchema;
use rivet_sdk::serde::Deserialize;
use rivet_sdk::{Error, Result, Secret};

/// SQL Server's own port.
pub(crate) const PORT: u16 = 1433;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How to reach SQL Server: a URL (or an ADO.NET connection string), or its parts. The host has
/// expanded `*_env` and `*_file`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(crate = "rivet_sdk::serde", deny_unknown_fields)]
#[schemars(crate = "rivet_sdk::schemars")]
pub struct MssqlOptions {
    /// `mssql://user:password@host:port/database?option=value`, or
    /// `Server=tcp:host,port;Database=…;User Id=…;Password=…`.
    pub url: Option<Secret>,
    /// Host name or address.
    pub host: Option<String>,
    /// TCP port; 1433 if absent and no instance is named.
    pub port: Option<u16>,
    /// A named instance. Without `port`, SQL Server Browser (UDP 1434) is asked where it listens.
    pub instance: Option<String>,
    /// Login name of a SQL login.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// Database name; the login's default database if absent.
    pub database: Option<String>,
    /// Transport security.
    pub tls: Option<TlsOptions>,
    /// Encrypt before the first TDS byte (TDS 8.0), as SQL Server 2022 and Azure SQL can.
    pub strict_encryption: Option<bool>,
    /// Encrypt, and accept any certificate.
    pub trust_server_certificate: Option<bool>,
    /// `read_only` lets an availability group's listener choose a readable secondary.
    pub application_intent: Option<Intent>,
    /// The name that `sys.dm_exec_sessions` shows; `rivet` if absent.
    pub application_name: Option<String>,
    /// Seconds to wait for a connection.
    pub connect_timeout_s: Option<u64>,
}

/// What a session declares that it will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(crate = "rivet_sdk::serde", rename_all = "snake_case")]
#[schemars(crate = "rivet_sdk::schemars")]
pub enum Intent {
    /// May be sent to a readable secondary.
    ReadOnly,
    /// Goes to the primary.
    ReadWrite,
}

/// A server, a login and a database: complete, nothing optional left to decide.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub host: String,
    /// None: ask the browser for the instance's.
    pub port: Option<u16>,
    pub instance: Option<String>,
    pub user: String,
    pub password: Secret,
    /// Empty: the login's default.
    pub database: String,
    pub tls: TlsOptions,
    pub strict: bool,
    pub read_only_intent: bool,
    pub application_name: String,
    pub connect_timeout: Duration,
}

impl Endpoint {
    /// Reads and checks the options.
    pub fn new(options: MssqlOptions) -> Result<Self> {
        let parts = match (&options.url, &options.host) {
            (Some(url), None) => from_text(url)?,
            (None, Some(_)) => options.clone(),
            (Some(_), Some(_)) => {
                return Err(Error::config("both `url` and `host` are given")
                    .with_hint("keep one: a URL, or host, port, user, password and database"));
            }
            (None, None) => {
                return Err(Error::config("neither `url` nor `host` is given")
                    .with_hint("add `url_env: NAME_OF_A_VARIABLE`, or host, user, password_env and database"));
            }
        };
        let host = parts.host.filter(|host| !host.is_empty()).ok_or_else(|| Error::config("the URL names no host"))?;
        let user = parts.user.filter(|user| !user.is_empty()).ok_or_else(|| {
            Error::config("no user is given")
                .with_hint("add `user: NAME`, or write mssql://USER:PASSWORD@HOST/DATABASE; only SQL logins work")
        })?;
        let trust = options.trust_server_certificate.or(parts.trust_server_certificate).unwrap_or(false);
        let strict = options.strict_encryption.or(parts.strict_encryption).unwrap_or(false);
        let mut tls = match options.tls.or(parts.tls) {
            Some(tls) => tls,
            None if trust => TlsOptions { mode: TlsMode::Require, ..TlsOptions::prefer() },
            None if strict => TlsOptions { mode: TlsMode::VerifyFull, ..TlsOptions::prefer() },
            None => TlsOptions::prefer(),
        };
        tls.accept_invalid_certs |= trust;
        if strict && tls.mode == TlsMode::Disable {
            return Err(Error::config("`strict_encryption` and `tls: { mode: disable }` contradict each other"));
        }
        let seconds = options.connect_timeout_s.or(parts.connect_timeout_s);
        Ok(Self {
            port: parts.port.or_else(|| parts.instance.is_none().then_some(PORT)),
            host,
            instance: parts.instance,
            user,
            password: parts.password.unwrap_or_else(|| Secret::new("")),
            database: options.database.or(parts.database).unwrap_or_default(),
            tls,
            strict,
            read_only_intent: options.application_intent.or(parts.application_intent) == Some(Intent::ReadOnly),
            application_name: options.application_name.or(parts.application_name).unwrap_or_else(|| "rivet".to_owned()),
            connect_timeout: seconds.map_or(CONNECT_TIMEOUT, |seconds| Duration::from_secs(seconds.max(1))),
        })
    }

    /// The server for people, without any secret.
    pub fn display(&self) -> String {
        match (self.port, &self.instance) {
            (Some(port), _) => format!("{}:{port}", self.host),
            (None, Some(instance)) => format!("{}\\{instance}", self.host),
            (None, None) => self.host.clone(),
        }
    }
}

fn from_text(url: &Secret) -> Result<MssqlOptions> {
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
        host: Some(percent_decode(&host)?),
        port,
        instance,
        user: Some(percent_decode(user)?),
        password: Some(Secret::new(percent_decode(password)?)),
        database: Some(percent_decode(database.trim_end_matches('/'))?).filter(|name| !name.is_empty()),
        ..MssqlOptions::default()
    };
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        set(&mut options, &percent_decode(name)?, percent_decode(value)?)?;
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
            let tls = TlsOptions { mode: TlsMode::VerifyFull, ..TlsOptions::prefer() };
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
    options.tls = Some(TlsOptions { mode, ca_file, ..TlsOptions::prefer() });
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

fn percent_decode(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).map_err(|_| Error::config("the URL is not UTF-8 once its %-codes are read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<Endpoint> {
        Endpoint::new(MssqlOptions { url: Some(Secret::new(text)), ..MssqlOptions::default() })
    }

    #[test]
    fn urls_and_ado_strings_mean_the_same() {
        for text in [
            "mssql://me:p%40%3B%27w@db.example.com:1444/My%20Shop?applicationIntent=ReadOnly&encrypt=require",
            "sqlserver://me:p%40;'w@db.example.com:1444/My%20Shop/?ApplicationIntent=readonly&Encrypt=required",
            "Server=tcp:db.example.com,1444;Initial Catalog=My Shop; User ID=me;Password=\"p@;'w\";Encrypt=require;ApplicationIntent=ReadOnly",
        ] {
            let found = url(text).unwrap();
            assert_eq!((found.host.as_str(), found.port), ("db.example.com", Some(1444)), "{text}");
            assert_eq!((found.user.as_str(), found.database.as_str()), ("me", "My Shop"));
            assert_eq!(found.password.expose(), "p@;'w");
            assert!(found.read_only_intent && found.tls.mode == TlsMode::Require && !found.strict);
        }
    }

    #[test]
    fn instances_take_the_browsers_port_unless_one_is_given() {
        let found = url("mssql://u:p@host\\SQLEXPRESS/db").unwrap();
        assert_eq!((found.instance.as_deref(), found.port), (Some("SQLEXPRESS"), None));
        assert_eq!(found.display(), "host\\SQLEXPRESS");
        assert_eq!(url("mssql://u:p@host\\X:1500/db").unwrap().port, Some(1500));
        assert_eq!(url("mssql://u:p@[::1]:1500/db").unwrap().host, "::1");
        assert_eq!(url("Server=.;uid=u;pwd=p").unwrap().display(), "localhost:1433");
    }

    #[test]
    fn encryption_words_are_those_of_the_drivers_users_know() {
        for (word, mode, strict) in [
            ("true", TlsMode::VerifyFull, false),
            ("false", TlsMode::Prefer, false),
            ("disable", TlsMode::Disable, false),
            ("strict", TlsMode::VerifyFull, true),
        ] {
            let found = url(&format!("mssql://u:p@h/d?encrypt={word}")).unwrap();
            assert_eq!((found.tls.mode, found.strict), (mode, strict), "{word}");
        }
        let trusting = url("Server=h;uid=u;pwd=p;TrustServerCertificate=true;Encrypt=true").unwrap();
        assert!(trusting.tls.accept_invalid_certs && trusting.tls.mode == TlsMode::Require);
        assert_eq!(url("mssql://u:p@h/d").unwrap().tls.mode, TlsMode::Prefer);
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_repeating_it() {
        for text in [
            "postgres://u:hunter22@h/d",
            "mssql://u:hunter22@h:no/d",
            "mssql://u:hun@ter22@h/d",
            "mssql://u:hunter22@h/d?sslmode=require",
            "mssql://h/d",
            "mssql://u:hunter22@/d",
            "Server=h;Integrated Security=SSPI;Password=hunter22",
            "Server=h;uid=u;Password='hunter22",
            "",
        ] {
            let error = url(text).map(|_| ()).unwrap_err();
            assert!(!format!("{error:?}").contains("ter22"), "{error:?}");
        }
    }
}
