//! What the user writes under `destination:` for Azure Blob Storage.

use std::collections::BTreeMap;

use rivet_sdk::schemars::JsonSchema;
use rivet_sdk::serde::Deserialize;
use rivet_sdk::{Error, Result, Secret};
use rivet_store_core::{TransferOptions, required};

/// Where objects go, and as whom.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(crate = "rivet_sdk::serde", deny_unknown_fields, default)]
#[schemars(crate = "rivet_sdk::schemars")]
pub struct AzureOptions {
    /// The container. It must exist.
    #[schemars(required)]
    pub bucket: String,
    /// The folder within it; the whole container if absent.
    pub prefix: Option<String>,
    /// The storage account's name.
    pub account_name: Option<String>,
    /// One of its two keys, in base64. Without credentials: workload identity, the environment's
    /// service principal, the machine's managed identity.
    pub account_key: Option<Secret>,
    /// A shared access signature: `sv=…&sig=…`.
    pub sas_token: Option<Secret>,
    /// `DefaultEndpointsProtocol=…;AccountName=…;AccountKey=…`, in place of all of these.
    pub connection_string: Option<Secret>,
    /// Another address: `https://ACCOUNT.blob.core.windows.net` if absent.
    pub endpoint: Option<String>,
    /// Send requests without credentials.
    pub allow_anonymous: bool,
    /// Of every blob; the account's own if absent.
    pub access_tier: Option<AccessTier>,
    /// Index tags of every blob: up to ten.
    pub tags: BTreeMap<String, String>,
    /// How bytes travel.
    pub transfer: TransferOptions,
}

/// What a blob costs to keep and to read. Archive is none of them: what landed could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(crate = "rivet_sdk::serde", rename_all = "lowercase")]
#[schemars(crate = "rivet_sdk::schemars")]
pub enum AccessTier {
    /// Read often.
    Hot,
    /// Kept for a month or more.
    Cool,
    /// Kept for three months or more.
    Cold,
}

impl AccessTier {
    /// Azure's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Hot => "Hot",
            Self::Cool => "Cool",
            Self::Cold => "Cold",
        }
    }
}

impl AzureOptions {
    /// Refuses what contradicts itself.
    pub fn check(&self) -> Result<()> {
        required("bucket", &self.bucket)?;
        self.transfer.check()?;
        if self.bucket.contains('/') {
            return Err(Error::config(format!("`bucket`: {:?} is no container's name", self.bucket))
                .with_hint("a folder goes under `prefix`"));
        }
        let given = [
            ("account_key", self.account_key.is_some()),
            ("sas_token", self.sas_token.is_some()),
            ("connection_string", self.connection_string.is_some()),
            ("allow_anonymous", self.allow_anonymous),
        ];
        let given: Vec<&str> = given.into_iter().filter_map(|(name, is)| is.then_some(name)).collect();
        if given.len() > 1 {
            return Err(Error::config(format!("{} are given", given.join(" and "))).with_hint("keep one of them"));
        }
        if self.account_key.is_some() && self.account_name.is_none() {
            return Err(Error::config("`account_key` needs `account_name`").with_hint("add the storage account's name"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_needs_its_account_and_no_second_credential() {
        let options =
            AzureOptions { bucket: "c".into(), account_key: Some(Secret::new("k")), ..AzureOptions::default() };
        assert!(options.check().unwrap_err().message().contains("account_name"));
        let options = AzureOptions { account_name: Some("a".into()), ..options };
        assert!(options.check().is_ok());
        assert!(AzureOptions { sas_token: Some(Secret::new("s")), ..options }.check().is_err());
    }
}
