//! The URL, read by libpq's grammar.

use std::collections::BTreeMap;
use std::time::Duration;

use rivet_sdk::options::{TlsMode, TlsOptions, percent_decoded};
use rivet_sdk::parameters::Parameters;
use rivet_sdk::tls::TlsVersions;
use rivet_sdk::{Error, Result, Secret};

use crate::servers::{Server, SessionAttributes};

const PORT: u16 = 5432;

/// Everything that a URL says; what it does not say is for its reader to decide.
#[derive(Debug, Clone)]
pub struct Address {
    /// In the order of the URL; at least one.
    pub servers: Vec<Server>,
    /// The login.
    pub user: String,
    /// Its password.
    pub password: Option<Secret>,
    /// The database.
    pub database: String,
    /// How the connection is secured.
    pub tls: Option<TlsOptions>,
    /// With which versions of TLS.
    pub tls_versions: TlsVersions,
    /// How long one server is waited for.
    pub connect_timeout: Option<Duration>,
    /// What `pg_stat_activity` shows.
    pub application_name: Option<String>,
    /// Which servers will do.
    pub wanted: SessionAttributes,
    /// Whether servers are tried in a random order.
    pub random_order: bool,
    /// Whether the login is bound to the connection's certificate.
    pub channel_binding: ChannelBinding,
    /// Settings for the session.
    pub options: Option<String>,
}

/// Whether a login by SCRAM is bound to the connection that it is made over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// Where both sides can.
    #[default]
    Prefer,
    /// Or there is no login.
    Require,
}

impl Address {
    /// Reads a URL, whose parameters are `parameters`. No message repeats any of its secrets.
    pub fn parse(url: &Secret, parameters: &Parameters) -> Result<Self> {
        let carrier = parameters.carrier();
        let hint = "postgresql://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full, with special characters of \
                    user and password percent-encoded";
        let fault = |what: &str| Error::config(format!("{carrier} {what}")).with_hint(hint);
        let text = url.expose();
        let rest = text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"));
        let rest = rest.ok_or_else(|| fault("does not begin with postgres:// or postgresql://"))?;

        let mut said = BTreeMap::new();
        // A `?` before the `@` belongs to the password. A `/` before it ends the search, so that there is no login.
        let login = rest.find(['@', '/']).filter(|at| rest.get(*at..).is_some_and(|rest| rest.starts_with('@')));
        let rest = match login.and_then(|at| Some((rest.get(..at)?, rest.get(at + 1..)?))) {
            Some((login, rest)) => {
                let (user, password) = login.split_once(':').map_or((login, None), |(user, rest)| (user, Some(rest)));
                said.insert("user", percent_decoded("user", user)?);
                if let Some(password) = password {
                    said.insert("password", percent_decoded("password", password)?);
                }
                rest
            }
            None => rest,
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, database) = place.split_once('/').unwrap_or((place, ""));
        if hosts.contains('@') || (!said.contains_key("user") && database.contains('@')) {
            return Err(fault("has more than one `@`, or a `/` before it")
                .with_hint("write %40 for an `@` and %2F for a `/` in the user or the password, or give host, port, user, password and database separately"));
        }
        let hosts = hosts.split(',').map(|host| host_and_port(host).ok_or_else(|| fault("cannot be read")));
        let (hosts, ports): (Vec<&str>, Vec<&str>) = hosts.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        said.insert("host", percent_decoded("host", &hosts.join(","))?);
        said.insert("port", ports.join(","));
        if !database.is_empty() {
            said.insert("dbname", percent_decoded("database", database)?);
        }
        for (name, value) in parameters.of_query(query)? {
            if name == "ssl" && value == "true" {
                said.insert("sslmode", "require".to_owned());
            } else if let Some(name) = parameters.find(&name)? {
                // Given twice, the last one holds: as libpq has it.
                said.insert(name, value);
            }
        }
        said.retain(|_, value| !value.is_empty());
        Said { said, parameters }.address()
    }
}

/// `name`, `name:port`, `[v6]:port`.
fn host_and_port(text: &str) -> Option<(&str, &str)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => text.split_once(':').map_or((text, ""), |(host, _)| (host, text.get(host.len()..).unwrap_or_default())),
    };
    match rest.strip_prefix(':') {
        Some(port) => Some((host, port)),
        None if rest.is_empty() => Some((host, "")),
        None => None,
    }
}

