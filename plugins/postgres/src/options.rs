//! From what the user configured to where and how to connect.

use std::time::Duration;

use rivet_libpq::{Address, ChannelBinding, SOURCE, Server, SessionAttributes};
use rivet_sdk::options::{ServerOptions, TlsOptions};
use rivet_sdk::tls::TlsVersions;
use rivet_sdk::{Error, Result, Secret};

const PORT: u16 = 5432;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
const APPLICATION_NAME: &str = "rivet";

/// A server, a login and a database: complete, nothing optional left to decide.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// Tried in order, or in a random one.
    pub servers: Vec<Server>,
    pub random_order: bool,
    /// Which of them will do.
    pub wanted: SessionAttributes,
    pub user: String,
    pub password: Option<Secret>,
    pub database: String,
    pub tls: TlsOptions,
    pub tls_versions: TlsVersions,
    pub connect_timeout: Duration,
    pub application_name: String,
}

impl Endpoint {
    /// Reads and checks the options.
    pub fn new(options: ServerOptions) -> Result<Self> {
        options.check()?;
        let (mut endpoint, tls) = match &options.url {
            Some(url) => Self::from_url(url)?,
            None => (Self::from_parts(&options)?, None),
        };
        if let Some(tls) = TlsOptions::combined(tls, options.tls)? {
            endpoint.tls = tls;
        }
        if let Some(seconds) = options.connect_timeout_s {
            endpoint.connect_timeout = Duration::from_secs(seconds.max(1));
        }
        Ok(endpoint)
    }

    fn from_parts(options: &ServerOptions) -> Result<Self> {
        let user = options
            .user
            .clone()
            .ok_or_else(|| Error::config("`user` is missing").with_hint("add `user: NAME` beside `host`"))?;
        Ok(Self {
            servers: vec![Server::new(options.host.clone().unwrap_or_default(), options.port.unwrap_or(PORT))],
            random_order: false,
            wanted: SessionAttributes::Any,
            database: options.database.clone().unwrap_or_else(|| user.clone()),
            user,
            password: options.password.clone(),
            tls: TlsOptions::prefer(),
            tls_versions: TlsVersions::default(),
            connect_timeout: CONNECT_TIMEOUT,
            application_name: APPLICATION_NAME.to_owned(),
        })
    }

    /// Also what the URL says of TLS.
    fn from_url(url: &Secret) -> Result<(Self, Option<TlsOptions>)> {
        let address = Address::parse(url, &SOURCE)?;
        if address.channel_binding == ChannelBinding::Require {
            let instead = "write sslmode=verify-full: it, too, keeps anybody between from passing the login on";
            return Err(SOURCE.refused_value("channel_binding", "require", instead));
        }
        let endpoint = Self {
            servers: address.servers,
            random_order: address.random_order,
            wanted: address.wanted,
            user: address.user,
            password: address.password,
            database: address.database,
            tls: TlsOptions::prefer(),
            tls_versions: address.tls_versions,
            connect_timeout: address.connect_timeout.unwrap_or(CONNECT_TIMEOUT),
            application_name: address.application_name.unwrap_or_else(|| APPLICATION_NAME.to_owned()),
        };
        Ok((endpoint, address.tls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rivet_sdk::options::TlsMode;

    fn url(text: &str) -> Result<Endpoint> {
        Endpoint::new(ServerOptions::from_url(text))
    }

    #[test]
    fn a_url_defaults_to_the_usual_port_the_users_database_and_prefer() {
        let endpoint = url("postgres://u@h").unwrap();
        assert_eq!(endpoint.servers, [Server::new("h", 5432)]);
        assert_eq!((endpoint.database.as_str(), endpoint.application_name.as_str()), ("u", "rivet"));
        assert_eq!(endpoint.tls.mode, TlsMode::Prefer);
    }

    #[test]
    fn a_unix_socket_folder_is_a_host() {
        let mut parts = ServerOptions::default();
        parts.host = Some("/run/pg".into());
        parts.user = Some("u".into());
        assert_eq!(Endpoint::new(parts).unwrap().servers, url("postgres://u@%2Frun%2Fpg/d").unwrap().servers);
    }

    /// `environment: production` demands `require`, which must not take the place of more.
    #[test]
    fn a_tls_block_never_weakens_what_the_url_demands() {
        let with = |text: &str, mode| {
            let mut options = ServerOptions::from_url(text);
            options.tls = Some(TlsOptions::new(mode));
            Endpoint::new(options).map(|endpoint| (endpoint.tls.mode, endpoint.tls.ca_file))
        };
        let found = with("postgres://u@h/d?sslmode=verify-full&sslrootcert=/ca.pem", TlsMode::Require).unwrap();
        assert_eq!(found, (TlsMode::VerifyFull, Some("/ca.pem".to_owned())));
        assert!(with("postgres://u@h/d?sslmode=disable", TlsMode::Require).is_err());
    }

    #[test]
    fn what_cannot_work_is_refused_without_the_password() {
        for text in [
            "mysql://u:hunter22@h/d",
            "postgres://u:hunter22@h/d?sslmode=maybe",
            "postgres://u:hunter22@h/d?options=-c%20x",
            "postgres://u:hunter22@h/d?channel_binding=require",
            "postgres://u:hunter22@h:port/d",
            "postgres:///d",
        ] {
            let error = url(text).unwrap_err();
            assert!(!format!("{error:?}").contains("hunter22") && error.hint().is_some(), "{error:?}");
        }
    }
}
