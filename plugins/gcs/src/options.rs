//! What the user writes under `destination:` for Google Cloud Storage.

use rivet_sdk::schemars::JsonSchema;
use rivet_sdk::serde::Deserialize;
use rivet_sdk::{Error, Result, Secret};
use rivet_store_core::{TransferOptions, required};

/// Where objects go, as whom, and how they are kept.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(crate = "rivet_sdk::serde", deny_unknown_fields, default)]
#[schemars(crate = "rivet_sdk::schemars")]
pub struct GcsOptions {
    /// The bucket. It must exist.
    #[schemars(required)]
    pub bucket: String,
    /// The folder within it; the whole bucket if absent.
    pub prefix: Option<String>,
    /// Another address, for emulators and private endpoints.
    pub endpoint: Option<String>,
    /// A service account's or a user's JSON file. Without credentials: the application default ones.
    pub credentials_file: Option<String>,
    /// The content of such a file.
    pub credentials: Option<Secret>,
    /// An OAuth access token. It is not renewed.
    pub token: Option<Secret>,
    /// Send requests without credentials.
    pub allow_anonymous: bool,
    /// `NEARLINE`, `COLDLINE`…; the bucket's own if absent.
    pub storage_class: Option<String>,
    /// How bytes travel.
    pub transfer: TransferOptions,
}

impl GcsOptions {
    /// Refuses what contradicts itself.
    pub fn check(&self) -> Result<()> {
        required("bucket", &self.bucket)?;
        self.transfer.check()?;
        if self.bucket.contains('/') {
            return Err(Error::config(format!("`bucket`: {:?} is no bucket's name", self.bucket))
                .with_hint("a folder goes under `prefix`"));
        }
        let given = [
            ("credentials_file", self.credentials_file.is_some()),
            ("credentials", self.credentials.is_some()),
            ("token", self.token.is_some()),
            ("allow_anonymous", self.allow_anonymous),
        ];
        let given: Vec<&str> = given.into_iter().filter_map(|(name, is)| is.then_some(name)).collect();
        match &given[..] {
            [] | [_] => Ok(()),
            several => Err(Error::config(format!("{} are given", several.join(" and "))).with_hint("keep one of them")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kind_of_credentials_is_enough() {
        let options = GcsOptions { bucket: "b".into(), token: Some(Secret::new("t")), ..GcsOptions::default() };
        assert!(options.check().is_ok());
        let two = GcsOptions { allow_anonymous: true, ..options };
        assert!(two.check().unwrap_err().message().contains("token and allow_anonymous"));
    }
}
