//! Credentials from the first way that is set up, and why, where that way gives none.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use reqsign_core::{Context, Error, HttpSend, ProvideCredential, ProvideCredentialDyn, Result};

use crate::response::StoreError;

/// How often a service that gives credentials is asked again when it has no time.
const REPETITIONS: u32 = 3;
/// The wait before the first repetition; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// The most of a service's explanation that is shown.
const MOST: usize = 300;
/// Fields of a request for credentials whose values nobody may see.
const SECRET_FIELDS: [&str; 6] =
    ["assertion", "client_assertion", "client_secret", "refresh_token", "subject_token", "WebIdentityToken"];

/// Ways to come by credentials, in order. The first that is set up counts: where it fails, another
/// identity must not take its place unseen.
pub struct Ways<C>(Vec<(&'static str, Box<dyn ProvideCredentialDyn<Credential = C>>)>);

impl<C: Send + Sync + Unpin + 'static> Ways<C> {
    /// None yet.
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds one. `name` tells users which it is.
    #[must_use]
    pub fn or(mut self, name: &'static str, way: impl ProvideCredential<Credential = C>) -> Self {
        self.0.push((name, Box::new(way)));
        self
    }
}

impl<C: Send + Sync + Unpin + 'static> Default for Ways<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C> fmt::Debug for Ways<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl<C: Send + Sync + Unpin + 'static> ProvideCredential for Ways<C> {
    type Credential = C;

    async fn provide_credential(&self, context: &Context) -> Result<Option<C>> {
        for (name, way) in &self.0 {
            let heard = Arc::new(Mutex::new(None));
            let listening = Listening { behind: context.clone(), heard: Arc::clone(&heard) };
            let failed = match way.provide_credential_dyn(&context.clone().with_http_send(listening)).await {
                Ok(Some(credential)) => return Ok(Some(credential)),
                Ok(None) => continue,
                Err(error) => error,
            };
            let heard = heard.lock().unwrap_or_else(PoisonError::into_inner).take();
            let text = format!("{name}: {}", heard.unwrap_or_else(|| failed.to_string()));
            return Err(Error::credential_invalid("no credentials").with_source(NoCredentials { text, refused: true }));
        }
        let text = "none of the ways to give them is set up".to_owned();
        Err(Error::credential_invalid("no credentials").with_source(NoCredentials { text, refused: false }))
    }
}

/// Why there are no credentials.
#[derive(Debug)]
pub(crate) struct NoCredentials {
    pub text: String,
    /// Whether a way was set up and failed.
    pub refused: bool,
}

impl fmt::Display for NoCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for NoCredentials {}

/// Sends a way's requests, and remembers what was refused.
#[derive(Debug)]
struct Listening {
    behind: Context,
    heard: Arc<Mutex<Option<String>>>,
}

impl HttpSend for Listening {
    async fn http_send(&self, request: Request<Bytes>) -> Result<Response<Bytes>> {
        let place = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let secrets = secrets(&request);
        let mut wait = FIRST_WAIT;
        for repetition in 0.. {
            let sent = self.behind.http_send(request.clone()).await;
            let busy = |status: StatusCode| status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
            let failure = match &sent {
                Ok(response) if busy(response.status()) && repetition < REPETITIONS => {
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                    continue;
                }
                Ok(response) if response.status().is_success() => None,
                Ok(response) => Some(failed_response(&place, response, &secrets)),
                Err(error) => Some(broken(&place, error)),
            };
            *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = failure;
            return sent;
        }
        Err(Error::unexpected("no attempt was made"))
    }
}

fn broken(place: &str, error: &Error) -> String {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(store_error) = cause.downcast_ref::<StoreError>() {
            return store_error.message.clone();
        }
        next = cause.source();
    }
    format!("no answer from {place}: {error}")
}

