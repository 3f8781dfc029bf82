//! Uploads that nobody completed: listed and aborted by requests of our own, for opendal has no word
//! for it. S3 and Google Cloud Storage speak the same XML here.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{Method, Request, request};
use jiff::Timestamp;
use opendal_core::{Buffer, Error, ErrorKind, HttpTransporter, Result};
use serde::Deserialize;

use crate::pages;

/// Puts credentials into a request.
pub trait SignRequest: Send + Sync {
    /// Signs `head`; credentials may be fetched with `transport`.
    fn sign<'a>(
        &'a self,
        head: &'a mut request::Parts,
        transport: HttpTransporter,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;
}

/// Where a bucket's uploads are asked for.
pub struct MultipartApi {
    /// The bucket's own URL, without a slash at its end.
    pub bucket_url: String,
}

/// An upload that is neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upload {
    pub key: String,
    pub id: String,
    pub started: Timestamp,
}

impl Upload {
    pub fn is_older_than(&self, age: Duration) -> bool {
        let now = Timestamp::now();
        now.duration_since(self.started) >= jiff::SignedDuration::try_from(age).unwrap_or(jiff::SignedDuration::MAX)
    }
}

impl MultipartApi {
    /// Every unfinished upload under `prefix`.
    pub(crate) async fn list(&self, transport: &HttpTransporter, prefix: &str) -> Result<Vec<Upload>> {
        let found = pages::all(async |marker: Option<&Id>| {
            let mut query = format!("max-uploads=1000&prefix={}", encoded(prefix, false));
            if let Some((key, id)) = marker {
                query = format!("key-marker={}&{query}&upload-id-marker={}", encoded(key, false), encoded(id, false));
            }
            let url = format!("{}?{query}&uploads=", self.bucket_url);
            page(&self.send(transport, Method::GET, url).await?.to_bytes())
        });
        Ok(found.await?.into_iter().map(|((key, id), started)| Upload { key, id, started }).collect())
    }

    /// Aborts one. One that is gone by now is no fault.
    pub(crate) async fn abort(&self, transport: &HttpTransporter, upload: &Upload) -> Result<()> {
        let (key, id) = (encoded(&upload.key, true), encoded(&upload.id, false));
        match self.send(transport, Method::DELETE, format!("{}/{key}?uploadId={id}", self.bucket_url)).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    async fn send(&self, transport: &HttpTransporter, method: Method, url: String) -> Result<Buffer> {
        let request = Request::builder().method(method).uri(url).body(());
        let request = request.map_err(|error| Error::new(ErrorKind::Unexpected, "a request").set_source(error))?;
        Ok(transport.send(request.map(|()| Buffer::new())).await?.into_body())
    }
}

/// Percent-encodes all but what never needs it.
pub fn encoded(text: &str, slashes_stay: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b'/' if slashes_stay => out.push('/'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Its key and its own name.
type Id = (String, String);

fn page(body: &[u8]) -> Result<pages::Page<Id, Timestamp, Id>> {
    let wrong = |what: &str| Error::new(ErrorKind::Unexpected, format!("the list of unfinished uploads {what}"));
    let page: Page =
        quick_xml::de::from_reader(body).map_err(|error| wrong("is not the XML expected").set_source(error))?;
    let mut entries = Vec::with_capacity(page.uploads.len());
    for UploadXml { key, upload_id, initiated } in page.uploads {
        let started =
            initiated.parse().map_err(|error: jiff::Error| wrong("holds no proper time").set_source(error))?;
        entries.push(((key, upload_id), started));
    }
    let next = (page.next_key_marker.unwrap_or_default(), page.next_upload_id_marker.unwrap_or_default());
    Ok(pages::Page { entries, next: (page.is_truncated && !next.0.is_empty()).then_some(next) })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(rename = "Upload", default)]
    uploads: Vec<UploadXml>,
    #[serde(default)]
    is_truncated: bool,
    next_key_marker: Option<String>,
    next_upload_id_marker: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UploadXml {
    key: String,
    upload_id: String,
    initiated: String,
}

/// Objects that this process is writing: their uploads are alive whatever their age.
static ALIVE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Marks an object as being written, as long as it lives.
pub(crate) struct Alive(String);

impl Alive {
    pub fn new(object: String) -> Self {
        ALIVE.lock().unwrap_or_else(PoisonError::into_inner).insert(object.clone());
        Self(object)
    }

    pub fn is(object: &str) -> bool {
        ALIVE.lock().unwrap_or_else(PoisonError::into_inner).contains(object)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        ALIVE.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_uploads_is_read() {
        let text = r#"<?xml version="1.0"?><ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
            <Bucket>b</Bucket><IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker>
            <Upload><Key>a b</Key><UploadId>1</UploadId><Initiated>2026-01-02T03:04:05.000Z</Initiated></Upload>
            <Upload><Key>c</Key><UploadId>2</UploadId><Initiated>2026-01-02T03:04:05Z</Initiated></Upload>
            </ListMultipartUploadsResult>"#;
        let page: Page = quick_xml::de::from_str(text).unwrap();
        assert_eq!((page.uploads.len(), page.uploads[0].key.as_str(), page.is_truncated), (2, "a b", true));
        assert!(page.uploads.iter().all(|upload| upload.initiated.parse::<Timestamp>().is_ok()));
    }

    #[test]
    fn names_are_encoded_for_their_place() {
        assert_eq!(encoded("a b/ü+%", true), "a%20b/%C3%BC%2B%25");
        assert_eq!(encoded("a/b", false), "a%2Fb");
    }

    #[test]
    fn what_is_being_written_is_alive() {
        let alive = Alive::new("s3://b/x".into());
        assert!(Alive::is("s3://b/x") && !Alive::is("s3://b/y"));
        drop(alive);
        assert!(!Alive::is("s3://b/x"));
    }
}
