//! From what the user configured to where and how to connect.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use postgres::config::{Config, Host as UrlHost, SslMode};
use rivet_sdk::options::{ServerOptions, TlsMode, TlsOptions, percent_decoded};
use rivet_sdk::{Error, Result, Secret};

const PORT: u16 = 5432;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A server, a login and a database: complete, nothing optional left to decide.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// Tried in order.
    pub hosts: Vec<(Host, u16)>,
    pub user: String,
    pub password: Option<Secret>,
    pub database: String,
    pub tls: TlsOptions,
    pub connect_timeout: Duration,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    Tcp(String),
    /// The folder of the socket.
    Unix(PathBuf),
}

impl Endpoint {
    /// Reads and checks the options.
    pub fn new(options: ServerOptions) -> Result<Self> {
        options.check()?;
        let mut endpoint = match &options.url {
            Some(url) => Self::from_url(url)?,
            None => Self::from_parts(&options)?,
        };
        if let Some(tls) = options.tls {
            endpoint.tls = tls;
        }
        if let Some(seconds) = options.connect_timeout_s {
            endpoint.connect_timeout = Duration::from_secs(seconds.max(1));
        }
        Ok(endpoint)
    }

    fn from_parts(options: &ServerOptions) -> Result<Self> {
        let host = options.host.clone().unwrap_or_default();
        let host = if host.starts_with('/') { Host::Unix(host.into()) } else { Host::Tcp(host) };
        let user = options
            .user
            .clone()
            .ok_or_else(|| Error::config("`user` is missing").with_hint("add `user: NAME` beside `host`"))?;
        Ok(Self {
            hosts: vec![(host, options.port.unwrap_or(PORT))],
            database: options.database.clone().unwrap_or_else(|| user.clone()),
            user,
            password: options.password.clone(),
            tls: TlsOptions::prefer(),
            connect_timeout: CONNECT_TIMEOUT,
        })
    }

    fn from_url(url: &Secret) -> Result<Self> {
        let text = url.expose();
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(Error::config("the URL does not begin with postgres:// or postgresql://"));
        }
        if text.split('?').next().is_some_and(|login| login.matches('@').count() > 1) {
            return Err(Error::config("the URL has more than one `@`")
                .with_hint("write %40 for an `@` in the user or the password, or give host, port, user, password and database separately"));
        }
        let (tls, rest) = take_tls(text)?;
        let config = Config::from_str(&rest).map_err(|error| {
            Error::config("the URL cannot be read")
                .with_source(&error)
                .with_hint("percent-encode special characters in user and password, or give host, port, user, password and database separately")
        })?;
        if config.get_options().is_some_and(|options| !options.is_empty()) {
            return Err(Error::config("the URL's `options` parameter is not supported")
                .with_hint("remove it: rivet sets what it needs in every transaction, so that poolers work"));
        }
        let user = config
            .get_user()
            .ok_or_else(|| Error::config("the URL names no user").with_hint("postgres://USER:PASSWORD@HOST/DATABASE"))?
            .to_owned();
        let password = match config.get_password().map(|bytes| String::from_utf8(bytes.to_vec())) {
            Some(Ok(password)) => Some(Secret::new(password)),
            Some(Err(_)) => return Err(Error::config("the URL's password is not UTF-8")),
            None => None,
        };
        let ports = config.get_ports();
        let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(PORT);
        let mut hosts: Vec<_> = config
            .get_hosts()
            .iter()
            .enumerate()
            .map(|(index, host)| match host {
                UrlHost::Tcp(name) => (Host::Tcp(name.clone()), port(index)),
                UrlHost::Unix(folder) => (Host::Unix(folder.clone()), port(index)),
            })
            .collect();
        if hosts.is_empty() {
            let addresses = config.get_hostaddrs().iter().enumerate();
            hosts.extend(addresses.map(|(index, address)| (Host::Tcp(address.to_string()), port(index))));
        }
        if hosts.is_empty() {
            return Err(Error::config("the URL names no host"));
        }
        let tls = tls.unwrap_or_else(|| match config.get_ssl_mode() {
            SslMode::Disable => TlsOptions::new(TlsMode::Disable),
            SslMode::Require => TlsOptions::new(TlsMode::Require),
            _ => TlsOptions::prefer(),
        });
        Ok(Self {
            hosts,
            database: config.get_dbname().map_or_else(|| user.clone(), str::to_owned),
            user,
            password,
            tls,
            connect_timeout: config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT),
        })
    }

    /// The server for people, without any secret.
    pub fn display(&self) -> String {
        self.hosts.iter().map(|(host, port)| host.display(*port)).collect::<Vec<_>>().join(", ")
    }
}

