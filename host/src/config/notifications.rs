//! `notifications`: who is told how a run ended.

use rivet_sdk::Secret;

use super::diagnostic::Diagnostic;
use super::fields::Fields;
use crate::notify::{Event, Hook, Hooks};

/// Reads `notifications`.
pub(super) fn read(root: &Fields, faults: &mut Vec<Diagnostic>) -> Hooks {
    let Some(all) = root.fields("notifications") else { return Hooks::default() };
    let mut hook = |block: &str, key: &str| {
        let fields = all.fields(block)?;
        let Some(url) = fields.text(key) else {
            if !fields.has(key) {
                let fault = fields.fault(key, "this key is required");
                faults.push(fault.with_hint(format!("a webhook's URL is a secret: give it as `{key}_env`")));
            }
            return None;
        };
        if !is_address(url) {
            let fault = fields.fault(key, "not the address of a webhook");
            faults.push(fault.with_hint("it begins with https://, or with http:// inside a trusted network"));
        }
        let wants = |event: &Event| match fields.texts("on") {
            _ if !fields.has("on") => *event == Event::Failure,
            words => words.iter().any(|word| word.name == event.word()),
        };
        Some(Hook { url: Secret::new(url), on: Event::ALL.into_iter().filter(wants).collect() })
    };
    Hooks { slack: hook("slack", "webhook_url"), webhook: hook("webhook", "url") }
}

/// A scheme, and a host without blanks.
fn is_address(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    host.is_some_and(|host| !host.is_empty()) && !url.contains(|c: char| c.is_whitespace() || c.is_control())
}
