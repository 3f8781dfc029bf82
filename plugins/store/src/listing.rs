//! The objects under a prefix, in each store's own dialect.
//!
//! opendal's listings take a response of any shape for a page, and one without a marker for the beginning of another.

use std::collections::BTreeMap;

use http::{Method, Request};
use opendal_core::{Buffer, Error, ErrorKind, HttpTransporter, Result};
use serde::Deserialize;

use crate::digest::Dialect;
use crate::pages::{self, Page};
use crate::pending::encoded;

/// Where a bucket's objects are asked for.
pub struct ListApi {
    /// Of S3 the bucket's URL, of Azure the container's, of Google that of the bucket's objects; without a slash at
    /// its end.
    pub url: String,
    /// Which store's.
    pub dialect: Dialect,
}

/// One object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub size: u64,
    pub etag: Option<String>,
}

type Objects = Page<String, Listed, String>;

impl ListApi {
    /// Every object whose name begins with `prefix`.
    pub(crate) async fn list(&self, transport: &HttpTransporter, prefix: &str) -> Result<BTreeMap<String, Listed>> {
        pages::all(async |marker: Option<&String>| {
            let body = transport.send(self.request(prefix, marker)?).await?.into_body().to_bytes();
            match self.dialect {
                Dialect::S3 { .. } => of_s3(&body),
                Dialect::Gcs => of_gcs(&body),
                Dialect::Azure => of_azure(&body),
            }
        })
        .await
    }

    fn request(&self, prefix: &str, marker: Option<&String>) -> Result<Request<Buffer>> {
        // In the order in which they are signed.
        let parameters = match self.dialect {
            Dialect::S3 { .. } => [("continuation-token", marker), ("list-type", None), ("prefix", None)],
            Dialect::Gcs => [("pageToken", marker), ("", None), ("prefix", None)],
            Dialect::Azure => [("comp", None), ("marker", marker), ("prefix", None)],
        };
        let mut query = Vec::new();
        for (name, value) in parameters {
            match (name, value) {
                (name, Some(marker)) => query.push(format!("{name}={}", encoded(marker, false))),
                ("list-type", None) => query.push("list-type=2".to_owned()),
                ("comp", None) => query.push("comp=list".to_owned()),
                ("prefix", None) => query.push(format!("prefix={}", encoded(prefix, false))),
                _ => {}
            }
        }
        if self.dialect == Dialect::Azure {
            query.push("restype=container".to_owned());
        }
        let mut request = Request::builder().method(Method::GET).uri(format!("{}?{}", self.url, query.join("&")));
        if self.dialect == Dialect::Azure {
            // As opendal's requests have it.
            request = request.header("x-ms-version", "2022-11-02");
        }
        request.body(Buffer::new()).map_err(|error| Error::new(ErrorKind::Unexpected, "a request").set_source(error))
    }
}

/// One page of S3's `ListObjectsV2`.
fn of_s3(body: &[u8]) -> Result<Objects> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Page {
        is_truncated: bool,
        next_continuation_token: Option<String>,
        #[serde(default)]
        contents: Vec<Contents>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Contents {
        key: String,
        size: u64,
        #[serde(rename = "ETag")]
        etag: Option<String>,
    }
    let page: Page = quick_xml::de::from_reader(body).map_err(unreadable)?;
    let next = page.next_continuation_token.filter(|token| !token.is_empty());
    if page.is_truncated && next.is_none() {
        return Err(Error::new(
            ErrorKind::Unexpected,
            "a page of the listing says that another follows, and not which",
        ));
    }
    let entries = page
        .contents
        .into_iter()
        .map(|content| (content.key, Listed { size: content.size, etag: content.etag }))
        .collect();
    Ok(Objects { entries, next: next.filter(|_| page.is_truncated) })
}

