//! Who we are to Google, in the order that its own tools look.

use std::pin::Pin;

use http::request;
use opendal_core::raw::new_request_sign_error;
use opendal_core::{HttpTransporter, Result};
use reqsign_core::{Context, OsEnv, ProvideCredentialChain, Signer};
use reqsign_file_read_tokio::TokioFileRead;
use reqsign_google::{
    Credential, DefaultCredentialProvider, EnvCredentialProvider, FileCredentialProvider, RequestSigner,
    StaticCredentialProvider, TokenCredentialProvider, VmMetadataCredentialProvider, WellKnownCredentialProvider,
};
use rivet_sdk::Error;
use rivet_store_core::{SignRequest, base64};

use crate::options::GcsOptions;

/// Reading and writing objects, and nothing else of Google's.
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_write";

/// What is given, or else the application default credentials: `GOOGLE_APPLICATION_CREDENTIALS`,
/// gcloud's own file, the machine's service account.
pub fn chain(options: &GcsOptions) -> rivet_sdk::Result<ProvideCredentialChain<Credential>> {
    let chain = ProvideCredentialChain::new();
    if let Some(token) = &options.token {
        return Ok(chain.push(TokenCredentialProvider::new(token.expose())));
    }
    if let Some(content) = &options.credentials {
        let provider = StaticCredentialProvider::from_base64(base64(content.expose().as_bytes()));
        let provider = provider.map_err(|_| {
            Error::config("`credentials` is not the content of a service account's JSON file")
                .with_hint("give the file's path as `credentials_file`")
        })?;
        return Ok(chain.push(provider.with_scope(SCOPE)));
    }
    if let Some(path) = &options.credentials_file {
        if let Err(error) = std::fs::File::open(path) {
            return Err(Error::config(format!("`credentials_file` {path}: {error}")).with_hint("check the path"));
        }
        return Ok(chain.push(FileCredentialProvider::new(path).with_scope(SCOPE)));
    }
    let default = DefaultCredentialProvider::builder()
        .env(EnvCredentialProvider::new().with_scope(SCOPE))
        .well_known(WellKnownCredentialProvider::new().with_scope(SCOPE))
        .vm_metadata(VmMetadataCredentialProvider::new().with_scope(SCOPE));
    Ok(chain.push(default.build()))
}

/// Signs requests that opendal has no word for.
pub struct Signing(Option<Signer<Credential>>);

impl Signing {
    pub fn new(options: &GcsOptions) -> rivet_sdk::Result<Self> {
        if options.allow_anonymous {
            return Ok(Self(None));
        }
        let signer = RequestSigner::new("storage").with_scope(SCOPE);
        Ok(Self(Some(Signer::new(Context::new(), chain(options)?, signer))))
    }
}

impl SignRequest for Signing {
    fn sign<'a>(
        &'a self,
        head: &'a mut request::Parts,
        transport: HttpTransporter,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>> {
        Box::pin(async move {
            let Some(signer) = &self.0 else { return Ok(()) };
            let context = Context::new().with_file_read(TokioFileRead).with_env(OsEnv).with_http_send(transport);
            let signer = signer.clone().with_context(context);
            signer.sign(head, None).await.map_err(|error| new_request_sign_error(error.into()))
        })
    }
}
