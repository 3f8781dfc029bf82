//! From what the user configured to where and how to connect.

use std::path::PathBuf;
use std::time::Duration;

use rivet_sdk::options::{ServerOptions, TlsMode, TlsOptions, percent_decoded};
use rivet_sdk::schemars::JsonSchema;
use rivet_sdk::serde::Deserialize;
use rivet_sdk::{Error, Result, Secret};

const PORT: u16 = 3306;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

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
    /// Seconds to wait for a connection.
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
        let mut endpoint = match (&options.url, &options.socket) {
            (Some(_), Some(_)) => {
                return Err(Error::config("both `url` and `socket` are given")
                    .with_hint("keep one; in a URL the socket is a parameter: ?socket=/path/of/socket"));
            }
            (Some(url), None) if options.host.is_none() => Self::from_url(url)?,
            _ => Self::from_parts(&options)?,
        };
        if let Some(tls) = options.tls {
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
        Ok(Self {
            host,
            user,
            password: options.password.clone(),
            database: options.database.clone(),
            tls: TlsOptions::prefer(),
            connect_timeout: CONNECT_TIMEOUT,
            tinyint1_as_boolean: false,
            compression: Compression::None,
        })
    }

    fn from_url(url: &Secret) -> Result<Self> {
        let text = url.expose();
        let rest = text
            .strip_prefix("mysql://")
            .or_else(|| text.strip_prefix("mariadb://"))
            .ok_or_else(|| Error::config("the URL does not begin with mysql:// or mariadb://"))?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        if place.matches('@').count() > 1 {
            return Err(Error::config("the URL has more than one `@`")
                .with_hint("write %40 for an `@` in the user or the password, or give host, port, user, password and database separately"));
        }
        let Some((login, address)) = place.split_once('@') else {
            return Err(Error::config("the URL names no user").with_hint("mysql://USER:PASSWORD@HOST/DATABASE"));
        };
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(Secret::new(percent_decoded("password", password)?))),
            None => (login, None),
        };
        let (address, database) = address.split_once('/').unwrap_or((address, ""));
        let mut endpoint = Self {
            host: host_and_port(address)?,
            user: percent_decoded("user", user)?,
            password: password.filter(|password| !password.expose().is_empty()),
            database: Some(percent_decoded("database", database)?).filter(|database| !database.is_empty()),
            tls: TlsOptions::prefer(),
            connect_timeout: CONNECT_TIMEOUT,
            tinyint1_as_boolean: false,
            compression: Compression::None,
        };
        if endpoint.user.is_empty() {
            return Err(Error::config("the URL names no user").with_hint("mysql://USER:PASSWORD@HOST/DATABASE"));
        }
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            endpoint.parameter(name, percent_decoded("query", value)?)?;
        }
        match &endpoint.host {
            Host::Tcp(name, _) if name.is_empty() => Err(Error::config("the URL names no host")),
            _ => Ok(endpoint),
        }
    }

    /// One parameter of a URL, by the names that MySQL's own clients and common drivers use.
    fn parameter(&mut self, name: &str, value: String) -> Result<()> {
        match name.to_ascii_lowercase().replace('_', "-").as_str() {
            "ssl-mode" | "sslmode" => self.tls.mode = tls_mode(&value)?,
            "ssl-ca" | "sslca" => self.tls.ca_file = Some(value),
            "ssl-cert" | "sslcert" => self.tls.client_cert_file = Some(value),
            "ssl-key" | "sslkey" => self.tls.client_key_file = Some(value),
            "socket" => self.host = Host::Unix(value.into()),
            "connect-timeout" => {
                let seconds: u64 =
                    value.parse().map_err(|_| Error::config("the URL's connect-timeout is not a number of seconds"))?;
                self.connect_timeout = Duration::from_secs(seconds.max(1));
            }
            "compression" => {
                let known = [Compression::None, Compression::Zlib, Compression::Zstd];
                self.compression = known.into_iter().find(|known| known.name() == value).ok_or_else(|| {
                    Error::config(format!("the URL's compression `{value}` is unknown")).with_hint("none, zlib or zstd")
                })?;
            }
            "charset" | "character-set" if value.to_ascii_lowercase().starts_with("utf8") => {}
            _ => {
                return Err(Error::config(format!("the URL's parameter `{name}` is unknown")).with_hint(
                    "ssl-mode, ssl-ca, ssl-cert, ssl-key, socket, connect-timeout and compression are known; rivet sets what it needs for the session itself",
                ));
            }
        }
        Ok(())
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

fn tls_mode(text: &str) -> Result<TlsMode> {
    Ok(match text.to_ascii_lowercase().replace('_', "-").as_str() {
        "disabled" | "disable" | "false" => TlsMode::Disable,
        "preferred" | "prefer" => TlsMode::Prefer,
        "required" | "require" | "true" => TlsMode::Require,
        "verify-ca" => TlsMode::VerifyCa,
        "verify-identity" | "verify-full" => TlsMode::VerifyFull,
        other => {
            return Err(Error::config(format!("the URL's ssl-mode `{other}` is unknown"))
                .with_hint("disabled, preferred, required, verify_ca or verify_identity"));
        }
    })
}

/// `name`, `name:port`, `[v6]:port`.
fn host_and_port(address: &str) -> Result<Host> {
    let (name, port) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, rest)) => (name, rest.strip_prefix(':')),
        None => match address.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (address, None),
        },
    };
    let port = match port {
        None | Some("") => PORT,
        Some(port) => port.parse().map_err(|_| {
            Error::config("the URL's port is not a number").with_hint("percent-encode special characters in user and password, or give host, port, user, password and database separately")
        })?,
    };
    let name = percent_decoded("host", name)?;
    Ok(if name.starts_with('/') { Host::Unix(name.into()) } else { Host::Tcp(name, port) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<Endpoint> {
        Endpoint::new(MysqlOptions { url: Some(Secret::new(text)), ..MysqlOptions::default() })
    }

    #[test]
    fn a_url_is_read_with_any_password_and_every_tls_mode() {
        let endpoint =
            url("mysql://us%40er:p%40%2F%3Aä@db.example:3307/my%20db?ssl-mode=VERIFY_IDENTITY&ssl-ca=/ca%20x.pem")
                .unwrap();
        assert_eq!(endpoint.host, Host::Tcp("db.example".into(), 3307));
        assert_eq!((endpoint.user.as_str(), endpoint.database.as_deref()), ("us@er", Some("my db")));
        assert_eq!(endpoint.password.unwrap().expose(), "p@/:ä");
        assert_eq!((endpoint.tls.mode, endpoint.tls.ca_file.as_deref()), (TlsMode::VerifyFull, Some("/ca x.pem")));
        for (mode, expected) in [
            ("DISABLED", TlsMode::Disable),
            ("preferred", TlsMode::Prefer),
            ("REQUIRED", TlsMode::Require),
            ("verify-ca", TlsMode::VerifyCa),
        ] {
            assert_eq!(url(&format!("mariadb://u@h/d?ssl_mode={mode}")).unwrap().tls.mode, expected);
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
    fn a_unix_socket_is_a_parameter_or_an_option() {
        assert_eq!(url("mysql://u@localhost/d?socket=/run/s.sock").unwrap().host, Host::Unix("/run/s.sock".into()));
        let parts = MysqlOptions { socket: Some("/s".into()), user: Some("u".into()), ..MysqlOptions::default() };
        assert_eq!(Endpoint::new(parts).unwrap().host, Host::Unix("/s".into()));
    }

    #[test]
    fn what_cannot_work_is_refused_without_the_password() {
        for text in [
            "postgres://u:hunter22@h/d",
            "mysql://u:hunter22@h/d?ssl-mode=maybe",
            "mysql://u:hunter22@h/d?allowLocalInfile=true",
            "mysql://u:hunter22@h/d?compression=lz4",
            "mysql://u:hunter22@h:port/d",
            "mysql://u:hunter22@x@h/d",
            "mysql:///d",
            "mysql://u@/d",
        ] {
            let error = url(text).unwrap_err();
            assert!(!format!("{error:?}").contains("hunter22"), "{error:?}");
        }
        assert!(Endpoint::new(MysqlOptions::default()).unwrap_err().hint().is_some());
    }
}
