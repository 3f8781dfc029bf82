//! Who we are to Google, in the order that its own tools look.

use std::pin::Pin;

use http::{HeaderValue, Method, request};
use opendal_core::raw::new_request_sign_error;
use opendal_core::{HttpTransporter, Result};
use reqsign_core::{Context, OsEnv, Signer};
use reqsign_file_read_tokio::TokioFileRead;
use reqsign_google::{Credential, RequestSigner, TokenCredentialProvider, VmMetadataCredentialProvider};
use rivet_sdk::Error;
use rivet_store_core::{SignRequest, Ways};

use crate::key_file::{self, KeyFile};
use crate::options::GcsOptions;

/// Reading and writing objects, and nothing else of Google's.
pub(crate) const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_write";

/// What is given, or else the application default credentials: `GOOGLE_APPLICATION_CREDENTIALS`,
/// gcloud's own file, the machine's service account.
fn ways(options: &GcsOptions) -> rivet_sdk::Result<Ways<Credential>> {
    let ways = Ways::new();
    if let Some(token) = &options.token {
        return Ok(ways.or("token", TokenCredentialProvider::new(token.expose())));
    }
    if let Some(content) = &options.credentials {
        key_file::parse(content.expose().as_bytes()).map_err(|what| {
            Error::config(format!("`credentials` is not the content of Google's JSON file: {what}"))
                .with_hint("give the file's path as `credentials_file`")
        })?;
        return Ok(ways.or("credentials", KeyFile::Content(content.clone())));
    }
    if let Some(path) = &options.credentials_file {
        let wrong = |what: &dyn std::fmt::Display, hint: &str| {
            Error::config(format!("`credentials_file` {path}: {what}")).with_hint(hint)
        };
        let content = std::fs::read(path).map_err(|error| wrong(&error, "check the path"))?;
        key_file::parse(&content).map_err(|what| wrong(&what, "download the key again, or log in again"))?;
        return Ok(ways.or("credentials_file", KeyFile::Path(path.clone())));
    }
    Ok(ways
        .or("GOOGLE_APPLICATION_CREDENTIALS", KeyFile::Environment)
        .or("gcloud's credentials", KeyFile::Gcloud)
        .or("the machine's service account", VmMetadataCredentialProvider::new().with_scope(SCOPE)))
}

/// Signs every request to the store, and gives uploads of several parts their class, which opendal
/// gives to the others only.
pub struct Signing {
    signer: Option<Signer<Credential>>,
    class: Option<HeaderValue>,
}

impl Signing {
    pub fn new(options: &GcsOptions) -> rivet_sdk::Result<Self> {
        let class = options.storage_class.as_deref().map(HeaderValue::try_from).transpose();
        let class = class.map_err(|_| Error::config("`storage_class` is no class's name"))?;
        if options.allow_anonymous {
            return Ok(Self { signer: None, class });
        }
        let signer = RequestSigner::new("storage").with_scope(SCOPE);
        Ok(Self { signer: Some(Signer::new(Context::new(), ways(options)?, signer)), class })
    }
}

impl SignRequest for Signing {
    fn sign<'a>(
        &'a self,
        head: &'a mut request::Parts,
        transport: HttpTransporter,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>> {
        Box::pin(async move {
            if let Some(class) = &self.class
                && begins_upload(head)
            {
                head.headers.insert("x-goog-storage-class", class.clone());
            }
            let Some(signer) = &self.signer else { return Ok(()) };
            let context = Context::new().with_file_read(TokioFileRead).with_env(OsEnv).with_http_send(transport);
            let signer = signer.clone().with_context(context);
            signer.sign(head, None).await.map_err(|error| new_request_sign_error(error.into()))
        })
    }
}

fn begins_upload(head: &request::Parts) -> bool {
    head.method == Method::POST && head.uri.query().is_some_and(|query| query.split('&').any(|key| key == "uploads"))
}
