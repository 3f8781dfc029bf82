//! From what the user configured to where and how to connect.

use std::time::Duration;

use rivet_sdk::options::{TlsMode, TlsOptions};
use rivet_sdk::schemars::JsonSchema;
use rivet_sdk::serde::Deserialize;
use rivet_sdk::{Error, Result, Secret};

use crate::address::from_text;

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
    /// Seconds that connecting and logging in may take together; 15 if absent.
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
    /// What the server is told of this machine; its name if None.
    pub workstation: Option<String>,
    /// What the certificate must name; the host if None.
    pub certificate_host: Option<String>,
    pub connect_timeout: Duration,
}

impl Endpoint {
    /// Reads and checks the options.
    pub fn new(options: MssqlOptions) -> Result<Self> {
        let address = match (&options.url, &options.host) {
            (Some(url), None) => from_text(url)?,
            (None, Some(_)) => options.clone().into(),
            (Some(_), Some(_)) => {
                return Err(Error::config("both `url` and `host` are given")
                    .with_hint("keep one: a URL, or host, port, user, password and database"));
            }
            (None, None) => {
                return Err(Error::config("neither `url` nor `host` is given")
                    .with_hint("add `url_env: NAME_OF_A_VARIABLE`, or host, user, password_env and database"));
            }
        };
        let parts = address.options;
        let host = parts.host.filter(|host| !host.is_empty()).ok_or_else(|| Error::config("the URL names no host"))?;
        let user = parts.user.filter(|user| !user.is_empty()).ok_or_else(|| {
            Error::config("no user is given")
                .with_hint("add `user: NAME`, or write mssql://USER:PASSWORD@HOST/DATABASE; only SQL logins work")
        })?;
        let trust = options.trust_server_certificate.or(parts.trust_server_certificate).unwrap_or(false);
        let strict = options.strict_encryption.or(parts.strict_encryption).unwrap_or(false);
        let mut tls = match TlsOptions::combined(parts.tls, options.tls)? {
            Some(tls) => tls,
            None if trust => TlsOptions::new(TlsMode::Require),
            None if strict => TlsOptions::new(TlsMode::VerifyFull),
            None => TlsOptions::prefer(),
        };
        tls.accept_invalid_certs |= trust;
        if strict && tls.mode == TlsMode::Disable {
            return Err(Error::config("`strict_encryption` and `tls: { mode: disable }` contradict each other")
                .with_hint("keep one of them"));
        }
        if strict && matches!(tls.mode, TlsMode::Prefer | TlsMode::Require) {
            // It demands no less in the other clients, whatever mode is asked for beside it.
            tls.mode = TlsMode::VerifyFull;
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
            workstation: address.workstation,
            certificate_host: address.certificate_host,
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
