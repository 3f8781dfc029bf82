//! The Azure Blob Storage destination.

#![forbid(unsafe_code)]

mod connection;
mod credentials;
mod error_messages;
mod options;

use opendal_core::Operator;
use opendal_service_azblob::Azblob;
use rivet_sdk::{Context, DestinationDriver, Result};
use rivet_store_core::{Dialect, ListApi, Secrets, Setup, Store, Wire, prefix, setup_error};

use crate::connection::Account;
use crate::credentials::Signing;
pub use crate::options::AzureOptions;

rivet_sdk::plugin! {
    name: "azure",
    schemes: ["az"],
    destination: AzureDriver, options: include_str!("../options.schema.json"),
}

rivet_store_core::hide_c_functions!();

/// Opens prefixes of Azure containers.
///
/// Azure keeps no uploads that could be listed: blocks that were never committed are invisible
/// and expire after a week, so there is nothing to tidy.
#[derive(Debug)]
pub struct AzureDriver;

impl DestinationDriver for AzureDriver {
    type Options = AzureOptions;
    type Destination = Store;

    fn open(options: AzureOptions, context: &Context) -> Result<Store> {
        options.check()?;
        let prefix = prefix(options.prefix.as_deref())?;
        let account = Account::of(&options)?;
        let signer = Signing::new(&options, &account)?;
        let wire = Wire::new(&account.endpoint, Dialect::Azure, &options.transfer, context, Some(Box::new(signer)))?;
        let builder = Azblob::default()
            .container(&options.bucket)
            .root(&format!("/{prefix}"))
            .endpoint(&account.endpoint)
            // Requests are signed by the wire, which adds a checksum first.
            .skip_signature();
        let mut secrets = Secrets::default();
        if let Some(key) = &account.key {
            secrets.add(key.expose());
        }
        if let Some(token) = &account.sas_token {
            for text in connection::signature_texts(token.expose()) {
                secrets.add(&text);
            }
        }
        let setup = Setup {
            operator: setup_error(Operator::new(builder))?,
            wire,
            messages: &error_messages::ERROR_MESSAGES,
            bucket_location: format!("az://{}/", options.bucket),
            bucket: options.bucket.clone(),
            prefix,
            transfer: options.transfer.clone(),
            objects: ListApi { url: format!("{}/{}", account.endpoint, options.bucket), dialect: Dialect::Azure },
            uploads: None,
            secrets,
        };
        Ok(Store::new(setup, context))
    }
}
