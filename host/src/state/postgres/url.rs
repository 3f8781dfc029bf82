//! The state's URL: where the server is, who logs in, and how the way there is secured.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use postgres::config::{ChannelBinding as Binding, Config, SslMode};
use postgres::{NoTls, SimpleQueryMessage};
use rivet_libpq::{ChannelBinding, Host, Role, STATE, Server, shuffle};
use rivet_sdk::options::{TlsMode, TlsOptions};
use rivet_sdk::{Error, Result, Secret, network, tls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::client::Patient;
use super::error;
use super::noted::Noted;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Where the state's database is.
#[derive(Clone)]
pub(super) struct Address {
    url: rivet_libpq::Address,
    tls: TlsOptions,
}

impl Address {
    /// Reads a URL. No message repeats any of its secrets.
    pub fn parse(url: &Secret) -> Result<Self> {
        let url = rivet_libpq::Address::parse(url, &STATE)?;
        let tls = url.tls.clone().unwrap_or_else(TlsOptions::prefer);
        Ok(Self { url, tls })
    }

    /// Opens a connection with the first of the servers that is as the URL wants it.
    pub fn connect(&self) -> Result<Patient> {
        let shuffled = self.url.random_order.then(|| shuffle(&self.url.servers));
        let servers = shuffled.as_ref().unwrap_or(&self.url.servers);
        rivet_libpq::connect(
            servers,
            self.url.wanted,
            |server| self.log_in(server),
            |client| {
                let answer = client.ask(|client| client.simple_query(Role::QUESTION));
                let answer = answer.map_err(|error| error.with_context("state", self.place()))?;
                let answer = answer.map_err(|error| self.error(&error))?;
                let row = answer.iter().find_map(|message| match message {
                    SimpleQueryMessage::Row(row) => Some(row),
                    _ => None,
                });
                Role::new(row.and_then(|row| row.get(0)), row.and_then(|row| row.get(1)))
            },
        )
    }

    fn log_in(&self, server: &Server) -> Result<Patient> {
        let config = self.config(server)?;
        let secured = tls::client(&self.tls, self.url.tls_versions.list(), &[]).map_err(|error| {
            error.with_hint("in the state's URL, sslrootcert=FILE names an authority, and sslcert=FILE and sslkey=FILE belong together")
        })?;
        let spoken = Arc::<AtomicBool>::default();
        let heard = Arc::clone(&spoken);
        // The client's own limit is of the connection alone.
        let limit = self.url.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
        let connected = Patient::log_in(limit, move || match secured {
            Some(tls) => {
                let inner = MakeRustlsConnect::new(Arc::unwrap_or_clone(tls));
                config.connect(Noted { inner, spoken: heard })
            }
            None => config.connect(NoTls),
        });
        let connected = connected.map_err(|error| error.with_context("state", self.place()))?;
        let client = connected.map_err(|error| self.error(&error))?;
        if !spoken.load(Ordering::Relaxed) {
            warn_unsecured(server);
        }
        Ok(client)
    }

    fn config(&self, server: &Server) -> Result<Config> {
        let url = &self.url;
        let mut config = Config::new();
        match &server.host {
            Host::Tcp(name) => config.host(name),
            Host::Unix(folder) => config.host_path(folder),
        };
        if let Some(address) = &server.address {
            let address = address.parse().map_err(|_| Error::internal("an address that is none"))?;
            config.hostaddr(address);
        }
        config.port(server.port).user(&url.user).dbname(&url.database);
        if let Some(password) = &url.password {
            config.password(password.expose());
        }
        if let Some(options) = &url.options {
            config.options(options);
        }
        config.application_name(url.application_name.as_deref().unwrap_or("rivet"));
        config.connect_timeout(url.connect_timeout.unwrap_or(CONNECT_TIMEOUT));
        config.keepalives_idle(Duration::from_secs(30)).tcp_user_timeout(Duration::from_secs(60));
        config.ssl_mode(match self.tls.mode {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            _ => SslMode::Require,
        });
        config.channel_binding(match url.channel_binding {
            ChannelBinding::Disable => Binding::Disable,
            ChannelBinding::Prefer => Binding::Prefer,
            ChannelBinding::Require => Binding::Require,
        });
        Ok(config)
    }

    /// `host:port/database`, for people.
    pub fn place(&self) -> String {
        let servers: Vec<String> = self.url.servers.iter().map(Server::display).collect();
        format!("PostgreSQL {}/{}", servers.join(","), self.url.database)
    }

    /// What the server or the way to it says.
    pub fn error(&self, error: &postgres::Error) -> Error {
        error::of(error).with_context("state", self.place())
    }
}

/// As sources say it; once for a process, which makes several connections.
fn warn_unsecured(server: &Server) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    let host = match (&server.address, &server.host) {
        (Some(address), _) => address.as_str(),
        (None, Host::Tcp(name)) => name,
        (None, Host::Unix(_)) => return,
    };
    if !network::is_this_machine(host) && !TOLD.swap(true, Ordering::Relaxed) {
        log::warn!(
            "the state store's connection has no TLS: everything crosses as plain text between here and {}, the \
             progress of incremental exports too; `?sslmode=verify-full` in its URL demands TLS",
            server.display()
        );
    }
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
        let least = address("postgres://me@h").unwrap();
        assert_eq!((least.place().as_str(), least.tls.mode), ("PostgreSQL h:5432/me", TlsMode::Prefer));
    }

    /// What the client is told is all that the URL says.
    #[test]
    fn the_client_is_told_everything() {
        let url = "postgres://me:a?b%2Fc@h:1/d?hostaddr=10.0.0.1&options=-csearch_path%3Dx&application_name=app\
                   &connect_timeout=7&channel_binding=require&sslmode=require";
        let address = address(url).unwrap();
        let config = address.config(&address.url.servers[0]).unwrap();
        assert_eq!((config.get_password(), config.get_options()), (Some(&b"a?b/c"[..]), Some("-csearch_path=x")));
        assert_eq!((config.get_ports(), config.get_hostaddrs()), (&[1][..], &["10.0.0.1".parse().unwrap()][..]));
        assert_eq!(config.get_application_name(), Some("app"));
        assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(7)));
        assert_eq!((config.get_channel_binding(), config.get_ssl_mode()), (Binding::Require, SslMode::Require));
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_its_secrets() {
        for (url, words) in [
            ("postgres://me:geheim@h/d?sslmod=require", "the state's URL's parameter `sslmod`"),
            ("postgres://me:geheim@h/d?sslmode=requird", "sslmode"),
            ("postgres://me:geheim@h/d?passfile=x", "passfile"),
            ("postgres:///d?user=me", "no host"),
            ("postgres://h/d", "no user"),
            ("postgres://me:pass@geheim@h/d", "more than one `@`"),
        ] {
            let error = address(url).err().unwrap_or_else(|| panic!("{url} was taken"));
            let text = format!("{error:?} {error} {:?}", error.hint());
            assert_eq!(error.kind(), rivet_sdk::ErrorKind::Config, "{url}");
            assert!(text.contains(words) && error.hint().is_some() && !text.contains("geheim"), "{url}: {text}");
        }
    }
}
