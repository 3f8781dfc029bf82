//! Who we are to Azure, and the signatures that say so.

use std::pin::Pin;

use http::request;
use opendal_core::raw::new_request_sign_error;
use opendal_core::{HttpTransporter, Result};
use reqsign_azure_storage::{Credential, DefaultCredentialProvider, RequestSigner, StaticCredentialProvider};
use reqsign_core::{Context, OsEnv, ProvideCredentialChain, Signer};
use reqsign_file_read_tokio::TokioFileRead;
use rivet_sdk::Error;
use rivet_store_core::{SignRequest, is_base64};

use crate::connection::Account;

/// Signs every request to the store.
pub struct Signing(Signer<Credential>);

impl Signing {
    /// The key or signature of `account`, or else: workload identity, the environment's service
    /// principal, the machine's managed identity.
    pub fn new(account: &Account) -> rivet_sdk::Result<Self> {
        let mut chain = ProvideCredentialChain::new();
        chain = match (&account.sas_token, &account.name, &account.key) {
            (Some(token), ..) => chain.push(StaticCredentialProvider::new_sas_token(token.expose())),
            (None, Some(name), Some(key)) => {
                if !is_base64(key.expose()) {
                    return Err(
                        Error::config("the account key is not base64").with_hint("copy it whole from the portal")
                    );
                }
                chain.push(StaticCredentialProvider::new_shared_key(name, key.expose()))
            }
            _ => chain.push(DefaultCredentialProvider::new()),
        };
        Ok(Self(Signer::new(Context::new(), chain, RequestSigner::new())))
    }
}

impl SignRequest for Signing {
    fn sign<'a>(
        &'a self,
        head: &'a mut request::Parts,
        transport: HttpTransporter,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>> {
        Box::pin(async move {
            let context = Context::new().with_file_read(TokioFileRead).with_env(OsEnv).with_http_send(transport);
            let signer = self.0.clone().with_context(context);
            signer.sign(head, None).await.map_err(|error| new_request_sign_error(error.into()))
        })
    }
}
