//! Whether a response is the store's: something else may listen at its address, and call everything a success.

use http::{HeaderMap, Method, StatusCode, request};

use crate::digest::Dialect;
use crate::response::{Broken, StoreError};

/// What a request is about, as far as the form of its response depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// XML whose outermost element has this name.
    Xml(&'static str),
    /// Google's JSON, whose `kind` begins with this.
    Json(&'static str),
    /// An object's content, or what is known of it: headers.
    Object,
    /// Anything else.
    Other,
}

/// Whether the response is an object's content, which may be of any size.
pub(crate) fn is_content(dialect: Dialect, request: &request::Parts) -> bool {
    request.method == Method::GET && asked(dialect, request) == Asked::Object
}

fn asked(dialect: Dialect, request: &request::Parts) -> Asked {
    let query = request.uri.query().unwrap_or_default();
    let has =
        |pair: &str| query.split('&').any(|parameter| parameter == pair || parameter.split('=').next() == Some(pair));
    match (dialect, request.method.as_str()) {
        (Dialect::Azure, "GET") if has("comp=list") => Asked::Xml("EnumerationResults"),
        (Dialect::S3 { .. } | Dialect::Gcs, "GET") if has("uploads") => Asked::Xml("ListMultipartUploadsResult"),
        (Dialect::S3 { .. }, "GET") if has("list-type") => Asked::Xml("ListBucketResult"),
        (Dialect::S3 { .. } | Dialect::Gcs, "POST") if has("uploads") => Asked::Xml("InitiateMultipartUploadResult"),
        (Dialect::S3 { .. } | Dialect::Gcs, "POST") if has("uploadId") => Asked::Xml("CompleteMultipartUploadResult"),
        (Dialect::Gcs, "GET") if has("alt=media") => Asked::Object,
        (Dialect::Gcs, "GET") if request.uri.path().ends_with("/o") => Asked::Json("storage#objects"),
        (Dialect::Gcs, "GET") => Asked::Json("storage#object"),
        (_, "GET" | "HEAD") => Asked::Object,
        (Dialect::S3 { .. }, "PUT") => Asked::Object,
        _ => Asked::Other,
    }
}

/// Why a response of this status cannot be the store's.
pub(crate) fn contradiction(
    dialect: Dialect,
    request: &request::Parts,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Option<StoreError> {
    let asked = asked(dialect, request);
    let begins = |start: &str| headers.keys().any(|name| name.as_str().starts_with(start));
    let genuine = match (dialect, asked) {
        // It says so in every response; what stands before it may refuse in its own words.
        (Dialect::Azure, _) if !begins("x-ms-") => false,
        (Dialect::Azure, Asked::Object | Asked::Other) => true,
        _ if !status.is_success() => !is_page(headers, body) || begins("x-goog") || begins("x-guploader"),
        (_, Asked::Xml(root)) => root_of(body) == Some(root),
        (_, Asked::Json(kind)) => kind_of(body).is_some_and(|found| found.starts_with(kind)),
        (Dialect::S3 { .. }, Asked::Object) => headers.contains_key("etag"),
        (Dialect::Gcs, Asked::Object) => begins("x-goog"),
        _ => !is_page(headers, body),
    };
    // A gateway that has no response is one to ask again.
    if genuine || status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429) {
        return None;
    }
    let store = match dialect {
        Dialect::S3 { .. } => "an S3 store",
        Dialect::Gcs => "Google Cloud Storage",
        Dialect::Azure => "Azure Blob Storage",
    };
    let text = format!(
        "{} is not {store}: it answers {} with {} (HTTP {})",
        place(&request.uri),
        request.method,
        described(headers, body, &request.method),
        status.as_u16()
    );
    Some(StoreError::broken(Broken::Foreign, text))
}

/// Scheme, host and port of an address: what a user knows of it.
pub(crate) fn place(uri: &http::Uri) -> String {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    format!("{}://{}", uri.scheme_str().unwrap_or("http"), authority.rsplit('@').next().unwrap_or_default())
}

/// A page for people.
fn is_page(headers: &HeaderMap, body: &[u8]) -> bool {
    let html = headers.get("content-type").and_then(|value| value.to_str().ok());
    html.is_some_and(|kind| kind.starts_with("text/html"))
        || root_of(body).is_some_and(|root| root.eq_ignore_ascii_case("html"))
}

fn described(headers: &HeaderMap, body: &[u8], method: &Method) -> String {
    let kind = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if is_page(headers, body) {
        "a web page".into()
    } else if let Some(root) = root_of(body) {
        format!("other XML (<{root}>)")
    } else if serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok() {
        "other JSON".into()
    } else if body.is_empty() && (kind.is_empty() || *method == Method::HEAD) {
        "nothing that says so".into()
    } else if kind.is_empty() {
        "something else".into()
    } else {
        format!("something else (`{kind}`)")
    }
}

/// The name of the outermost element, without its namespace.
pub(crate) fn root_of(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?.trim_start_matches('\u{feff}').trim_start();
    let mut rest = text;
    loop {
        let tag = rest.strip_prefix('<')?;
        if !tag.starts_with(['?', '!']) {
            let end = tag.find(|character: char| character.is_whitespace() || matches!(character, '>' | '/'))?;
            let name = tag.get(..end)?;
            return name.rsplit(':').next().filter(|name| !name.is_empty());
        }
        let end = if tag.starts_with("!--") { tag.find("-->")? + 2 } else { tag.find('>')? };
        rest = tag.get(end + 1..)?.trim_start();
    }
}

fn kind_of(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Resource {
        kind: String,
    }
    serde_json::from_slice::<Resource>(body).ok().map(|resource| resource.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_element_is_found() {
        for (text, root) in [
            ("<a>x</a>", Some("a")),
            ("\u{feff}<?xml version=\"1.0\"?>\n<!-- <b> -->\n<n:a x='1'/>", Some("a")),
            ("<!DOCTYPE html><HTML>", Some("HTML")),
            ("<Error><Code>x</Code></Error>", Some("Error")),
            ("", None),
            ("{}", None),
            ("<", None),
            ("<!--", None),
        ] {
            assert_eq!(root_of(text.as_bytes()), root, "{text}");
        }
    }

    fn is_foreign(dialect: Dialect, uri: &str, status: u16, header: Option<(&'static str, &str)>, body: &str) -> bool {
        let request = http::Request::get(uri).body(()).unwrap().into_parts().0;
        let headers = header.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let status = StatusCode::from_u16(status).unwrap();
        contradiction(dialect, &request, status, &headers, body.as_bytes()).is_some()
    }

    #[test]
    fn what_a_store_says_is_taken_for_its_own() {
        let s3 = Dialect::S3 { md5: false };
        let page = Some(("content-type", "text/html"));
        for (dialect, uri, status, header, body, foreign) in [
            (s3, "http://s/b?list-type=2&prefix=", 200, None, "<ListBucketResult/>", false),
            (s3, "http://s/b?list-type=2&prefix=", 200, None, "<html/>", true),
            (s3, "http://s/b/k", 200, Some(("etag", "\"1\"")), "<html/>", false),
            (s3, "http://s/b/k", 200, page, "<html/>", true),
            (s3, "http://s/b/k", 404, None, "<Error><Code>NoSuchKey</Code></Error>", false),
            (s3, "http://s/b/k", 404, None, "", false),
            (s3, "http://s/b/k", 404, page, "<html/>", true),
            (s3, "http://s/b/k", 503, page, "<html/>", false),
            (Dialect::Gcs, "http://s/storage/v1/b/b/o?prefix=", 200, None, "{\"kind\":\"storage#objects\"}", false),
            (Dialect::Gcs, "http://s/storage/v1/b/b/o?prefix=", 200, None, "{}", true),
            // Google's own words of an object that is not there are `text/html`.
            (Dialect::Gcs, "http://s/b/k?alt=media", 404, Some(("x-guploader-uploadid", "x")), "<html/>", false),
            (Dialect::Azure, "http://s/b/k", 200, Some(("x-ms-version", "x")), "<html/>", false),
            (Dialect::Azure, "http://s/b/k", 404, None, "", true),
        ] {
            assert_eq!(is_foreign(dialect, uri, status, header, body), foreign, "{dialect:?} {uri} {status} {body}");
        }
    }
}
