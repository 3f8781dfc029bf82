//! TLS to the state's server, checked as far as the URL's `sslmode` demands.

use std::sync::Arc;

use rivet_sdk::options::{TlsMode, TlsOptions};
use rivet_sdk::{Error, Result};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_postgres_rustls::MakeRustlsConnect;

type Verdict<T> = std::result::Result<T, rustls::Error>;

/// How to speak TLS; None where plain text was asked for.
pub(super) fn client(options: &TlsOptions) -> Result<Option<MakeRustlsConnect>> {
    if options.mode == TlsMode::Disable {
        return Ok(None);
    }
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal(format!("TLS: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier::new(options, provider)?));
    let config = match (&options.client_cert_file, &options.client_key_file) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => {
            let read = PrivateKeyDer::from_pem_file(key);
            let read = read.map_err(|error| Error::config(format!("cannot read a private key from {key}: {error}")))?;
            builder
                .with_client_auth_cert(certificates(certificate)?, read)
                .map_err(|error| Error::config(format!("{certificate} with {key} cannot be used: {error}")))?
        }
        _ => {
            return Err(Error::config("sslcert and sslkey of the state's URL belong together")
                .with_hint("give both, or neither"));
        }
    };
    Ok(Some(MakeRustlsConnect::new(config)))
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>> {
    let unreadable = |error| Error::config(format!("cannot read certificates from {path}: {error}"));
    let found = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
    let found = found.collect::<std::result::Result<Vec<_>, _>>().map_err(unreadable)?;
    if found.is_empty() { Err(Error::config(format!("{path} holds no PEM certificate"))) } else { Ok(found) }
}

/// Checks as much of the server's certificate as the mode demands.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// None: any certificate will do.
    chain: Option<Arc<WebPkiServerVerifier>>,
    /// The user's own authorities; a server may present one of them as its own certificate.
    own: Vec<CertificateDer<'static>>,
    check_name: bool,
}

impl Verifier {
    fn new(options: &TlsOptions, provider: Arc<CryptoProvider>) -> Result<Self> {
        let check_name = options.mode == TlsMode::VerifyFull;
        if !check_name && options.mode != TlsMode::VerifyCa {
            return Ok(Self { provider, chain: None, own: Vec::new(), check_name });
        }
        let own = options.ca_file.as_deref().map(certificates).transpose()?.unwrap_or_default();
        let mut roots = RootCertStore::empty();
        if own.is_empty() {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        } else {
            roots.add_parsable_certificates(own.iter().cloned());
        }
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
        let chain = chain.map_err(|error| {
            Error::config(format!("no authority to check the state's server with: {error}"))
                .with_hint("name one in its URL: sslrootcert=FILE")
        })?;
        Ok(Self { provider, chain: Some(chain), own, check_name })
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
    ) -> Verdict<ServerCertVerified> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        if self.own.iter().any(|own| own.as_ref() == end_entity.as_ref()) {
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
    ) -> Verdict<HandshakeSignatureValid> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Verdict<HandshakeSignatureValid> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
