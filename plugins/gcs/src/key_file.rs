//! Google's JSON files that say who one is, and the access tokens that they are exchanged for.
//!
//! A service account's and a user's file name the address that exchanges them (`token_uri`); other
//! kinds (workload identity federation, impersonation) are left to reqsign.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use reqsign_core::time::Timestamp;
use reqsign_core::{Context, Error, ProvideCredential, Result, jwt};
use reqsign_google::{Credential, StaticCredentialProvider, Token};
use rivet_sdk::Secret;
use rivet_store_core::encoded;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::credentials::SCOPE;

/// Where a file names no address.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
/// How long what we sign is good for.
const LIFE: Duration = Duration::from_secs(3600);

/// Where a file comes from.
#[derive(Debug)]
pub(crate) enum KeyFile {
    Content(Secret),
    Path(String),
    /// `GOOGLE_APPLICATION_CREDENTIALS`.
    Environment,
    /// What `gcloud auth application-default login` wrote.
    Gcloud,
}

/// Who a file speaks for.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Identity {
    ServiceAccount(ServiceAccount),
    AuthorizedUser(User),
    /// Left to reqsign.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
pub(crate) struct ServiceAccount {
    client_email: String,
    private_key: Secret,
    private_key_id: Option<String>,
    token_uri: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct User {
    client_id: String,
    client_secret: Secret,
    refresh_token: Secret,
    token_uri: Option<String>,
}

/// Reads a file. What is wrong is told without its content.
pub(crate) fn parse(content: &[u8]) -> std::result::Result<Identity, String> {
    serde_json::from_slice(content).map_err(|error| match error.classify() {
        // The text names a field; of another kind it may hold a value.
        serde_json::error::Category::Data if error.to_string().starts_with("missing field") => error.to_string(),
        serde_json::error::Category::Data => format!("it is no file of credentials (line {})", error.line()),
        _ => format!("it is not JSON, or not whole (line {})", error.line()),
    })
}

/// A federated identity's file with the format of its token: text where it says none, which Google's
/// tools leave out and reqsign insists on.
fn with_format(content: &[u8]) -> std::result::Result<String, String> {
    let mut file: Value = serde_json::from_slice(content).map_err(|error| error.to_string())?;
    if let Some(source) = file.get_mut("credential_source").and_then(Value::as_object_mut)
        && (source.contains_key("file") || source.contains_key("url"))
        && !source.contains_key("environment_id")
    {
        source.entry("format").or_insert_with(|| json!({"type": "text"}));
    }
    Ok(file.to_string())
}

impl KeyFile {
    async fn read(&self, context: &Context) -> Result<Option<Vec<u8>>> {
        let set = |name: &str| context.env_var(name).filter(|value| !value.is_empty());
        match self {
            Self::Content(content) => Ok(Some(content.expose().as_bytes().to_vec())),
            Self::Path(path) => read(context, path).await.map(Some),
            Self::Environment => match set("GOOGLE_APPLICATION_CREDENTIALS") {
                Some(path) => read(context, &path).await.map(Some),
                None => Ok(None),
            },
            Self::Gcloud => {
                let folder =
                    set("CLOUDSDK_CONFIG").or_else(|| set("HOME").map(|home| format!("{home}/.config/gcloud")));
                let Some(folder) = folder else { return Ok(None) };
                let path = format!("{folder}/application_default_credentials.json");
                match std::fs::exists(&path) {
                    Ok(false) => Ok(None),
                    _ => read(context, &path).await.map(Some),
                }
            }
        }
    }
}

async fn read(context: &Context, path: &str) -> Result<Vec<u8>> {
    let read = context.file_read(path).await;
    read.map_err(|error| Error::config_invalid(format!("{path} cannot be read: {error}")))
}

impl ProvideCredential for KeyFile {
    type Credential = Credential;

    async fn provide_credential(&self, context: &Context) -> Result<Option<Credential>> {
        let Some(content) = self.read(context).await? else { return Ok(None) };
        let token = match parse(&content).map_err(Error::config_invalid)? {
            Identity::ServiceAccount(account) => account.token(context).await?,
            Identity::AuthorizedUser(user) => user.token(context).await?,
            Identity::Other => {
                let content = with_format(&content).map_err(Error::config_invalid)?;
                return StaticCredentialProvider::new(content).with_scope(SCOPE).provide_credential(context).await;
            }
        };
        Ok(Some(Credential::with_token(token)))
    }
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'static str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

impl ServiceAccount {
    async fn token(&self, context: &Context) -> Result<Token> {
        let address = self.token_uri.as_deref().unwrap_or(TOKEN_URI);
        let now = Timestamp::now();
        let header = Header { alg: "RS256", typ: "JWT", kid: self.private_key_id.as_deref() };
        let claims = Claims {
            iss: &self.client_email,
            scope: SCOPE,
            aud: address,
            iat: now.as_second(),
            exp: (now + LIFE).as_second(),
        };
        let assertion = jwt::encode_rs256_pem(&header, &claims, self.private_key.expose().as_bytes())
            .map_err(|_| Error::credential_invalid("`private_key` is not an RSA key in PEM (PKCS #8)"))?;
        let grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        exchanged(context, address, &[("grant_type", grant_type), ("assertion", &assertion)]).await
    }
}

impl User {
    async fn token(&self, context: &Context) -> Result<Token> {
        let address = self.token_uri.as_deref().unwrap_or(TOKEN_URI);
        let question = [
            ("grant_type", "refresh_token"),
            ("client_id", &self.client_id),
            ("client_secret", self.client_secret.expose()),
            ("refresh_token", self.refresh_token.expose()),
        ];
        exchanged(context, address, &question).await
    }
}

#[derive(Deserialize)]
struct TokenResponse {
    access_token: String,
    expires_in: u64,
}

async fn exchanged(context: &Context, address: &str, question: &[(&str, &str)]) -> Result<Token> {
    let pairs: Vec<String> = question.iter().map(|(name, value)| format!("{name}={}", encoded(value, false))).collect();
    let request = Request::post(address).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let request = request.body(Bytes::from(pairs.join("&")));
    let request = request.map_err(|_| Error::config_invalid("`token_uri` is not a URL"))?;
    let asked = Timestamp::now();
    let response = context.http_send(request).await?;
    if !response.status().is_success() {
        return Err(Error::credential_invalid(format!(
            "{address} answered with status {}",
            response.status().as_u16()
        )));
    }
    let response: TokenResponse = serde_json::from_slice(response.body())
        .map_err(|_| Error::unexpected(format!("{address} did not answer with an access token")))?;
    let expires_at = Some(asked + Duration::from_secs(response.expires_in));
    Ok(Token { access_token: response.access_token, expires_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_file_is_told_without_its_content() {
        let wrong = |text: &str| parse(text.as_bytes()).err().unwrap();
        assert_eq!(wrong("{\"private_key\": \"hush"), "it is not JSON, or not whole (line 1)");
        let wrong = wrong(r#"{"type": "service_account", "private_key": "hush"}"#);
        assert!(wrong.contains("client_email") && !wrong.contains("hush"), "{wrong}");
        let of = |text: &str| parse(text.as_bytes()).err().unwrap();
        assert_eq!(of("\"hush\""), "it is no file of credentials (line 1)");
        assert!(matches!(parse(br#"{"type": "external_account", "x": 1}"#), Ok(Identity::Other)));
    }
}
