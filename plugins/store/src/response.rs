//! A response that is no success, typed: its status and code, and whether to try again.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use rivet_sdk::tls;
use serde::Deserialize;

use crate::genuine::root_of;

/// The most text of a response that is looked at.
const MOST: usize = 64 << 10;

/// What a store answered instead of doing it, or why no response came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreError {
    /// The HTTP status; 0 where there was no response.
    pub status: u16,
    /// The store's own code: `AccessDenied`, `NoSuchBucket`, `AuthenticationFailed`…
    pub code: String,
    /// What it says about it, for people.
    pub message: String,
    /// The region that the bucket is in; None where the store does not say.
    pub region: Option<String>,
    /// Why there was no response; None where there was one.
    pub broken: Option<Broken>,
    /// What is wrong with TLS, where [`Broken::Tls`] says that something is.
    pub tls: Option<Box<tls::Fault>>,
    /// How long the store wants no request; None where it does not say.
    pub retry_after: Option<Duration>,
    /// Whether an earlier try of the same request may have been carried out.
    pub ambiguous: bool,
}

/// Why there was no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// No connection could be made.
    Connect,
    /// The two sides did not agree on TLS.
    Tls,
    /// It broke on the way.
    Reset,
    /// Nothing moved for too long.
    Stalled,
    /// What arrived is not what was sent.
    Damaged,
    /// What answers is not the store, or not as one.
    Foreign,
}

impl StoreError {
    pub(crate) fn broken(why: Broken, message: impl Into<String>) -> Self {
        Self { broken: Some(why), message: message.into(), ..Self::default() }
    }

    /// Reads a response of status `status` that is not a success.
    pub(crate) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut store_error = Self {
            status: status.as_u16(),
            region: header("x-amz-bucket-region"),
            retry_after: header("retry-after").and_then(|text| text.trim().parse().ok()).map(Duration::from_secs),
            ..Self::default()
        };
        let body = body.get(..MOST.min(body.len())).unwrap_or_default();
        store_error.read_body(body);
        if store_error.code.is_empty() {
            // A HEAD has no body, but Azure repeats the code in a header.
            store_error.code = header("x-ms-error-code").unwrap_or_default();
        }
        if store_error.message.is_empty() {
            store_error.message = status.canonical_reason().unwrap_or("no explanation").to_owned();
        }
        store_error
    }

    fn read_body(&mut self, body: &[u8]) {
        if let Ok(json) = serde_json::from_slice::<JsonBody>(body) {
            let first = json.error.errors.into_iter().next();
            self.code = first.map(|detail| detail.reason).filter(|reason| !reason.is_empty()).unwrap_or_default();
            self.message = json.error.message;
        } else if let Ok(xml) = quick_xml::de::from_reader::<_, XmlBody>(body) {
            self.code = xml.code;
            self.message = xml.message.lines().next().unwrap_or_default().trim().to_owned();
            self.region = xml.region.or(self.region.take());
        }
    }

    /// An error inside a response that calls itself a success, as S3 sends when completing an
    /// upload fails after it had begun to answer.
    pub(crate) fn hidden(body: &[u8]) -> Option<Self> {
        if body.len() > MOST {
            return None;
        }
        if root_of(body) != Some("Error") {
            return None;
        }
        let mut store_error = Self { status: 500, ..Self::default() };
        store_error.read_body(body);
        Some(store_error)
    }

    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        match self.broken {
            Some(Broken::Tls | Broken::Foreign) => false,
            Some(_) => true,
            None => match self.code.as_str() {
                // What is damaged on the way is sent again.
                "BadDigest"
                | "XAmzContentChecksumMismatch"
                | "Md5Mismatch"
                | "Crc64Mismatch"
                | "IncompleteBody"
                | "RequestTimeout"
                | "SlowDown"
                | "ConditionalRequestConflict"
                | "OperationAborted"
                | "InternalError"
                | "rateLimitExceeded"
                | "userRateLimitExceeded" => true,
                "NotImplemented" => false,
                _ => matches!(self.status, 408 | 425 | 429 | 499 | 500 | 502 | 503 | 504),
            },
        }
    }

    /// What it says, without the code: an error carries that by itself.
    pub(crate) fn message_with_status(&self) -> String {
        match self.broken {
            Some(_) => self.message.clone(),
            None => format!("{} (HTTP {})", self.message, self.status),
        }
    }

    /// Whether the store asks to slow down.
    pub(crate) fn is_throttling(&self) -> bool {
        matches!(self.status, 429 | 503) || matches!(self.code.as_str(), "SlowDown" | "rateLimitExceeded")
    }

    /// Whether the request may have been carried out although it looks refused.
    pub(crate) fn may_have_happened(&self) -> bool {
        !matches!(self.broken, Some(Broken::Connect | Broken::Tls))
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.broken, self.code.as_str()) {
            (Some(_), _) => f.write_str(&self.message),
            (None, "") => write!(f, "{} (HTTP {})", self.message, self.status),
            (None, code) => write!(f, "{} ({code}, HTTP {})", self.message, self.status),
        }
    }
}

impl std::error::Error for StoreError {}

#[derive(Deserialize)]
struct JsonBody {
    error: JsonError,
}

#[derive(Deserialize)]
struct JsonError {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<JsonReason>,
}

#[derive(Deserialize)]
struct JsonReason {
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename = "Error", rename_all = "PascalCase")]
struct XmlBody {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    region: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> StoreError {
        StoreError::read(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn each_stores_own_words_are_read() {
        let s3 = read(
            301,
            "<?xml version=\"1.0\"?><Error><Code>PermanentRedirect</Code><Message>elsewhere</Message><Region>eu-west-3</Region></Error>",
        );
        assert_eq!((s3.code.as_str(), s3.region.as_deref()), ("PermanentRedirect", Some("eu-west-3")));
        let azure = read(
            403,
            "\u{feff}<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code><Message>Server failed.\nRequestId:1</Message></Error>",
        );
        assert_eq!((azure.code.as_str(), azure.message.as_str()), ("AuthenticationFailed", "Server failed."));
        let gcs =
            read(401, r#"{"error":{"code":401,"message":"Invalid Credentials","errors":[{"reason":"authError"}]}}"#);
        assert_eq!((gcs.code.as_str(), gcs.message.as_str()), ("authError", "Invalid Credentials"));
        assert_eq!(read(502, "<html>bad gateway</html>").to_string(), "Bad Gateway (HTTP 502)");
    }

    #[test]
    fn the_status_and_the_code_say_whether_to_try_again() {
        for (status, body, transient) in [
            (503, "<Error><Code>SlowDown</Code></Error>", true),
            (400, "<Error><Code>BadDigest</Code></Error>", true),
            (400, "<Error><Code>RequestTimeout</Code></Error>", true),
            (409, "<Error><Code>ConditionalRequestConflict</Code></Error>", true),
            (403, "<Error><Code>AccessDenied</Code></Error>", false),
            (412, "", false),
            (429, "", true),
            (501, "<Error><Code>NotImplemented</Code></Error>", false),
        ] {
            assert_eq!(read(status, body).is_transient(), transient, "{status} {body}");
        }
    }

    #[test]
    fn an_error_inside_a_success_is_seen() {
        let body = b"<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code><Message>try again</Message></Error>";
        assert_eq!(StoreError::hidden(body).unwrap().code, "InternalError");
        assert!(
            StoreError::hidden(b"<CompleteMultipartUploadResult><Key>Error></Key></CompleteMultipartUploadResult>")
                .is_none()
        );
    }
}