/// The parameters by their names, the last of each.
struct Said<'a> {
    said: BTreeMap<&'static str, String>,
    parameters: &'a Parameters,
}

impl Said<'_> {
    fn address(mut self) -> Result<Address> {
        self.words()?;
        let servers = self.servers()?;
        let user = self
            .said
            .get("user")
            .cloned()
            .ok_or_else(|| self.fault("names no user").with_hint("postgresql://USER:PASSWORD@HOST/DATABASE"))?;
        let fallback = self.said.get("fallback_application_name").cloned();
        Ok(Address {
            servers,
            password: self.said.remove("password").map(Secret::new),
            database: self.said.get("dbname").unwrap_or(&user).clone(),
            user,
            tls: self.tls()?,
            tls_versions: self.tls_versions()?,
            connect_timeout: self.connect_timeout()?,
            application_name: self.said.get("application_name").cloned().or(fallback),
            wanted: self.one_of("target_session_attrs", &SessionAttributes::WORDS)?.unwrap_or_default(),
            random_order: self.one_of("load_balance_hosts", &[("disable", false), ("random", true)])?.unwrap_or(false),
            channel_binding: self
                .one_of(
                    "channel_binding",
                    &[
                        ("disable", ChannelBinding::Disable),
                        ("prefer", ChannelBinding::Prefer),
                        ("require", ChannelBinding::Require),
                    ],
                )?
                .unwrap_or_default(),
            options: self.said.remove("options"),
        })
    }

    fn fault(&self, what: &str) -> Error {
        Error::config(format!("{} {what}", self.parameters.carrier()))
    }

    /// The value of a parameter that takes one of these words.
    fn one_of<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>> {
        let Some(value) = self.said.get(name) else { return Ok(None) };
        match words.iter().find(|(word, _)| word == value) {
            Some((_, found)) => Ok(Some(*found)),
            None => {
                let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                Err(self.fault(&format!("has an unknown {name} `{value}`")).with_hint(known.join(", ")))
            }
        }
    }

    /// The parameters of which only some values leave everything as it is.
    fn words(&self) -> Result<()> {
        let allowed: [(&str, &[&str], &str); 7] = [
            ("ssl", &[], "write sslmode=require; it checks no certificate, as sslmode=verify-full does"),
            ("gssencmode", &["disable", "prefer"], "write sslmode=verify-full: connections are secured by TLS"),
            ("sslnegotiation", &["postgres"], "take it out: TLS is asked for as every PostgreSQL server knows it"),
            ("sslsni", &["1"], "take it out: the server is always told which name was asked for"),
            ("sslcertmode", &["allow"], "take it out: a certificate is sent where `sslcert` names one, and only there"),
            ("replication", &["false", "off", "no", "0"], "take it out: a replication connection reads no tables"),
            ("min_protocol_version", &["3.0"], "take it out: rivet speaks version 3.0 of the protocol"),
        ];
        for (name, words, instead) in allowed {
            match self.said.get(name) {
                Some(value) if !words.contains(&value.as_str()) => {
                    return Err(self.parameters.refused_value(name, value, instead));
                }
                _ => {}
            }
        }
        self.one_of("max_protocol_version", &[("3.0", ()), ("3.2", ()), ("latest", ())]).map(|_| ())
    }

    /// Hosts, addresses and ports belong together by their order.
    fn servers(&self) -> Result<Vec<Server>> {
        let list = |name: &str| self.said.get(name).map(|text| text.split(',').map(str::to_owned).collect::<Vec<_>>());
        let addresses = list("hostaddr");
        let hosts = list("host").or_else(|| addresses.clone()).unwrap_or_default();
        if hosts.iter().all(String::is_empty) {
            return Err(self.fault("names no host").with_hint("postgresql://USER:PASSWORD@HOST/DATABASE"));
        }
        let addresses = addresses.unwrap_or_else(|| vec![String::new(); hosts.len()]);
        if addresses.len() != hosts.len() {
            return Err(self
                .fault(&format!("has {} of host and {} of hostaddr", hosts.len(), addresses.len()))
                .with_hint("give as many addresses as hosts, with commas between them"));
        }
        let ports = list("port").unwrap_or_default();
        if ports.len() > 1 && ports.len() != hosts.len() {
            return Err(self
                .fault(&format!("has {} ports for {} hosts", ports.len(), hosts.len()))
                .with_hint("give one port, or one for each host"));
        }
        let mut servers = Vec::new();
        for (index, (host, address)) in hosts.iter().zip(addresses).enumerate() {
            let port = ports.get(index).or(ports.first()).map_or("", String::as_str);
            let port = match port {
                "" => PORT,
                port => port.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
                    self.fault("has something else where a port must stand").with_hint(
                        "percent-encode special characters in user and password, or give host, port, user, password and database separately",
                    )
                })?,
            };
            let name = if host.is_empty() { address.clone() } else { host.clone() };
            if name.is_empty() {
                return Err(self.fault("has an empty host in its list").with_hint("name each, or take the comma out"));
            }
            if !address.is_empty() && address.parse::<std::net::IpAddr>().is_err() {
                return Err(self.fault("has a hostaddr that is no address").with_hint("names go into `host`"));
            }
            servers.push(Server { address: Some(address).filter(|text| !text.is_empty()), ..Server::new(name, port) });
        }
        Ok(servers)
    }

    fn tls(&self) -> Result<Option<TlsOptions>> {
        let mode = self.one_of(
            "sslmode",
            &[
                ("disable", TlsMode::Disable),
                ("allow", TlsMode::Prefer),
                ("prefer", TlsMode::Prefer),
                ("require", TlsMode::Require),
                ("verify-ca", TlsMode::VerifyCa),
                ("verify-full", TlsMode::VerifyFull),
            ],
        )?;
        let file = |name: &str| self.said.get(name).cloned();
        let root = file("sslrootcert");
        let mode = match (mode, root.as_deref()) {
            (None | Some(TlsMode::VerifyFull), Some("system")) => TlsMode::VerifyFull,
            (Some(_), Some("system")) => {
                return Err(self.parameters.refused_value(
                    "sslrootcert",
                    "system",
                    "write sslmode=verify-full with it",
                ));
            }
            // Whoever names an authority has it asked.
            (Some(TlsMode::Require), Some(_)) => TlsMode::VerifyCa,
            (mode, _) => mode.unwrap_or(TlsMode::Prefer),
        };
        if !["sslmode", "sslrootcert", "sslcert", "sslkey"].iter().any(|name| self.said.contains_key(name)) {
            return Ok(None);
        }
        let mut tls = TlsOptions::new(mode).with_ca_file(root.filter(|root| root != "system"));
        tls.client_cert_file = file("sslcert");
        tls.client_key_file = file("sslkey");
        Ok(Some(tls))
    }

    fn tls_versions(&self) -> Result<TlsVersions> {
        const VERSIONS: [(&str, u8); 4] = [("TLSv1", 0), ("TLSv1.1", 1), ("TLSv1.2", 2), ("TLSv1.3", 3)];
        let least = self.one_of("ssl_min_protocol_version", &VERSIONS)?.unwrap_or(2);
        let most = self.one_of("ssl_max_protocol_version", &VERSIONS)?.unwrap_or(3);
        TlsVersions::of(least <= 2 && most >= 2, most >= 3).ok_or_else(|| {
            self.fault("leaves no version of TLS between ssl_min_protocol_version and ssl_max_protocol_version")
                .with_hint("rivet speaks TLSv1.2 and TLSv1.3")
        })
    }

    fn connect_timeout(&self) -> Result<Option<Duration>> {
        let Some(text) = self.said.get("connect_timeout") else { return Ok(None) };
        match text.trim().parse::<i32>().map(u64::try_from) {
            Ok(Ok(seconds)) if seconds > 0 => Ok(Some(Duration::from_secs(seconds))),
            Ok(_) => Err(self.parameters.refused_value(
                "connect_timeout",
                text,
                "it would wait for ever: write the longest that you would wait, such as connect_timeout=60",
            )),
            Err(_) => {
                Err(self.fault("has a connect_timeout that is not a number of seconds").with_hint("connect_timeout=10"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
