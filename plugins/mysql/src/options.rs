//! From what the user configured to where and how to connect.

use std::path::PathBuf;
use std::time::Duration;

use rivet_sdk::options::{ServerOptions, TlsOptions};
use rivet_sdk::schemars::JsonSchema;
use rivet_sdk::serde::Deserialize;
use rivet_sdk::tls::TlsVersions;
use rivet_sdk::{Error, Result, Secret};

use crate::url;

pub(crate) const PORT: u16 = 3306;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How to reach a MySQL or MariaDB server, and how to read it. The host has expanded `*_env`
/// and `*_file`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(crate = "rivet_sdk::serde", deny_unknown_fields)]
#[schemars(crate = "rivet_sdk::schemars")]
pub struct MysqlOptions {
    /// `mysql://user:password@host:port/database?ssl-mode=verify_identity`
    pub url: Option<Secret>,
    /// Host name or address.
    pub host: Option<String>,
    /// TCP port; 3306 if absent.
    pub port: Option<u16>,
    /// Path of the server's Unix socket, instead of `host`.
    pub socket: Option<String>,
    /// Login name.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// Database name: where tables without one are looked for.
    pub database: Option<String>,
    /// Transport security.
    pub tls: Option<TlsOptions>,
    /// Seconds that connecting and logging in may take together; 15 if absent.
    pub connect_timeout_s: Option<u64>,
    /// Export `tinyint(1)` as a boolean. A value other than 0 and 1 is then refused.
    #[serde(default)]
    pub tinyint1_as_boolean: bool,
    /// How the server packs what it sends; `none` if absent.
    #[serde(default)]
    pub compression: Compression,
}

/// The protocol's compression: less to carry for more work on both sides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(crate = "rivet_sdk::serde", rename_all = "kebab-case")]
#[schemars(crate = "rivet_sdk::schemars")]
pub enum Compression {
    /// Rows come as they are.
    #[default]
    None,
    /// MySQL and MariaDB.
    Zlib,
    /// MySQL 8.0.18 and later: faster than zlib, and smaller.
    Zstd,
}

impl Compression {
    /// Its name in the configuration.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Zlib => "zlib",
            Self::Zstd => "zstd",
        }
    }
}

/// A server, a login and a database: complete, nothing optional left to decide.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub host: Host,
    pub user: String,
    pub password: Option<Secret>,
    pub database: Option<String>,
    pub tls: TlsOptions,
    pub tls_versions: TlsVersions,
    pub connect_timeout: Duration,
    pub tinyint1_as_boolean: bool,
    pub compression: Compression,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    Tcp(String, u16),
    Unix(PathBuf),
}

impl Endpoint {
    /// Reads and checks the options.
    pub fn new(options: MysqlOptions) -> Result<Self> {
        let (mut endpoint, tls) = match (&options.url, &options.socket) {
            (Some(_), Some(_)) => {
                return Err(Error::config("both `url` and `socket` are given")
                    .with_hint("keep one; in a URL the socket is a parameter: ?socket=/path/of/socket"));
            }
            (Some(url), None) if options.host.is_none() => url::endpoint(url)?,
            _ => (Self::from_parts(&options)?, None),
        };
        if let Some(tls) = TlsOptions::combined(tls, options.tls)? {
            endpoint.tls = tls;
        }
        if let Some(seconds) = options.connect_timeout_s {
            endpoint.connect_timeout = Duration::from_secs(seconds.max(1));
        }
        endpoint.tinyint1_as_boolean = options.tinyint1_as_boolean;
        if options.compression != Compression::None {
            endpoint.compression = options.compression;
        }
        if [Some(&endpoint.user), endpoint.database.as_ref()].into_iter().flatten().any(|name| name.contains('\0')) {
            return Err(Error::config("user and database names must not hold a zero byte"));
        }
        Ok(endpoint)
    }

    fn from_parts(options: &MysqlOptions) -> Result<Self> {
        let host = match (&options.socket, &options.host) {
            (Some(_), Some(_)) => {
                return Err(Error::config("both `host` and `socket` are given").with_hint("keep one"));
            }
            (Some(path), None) => Host::Unix(path.into()),
            (None, host) => {
                // The same words as every other server's options have for it.
                let mut place = ServerOptions::default();
                place.url = options.url.clone();
                place.host = host.clone();
                place.check()?;
                let host = host.clone().unwrap_or_default();
                if host.starts_with('/') {
                    Host::Unix(host.into())
                } else {
                    Host::Tcp(host, options.port.unwrap_or(PORT))
                }
            }
        };
        let user = options
            .user
            .clone()
            .ok_or_else(|| Error::config("`user` is missing").with_hint("add `user: NAME` beside `host`"))?;
        let mut endpoint = Self::new_at(host, user);
        endpoint.password = options.password.clone();
        endpoint.database = options.database.clone();
        Ok(endpoint)
    }

    /// With what applies where nothing is said.
    pub(crate) fn new_at(host: Host, user: String) -> Self {
        Self {
            host,
            user,
            password: None,
            database: None,
            tls: TlsOptions::prefer(),
            tls_versions: TlsVersions::default(),
            connect_timeout: CONNECT_TIMEOUT,
            tinyint1_as_boolean: false,
            compression: Compression::None,
        }
    }

    /// The server for people, without any secret.
    pub fn display(&self) -> String {
        self.host.display()
    }
}

impl Host {
    /// `name:port`, or the socket's path.
    pub fn display(&self) -> String {
        match self {
            Self::Tcp(name, port) => format!("{name}:{port}"),
            Self::Unix(path) => path.display().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rivet_sdk::options::TlsMode;

    #[test]
    fn a_unix_socket_is_an_option() {
        let parts = MysqlOptions { socket: Some("/s".into()), user: Some("u".into()), ..MysqlOptions::default() };
        assert_eq!(Endpoint::new(parts).unwrap().host, Host::Unix("/s".into()));
        assert!(Endpoint::new(MysqlOptions::default()).unwrap_err().hint().is_some());
    }

    /// `environment: production` demands `require`, which must not take the place of more.
    #[test]
    fn a_tls_block_never_weakens_what_the_url_demands() {
        let with = |text: &str, mode| {
            let tls = Some(TlsOptions::new(mode));
            let options = MysqlOptions { url: Some(Secret::new(text)), tls, ..MysqlOptions::default() };
            Endpoint::new(options).map(|endpoint| (endpoint.tls.mode, endpoint.tls.ca_file))
        };
        let found = with("mysql://u@h/d?ssl-mode=verify_identity&ssl-ca=/ca.pem", TlsMode::Require).unwrap();
        assert_eq!(found, (TlsMode::VerifyFull, Some("/ca.pem".to_owned())));
        assert!(with("mysql://u@h/d?ssl-mode=disabled", TlsMode::Require).is_err());
    }
}
