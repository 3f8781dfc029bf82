//! Who we are to Azure, and the signatures that say so.

use std::pin::Pin;

use http::{HeaderName, HeaderValue, Method, request};
use opendal_core::raw::new_request_sign_error;
use opendal_core::{HttpTransporter, Result};
use reqsign_azure_storage::{
    AzurePipelinesCredentialProvider, ClientCertificateCredentialProvider, ClientSecretCredentialProvider, Credential,
    EnvCredentialProvider, ImdsCredentialProvider, RequestSigner, StaticCredentialProvider,
    WorkloadIdentityCredentialProvider,
};
use reqsign_core::{Context, Error as SignError, OsEnv, ProvideCredential, Signer};
use reqsign_file_read_tokio::TokioFileRead;
use rivet_sdk::Error;
use rivet_store_core::{SignRequest, Tags, Ways, is_base64};

use crate::connection::Account;
use crate::options::{AccessTier, AzureOptions};

/// Gives new blobs their tags and tier, and signs every request to the store.
pub struct Signing {
    signer: Option<Signer<Credential>>,
    tags: Tags,
    tier: Option<AccessTier>,
}

impl Signing {
    /// The key or signature of `account`, or else the first that is set up: what the environment
    /// holds, a service principal, a pipeline's or workload's identity, the machine's managed one.
    pub fn new(options: &AzureOptions, account: &Account) -> rivet_sdk::Result<Self> {
        let tags = Tags::new(&options.tags)?;
        if options.allow_anonymous {
            return Ok(Self { signer: None, tags, tier: options.access_tier });
        }
        let ways = Ways::new();
        let ways = match (&account.sas_token, &account.name, &account.key) {
            (Some(token), ..) => ways.or("sas_token", StaticCredentialProvider::new_sas_token(token.expose())),
            (None, Some(name), Some(key)) => {
                if !is_base64(key.expose()) {
                    return Err(
                        Error::config("the account key is not base64").with_hint("copy it whole from the portal")
                    );
                }
                ways.or("account_key", StaticCredentialProvider::new_shared_key(name, key.expose()))
            }
            _ => ways
                .or("the environment", EnvCredentialProvider::new())
                .or("the service principal's certificate", ClientCertificateCredentialProvider::new())
                .or("the service principal", ClientSecretCredentialProvider::new())
                .or("the pipeline's identity", AzurePipelinesCredentialProvider::new())
                .or("workload identity", Workload(WorkloadIdentityCredentialProvider::new()))
                .or("managed identity", ImdsCredentialProvider::new()),
        };
        let signer = Signer::new(Context::new(), ways, RequestSigner::new());
        Ok(Self { signer: Some(signer), tags, tier: options.access_tier })
    }
}

/// Workload identity, whose token must be there where it is named.
#[derive(Debug)]
struct Workload(WorkloadIdentityCredentialProvider);

impl ProvideCredential for Workload {
    type Credential = Credential;

    async fn provide_credential(&self, context: &Context) -> reqsign_core::Result<Option<Credential>> {
        const FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
        if let Some(path) = context.env_var(FILE).filter(|path| !path.is_empty())
            && context.file_read(&path).await.is_err()
        {
            return Err(SignError::config_invalid(format!("{FILE}: {path} cannot be read")));
        }
        self.0.provide_credential(context).await
    }
}

impl SignRequest for Signing {
    fn sign<'a>(
        &'a self,
        head: &'a mut request::Parts,
        transport: HttpTransporter,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>> {
        Box::pin(async move {
            if makes_blob(head) {
                self.tags.add(HeaderName::from_static("x-ms-tags"), head);
                if let Some(tier) = self.tier {
                    head.headers.insert("x-ms-access-tier", HeaderValue::from_static(tier.word()));
                }
            }
            let Some(signer) = &self.signer else { return Ok(()) };
            let context = Context::new().with_file_read(TokioFileRead).with_env(OsEnv).with_http_send(transport);
            let signer = signer.clone().with_context(context);
            signer.sign(head, None).await.map_err(|error| new_request_sign_error(error.into()))
        })
    }
}

/// Whether a request puts a whole blob, or joins its blocks.
fn makes_blob(head: &request::Parts) -> bool {
    let query = head.uri.query().unwrap_or_default();
    let part = query.split('&').find_map(|pair| pair.strip_prefix("comp="));
    head.method == Method::PUT && matches!(part, None | Some("blocklist"))
}
