//! Where a bucket is: its endpoint, its region, and whether its name is part of the host's.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use http::{Request, StatusCode};
use opendal_core::Buffer;
use rivet_sdk::{Context, Error, ErrorKind, Result};
use rivet_store_core::{Dialect, Wire, wait};

use crate::options::S3Options;

/// Tells every bucket's region.
const EVERYWHERE: &str = "https://s3.amazonaws.com";

/// Where a bucket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub endpoint: String,
    pub region: String,
    pub virtual_host: bool,
}

impl Place {
    /// The bucket's own URL.
    pub fn bucket_url(&self, bucket: &str) -> String {
        match self.endpoint.split_once("://") {
            Some((scheme, host)) if self.virtual_host => format!("{scheme}://{bucket}.{host}"),
            _ => format!("{}/{bucket}", self.endpoint),
        }
    }
}

/// The place of the options' bucket; asks S3 for the region where nobody says it.
pub fn place(options: &S3Options, context: &Context) -> Result<Place> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let endpoint =
        options.endpoint.clone().or_else(|| variable("AWS_ENDPOINT_URL_S3")).or_else(|| variable("AWS_ENDPOINT_URL"));
    let configured =
        options.region.clone().or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
    if let Some(endpoint) = endpoint {
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let r2 = endpoint.ends_with(".r2.cloudflarestorage.com");
        let region = configured.unwrap_or_else(|| if r2 { "auto".into() } else { "us-east-1".into() });
        return Ok(Place { endpoint, region, virtual_host: options.path_style == Some(false) });
    }
    let region = match configured {
        Some(region) => region,
        None => discovered(options, context)?,
    };
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let endpoint = format!("https://s3.{region}.{suffix}");
    // A certificate for `*.s3.….com` does not cover a bucket with a dot in its name.
    let virtual_host = options.path_style.map_or(!options.bucket.contains('.'), |path_style| !path_style);
    Ok(Place { endpoint, region, virtual_host })
}

fn discovered(options: &S3Options, context: &Context) -> Result<String> {
    static KNOWN: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
    if let Some(region) = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).get(&options.bucket) {
        return Ok(region.clone());
    }
    let bucket = &options.bucket;
    let unknown = |why: String| {
        Error::new(ErrorKind::Connection, format!("the region of the bucket `{bucket}` could not be found: {why}"))
            .with_hint("give `region`; for a store other than Amazon's, give `endpoint`")
    };
    let wire = Wire::new(EVERYWHERE, Dialect::S3 { md5: false }, &options.transfer, context, None)?;
    let request = Request::head(format!("{EVERYWHERE}/{bucket}")).body(Buffer::new());
    let request = request.map_err(|error| Error::config(format!("`bucket`: {error}")))?;
    let response = wait(context, wire.ask(request))?.map_err(|store_error| unknown(store_error.to_string()))?;
    if response.status() == StatusCode::NOT_FOUND {
        return Err(Error::not_found(format!("there is no bucket `{bucket}`"))
            .with_hint("check its name; for a store other than Amazon's, give `endpoint`"));
    }
    let region = response.headers().get("x-amz-bucket-region").and_then(|value| value.to_str().ok());
    let region = region.ok_or_else(|| unknown(format!("S3 answered with status {}", response.status())))?.to_owned();
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).insert(bucket.clone(), region.clone());
    Ok(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(options: S3Options) -> Place {
        place(&options, &Context::detached()).unwrap()
    }

    #[test]
    fn a_bucket_of_amazons_is_a_host() {
        let options = S3Options { bucket: "b".into(), region: Some("eu-west-3".into()), ..S3Options::default() };
        assert_eq!(of(options.clone()).bucket_url("b"), "https://b.s3.eu-west-3.amazonaws.com");
        let dotted = S3Options { bucket: "b.c".into(), ..options.clone() };
        assert_eq!(of(dotted).bucket_url("b.c"), "https://s3.eu-west-3.amazonaws.com/b.c");
        let china = S3Options { region: Some("cn-north-1".into()), ..options };
        assert_eq!(of(china).endpoint, "https://s3.cn-north-1.amazonaws.com.cn");
    }

    #[test]
    fn a_bucket_elsewhere_is_a_path() {
        let endpoint = Some("http://127.0.0.1:9000/".into());
        let options = S3Options { bucket: "b".into(), endpoint, region: Some("x".into()), ..S3Options::default() };
        assert_eq!(of(options.clone()).bucket_url("b"), "http://127.0.0.1:9000/b");
        let hosted = S3Options { path_style: Some(false), ..options };
        assert_eq!(of(hosted).bucket_url("b"), "http://b.127.0.0.1:9000");
    }
}
