//! The state's URL: where the server is, who logs in, and how the way there is secured.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use postgres::config::{Config, Host, SslMode};
use postgres::{Client, NoTls};
use rivet_sdk::options::{TlsMode, TlsOptions, percent_decoded};
use rivet_sdk::{Error, Result, Secret, tls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const HINT: &str = "postgresql://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full, with special characters \
                    of user and password percent-encoded";

/// Where the state's database is.
#[derive(Clone)]
pub(super) struct Address {
    config: Config,
    tls: TlsOptions,
}

impl Address {
    /// Reads a URL. No message repeats any of its secrets.
    pub fn parse(url: &Secret) -> Result<Self> {
        let (tls, rest) = take_tls(url.expose())?;
        let mut config = Config::from_str(&rest)
            .map_err(|cause| Error::config("the state's URL cannot be read").with_source(&cause).with_hint(HINT))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(Error::config("the state's URL names no host").with_hint(HINT));
        }
        if config.get_user().is_none() {
            return Err(Error::config("the state's URL names no user").with_hint(HINT));
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        config.application_name("rivet");
        config.keepalives_idle(Duration::from_secs(30)).tcp_user_timeout(Duration::from_secs(60));
        config.ssl_mode(match tls.mode {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            _ => SslMode::Require,
        });
        Ok(Self { config, tls })
    }

    /// Opens a connection.
    pub fn connect(&self) -> Result<Client> {
        let secured = tls::client(&self.tls, rustls::DEFAULT_VERSIONS, &[]).map_err(|error| {
            error.with_hint("in the state's URL, sslrootcert=FILE names an authority, and sslcert=FILE and sslkey=FILE belong together")
        })?;
        let connected = match secured {
            Some(tls) => self.config.connect(MakeRustlsConnect::new(Arc::unwrap_or_clone(tls))),
            None => self.config.connect(NoTls),
        };
        connected.map_err(|error| self.error(&error))
    }

    /// `host:port/database`, for people.
    pub fn place(&self) -> String {
        let ports = self.config.get_ports();
        let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(5432);
        let hosts = self.config.get_hosts().iter().enumerate().map(|(index, host)| match host {
            Host::Tcp(name) => format!("{name}:{}", port(index)),
            Host::Unix(folder) => format!("{}/.s.PGSQL.{}", folder.display(), port(index)),
        });
        let addresses = self.config.get_hostaddrs().iter().enumerate();
        let addresses = addresses.map(|(index, address)| format!("{address}:{}", port(index)));
        let mut servers: Vec<String> = hosts.collect();
        if servers.is_empty() {
            servers.extend(addresses);
        }
        let database = self.config.get_dbname().or(self.config.get_user()).unwrap_or_default();
        format!("PostgreSQL {}/{database}", servers.join(","))
    }

    /// What the server or the way to it says.
    pub fn error(&self, error: &postgres::Error) -> Error {
        error::of(error).with_context("state", self.place())
    }
}

/// Takes the parameters that say how to check the server out of a URL: the parser of the rest
/// knows fewer modes than libpq does.
fn take_tls(url: &str) -> Result<(TlsOptions, String)> {
    let mut tls = TlsOptions::prefer();
    // A `?` before the `@` belongs to the password.
    let login = url.find('@').map_or(0, |at| at + 1);
    let query = url.get(login..).and_then(|rest| rest.find('?')).map(|at| login + at);
    let (base, query) = query.map_or((url, ""), |at| (&url[..at], &url[at + 1..]));
    if base.matches('@').count() > 1 {
        // What stands between the two would be shown as a host.
        return Err(Error::config("the state's URL has more than one `@`").with_hint(HINT));
    }
    let mut rest = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match name {
            "sslmode" => tls.mode = mode(value)?,
            "sslrootcert" if value == "system" => {}
            "sslrootcert" => tls.ca_file = Some(percent_decoded(name, value)?),
            "sslcert" => tls.client_cert_file = Some(percent_decoded(name, value)?),
            "sslkey" => tls.client_key_file = Some(percent_decoded(name, value)?),
            "gssencmode" | "application_name" | "fallback_application_name" => {}
            _ => rest.push(parameter),
        }
    }
    let rest = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    Ok((tls, rest))
}

fn mode(word: &str) -> Result<TlsMode> {
    Ok(match word {
        "disable" => TlsMode::Disable,
        "allow" | "prefer" => TlsMode::Prefer,
        "require" => TlsMode::Require,
        "verify-ca" => TlsMode::VerifyCa,
        "verify-full" => TlsMode::VerifyFull,
        other => {
            return Err(Error::config(format!("the sslmode `{other}` of the state's URL is unknown"))
                .with_hint("write disable, prefer, require, verify-ca or verify-full"));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Result<Address> {
        Address::parse(&Secret::new(url))
    }

    #[test]
    fn a_url_says_where_and_how() {
        let all =
            address("postgresql://us%40er:p%40w@db.example:5433/state?sslmode=verify-full&sslrootcert=/ca%20x.pem");
        let all = all.unwrap();
        assert_eq!(all.place(), "PostgreSQL db.example:5433/state");
        assert_eq!((all.tls.mode, all.tls.ca_file.as_deref()), (TlsMode::VerifyFull, Some("/ca x.pem")));
        assert_eq!(all.config.get_password(), Some(&b"p@w"[..]));
        let odd = address("postgres://me:a?b/c@h/d?sslmode=require").unwrap();
        assert_eq!((odd.config.get_password(), odd.tls.mode), (Some(&b"a?b/c"[..]), TlsMode::Require));
        let least = address("postgres://me@h").unwrap();
        assert_eq!((least.place().as_str(), least.tls.mode), ("PostgreSQL h:5432/me", TlsMode::Prefer));
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_its_secrets() {
        for (url, words) in [
            ("postgres://me:geheim@h/d?sslmod=require", "sslmod"),
            ("postgres://me:geheim@h/d?sslmode=requird", "sslmode"),
            ("postgres://me:geheim@h:54x2/d", "port"),
            ("postgres:///d?user=me", "no host"),
            ("postgres://h/d", "no user"),
            ("postgres://me:geheim?sslmode=geheim@h/d?sslmode=x", "`x`"),
            ("postgres://me:pass@geheim@h/d", "more than one `@`"),
        ] {
            let error = address(url).err().unwrap_or_else(|| panic!("{url} was taken"));
            let text = format!("{error:?} {error} {:?}", error.hint());
            assert_eq!(error.kind(), rivet_sdk::ErrorKind::Config, "{url}");
            assert!(text.contains(words) && error.hint().is_some() && !text.contains("geheim"), "{url}: {text}");
        }
    }
}
