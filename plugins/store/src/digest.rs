//! Checksums of what goes over the wire: sent along where the store takes them, and compared
//! with what its response says.

use crc_fast::{CrcAlgorithm, Digest as Crc};
use http::{HeaderMap, HeaderValue, Method, StatusCode, request};
use md5::{Digest, Md5};
use opendal_core::Buffer;
use serde::Deserialize;

use crate::base64;

/// Which checksums a store speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// S3: opendal sends `x-amz-checksum-crc32c`; with `md5`, `Content-MD5` goes along too.
    S3 {
        /// For stores that do not know the crc32c header.
        md5: bool,
    },
    /// Google Cloud Storage: `x-goog-hash` both ways.
    Gcs,
    /// Azure: `Content-MD5` both ways. Its signatures cover that header.
    Azure,
}

/// Sends and compares.
#[derive(Debug)]
pub(crate) struct Digests {
    pub dialect: Dialect,
}

impl Digests {
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect }
    }

    /// Adds what the store should hold the body against.
    pub fn add(&self, method: &Method, headers: &mut HeaderMap, body: &Buffer) {
        if method != Method::PUT || body.is_empty() || is_piece(headers, body) {
            return;
        }
        let (name, value) = match self.dialect {
            Dialect::S3 { md5: true } | Dialect::Azure => ("content-md5", md5_of(body)),
            Dialect::Gcs => ("x-goog-hash", format!("crc32c={}", crc32c_of(body))),
            Dialect::S3 { md5: false } => return,
        };
        // Base64 is always a header's text.
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }

    /// What contradicts the response's own checksum, in words: of the bytes sent, or of those
    /// received by a GET of a whole object.
    pub fn contradiction(
        &self,
        request: &request::Parts,
        status: StatusCode,
        headers: &HeaderMap,
        sent: &Buffer,
        received: &Buffer,
    ) -> Option<String> {
        let method = &request.method;
        let body = match (method.as_str(), status.as_u16()) {
            ("PUT", 200 | 201) if !sent.is_empty() && !is_piece(&request.headers, sent) => sent,
            ("GET", 200) => received,
            _ => return None,
        };
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let differs = |what: &str, theirs: &str, ours: String| {
            (theirs != ours).then(|| format!("the store's {what} is {theirs}, ours {ours}"))
        };
        match self.dialect {
            Dialect::S3 { .. } => {
                if let Some(theirs) = text("x-amz-checksum-crc32c") {
                    // With a count of parts it is a checksum of checksums.
                    return if theirs.contains('-') { None } else { differs("crc32c", theirs, crc32c_of(body)) };
                }
                let etag = text("etag").map(|etag| etag.trim_matches('"')).filter(|_| method == Method::PUT)?;
                let encrypted = headers.contains_key("x-amz-server-side-encryption-aws-kms-key-id")
                    || headers.contains_key("x-amz-server-side-encryption-customer-algorithm")
                    || text("x-amz-server-side-encryption").is_some_and(|how| how.starts_with("aws:kms"));
                let is_md5 = etag.len() == 32 && etag.bytes().all(|byte| byte.is_ascii_hexdigit());
                if is_md5 && !encrypted { differs("ETag", &etag.to_lowercase(), hex(&md5_bytes(body))) } else { None }
            }
            Dialect::Gcs => {
                if headers.get("content-encoding").is_some() || text("x-goog-stored-content-encoding") == Some("gzip") {
                    return None;
                }
                let all = headers.get_all("x-goog-hash").into_iter().filter_map(|value| value.to_str().ok());
                let named =
                    all.flat_map(|value| value.split(',')).find_map(|checksum| checksum.trim().strip_prefix("crc32c="));
                let theirs = match named {
                    Some(theirs) => theirs.to_owned(),
                    None if method == Method::PUT => inserted_crc32c(received)?,
                    None => return None,
                };
                differs("crc32c", &theirs, crc32c_of(body))
            }
            Dialect::Azure => differs("MD5", text("content-md5")?, md5_of(body)),
        }
    }
}

