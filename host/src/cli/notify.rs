//! What `rivet run` tells of an export that has ended, and when.

use rivet_sdk::{Error, Result};
use serde_json::Value;

use super::print::{bytes, duration, thousands};
use super::summary;
use crate::config::ExportConfig;
use crate::notify::{self, Event, Notice, slack_text};
use crate::plan::{Consistency, ConsistencyPolicy};
use crate::redact;
use crate::run::Finished;
use crate::session::Session;

/// Tells whoever the configuration names how an export ended. A run that was interrupted is
/// not told of: whoever did so knows.
pub fn notify(session: &Session, export: &ExportConfig, result: &Result<Finished>) {
    let hooks = &session.config.notifications;
    if (hooks.slack.is_none() && hooks.webhook.is_none()) || session.stop.is_wanted() {
        return;
    }
    redact::remember(hooks.slack.iter().chain(&hooks.webhook).flat_map(|hook| hook.secrets()));
    let notes = result.as_ref().map(notes).unwrap_or_default();
    let events = events(result, &notes);
    if events.is_empty() {
        return;
    }
    let mut document = match result {
        Ok(finished) => summary::to_json(finished),
        Err(error) => summary::failed(&export.name, error),
    };
    document["events"] = events.iter().map(|event| event.word()).collect::<Vec<_>>().into();
    document["notes"] = notes.clone().into();
    let text = redact::clean(&slack(export, result, notes, &events)).into_owned();
    notify::send(hooks, &export.name, &events, &text, &cleaned(document));
}

fn slack(export: &ExportConfig, result: &Result<Finished>, notes: Vec<String>, events: &[Event]) -> String {
    let error = match result {
        Ok(finished) => finished.checks.errors.first(),
        Err(error) => Some(error),
    };
    let finished = result.as_ref().ok();
    let notice = Notice {
        export: &export.name,
        run_id: finished.map(|finished| finished.plan.run_id.as_str()),
        error: error.map(|error| (error.to_string(), error.hint().map(str::to_owned))),
        landed: finished.map(landed),
        notes,
    };
    slack_text(&notice, events)
}

fn landed(finished: &Finished) -> String {
    let rows = thousands(finished.rows);
    let time = duration(finished.elapsed);
    match &finished.manifest {
        Some(manifest) => {
            let (parts, size) = (manifest.parts.len(), bytes(manifest.bytes));
            format!("{rows} rows in {parts} {} ({size}), {time}", if parts == 1 { "part" } else { "parts" })
        }
        None => format!("{rows} rows, {time}"),
    }
}

/// What happened, of all that may be told.
fn events(result: &Result<Finished>, notes: &[String]) -> Vec<Event> {
    let error = match result {
        Ok(finished) => finished.checks.errors.first(),
        Err(error) => Some(error),
    };
    let drift = |error: &Error| error.code() == Some("schema_drift");
    let warned = result.as_ref().is_ok_and(|finished| finished.schema_changed);
    let changed = warned || error.is_some_and(drift);
    let happened = |event: &Event| match event {
        Event::Failure => error.is_some(),
        Event::SchemaChange => changed,
        Event::Degraded => !notes.is_empty(),
    };
    Event::ALL.into_iter().filter(happened).collect()
}

/// Why a run that succeeded is degraded; nothing if it is not.
fn notes(finished: &Finished) -> Vec<String> {
    let mut notes = Vec::new();
    match finished.retries {
        0 => {}
        1 => notes.push("1 chunk was tried again".to_owned()),
        retries => notes.push(format!("{retries} times a chunk was tried again")),
    }
    let apart = finished.manifest.as_ref().is_some_and(|manifest| manifest.consistency == Consistency::PerChunk);
    let hoped = finished.plan.consistency == ConsistencyPolicy::Auto && finished.plan.reads_at_one_point();
    if apart && hoped {
        notes.push("the chunks do not share one read point, though the source can give one".to_owned());
    }
    notes.extend(summary::warnings(finished));
    notes
}

/// The document without any secret in a text of it.
fn cleaned(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(redact::clean(&text).into_owned()),
        Value::Array(items) => Value::Array(items.into_iter().map(cleaned).collect()),
        Value::Object(entries) => entries.into_iter().map(|(key, value)| (key, cleaned(value))).collect(),
        plain => plain,
    }
}
