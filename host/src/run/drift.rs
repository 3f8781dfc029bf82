//! Columns that are not those of the export's last run.

use rivet_sdk::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::config::OnSchemaDrift;
use crate::plan::Plan;
use crate::state::State;

/// A column as a run saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    nullable: bool,
}

fn seen(plan: &Plan) -> Vec<Seen> {
    let column = |column: &crate::plan::PlannedColumn| Seen {
        name: column.mapping.name.clone(),
        kind: column.mapping.source_type.clone(),
        nullable: column.mapping.field.nullable,
    };
    plan.columns.iter().map(column).collect()
}

/// Compares the plan's columns with those of the last run that succeeded, before a row is read.
/// The differences, for the summary.
pub(super) fn check(state: &State, plan: &Plan, policy: OnSchemaDrift) -> Result<Option<String>> {
    let Some(last) = state.schema(&plan.export)? else { return Ok(None) };
    let before: Vec<Seen> = serde_json::from_str(&last.json)
        .map_err(|error| Error::internal(format!("the remembered schema of run {}: {error}", last.run_id)))?;
    let differences = differences(&before, &seen(plan));
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

/// Remembers the columns of a run that succeeded.
pub(super) fn remember(state: &State, plan: &Plan) -> Result<()> {
    let json =
        serde_json::to_string(&seen(plan)).map_err(|error| Error::internal(format!("the schema to JSON: {error}")))?;
    state.remember_schema(&plan.export, &plan.run_id, &json)
}

fn differences(before: &[Seen], now: &[Seen]) -> Vec<String> {
    let of = |columns: &[Seen], name: &str| columns.iter().find(|column| column.name == name).cloned();
    let described = |column: &Seen| format!("{}{}", column.kind, if column.nullable { "" } else { " NOT NULL" });
    let mut found = Vec::new();
    for column in before {
        match of(now, &column.name) {
            None => found.push(format!("- {} {}", column.name, described(column))),
            Some(other) if other != *column => {
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
}
