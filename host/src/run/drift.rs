//! Columns that are not those of the export's last run, or whose values are much longer.

use rivet_sdk::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::finished::Finished;
use crate::config::OnSchemaDrift;
use crate::plan::Plan;
use crate::state::{SeenSchema, State};

/// A column as a run saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    nullable: bool,
    /// Of its values so far, since it has this type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    longest_bytes: Option<u64>,
}

impl Seen {
    /// Lengths may differ in the same column.
    fn is_as(&self, other: &Self) -> bool {
        (&self.name, &self.kind, self.nullable) == (&other.name, &other.kind, other.nullable)
    }
}

fn seen(plan: &Plan) -> Vec<Seen> {
    let column = |column: &crate::plan::PlannedColumn| Seen {
        name: column.mapping.name.clone(),
        kind: column.mapping.source_type.clone(),
        nullable: column.mapping.field.nullable,
        longest_bytes: None,
    };
    plan.columns.iter().map(column).collect()
}

/// The columns with the longest value of each in this run's files.
fn measured(finished: &Finished) -> Vec<Seen> {
    let mut columns = seen(&finished.plan);
    let Some(manifest) = &finished.manifest else { return columns };
    for (seen, planned) in columns.iter_mut().zip(&finished.plan.columns) {
        seen.longest_bytes = manifest.columns.get(&planned.output_name).and_then(|counts| counts.longest_bytes);
    }
    columns
}

fn remembered(last: &SeenSchema) -> Result<Vec<Seen>> {
    serde_json::from_str(&last.json)
        .map_err(|error| Error::internal(format!("the remembered schema of run {}: {error}", last.run_id)))
}

/// Compares the plan's columns with those of the last run that succeeded, before a row is read.
/// The differences, for the summary.
pub(super) fn check(state: &State, plan: &Plan, policy: OnSchemaDrift) -> Result<Option<String>> {
    let Some(last) = state.schema(&plan.export)? else { return Ok(None) };
    let differences = differences(&remembered(&last)?, &seen(plan));
    if differences.is_empty() || policy == OnSchemaDrift::Continue {
        return Ok(None);
    }
    let text = format!("the columns changed since run {}: {}", last.run_id, differences.join("; "));
    if policy == OnSchemaDrift::Fail {
        return Err(Error::new(ErrorKind::Conflict, text)
            .with_code("schema_drift")
            .with_hint(
                "once readers are ready for it, run with `on_schema_drift: warn`, which remembers the new columns",
            )
            .with_context("export", plan.export.clone()));
    }
    log::warn!("{}: {text}", plan.export);
    Ok(Some(text))
}

/// The columns whose longest value is more than `factor` times that of all earlier runs, for the
/// summary; none with a factor of 0.
pub(super) fn grown(state: &State, finished: &Finished, factor: f64) -> Result<Vec<String>> {
    let Some(last) = state.schema(&finished.plan.export)? else { return Ok(Vec::new()) };
    let texts = growths(&remembered(&last)?, &measured(finished), factor);
    for text in &texts {
        log::warn!("{}: {text}", finished.plan.export);
    }
    Ok(texts)
}

/// Remembers the columns of a run that succeeded, and how long their values became.
pub(super) fn remember(state: &State, finished: &Finished) -> Result<()> {
    let plan = &finished.plan;
    let before = state.schema(&plan.export)?.as_ref().map(remembered).transpose()?.unwrap_or_default();
    let mut columns = measured(finished);
    for column in &mut columns {
        if let Some(same) = before.iter().find(|other| other.name == column.name && other.kind == column.kind) {
            column.longest_bytes = column.longest_bytes.max(same.longest_bytes);
        }
    }
    let json =
        serde_json::to_string(&columns).map_err(|error| Error::internal(format!("the schema to JSON: {error}")))?;
    state.remember_schema(&plan.export, &plan.run_id, &json)
}

