//! Transport security: the modes, the roots, the client's certificate.

mod fault;
mod pinned;

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, InconsistentKeys, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

pub use self::fault::{Cause, Fault, fault, in_io};
use crate::options::{TlsMode, TlsOptions};
use crate::{Error, Result};

static TLS12_ALONE: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
static TLS13_ALONE: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// The versions of TLS that may be spoken with a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsVersions {
    /// 1.2 and 1.3.
    #[default]
    All,
    /// 1.2 alone.
    Tls12,
    /// 1.3 alone.
    Tls13,
}

impl TlsVersions {
    /// Those that are allowed; None where neither is.
    pub fn of(tls12: bool, tls13: bool) -> Option<Self> {
        match (tls12, tls13) {
            (true, true) => Some(Self::All),
            (true, false) => Some(Self::Tls12),
            (false, true) => Some(Self::Tls13),
            (false, false) => None,
        }
    }

    /// As [`client`] takes them.
    pub fn list(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::All => rustls::DEFAULT_VERSIONS,
            Self::Tls12 => TLS12_ALONE,
            Self::Tls13 => TLS13_ALONE,
        }
    }
}

/// The client configuration for `options`, with the versions of TLS and the application protocols
/// (ALPN) that the database's protocol allows; None where plain text was asked for.
pub fn client(
    options: &TlsOptions,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&[u8]],
) -> Result<Option<Arc<ClientConfig>>> {
    if let (mode @ (TlsMode::Disable | TlsMode::Prefer), Some(file)) = (options.mode, &options.ca_file) {
        let name = if mode == TlsMode::Disable { "disable" } else { "prefer" };
        return Err(Error::config(format!(
            "with the TLS mode `{name}` no certificate is checked, and {file} counts for nothing"
        ))
        .with_hint("say `verify-full` (or `verify-ca`, or `require`), or leave the authority's file out"));
    }
    if options.mode == TlsMode::Disable {
        return Ok(None);
    }
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| Error::internal(format!("TLS: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier::new(options, Arc::clone(&provider))?));
    let mut config = match (&options.client_cert_file, &options.client_key_file) {
        (Some(certificate), Some(key)) => {
            let key = provider
                .key_provider
                .load_private_key(read_key(key)?)
                .map_err(|error| Error::config(format!("the client's private key cannot be used: {error}")))?;
            let certified = CertifiedKey::new(read_certificates(certificate)?, key);
            // The server judges the certificate (old ones of version 1 pass there, and not in
            // rustls); here it only matters that the two files belong together.
            if let Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) = certified.keys_match() {
                return Err(Error::config("`client_key_file` is not the key of `client_cert_file`"));
            }
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
        }
        (None, None) => builder.with_no_client_auth(),
        _ => {
            return Err(Error::config("`client_cert_file` and `client_key_file` belong together")
                .with_hint("give both, or neither"));
        }
    };
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(Some(Arc::new(config)))
}

const WHICH_FILES: &str = "`tls.ca_file`, `client_cert_file` and `client_key_file` (or the URL's names for them) are PEM \
                           files that this user can read; a relative path starts at the working directory";

fn read_certificates(path: &str) -> Result<Vec<CertificateDer<'static>>> {
    let unreadable =
        |error| Error::config(format!("cannot read certificates from {path}: {error}")).with_hint(WHICH_FILES);
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(unreadable)?
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(Error::config(format!("{path} holds no PEM certificate")).with_hint(WHICH_FILES));
    }
    Ok(certificates)
}

fn read_key(path: &str) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| {
        Error::config(format!("cannot read a private key from {path}: {error}")).with_hint(WHICH_FILES)
    })
}

/// Checks as much of a server's certificate as the mode demands.
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// None: any certificate will do.
    chain: Option<Arc<WebPkiServerVerifier>>,
    /// The user's own authorities. A server that presents one of them itself (a self-signed
    /// certificate) is the one the user named.
    own: Vec<CertificateDer<'static>>,
    check_name: bool,
}

impl Verifier {
    fn new(options: &TlsOptions, provider: Arc<CryptoProvider>) -> Result<Self> {
        let asked = match options.mode {
            TlsMode::VerifyCa | TlsMode::VerifyFull => true,
            // An authority is named to be asked: so does libpq.
            TlsMode::Require => options.ca_file.is_some(),
            TlsMode::Disable | TlsMode::Prefer => false,
        };
        let check_chain = asked && !options.accept_invalid_certs;
        let check_name = check_chain && options.mode == TlsMode::VerifyFull && !options.accept_invalid_hostnames;
        if !check_chain {
            return Ok(Self { provider, chain: None, own: Vec::new(), check_name });
        }
        let mut roots = RootCertStore::empty();
        let own = match &options.ca_file {
            Some(path) => read_certificates(path)?,
            None => Vec::new(),
        };
        if options.ca_file.is_some() {
            roots.add_parsable_certificates(own.iter().cloned());
        } else {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        if roots.is_empty() {
            return Err(Error::config("no trusted authority was found to check the server's certificate with")
                .with_hint("name one: `tls: { ca_file: … }`"));
        }
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| Error::config(format!("the trusted authorities cannot be used: {error}")))?;
        Ok(Self { provider, chain: Some(chain), own, check_name })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("check_name", &self.check_name).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        if self.own.iter().any(|own| own.as_ref() == end_entity.as_ref()) {
            pinned::check_dates(end_entity, now)?;
            if self.check_name {
                rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.check_name => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        if self.chain.is_none() {
            // Whose signature it is was not asked. Older servers sign with the 1024 bits of a
            // certificate they made themselves, which no verifier here takes.
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// 2026-11-30 11:48:45 and ten days later.
    const BEGIN: u64 = 1_796_039_325;
    const END: u64 = 1_796_903_325;

    /// A server's own certificate that the user names is trusted for as long as it says, of any version of X.509.
    #[test]
    fn a_pinned_certificate_has_its_dates_checked() {
        for (file, mode) in [
            ("version3.pem", TlsMode::VerifyFull),
            ("version3.pem", TlsMode::VerifyCa),
            ("version1.pem", TlsMode::VerifyCa),
        ] {
            let path = format!("{}/src/tls/pinned/{file}", env!("CARGO_MANIFEST_DIR"));
            let certificate = read_certificates(&path).unwrap().remove(0);
            let options = TlsOptions::new(mode).with_ca_file(Some(path));
            let verifier = Verifier::new(&options, Arc::new(ring::default_provider())).unwrap();
            let at = |seconds| {
                let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
                let name = ServerName::try_from("localhost").unwrap();
                verifier.verify_server_cert(&certificate, &[], &name, &[], now).map(|_| ()).map_err(|e| e.to_string())
            };
            assert_eq!((at(BEGIN), at(END)), (Ok(()), Ok(())), "{file}");
            assert!(at(BEGIN - 1).unwrap_err().contains("not valid"), "{file}");
            assert!(at(END + 1).unwrap_err().contains("expired"), "{file}");
        }
    }
}
