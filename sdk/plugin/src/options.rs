//! Options that every network database shares, so that they read alike for users.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{Error, Result, Secret};

/// How to reach a server: a URL, or its parts. The host has expanded `*_env` and `*_file`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ServerOptions {
    /// `scheme://user:password@host:port/database?option=value`
    pub url: Option<Secret>,
    /// Host name or address, or the folder of a Unix socket.
    pub host: Option<String>,
    /// TCP port; the database's usual one if absent.
    pub port: Option<u16>,
    /// Login name.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// Database name.
    pub database: Option<String>,
    /// Transport security.
    pub tls: Option<TlsOptions>,
    /// Seconds that connecting and logging in may take together; 15 if absent.
    pub connect_timeout_s: Option<u64>,
}

impl ServerOptions {
    /// What a URL says.
    pub fn from_url(url: impl Into<String>) -> Self {
        Self { url: Some(Secret::new(url)), ..Self::default() }
    }

    /// Fails unless exactly one of `url` and `host` is given.
    pub fn check(&self) -> Result<()> {
        match (&self.url, &self.host) {
            (Some(_), None) | (None, Some(_)) => Ok(()),
            (Some(_), Some(_)) => Err(Error::config("both `url` and `host` are given")
                .with_hint("keep one: a URL, or host, port, user, password and database")),
            (None, None) => Err(Error::config("neither `url` nor `host` is given")
                .with_hint("add `url_env: NAME_OF_A_VARIABLE`, or host, user, password_env and database")),
        }
    }
}

/// Transport security. A block without a mode is [`TlsMode::VerifyFull`].
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsOptions {
    /// How much is demanded of the server.
    #[serde(default = "TlsMode::verify_full")]
    pub mode: TlsMode,
    /// PEM file of trusted authorities; the system's if absent. Refused with a mode that checks none.
    pub ca_file: Option<String>,
    /// PEM file with the client's certificate chain.
    pub client_cert_file: Option<String>,
    /// PEM file with the client's private key.
    pub client_key_file: Option<String>,
    /// Accept any certificate.
    #[serde(default)]
    pub accept_invalid_certs: bool,
    /// Accept a certificate of another host.
    #[serde(default)]
    pub accept_invalid_hostnames: bool,
}

impl TlsOptions {
    /// What applies where the user wrote no `tls` block: encrypted if the server can.
    pub fn prefer() -> Self {
        Self::new(TlsMode::Prefer)
    }

    /// This mode, the system's authorities, no client certificate, and no exception.
    pub fn new(mode: TlsMode) -> Self {
        Self {
            mode,
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
            accept_invalid_certs: false,
            accept_invalid_hostnames: false,
        }
    }

    /// What a URL and a `tls` block say together. Of two modes the stricter holds, which satisfies both; where one
    /// forbids the encryption that the other demands, or they name different files, that is refused.
    pub fn combined(url: Option<Self>, block: Option<Self>) -> Result<Option<Self>> {
        let (url, block) = match (url, block) {
            (Some(url), Some(block)) => (url, block),
            (one, other) => return Ok(one.or(other)),
        };
        let contradiction = |what: &str| {
            Error::config(format!("the URL and `tls` contradict each other about {what}"))
                .with_hint("keep one of them; `environment: production` alone demands `tls: { mode: require }`")
        };
        let forbids = |tls: &Self| tls.mode == TlsMode::Disable;
        if forbids(&url) != forbids(&block) && [url.mode, block.mode].iter().any(|mode| mode.strictness() > 1) {
            return Err(contradiction("encryption"));
        }
        let one = |what: &str, url: Option<String>, block: Option<String>| match (url, block) {
            (Some(url), Some(block)) if url != block => Err(contradiction(what)),
            (url, block) => Ok(block.or(url)),
        };
        Ok(Some(Self {
            mode: if url.mode.strictness() > block.mode.strictness() { url.mode } else { block.mode },
            ca_file: one("the authorities", url.ca_file, block.ca_file)?,
            client_cert_file: one("the client's certificate", url.client_cert_file, block.client_cert_file)?,
            client_key_file: one("the client's key", url.client_key_file, block.client_key_file)?,
            accept_invalid_certs: url.accept_invalid_certs || block.accept_invalid_certs,
            accept_invalid_hostnames: url.accept_invalid_hostnames || block.accept_invalid_hostnames,
        }))
    }

