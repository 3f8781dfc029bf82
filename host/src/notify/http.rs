//! One POST of JSON. Errors are told in words of our own: a client's may hold the URL.

use std::sync::{Arc, OnceLock};

use rivet_sdk::Secret;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::TIMEOUT;

/// Why an address was not told.
#[derive(Debug)]
pub(super) struct Failed {
    /// In words, without the address.
    pub reason: String,
    /// Whether trying again may help.
    pub may_pass: bool,
}

/// Sends `body`. Only an answer of 200 to 299 is success; redirects are not followed.
pub(super) fn post(url: &Secret, body: &str) -> Result<(), Failed> {
    let answer = agent().post(url.expose()).content_type("application/json").send(body).map_err(failed)?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let may_pass = status.as_u16() == 429 || status.is_server_error();
    Err(Failed { reason: format!("it answered {}", status.as_u16()), may_pass })
}

/// One for the process: reading the system's authorities takes its time.
fn agent() -> &'static Agent {
    static AGENT: OnceLock<Agent> = OnceLock::new();
    AGENT.get_or_init(|| {
        let roots = rustls_native_certs::load_native_certs().certs;
        let roots = roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("rivet/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build()
            .into()
    })
}

fn failed(error: ureq::Error) -> Failed {
    let (reason, may_pass) = match error {
        ureq::Error::Timeout(_) => (format!("no answer within {} s", TIMEOUT.as_secs()), true),
        ureq::Error::HostNotFound => ("its host is not known".to_owned(), true),
        ureq::Error::ConnectionFailed => ("no connection".to_owned(), true),
        ureq::Error::Io(error) => match error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()) {
            Some(cause) => (format!("TLS: {cause}"), false),
            None => (format!("no connection: {}", error.kind()), true),
        },
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => ("its URL is not one".to_owned(), false),
        ureq::Error::Tls(reason) => (format!("TLS: {reason}"), false),
        ureq::Error::Rustls(error) => (format!("TLS: {error}"), false),
        ureq::Error::Protocol(_) => ("what it answered is not HTTP".to_owned(), true),
        _ => ("the request could not be sent".to_owned(), true),
    };
    Failed { reason, may_pass }
}
