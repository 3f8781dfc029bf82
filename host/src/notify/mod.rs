//! Tells people how a run ended: a text to Slack, the run's summary to a webhook.
//!
//! It comes after the commit, or after the failure, and never changes either: what cannot be
//! sent is a warning. A hook's URL is a secret.

mod http;
mod slack;

use std::time::Duration;

use rivet_sdk::Secret;
use serde_json::Value;

pub use slack::{Notice, slack_text};

/// Longest one try may take, from the look-up of the host to the end of the answer.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// The pause before the second and last try.
const PAUSE: Duration = Duration::from_secs(1);

/// A shorter end of a URL is a plain word, which may stand elsewhere.
const SHORTEST_SECRET: usize = 12;

/// What people are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// The export failed, or a check after its commit did.
    Failure,
    /// The source's schema is not what it was.
    SchemaChange,
    /// It succeeded, but not as well as it could have.
    Degraded,
}

impl Event {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 3] = [Self::Failure, Self::SchemaChange, Self::Degraded];

    /// The word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::SchemaChange => "schema_change",
            Self::Degraded => "degraded",
        }
    }
}

/// Where to, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The address. Whoever knows it can write there.
    pub url: Secret,
    /// What it is told of.
    pub on: Vec<Event>,
}

impl Hook {
    /// What must not be seen: what follows the host, and the token at its end.
    pub fn secrets(&self) -> Vec<Secret> {
        let url = self.url.expose();
        let path = url.split_once("://").and_then(|(_, rest)| rest.split_once(['/', '?'])).map(|(_, path)| path);
        let token = path.and_then(|path| path.rsplit(['/', '?', '&', '=']).next());
        let long = path.into_iter().chain(token).filter(|text| text.len() >= SHORTEST_SECRET);
        long.chain([url]).map(Secret::new).collect()
    }

    fn wants(&self, events: &[Event]) -> bool {
        events.iter().any(|event| self.on.contains(event))
    }
}

/// Who is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hooks {
    /// A Slack channel's incoming webhook: gets a text.
    pub slack: Option<Hook>,
    /// Any address: gets the run's summary.
    pub webhook: Option<Hook>,
}

/// Tells everyone who wants to know of one of `events`. Says in the log whom it could not tell.
pub fn send(hooks: &Hooks, export: &str, events: &[Event], text: &str, summary: &Value) {
    let slack = hooks.slack.as_ref().map(|hook| ("Slack", hook, serde_json::json!({ "text": text })));
    let webhook = hooks.webhook.as_ref().map(|hook| ("the webhook", hook, summary.clone()));
    for (name, hook, body) in slack.into_iter().chain(webhook).filter(|(_, hook, _)| hook.wants(events)) {
        match post(&hook.url, &body.to_string()) {
            Ok(()) => log::info!("{export}: {name} was told"),
            Err(reason) => log::warn!("{export}: {name} could not be told how the run ended: {reason}"),
        }
    }
}

fn post(url: &Secret, body: &str) -> Result<(), String> {
    match http::post(url, body) {
        Err(failed) if failed.may_pass => {
            std::thread::sleep(PAUSE);
            http::post(url, body).map_err(|failed| format!("{}, twice tried", failed.reason))
        }
        done => done.map_err(|failed| failed.reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_address_is_secret_where_it_is_long_enough() {
        let secrets = |url: &str| {
            let hook = Hook { url: Secret::new(url), on: Vec::new() };
            let all = hook.secrets().iter().map(|secret| secret.expose().to_owned()).collect::<Vec<_>>();
            all.into_iter().filter(|secret| secret != url).collect::<Vec<_>>()
        };
        assert_eq!(
            secrets("https://hooks.slack.com/services/T1/B2/abcdefghijkl"),
            ["services/T1/B2/abcdefghijkl", "abcdefghijkl"]
        );
        assert_eq!(secrets("https://h/in?token=abcdefghijkl"), ["in?token=abcdefghijkl", "abcdefghijkl"]);
        assert!(secrets("http://127.0.0.1:8080/hook").is_empty());
    }
}