    /// With the authorities of this PEM file.
    #[must_use]
    pub fn with_ca_file(self, ca_file: impl Into<Option<String>>) -> Self {
        Self { ca_file: ca_file.into(), ..self }
    }
}

/// How much is demanded of the server's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TlsMode {
    /// Plain text.
    Disable,
    /// Encrypted if the server offers it; its certificate is not checked.
    Prefer,
    /// Encrypted; the certificate is checked only where `ca_file` names an authority, as with `verify-ca`.
    Require,
    /// Encrypted, and the certificate is signed by a trusted authority.
    VerifyCa,
    /// Also, the certificate names the host.
    VerifyFull,
}

impl TlsMode {
    fn verify_full() -> Self {
        Self::VerifyFull
    }

    /// Grows with what is demanded; above 1 a server without TLS is refused.
    fn strictness(self) -> u8 {
        match self {
            Self::Disable => 0,
            Self::Prefer => 1,
            Self::Require => 2,
            Self::VerifyCa => 3,
            Self::VerifyFull => 4,
        }
    }
}

/// The text of one part of a URL, its %-codes read. A `%` that begins none stands for itself.
/// `part` names it in the error where the bytes are not UTF-8; its text may be a secret and is left out.
pub fn percent_decoded(part: &str, text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|hex| first == b'%' && hex.iter().all(u8::is_ascii_hexdigit));
        let code = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8(bytes).map_err(|_| {
        Error::config(format!("the URL's {part} is not UTF-8 once its %-codes are read"))
            .with_hint("encode its UTF-8 bytes: `ü` is %C3%BC")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_and_what_is_none_stands_for_itself() {
        let decoded = |text: &str| percent_decoded("user", text).unwrap();
        assert_eq!(decoded("a%40b%2fc%2F%25"), "a@b/c/%");
        assert_eq!(decoded("%C3%BCber grün"), "über grün");
        for same in ["", "100%", "%4", "%zz", "%+F", "%é9", "%% "] {
            assert_eq!(decoded(same), same);
        }
    }

    #[test]
    fn of_a_url_and_a_block_the_stricter_holds_and_a_contradiction_is_refused() {
        use TlsMode::{Disable, Prefer, Require, VerifyCa, VerifyFull};
        let both = |url, block| TlsOptions::combined(Some(TlsOptions::new(url)), Some(TlsOptions::new(block)));
        for (url, block, mode) in [
            (VerifyFull, Require, VerifyFull),
            (Prefer, Require, Require),
            (Require, VerifyFull, VerifyFull),
            (Require, Prefer, Require),
            (Disable, Disable, Disable),
            (VerifyCa, VerifyCa, VerifyCa),
        ] {
            assert_eq!(both(url, block).unwrap().unwrap().mode, mode, "{url:?} {block:?}");
        }
        for (url, block) in [(Disable, Require), (Disable, VerifyFull), (Require, Disable)] {
            assert!(both(url, block).unwrap_err().message().contains("encryption"), "{url:?} {block:?}");
        }
        let with = |file: &str| Some(TlsOptions::new(VerifyCa).with_ca_file(Some(file.to_owned())));
        let kept = TlsOptions::combined(with("/a"), Some(TlsOptions::new(Require))).unwrap().unwrap();
        assert_eq!((kept.mode, kept.ca_file.as_deref()), (VerifyCa, Some("/a")));
        assert!(TlsOptions::combined(with("/a"), with("/b")).is_err());
        assert!(TlsOptions::combined(None, None).unwrap().is_none());
    }

    #[test]
    fn what_is_not_utf8_is_refused_by_its_parts_name_alone() {
        for text in ["hunter22%FF", "hunter22%C3", "%80hunter22"] {
            let error = percent_decoded("password", text).unwrap_err();
            assert_eq!(error.message(), "the URL's password is not UTF-8 once its %-codes are read");
            assert!(!format!("{error:?}").contains("hunter"), "{error:?}");
        }
    }
}
