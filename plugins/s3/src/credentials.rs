//! Who we are to S3, in the order that Amazon's own tools look.

use std::pin::Pin;

use http::{HeaderName, Method, request};
use opendal_core::raw::new_request_sign_error;
use opendal_core::{HttpTransporter, Result};
use reqsign_aws_v4::{
    AssumeRoleWithWebIdentityCredentialProvider, Credential, ECSCredentialProvider, EnvCredentialProvider,
    IMDSv2CredentialProvider, ProfileCredentialProvider, RequestSigner, SSOCredentialProvider,
    StaticCredentialProvider,
};
use reqsign_core::{Context, Error, OsEnv, ProvideCredential, Signer};
use reqsign_file_read_tokio::TokioFileRead;
use rivet_store_core::{SignRequest, Tags, Ways};

use crate::options::S3Options;

/// The keys given, or the profile named, or else the first that is set up: the environment, the
/// profile files, single sign-on, web identity, the container's role, the machine's role.
fn ways(options: &S3Options) -> Ways<Credential> {
    if let (Some(key), Some(secret)) = (&options.access_key, &options.secret_key) {
        let mut keys = StaticCredentialProvider::new(key.expose(), secret.expose());
        if let Some(token) = &options.session_token {
            keys = keys.with_session_token(token.expose());
        }
        return Ways::new().or("access_key", keys);
    }
    let (mut profile, mut sign_on) = (ProfileCredentialProvider::new(), SSOCredentialProvider::new());
    if let Some(name) = &options.aws_profile {
        (profile, sign_on) = (profile.with_profile(name), sign_on.with_profile(name));
        let missing = NoKeys(name.clone());
        return Ways::new()
            .or("the profile", profile)
            .or("the profile's single sign-on", sign_on)
            .or("aws_profile", missing);
    }
    Ways::new()
        .or("the environment", EnvCredentialProvider::new())
        .or("the profile", profile)
        .or("the profile's single sign-on", sign_on)
        .or("web identity", AssumeRoleWithWebIdentityCredentialProvider::new())
        .or("the container's role", ECSCredentialProvider::new())
        .or("the machine's role", IMDSv2CredentialProvider::new())
}

/// What is left to say of a profile that was named.
#[derive(Debug)]
struct NoKeys(String);

impl ProvideCredential for NoKeys {
    type Credential = Credential;

    async fn provide_credential(&self, _: &Context) -> reqsign_core::Result<Option<Credential>> {
        let Self(name) = self;
        Err(Error::config_invalid(format!(
            "the profile `{name}` is not there, or has neither keys nor a single sign-on"
        )))
    }
}

/// Tags new objects, and signs every request to the store.
pub struct Signing {
    signer: Option<Signer<Credential>>,
    tags: Tags,
}

impl Signing {
    pub fn new(options: &S3Options, region: &str) -> rivet_sdk::Result<Self> {
        let signer = || Signer::new(context(None), ways(options), RequestSigner::new("s3", region));
        Ok(Self { signer: (!options.allow_anonymous).then(signer), tags: Tags::new(&options.tags)? })
    }
}

fn context(transport: Option<HttpTransporter>) -> Context {
    let context = Context::new().with_file_read(TokioFileRead).with_env(OsEnv);
    match transport {
        Some(transport) => context.with_http_send(transport),
        None => context,
    }
}

impl SignRequest for Signing {
    fn sign<'a>(
        &'a self,
        head: &'a mut request::Parts,
        transport: HttpTransporter,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>> {
        Box::pin(async move {
            if makes_object(head) {
                self.tags.add(HeaderName::from_static("x-amz-tagging"), head);
            } else {
                // opendal adds them to parts and completions too, where S3 refuses them.
                for name in ["x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"] {
                    head.headers.remove(name);
                }
            }
            let Some(signer) = &self.signer else { return Ok(()) };
            let signer = signer.clone().with_context(context(Some(transport)));
            signer.sign(head, None).await.map_err(|error| new_request_sign_error(error.into()))
        })
    }
}

/// Whether a request puts a whole object, or begins the upload of one.
fn makes_object(head: &request::Parts) -> bool {
    let has = |name: &str| {
        let query = head.uri.query().unwrap_or_default();
        query.split('&').any(|pair| pair.split('=').next() == Some(name))
    };
    (head.method == Method::PUT && !has("uploadId")) || (head.method == Method::POST && has("uploads"))
}
