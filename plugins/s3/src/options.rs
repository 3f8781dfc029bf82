//! What the user writes under `destination:` for S3.

use std::collections::BTreeMap;

use rivet_sdk::schemars::JsonSchema;
use rivet_sdk::serde::Deserialize;
use rivet_sdk::{Error, Result, Secret};
use rivet_store_core::{TransferOptions, required};

/// Where objects go, as whom, and how they are kept.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(crate = "rivet_sdk::serde", deny_unknown_fields, default)]
#[schemars(crate = "rivet_sdk::schemars")]
pub struct S3Options {
    /// The bucket. It must exist.
    #[schemars(required)]
    pub bucket: String,
    /// The folder within it; the whole bucket if absent.
    pub prefix: Option<String>,
    /// Its region. Without one: `AWS_REGION`, then what S3 says about the bucket.
    pub region: Option<String>,
    /// Another store's address, such as `https://minio.example.com:9000`.
    pub endpoint: Option<String>,
    /// Whether the bucket stands in the path, not in the host's name. True where `endpoint` is given.
    pub path_style: Option<bool>,
    /// Access key id. Without one: the environment, the profile, then what the machine offers.
    pub access_key: Option<Secret>,
    /// Secret access key.
    pub secret_key: Option<Secret>,
    /// Session token of temporary keys.
    pub session_token: Option<Secret>,
    /// A profile of `~/.aws/credentials` and `~/.aws/config`.
    pub aws_profile: Option<String>,
    /// Send unsigned requests.
    pub allow_anonymous: bool,
    /// The checksum sent along: `crc32c`, or `md5` for stores that do not know it.
    pub checksum: Checksum,
    /// Server-side encryption; the bucket's own setting if absent.
    pub encryption: Option<Encryption>,
    /// `STANDARD_IA`, `GLACIER_IR`…; the bucket's own if absent.
    pub storage_class: Option<String>,
    /// Tags of every object: up to ten.
    pub tags: BTreeMap<String, String>,
    /// How bytes travel.
    pub transfer: TransferOptions,
}

/// The checksum that goes with each upload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(crate = "rivet_sdk::serde", rename_all = "lowercase")]
#[schemars(crate = "rivet_sdk::schemars")]
pub enum Checksum {
    /// `x-amz-checksum-crc32c`.
    #[default]
    Crc32c,
    /// `Content-MD5`.
    Md5,
}

/// How the store encrypts objects.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(crate = "rivet_sdk::serde", deny_unknown_fields)]
#[schemars(crate = "rivet_sdk::schemars")]
pub struct Encryption {
    /// Whose key.
    pub mode: EncryptionMode,
    /// The KMS key's id or ARN; the account's own key for S3 if absent.
    pub kms_key_id: Option<String>,
}

/// Whose key encrypts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(crate = "rivet_sdk::serde", rename_all = "kebab-case")]
#[schemars(crate = "rivet_sdk::schemars")]
pub enum EncryptionMode {
    /// S3's own key.
    SseS3,
    /// A key of KMS.
    SseKms,
}

impl S3Options {
    /// Refuses what contradicts itself.
    pub fn check(&self) -> Result<()> {
        required("bucket", &self.bucket)?;
        self.transfer.check()?;
        if self.bucket.contains('/') {
            return Err(Error::config(format!("`bucket`: {:?} is no bucket's name", self.bucket))
                .with_hint("a folder goes under `prefix`"));
        }
        match (&self.access_key, &self.secret_key, &self.session_token) {
            (Some(_), None, _) | (None, Some(_), _) => {
                return Err(Error::config("`access_key` and `secret_key` belong together")
                    .with_hint("give access_key_env and secret_key_env, or neither"));
            }
            (None, None, Some(_)) => {
                return Err(Error::config("`session_token` needs `access_key` and `secret_key`")
                    .with_hint("the three of temporary credentials come together"));
            }
            _ => {}
        }
        let given = self.access_key.is_some() || self.aws_profile.is_some();
        if self.allow_anonymous && given {
            return Err(Error::config("`allow_anonymous` and credentials are both given").with_hint("keep one of them"));
        }
        if self.access_key.is_some() && self.aws_profile.is_some() {
            return Err(Error::config("`access_key` and `aws_profile` are both given").with_hint("keep one of them"));
        }
        match &self.encryption {
            Some(Encryption { mode: EncryptionMode::SseS3, kms_key_id: Some(_) }) => {
                Err(Error::config("`encryption.kms_key_id` goes with `mode: sse-kms`").with_hint("change the mode"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> S3Options {
        S3Options { bucket: "b".into(), ..S3Options::default() }
    }

    #[test]
    fn halves_of_credentials_are_refused() {
        let key = || Some(Secret::new("k"));
        for wrong in [
            S3Options { access_key: key(), ..options() },
            S3Options { session_token: key(), ..options() },
            S3Options { allow_anonymous: true, access_key: key(), secret_key: key(), ..options() },
            S3Options { aws_profile: Some("p".into()), access_key: key(), secret_key: key(), ..options() },
            S3Options { bucket: String::new(), ..options() },
            S3Options { bucket: "b/folder".into(), ..options() },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
        assert!(options().check().is_ok());
    }
}
