//! The S3 destination: Amazon S3 and the stores that speak its protocol.

#![forbid(unsafe_code)]

mod credentials;
mod error_messages;
mod options;
mod region;

use opendal_core::Operator;
use opendal_service_s3::S3;
use rivet_sdk::{Context, DestinationDriver, Result};
use rivet_store_core::{Dialect, ListApi, MultipartApi, Secrets, Setup, Store, Wire, prefix, setup_error};

use crate::credentials::Signing;
pub use crate::options::{Checksum, Encryption, EncryptionMode, S3Options};

rivet_sdk::plugin! {
    name: "s3",
    schemes: ["s3"],
    destination: S3Driver, options: include_str!("../options.schema.json"),
}

rivet_store_core::hide_c_functions!();

/// Opens prefixes of S3 buckets.
#[derive(Debug)]
pub struct S3Driver;

impl DestinationDriver for S3Driver {
    type Options = S3Options;
    type Destination = Store;

    fn open(options: S3Options, context: &Context) -> Result<Store> {
        options.check()?;
        let prefix = prefix(options.prefix.as_deref())?;
        let place = region::place(&options, context)?;
        let dialect = Dialect::S3 { md5: options.checksum == Checksum::Md5 };
        let signing = Signing::new(&options, &place.region)?;
        let wire = Wire::new(&place.endpoint, dialect, &options.transfer, context, Some(Box::new(signing)))?;
        let mut builder = S3::default()
            .bucket(&options.bucket)
            .root(&format!("/{prefix}"))
            .endpoint(&place.endpoint)
            .region(&place.region)
            // Requests are signed by the wire, which adds checksums and tags first.
            .skip_signature();
        if place.virtual_host {
            builder = builder.enable_virtual_host_style();
        }
        if options.checksum == Checksum::Crc32c {
            builder = builder.checksum_algorithm("crc32c");
        }
        if let Some(class) = &options.storage_class {
            builder = builder.default_storage_class(class);
        }
        builder = match &options.encryption {
            None => builder,
            Some(Encryption { mode: EncryptionMode::SseS3, .. }) => builder.server_side_encryption_with_s3_key(),
            Some(Encryption { mode: EncryptionMode::SseKms, kms_key_id: None }) => {
                builder.server_side_encryption_with_aws_managed_kms_key()
            }
            Some(Encryption { mode: EncryptionMode::SseKms, kms_key_id: Some(key) }) => {
                builder.server_side_encryption_with_customer_managed_kms_key(key)
            }
        };
        let uploads = MultipartApi { bucket_url: place.bucket_url(&options.bucket) };
        let setup = Setup {
            operator: setup_error(Operator::new(builder))?,
            wire,
            messages: &error_messages::ERROR_MESSAGES,
            bucket_location: format!("s3://{}/", options.bucket),
            bucket: options.bucket.clone(),
            prefix,
            transfer: options.transfer.clone(),
            objects: ListApi { url: place.bucket_url(&options.bucket), dialect },
            uploads: Some(uploads),
            secrets: Secrets::default(),
        };
        Ok(Store::new(setup, context))
    }
}
