//! The URL: where the server is, who logs in, and what its parameters say.

use std::time::Duration;

use rivet_sdk::options::{TlsMode, TlsOptions, percent_decoded};
use rivet_sdk::tls::TlsVersions;
use rivet_sdk::{Error, Result, Secret};

use crate::options::{Compression, Endpoint, Host, PORT};
use crate::parameters::PARAMETERS;

const LOGIN: &str = "mysql://USER:PASSWORD@HOST/DATABASE";
const ENCODE: &str = "percent-encode special characters in user and password, or give host, port, user, password and database separately";

/// The endpoint that a URL names, and what it says of TLS.
pub(crate) fn endpoint(url: &Secret) -> Result<(Endpoint, Option<TlsOptions>)> {
    let text = url.expose();
    let rest = text
        .strip_prefix("mysql://")
        .or_else(|| text.strip_prefix("mariadb://"))
        .ok_or_else(|| Error::config("the URL does not begin with mysql:// or mariadb://").with_hint(LOGIN))?;
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    if place.matches('@').count() > 1 {
        return Err(Error::config("the URL has more than one `@`")
            .with_hint("write %40 for an `@` in the user or the password, or give host, port, user, password and database separately"));
    }
    let no_user = || Error::config("the URL names no user").with_hint(LOGIN);
    let (login, address) = place.split_once('@').ok_or_else(no_user)?;
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(Secret::new(percent_decoded("password", password)?))),
        None => (login, None),
    };
    // `(/path/of/mysqld.sock)` stands where a host does.
    let (host, database) = match address.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
        Some((path, rest)) => (Host::Unix(percent_decoded("socket", path)?.into()), rest.trim_start_matches('/')),
        None => {
            let (address, database) = address.split_once('/').unwrap_or((address, ""));
            (host_and_port(address)?, database)
        }
    };
    let mut endpoint = Endpoint::new_at(host, percent_decoded("user", user)?);
    endpoint.password = password.filter(|password| !password.expose().is_empty());
    endpoint.database = Some(percent_decoded("database", database)?).filter(|database| !database.is_empty());
    if endpoint.user.is_empty() {
        return Err(no_user());
    }
    let tls = parameters(&mut endpoint, query)?;
    match &endpoint.host {
        Host::Tcp(name, _) if name.is_empty() => Err(Error::config("the URL names no host").with_hint(LOGIN)),
        _ => Ok((endpoint, tls)),
    }
}

fn parameters(endpoint: &mut Endpoint, query: &str) -> Result<Option<TlsOptions>> {
    let mut met = Vec::new();
    let mut mode = None;
    let mut tls = TlsOptions::prefer();
    for (given, value) in PARAMETERS.of_query(query)? {
        let Some(name) = PARAMETERS.find(&given)? else { continue };
        if met.contains(&name) {
            return Err(Error::config(format!("the URL gives `{name}` twice"))
                .with_hint("keep one of them, as MySQL's own clients demand"));
        }
        met.push(name);
        let refused = |instead: &str| PARAMETERS.refused_value(name, &value, instead);
        match name {
            "ssl-mode" => mode = Some(tls_mode(&value)?),
            "ssl-ca" => tls.ca_file = Some(value),
            "ssl-cert" => tls.client_cert_file = Some(value),
            "ssl-key" => tls.client_key_file = Some(value),
            "tls-version" => {
                let has = |version: &str| value.split(',').any(|one| one.trim().eq_ignore_ascii_case(version));
                let known = |one: &str| matches!(one, "tlsv1" | "tlsv1.0" | "tlsv1.1" | "tlsv1.2" | "tlsv1.3");
                let all_known = value.split(',').all(|one| known(&one.trim().to_ascii_lowercase()));
                endpoint.tls_versions = TlsVersions::of(has("TLSv1.2"), has("TLSv1.3"))
                    .filter(|_| all_known)
                    .ok_or_else(|| refused("write TLSv1.2, TLSv1.3 or both with a comma between them"))?;
            }
            "socket" => endpoint.host = Host::Unix(value.into()),
            "connect-timeout" => match value.parse() {
                Ok(seconds) if (1..1000).contains(&seconds) => endpoint.connect_timeout = Duration::from_secs(seconds),
                Ok(0) => {
                    return Err(refused("it would wait for ever: write the longest that you would wait, in seconds"));
                }
                Ok(_) => return Err(refused("it is in seconds here; MySQL Shell's are milliseconds")),
                Err(_) => {
                    return Err(Error::config("the URL's connect-timeout is not a number of seconds")
                        .with_hint("connect-timeout=10"));
                }
            },
            "compression" => {
                let known = [Compression::None, Compression::Zlib, Compression::Zstd];
                let word = value.to_ascii_lowercase();
                let word = if matches!(word.as_str(), "disabled" | "false" | "0") { "none" } else { word.as_str() };
                let found = known.into_iter().find(|known| known.name() == word);
                endpoint.compression = found.ok_or_else(|| refused("write none, zlib or zstd"))?;
            }
            "get-server-public-key" if matches!(value.to_ascii_lowercase().as_str(), "true" | "1") => {}
            "get-server-public-key" => return Err(refused("write ssl-mode=required: over TLS no key is asked for")),
            "charset" if value.to_ascii_lowercase().starts_with("utf8") => {}
            "charset" => return Err(refused("take it out: texts are read as what they are, and written as UTF-8")),
            other => return Err(Error::internal(format!("the parameter {other} has no meaning"))),
        }
    }
    tls.mode = match (mode, &tls.ca_file) {
        (Some(mode @ (TlsMode::Disable | TlsMode::Prefer | TlsMode::Require)), Some(_)) => {
            let word = match mode {
                TlsMode::Disable => "disabled",
                TlsMode::Prefer => "preferred",
                _ => "required",
            };
            return Err(PARAMETERS.refused_value(
                "ssl-mode",
                word,
                "with ssl-ca: write verify_ca or verify_identity, which ask the authority",
            ));
        }
        (Some(mode), _) => mode,
        (None, Some(_)) => TlsMode::VerifyCa,
        (None, None) => TlsMode::Prefer,
    };
    Ok(met.iter().any(|name| name.starts_with("ssl-")).then_some(tls))
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
    if address.contains(',') {
        return Err(Error::config("the URL names several hosts")
            .with_hint("name the one to read from; all workers must read from one server"));
    }
    let port = match port {
        None | Some("") => PORT,
        Some(port) => port.parse().map_err(|_| Error::config("the URL's port is not a number").with_hint(ENCODE))?,
    };
    let name = percent_decoded("host", name)?;
    Ok(if name.starts_with('/') { Host::Unix(name.into()) } else { Host::Tcp(name, port) })
}

#[cfg(test)]
mod tests;