/// Whether the body is one piece of a resumable upload: checksums there are the object's.
fn is_piece(request: &HeaderMap, body: &Buffer) -> bool {
    let Some(range) = request.get("content-range").and_then(|value| value.to_str().ok()) else { return false };
    let last = body.len().saturating_sub(1);
    range != format!("bytes 0-{last}/{}", body.len())
}

/// Google's description of the object that a request made.
fn inserted_crc32c(received: &Buffer) -> Option<String> {
    #[derive(Deserialize)]
    struct Inserted {
        crc32c: String,
    }
    serde_json::from_slice::<Inserted>(&received.to_bytes()).ok().map(|inserted| inserted.crc32c)
}

fn crc(algorithm: CrcAlgorithm, body: &Buffer) -> u64 {
    let mut digest = Crc::new(algorithm);
    body.clone().for_each(|chunk| digest.update(&chunk));
    digest.finalize()
}

fn crc32c_of(body: &Buffer) -> String {
    let value = crc(CrcAlgorithm::Crc32Iscsi, body).to_be_bytes();
    base64(value.get(4..).unwrap_or_default())
}

fn md5_bytes(body: &Buffer) -> [u8; 16] {
    let mut digest = Md5::new();
    body.clone().for_each(|chunk| digest.update(&chunk));
    digest.finalize().into()
}

/// The MD5 of `bytes` in base64, as HTTP writes it.
pub(crate) fn md5(bytes: &[u8]) -> String {
    base64(&Md5::digest(bytes))
}

fn md5_of(body: &Buffer) -> String {
    base64(&md5_bytes(body))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put() -> request::Parts {
        http::Request::put("http://store/x").body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_checksum_of_a_piece_is_not_compared() {
        let mut request = put();
        request.headers.insert("content-range", HeaderValue::from_static("bytes 8-16/17"));
        let mut response = HeaderMap::new();
        response.insert("x-goog-hash", HeaderValue::from_static("crc32c=AAAAAA=="));
        let (digests, sent) = (Digests::new(Dialect::Gcs), Buffer::from("123456789"));
        assert_eq!(digests.contradiction(&request, StatusCode::OK, &response, &sent, &Buffer::new()), None);
        request.headers.insert("content-range", HeaderValue::from_static("bytes 0-8/9"));
        assert!(digests.contradiction(&request, StatusCode::OK, &response, &sent, &Buffer::new()).is_some());
    }

    fn verdict(dialect: Dialect, name: &'static str, value: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        let sent = Buffer::from("123456789");
        Digests::new(dialect).contradiction(&put(), StatusCode::OK, &headers, &sent, &Buffer::new())
    }

    /// The check values of the published algorithms.
    #[test]
    fn the_algorithms_are_the_ones_meant() {
        let body = Buffer::from("123456789");
        assert_eq!(crc(CrcAlgorithm::Crc32Iscsi, &body), 0xe306_9283);
        assert_eq!(hex(&md5_bytes(&body)), "25f9e794323b453885f5181f1b624d0b");
    }

    #[test]
    fn an_answer_that_contradicts_is_seen() {
        let s3 = Dialect::S3 { md5: false };
        assert_eq!(verdict(s3, "x-amz-checksum-crc32c", "4waSgw=="), None);
        assert!(verdict(s3, "x-amz-checksum-crc32c", "4waSgg==").is_some());
        assert_eq!(verdict(s3, "etag", "\"25f9e794323b453885f5181f1b624d0b\""), None);
        assert!(verdict(s3, "etag", "\"25f9e794323b453885f5181f1b624d0c\"").is_some());
        assert_eq!(verdict(s3, "etag", "\"not-a-checksum-1\""), None);
        assert_eq!(verdict(Dialect::Gcs, "x-goog-hash", "md5=x,crc32c=4waSgw=="), None);
        assert!(verdict(Dialect::Gcs, "x-goog-hash", "crc32c=AAAAAA==").is_some());
        assert!(verdict(Dialect::Azure, "content-md5", "AAAA").is_some());
    }
}
