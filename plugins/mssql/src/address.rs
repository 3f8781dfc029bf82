//! Where a server is and how to reach it, as one text: a URL, or an ADO.NET connection string.

use rivet_sdk::options::{TlsMode, TlsOptions, percent_decoded};
use rivet_sdk::{Error, Result, Secret};

use crate::options::{Intent, MssqlOptions};
use crate::parameters::PARAMETERS;

/// What a text says: options, and what only a text can say.
#[derive(Debug, Default)]
pub(crate) struct Address {
    pub options: MssqlOptions,
    /// The name that the server's certificate must have.
    pub certificate_host: Option<String>,
    /// What `HOST_NAME()` gives.
    pub workstation: Option<String>,
    encrypt: Option<String>,
    ca_file: Option<String>,
}

impl From<MssqlOptions> for Address {
    fn from(options: MssqlOptions) -> Self {
        Self { options, ..Self::default() }
    }
}

/// Reads either; no message repeats any of its secrets.
pub(crate) fn from_text(url: &Secret) -> Result<Address> {
    let text = url.expose().trim();
    match text.split_once("://") {
        Some(("mssql" | "sqlserver", rest)) => from_url(rest)?.complete(),
        _ if is_ado(text) => from_ado(text)?.complete(),
        _ => Err(Error::config("the URL does not begin with mssql:// or sqlserver://")
            .with_hint("an ADO.NET string (`Server=…;Database=…;User Id=…;Password=…`) works too")),
    }
}

/// Whether it begins with a keyword and not with a scheme: `://` may stand in a password.
fn is_ado(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, _)| !name.contains("://"))
}

fn from_url(rest: &str) -> Result<Address> {
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
    let options = MssqlOptions {
        host: Some(percent_decoded("host", &host)?),
        port,
        instance,
        user: Some(percent_decoded("user", user)?),
        password: Some(Secret::new(percent_decoded("password", password)?)),
        database: Some(percent_decoded("database", database.trim_end_matches('/'))?).filter(|name| !name.is_empty()),
        ..MssqlOptions::default()
    };
    let mut address = Address::from(options);
    for (name, value) in PARAMETERS.of_query(query)? {
        address.set(&name, value)?;
    }
    Ok(address)
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
fn from_ado(text: &str) -> Result<Address> {
    let mut address = Address::default();
    let mut rest = text;
    while !rest.trim_start_matches([';', ' ']).is_empty() {
        rest = rest.trim_start_matches([';', ' ']);
        let Some((name, after)) = rest.split_once('=') else {
            return Err(Error::config("the connection string has a word without `=`")
                .with_hint("write Keyword=value, with `;` between them; a value with `;` goes into double quotes"));
        };
        let after = after.trim_start();
        let (value, after) = match after.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let (value, after) = quoted(after, quote).ok_or_else(|| {
                    Error::config("the connection string has a quote that is never closed")
                        .with_hint("a quote inside of quotes is written twice")
                })?;
                let (between, after) = after.split_once(';').unwrap_or((after, ""));
                if !between.trim().is_empty() {
                    return Err(Error::config(format!(
                        "the connection string's `{}` goes on behind its closing quote",
                        name.trim()
                    ))
                    .with_hint("a quote inside of quotes is written twice"));
                }
                (value, after)
            }
            _ => {
                let (value, after) = after.split_once(';').unwrap_or((after, ""));
                (value.trim_end().to_owned(), after)
            }
        };
        rest = after;
        address.set(name.trim(), value)?;
    }
    Ok(address)
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