/// What a service said, whichever cloud's it is.
fn failed_response(place: &str, response: &Response<Bytes>, secrets: &[String]) -> String {
    let body = String::from_utf8_lossy(response.body());
    let json = serde_json::from_str::<serde_json::Value>(&body).unwrap_or_default();
    let field = |names: &[&str]| names.iter().find_map(|name| json.pointer(name)?.as_str().map(str::to_owned));
    let element = |name: &str| {
        let text = body.split_once(&format!("<{name}>"))?.1.split_once(&format!("</{name}>"))?.0;
        Some(text.trim().to_owned())
    };
    let code = field(&["/error/status", "/error", "/code", "/Code"]).or_else(|| element("Code"));
    let message =
        field(&["/error_description", "/error/message", "/message", "/Message"]).or_else(|| element("Message"));
    let explanation: Vec<String> = [code, message].into_iter().flatten().collect();
    let explanation = explanation.join(": ");
    // Before anything is cut off: half a secret would not be known for one.
    let explanation =
        secrets.iter().fold(explanation, |explanation, secret| rivet_sdk::redact(&explanation, secret).into_owned());
    let explanation: String = explanation.lines().next().unwrap_or_default().chars().take(MOST).collect();
    let colon = if explanation.is_empty() { "" } else { ": " };
    format!("{place} answered with status {}{colon}{explanation}", response.status().as_u16())
}

/// What a request holds that a response may repeat and nobody may see.
fn secrets(request: &Request<Bytes>) -> Vec<String> {
    let mut found = Vec::new();
    for name in ["authorization", "x-identity-header", "x-aws-ec2-metadata-token"] {
        if let Some(value) = request.headers().get(name).and_then(|value| value.to_str().ok()) {
            found.push(value.to_owned());
            found.extend(value.split_once(' ').map(|(_, token)| token.to_owned()));
        }
    }
    let body = String::from_utf8_lossy(request.body());
    if let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(&body) {
        let values = SECRET_FIELDS.iter().filter_map(|name| fields.get(*name)?.as_str());
        found.extend(values.map(str::to_owned));
    }
    let query = request.uri().query().unwrap_or_default();
    for (name, value) in body.split('&').chain(query.split('&')).filter_map(|pair| pair.split_once('=')) {
        if SECRET_FIELDS.contains(&name) {
            found.push(value.to_owned());
            // One that is not UTF-8 cannot stand in any text.
            found.extend(rivet_sdk::options::percent_decoded(name, &value.replace('+', " ")));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message_of(status: u16, body: &'static str) -> String {
        failed_response(
            "host",
            &Response::builder().status(status).body(Bytes::from_static(body.as_bytes())).unwrap(),
            &[],
        )
    }

    #[test]
    fn each_clouds_refusal_is_read() {
        for (body, expected) in [
            (
                r#"{"error":"invalid_grant","error_description":"Invalid JWT.\nTrace: 1"}"#,
                ": invalid_grant: Invalid JWT.",
            ),
            (
                r#"{"error":{"code":403,"message":"not yours","status":"PERMISSION_DENIED"}}"#,
                ": PERMISSION_DENIED: not yours",
            ),
            ("<E><Error><Code>AccessDenied</Code><Message>no</Message></Error></E>", ": AccessDenied: no"),
            ("<html>", ""),
        ] {
            assert_eq!(message_of(403, body), format!("host answered with status 403{expected}"));
        }
    }

    #[test]
    fn what_was_sent_in_confidence_is_known() {
        let ask = |body: &'static str| {
            secrets(
                &Request::builder()
                    .header("authorization", "Bearer abc")
                    .body(Bytes::from_static(body.as_bytes()))
                    .unwrap(),
            )
        };
        assert_eq!(ask("client_id=me&client_secret=a%2Fb"), ["Bearer abc", "abc", "a%2Fb", "a/b"]);
        assert_eq!(ask(r#"{"client_id":"me","refresh_token":"r"}"#), ["Bearer abc", "abc", "r"]);
    }
}