impl Host {
    /// `name:port`, or the socket's path.
    pub fn display(&self, port: u16) -> String {
        match self {
            Self::Tcp(name) => format!("{name}:{port}"),
            Self::Unix(folder) => format!("{}/.s.PGSQL.{port}", folder.display()),
        }
    }
}

/// Takes the parameters that say how to check the server out of a URL: the parser of the
/// rest knows fewer modes than libpq does.
fn take_tls(url: &str) -> Result<(Option<TlsOptions>, String)> {
    let Some((base, query)) = url.split_once('?') else { return Ok((None, url.to_owned())) };
    let mut tls = TlsOptions::prefer();
    let mut found = false;
    let mut rest = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = percent_decoded("query", value)?;
        match name {
            "sslmode" => {
                tls.mode = match value.as_str() {
                    "disable" => TlsMode::Disable,
                    "allow" | "prefer" => TlsMode::Prefer,
                    "require" => TlsMode::Require,
                    "verify-ca" => TlsMode::VerifyCa,
                    "verify-full" => TlsMode::VerifyFull,
                    other => {
                        return Err(Error::config(format!("the URL's sslmode `{other}` is unknown"))
                            .with_hint("disable, prefer, require, verify-ca or verify-full"));
                    }
                };
            }
            "sslrootcert" if value == "system" => {}
            "sslrootcert" => tls.ca_file = Some(value),
            "sslcert" => tls.client_cert_file = Some(value),
            "sslkey" => tls.client_key_file = Some(value),
            "gssencmode" | "channel_binding" | "application_name" | "fallback_application_name" => continue,
            _ => {
                rest.push(parameter);
                continue;
            }
        }
        found = true;
    }
    let rest = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    Ok((found.then_some(tls), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<Endpoint> {
        Endpoint::new(ServerOptions::from_url(text))
    }

    #[test]
    fn a_url_is_read_with_any_password_and_every_tls_mode() {
        let endpoint =
            url("postgresql://us%40er:p%40%2F%3Aä@db.example:5433/my%20db?sslmode=verify-full&sslrootcert=/ca%20x.pem")
                .unwrap();
        assert_eq!(endpoint.hosts, [(Host::Tcp("db.example".into()), 5433)]);
        assert_eq!((endpoint.user.as_str(), endpoint.database.as_str()), ("us@er", "my db"));
        assert_eq!(endpoint.password.unwrap().expose(), "p@/:ä");
        assert_eq!(endpoint.tls.mode, TlsMode::VerifyFull);
        assert_eq!(endpoint.tls.ca_file.as_deref(), Some("/ca x.pem"));
        for (mode, expected) in [
            ("disable", TlsMode::Disable),
            ("prefer", TlsMode::Prefer),
            ("require", TlsMode::Require),
            ("verify-ca", TlsMode::VerifyCa),
        ] {
            assert_eq!(url(&format!("postgres://u@h/d?sslmode={mode}")).unwrap().tls.mode, expected);
        }
    }

    #[test]
    fn a_url_defaults_to_the_usual_port_the_users_database_and_prefer() {
        let endpoint = url("postgres://u@h").unwrap();
        assert_eq!(endpoint.hosts, [(Host::Tcp("h".into()), 5432)]);
        assert_eq!(endpoint.database, "u");
        assert_eq!(endpoint.tls.mode, TlsMode::Prefer);
    }

    #[test]
    fn a_unix_socket_folder_is_a_host() {
        let endpoint = url("postgres://u@%2Frun%2Fpg/d").unwrap();
        assert_eq!(endpoint.hosts, [(Host::Unix("/run/pg".into()), 5432)]);
        let mut parts = ServerOptions::default();
        parts.host = Some("/run/pg".into());
        parts.user = Some("u".into());
        assert_eq!(Endpoint::new(parts).unwrap().hosts, [(Host::Unix("/run/pg".into()), 5432)]);
    }

    #[test]
    fn what_cannot_work_is_refused_without_the_password() {
        for text in [
            "mysql://u:hunter22@h/d",
            "postgres://u:hunter22@h/d?sslmode=maybe",
            "postgres://u:hunter22@h/d?options=-c%20x",
            "postgres://u:hunter22@h:port/d",
            "postgres:///d",
        ] {
            let error = url(text).unwrap_err();
            assert!(!format!("{error:?}").contains("hunter22"), "{error:?}");
        }
    }
}