impl Address {
    /// One parameter, by any of its names. Of one that is given twice the last holds, and an empty one says nothing: as
    /// SqlClient has it.
    fn set(&mut self, given: &str, value: String) -> Result<()> {
        let Some(name) = PARAMETERS.find(given)? else { return Ok(()) };
        if value.is_empty() {
            return Ok(());
        }
        let word = value.to_ascii_lowercase();
        let refused = |instead: &str| PARAMETERS.refused_value(name, &value, instead);
        let off = |instead: &str| match boolean(name, &word) {
            Ok(false) => Ok(()),
            _ => Err(refused(instead)),
        };
        let options = &mut self.options;
        match name {
            "Server" => server(options, &value)?,
            "Database" => options.database = Some(value),
            "User ID" => options.user = Some(value),
            "Password" => options.password = Some(Secret::new(value)),
            "Encrypt" => self.encrypt = Some(word),
            "Trust Server Certificate" => options.trust_server_certificate = Some(boolean(name, &word)?),
            "Host Name In Certificate" => self.certificate_host = Some(value),
            "CA File" => self.ca_file = Some(value),
            "Application Intent" => {
                options.application_intent = Some(match word.as_str() {
                    "readonly" => Intent::ReadOnly,
                    "readwrite" => Intent::ReadWrite,
                    _ => return Err(refused("write ReadOnly or ReadWrite")),
                });
            }
            "Application Name" => options.application_name = Some(value),
            "Workstation ID" => self.workstation = Some(value),
            "Connect Timeout" => match number(&value)? {
                0 => return Err(refused("it would wait for ever: write the longest that you would wait, in seconds")),
                seconds => options.connect_timeout_s = Some(seconds),
            },
            "Instance" => options.instance = Some(value),
            "Authentication" if word == "sqlpassword" || word == "sql password" => {}
            "Authentication" => return Err(refused("use a SQL login: SqlPassword")),
            "Integrated Security" => off("Windows authentication is not offered: use a SQL login")?,
            "Network Library" if word == "dbmssocn" => {}
            "Network Library" => return Err(refused("take it out: rivet connects by TCP")),
            "Column Encryption Setting" if word == "disabled" => {}
            "Column Encryption Setting" => {
                return Err(refused(
                    "take it out: columns under Always Encrypted are read as they are stored, encrypted",
                ));
            }
            "Type System Version" if matches!(word.as_str(), "latest" | "sql server 2012") => {}
            "Type System Version" => return Err(refused("take it out: rivet reads every type as the server has it")),
            "Context Connection" => off("take it out: rivet is not a program inside of the server")?,
            "Replication" => off("take it out: rivet takes no part in replication")?,
            "User Instance" => off(crate::parameters::FILES)?,
            other => return Err(Error::internal(format!("the parameter {other} has no meaning"))),
        }
        Ok(())
    }

    /// What the parameters about encryption say together, in whatever order they came.
    fn complete(mut self) -> Result<Self> {
        let trust = self.options.trust_server_certificate == Some(true);
        let mode = match self.encrypt.as_deref() {
            None if self.ca_file.is_none() => return Ok(self),
            Some("strict") if trust => {
                return Err(Error::config(
                    "the connection string has Encrypt=strict and Trust Server Certificate=true",
                )
                .with_hint("strict encryption always checks the certificate: take one of them out"));
            }
            Some("strict") => {
                self.options.strict_encryption = Some(true);
                TlsMode::VerifyFull
            }
            Some("true" | "yes" | "mandatory" | "on") if trust => TlsMode::Require,
            None | Some("true" | "yes" | "mandatory" | "on") => TlsMode::VerifyFull,
            Some("required" | "require") => TlsMode::Require,
            Some("false" | "no" | "optional") => TlsMode::Prefer,
            Some("disable" | "disabled" | "off" | "danger_plaintext") => TlsMode::Disable,
            Some(other) => {
                let known = "true (verified), require, false (if the server can), strict or disable";
                return Err(PARAMETERS.refused_value("Encrypt", other, known));
            }
        };
        if self.ca_file.is_some() && mode != TlsMode::VerifyFull {
            return Err(Error::config("the connection string names an authority in CA File, and has it check nothing")
                .with_hint("write Encrypt=true, without Trust Server Certificate; or take CA File out"));
        }
        self.options.tls = Some(TlsOptions::new(mode).with_ca_file(self.ca_file.take()));
        Ok(self)
    }
}

/// `tcp:host\instance,port`
fn server(options: &mut MssqlOptions, value: &str) -> Result<()> {
    let address = match value.split_once(':') {
        Some((protocol, rest)) if protocol.eq_ignore_ascii_case("tcp") => rest,
        Some((protocol @ ("np" | "lpc" | "admin"), _)) => {
            return Err(PARAMETERS.refused_value(
                "Server",
                &format!("{protocol}:…"),
                "rivet connects by TCP: tcp:host,port",
            ));
        }
        _ => value,
    };
    let (address, port) = address.split_once(',').map_or((address, None), |(host, port)| (host, Some(port)));
    let (host, instance) = address.split_once('\\').map_or((address, None), |(host, name)| (host, Some(name)));
    if host.to_ascii_lowercase().starts_with("(localdb)") || value.starts_with("\\\\") {
        return Err(PARAMETERS.refused_value(
            "Server",
            "(localdb)",
            "rivet connects by TCP: name a server, tcp:host,port",
        ));
    }
    let host = host.trim();
    options.host = Some(if matches!(host, "." | "(local)") { "localhost" } else { host }.to_owned());
    options.instance = instance.map(str::to_owned);
    options.port = port.map(|port| number(port.trim())).transpose()?;
    Ok(())
}

fn boolean(name: &str, word: &str) -> Result<bool> {
    match word {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err(PARAMETERS.refused_value(name, word, "write true or false")),
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| {
        Error::config("the URL has something else where a number (a port, a timeout) must stand")
            .with_hint("percent-encode special characters in user and password")
    })
}

#[cfg(test)]
mod tests;
