//! The Google Cloud Storage destination.

#![forbid(unsafe_code)]

mod credentials;
mod error_messages;
mod key_file;
mod options;

use opendal_core::Operator;
use opendal_service_gcs::Gcs;
use rivet_sdk::{Context, DestinationDriver, Result};
use rivet_store_core::{Dialect, ListApi, MultipartApi, Secrets, Setup, Store, Wire, prefix, setup_error};

use crate::credentials::Signing;
pub use crate::options::GcsOptions;

rivet_sdk::plugin! {
    name: "gcs",
    schemes: ["gs"],
    destination: GcsDriver, options: include_str!("../options.schema.json"),
}

rivet_store_core::hide_c_functions!();

/// Google's own address.
const GOOGLE: &str = "https://storage.googleapis.com";

/// Opens prefixes of Google Cloud Storage buckets.
#[derive(Debug)]
pub struct GcsDriver;

impl DestinationDriver for GcsDriver {
    type Options = GcsOptions;
    type Destination = Store;

    fn open(options: GcsOptions, context: &Context) -> Result<Store> {
        options.check()?;
        let prefix = prefix(options.prefix.as_deref())?;
        let endpoint = options.endpoint.as_deref().unwrap_or(GOOGLE).trim_end_matches('/').to_owned();
        let signing = Signing::new(&options)?;
        let wire = Wire::new(&endpoint, Dialect::Gcs, &options.transfer, context, Some(Box::new(signing)))?;
        let mut builder = Gcs::default()
            .bucket(&options.bucket)
            .root(&format!("/{prefix}"))
            .endpoint(&endpoint)
            // Requests are signed by the wire, which knows why there are no credentials.
            .skip_signature();
        if let Some(class) = &options.storage_class {
            builder = builder.default_storage_class(class);
        }
        let uploads = MultipartApi { bucket_url: format!("{endpoint}/{}", options.bucket) };
        let setup = Setup {
            operator: setup_error(Operator::new(builder))?,
            wire,
            messages: &error_messages::ERROR_MESSAGES,
            bucket_location: format!("gs://{}/", options.bucket),
            bucket: options.bucket.clone(),
            prefix,
            transfer: options.transfer.clone(),
            objects: ListApi { url: format!("{endpoint}/storage/v1/b/{}/o", options.bucket), dialect: Dialect::Gcs },
            uploads: Some(uploads),
            secrets: Secrets::default(),
        };
        Ok(Store::new(setup, context))
    }
}
