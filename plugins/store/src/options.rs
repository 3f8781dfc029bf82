//! Options that every store shares, so that they read alike for users.

use std::path::Path;
use std::time::Duration;

use rivet_sdk::{Error, Result};
use schemars::JsonSchema;
use serde::Deserialize;

/// How bytes travel. Every key has a default that suits most.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TransferOptions {
    /// Size of an upload's parts in MiB; an object no larger is sent in one request. It grows by
    /// itself once an upload has 5 000 parts.
    #[schemars(range(min = 5, max = 1024))]
    pub part_size_mb: u64,
    /// Parts of one object on their way at once. Each takes a part's size of memory.
    #[schemars(range(min = 1, max = 32))]
    pub parts_in_flight: usize,
    /// Seconds without a byte moving after which a request counts as stalled.
    #[schemars(range(min = 1))]
    pub stall_timeout_s: u64,
    /// How often a request is sent again after a failure that may pass.
    #[schemars(range(max = 100))]
    pub retries: u32,
    /// Age in seconds from which an upload that nobody completed is taken for a dead writer's,
    /// and aborted by `rivet clean`.
    pub abandoned_after_s: u64,
    /// PEM file of an authority to trust besides the system's.
    pub ca_file: Option<String>,
}

impl Default for TransferOptions {
    fn default() -> Self {
        Self {
            part_size_mb: 8,
            parts_in_flight: 2,
            stall_timeout_s: 60,
            retries: 7,
            abandoned_after_s: 24 * 3600,
            ca_file: None,
        }
    }
}

impl TransferOptions {
    /// Refuses numbers that cannot work.
    pub fn check(&self) -> Result<()> {
        let within = |name: &str, value: u64, least: u64, most: u64| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(Error::config(format!("transfer.{name}: {value} is not between {least} and {most}")))
        };
        within("part_size_mb", self.part_size_mb, 5, 1024)?;
        within("parts_in_flight", u64::try_from(self.parts_in_flight).unwrap_or(u64::MAX), 1, 32)?;
        within("stall_timeout_s", self.stall_timeout_s, 1, 86_400)?;
        within("retries", u64::from(self.retries), 0, 100)
    }

    pub(crate) fn part_size(&self) -> u64 {
        self.part_size_mb << 20
    }

    pub(crate) fn stall(&self) -> Duration {
        Duration::from_secs(self.stall_timeout_s)
    }

    pub(crate) fn authorities(&self) -> Result<Vec<reqwest::Certificate>> {
        let Some(file) = &self.ca_file else { return Ok(Vec::new()) };
        let bad = |what: &dyn std::fmt::Display| {
            Error::config(format!("transfer.ca_file {}: {what}", Path::new(file).display()))
                .with_hint("name a PEM file that this user can read; a relative path starts at the working directory")
        };
        let pem = std::fs::read(file).map_err(|error| bad(&error))?;
        let found = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| bad(&error))?;
        if found.is_empty() {
            return Err(bad(&"there is no certificate in it"));
        }
        Ok(found)
    }
}

/// Texts that must not appear in a message, e.g. the signature within a SAS token.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// Keeps `text` out of messages too.
    pub fn add(&mut self, text: &str) {
        self.0.push(text.to_owned());
    }

    pub(crate) fn redact(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| rivet_sdk::redact(&text, secret).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_refused_by_name() {
        let options = TransferOptions { part_size_mb: 4, ..TransferOptions::default() };
        assert!(options.check().unwrap_err().message().contains("part_size_mb"));
        assert!(TransferOptions::default().check().is_ok());
    }
}