/// One page of Google's `objects.list`.
fn of_gcs(body: &[u8]) -> Result<Objects> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Page {
        next_page_token: Option<String>,
        #[serde(default)]
        items: Vec<Item>,
    }
    #[derive(Deserialize)]
    struct Item {
        name: String,
        /// A number as text.
        size: String,
        etag: Option<String>,
    }
    let page: Page = serde_json::from_slice(body).map_err(unreadable)?;
    let mut entries = Vec::with_capacity(page.items.len());
    for Item { name, size, etag } in page.items {
        let size = size.parse().map_err(unreadable)?;
        entries.push((name, Listed { size, etag }));
    }
    Ok(Objects { entries, next: page.next_page_token.filter(|token| !token.is_empty()) })
}

/// One page of Azure's `List Blobs`.
fn of_azure(body: &[u8]) -> Result<Objects> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Page {
        blobs: Blobs,
        next_marker: Option<String>,
    }
    #[derive(Deserialize)]
    struct Blobs {
        #[serde(rename = "Blob", default)]
        blobs: Vec<Blob>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Blob {
        name: String,
        properties: Properties,
    }
    #[derive(Deserialize)]
    struct Properties {
        #[serde(rename = "Content-Length")]
        size: u64,
        #[serde(rename = "Etag")]
        etag: Option<String>,
    }
    let page: Page = quick_xml::de::from_reader(body).map_err(unreadable)?;
    // Bare there, and quoted in the header of the same name.
    let quoted = |etag: String| format!("\"{}\"", etag.trim_matches('"'));
    let listed = |blob: Properties| Listed { size: blob.size, etag: blob.etag.map(quoted) };
    let entries = page.blobs.blobs.into_iter().map(|blob| (blob.name, listed(blob.properties))).collect();
    Ok(Objects { entries, next: page.next_marker.filter(|marker| !marker.is_empty()) })
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Unexpected, "a page of the listing cannot be read").set_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(dialect: Dialect, marker: Option<&str>) -> String {
        let api = ListApi { url: "http://store/b".into(), dialect };
        api.request("a b/", marker.map(str::to_owned).as_ref()).unwrap().uri().to_string()
    }

    #[test]
    fn each_store_is_asked_in_its_own_way() {
        let s3 = Dialect::S3 { md5: false };
        assert_eq!(asked(s3, None), "http://store/b?list-type=2&prefix=a%20b%2F");
        assert_eq!(asked(s3, Some("x=")), "http://store/b?continuation-token=x%3D&list-type=2&prefix=a%20b%2F");
        assert_eq!(asked(Dialect::Gcs, Some("x")), "http://store/b?pageToken=x&prefix=a%20b%2F");
        let azure = asked(Dialect::Azure, Some("x"));
        assert_eq!(azure, "http://store/b?comp=list&marker=x&prefix=a%20b%2F&restype=container");
    }

    #[test]
    fn a_page_of_each_store_is_read() {
        let s3 = of_s3(
            br#"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>n</NextContinuationToken>
            <Contents><Key>a &amp; b</Key><Size>3</Size><ETag>&quot;e&quot;</ETag></Contents></ListBucketResult>"#,
        );
        let gcs = of_gcs(
            br#"{"kind":"storage#objects","nextPageToken":"n","items":[{"name":"a & b","size":"3","etag":"\"e\""}]}"#,
        );
        let azure = of_azure(
            b"<EnumerationResults><Blobs><Blob><Name>a &amp; b</Name><Properties><Content-Length>3</Content-Length>
            <Etag>e</Etag></Properties></Blob></Blobs><NextMarker>n</NextMarker></EnumerationResults>",
        );
        for page in [s3, gcs, azure] {
            let page = page.unwrap();
            assert_eq!(page.entries, [("a & b".to_owned(), Listed { size: 3, etag: Some("\"e\"".into()) })]);
            assert_eq!(page.next.as_deref(), Some("n"));
        }
        assert!(of_s3(b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>").is_err());
        assert!(of_azure(b"<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>").unwrap().next.is_none());
    }
}