#[allow(clippy::cast_precision_loss, reason = "a factor of two needs no more digits")]
fn growths(before: &[Seen], now: &[Seen], factor: f64) -> Vec<String> {
    let grown = |column: &Seen| {
        let same = before.iter().find(|other| other.name == column.name && other.kind == column.kind)?;
        let (short, long) = (same.longest_bytes?, column.longest_bytes?);
        let is_grown = factor > 0.0 && long as f64 > factor * short.max(1) as f64;
        is_grown.then(|| {
            let name = &column.name;
            format!(
                "`{name}`: the longest value has {long} bytes, {short} in earlier runs (`shape_drift_warn_factor: \
                 {factor}`)"
            )
        })
    };
    now.iter().filter_map(grown).collect()
}

fn differences(before: &[Seen], now: &[Seen]) -> Vec<String> {
    let of = |columns: &[Seen], name: &str| columns.iter().find(|column| column.name == name).cloned();
    let described = |column: &Seen| format!("{}{}", column.kind, if column.nullable { "" } else { " NOT NULL" });
    let mut found = Vec::new();
    for column in before {
        match of(now, &column.name) {
            None => found.push(format!("- {} {}", column.name, described(column))),
            Some(other) if !other.is_as(column) => {
                found.push(format!("~ {} {} -> {}", column.name, described(column), described(&other)));
            }
            Some(_) => {}
        }
    }
    let new = now.iter().filter(|column| of(before, &column.name).is_none());
    found.extend(new.map(|column| format!("+ {} {}", column.name, described(column))));
    let order = |columns: &[Seen]| columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    if found.is_empty() && order(before) != order(now) {
        found.push(format!("the order is now {}", order(now).join(", ")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(text: &[(&str, &str, bool)]) -> Vec<Seen> {
        let seen = |(name, kind, nullable): &(&str, &str, bool)| Seen {
            name: (*name).to_owned(),
            kind: (*kind).to_owned(),
            nullable: *nullable,
            longest_bytes: None,
        };
        text.iter().map(seen).collect()
    }

    #[test]
    fn differences_name_what_went_came_and_changed() {
        let before = columns(&[("id", "integer", false), ("a", "text", true), ("b", "date", true)]);
        let now = columns(&[("id", "bigint", false), ("b", "date", true), ("c", "text", true)]);
        assert_eq!(differences(&before, &now), ["~ id integer NOT NULL -> bigint NOT NULL", "- a text", "+ c text"]);
        assert!(differences(&before, &before).is_empty());
        let moved = columns(&[("a", "text", true), ("id", "integer", false), ("b", "date", true)]);
        assert_eq!(differences(&before, &moved), ["the order is now a, id, b"]);
    }
    #[test]
    fn growth_is_told_beyond_the_factor() {
        let of = |longest: &[(&str, &str, Option<u64>)]| -> Vec<Seen> {
            let seen = |(name, kind, longest_bytes): &(&str, &str, Option<u64>)| Seen {
                name: (*name).to_owned(),
                kind: (*kind).to_owned(),
                nullable: true,
                longest_bytes: *longest_bytes,
            };
            longest.iter().map(seen).collect()
        };
        let before =
            of(&[("a", "text", Some(10)), ("b", "text", None), ("c", "text", Some(3)), ("d", "text", Some(0))]);
        let now =
            of(&[("a", "text", Some(20)), ("b", "text", Some(9)), ("c", "varchar", Some(90)), ("e", "text", None)]);
        assert!(growths(&before, &now, 2.0).is_empty());
        let longer = of(&[("a", "text", Some(21)), ("d", "text", Some(3))]);
        let texts = growths(&before, &longer, 2.0);
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(texts[0].contains("`a`: the longest value has 21 bytes, 10 in earlier runs"), "{texts:?}");
        assert!(growths(&before, &longer, 0.0).is_empty());
        assert!(differences(&before[..1], &of(&[("a", "text", Some(90))])).is_empty());
    }
}
