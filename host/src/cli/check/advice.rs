//! What could be better about an export, in sentences that say what to do.

use rivet_sdk::{Fidelity, Key};

use super::super::print::thousands;
use crate::config::ExportConfig;
use crate::destination::DestinationKind;
use crate::plan::Plan;
use crate::planner::Planned;

/// Below this, nothing is gained by cutting a table.
const FEW_ROWS: u64 = 100_000;
/// From here on one statement over the whole table is worth a word.
const MANY_ROWS: u64 = 1_000_000;

/// Advice, the most important first. Empty where there is nothing to say.
pub fn advice(export: &ExportConfig, planned: &Planned) -> Vec<String> {
    let plan = &planned.plan;
    let description = &planned.description;
    let mut advice = planned.warnings.clone();
    advice.extend(uncut(export, planned));
    if let Some(column) = &export.chunking.column {
        advice.extend(chunk_column(column, &description.keys));
    }
    advice.extend(workers(plan, &planned.warnings));
    if description.rows.is_none() && plan.relation.table().is_some() {
        advice.push("the server has no statistics of this table; ANALYZE it, and chunks become even".to_owned());
    }
    let lossy: Vec<&str> = plan
        .columns
        .iter()
        .filter(|column| column.mapping.fidelity >= Fidelity::Rounded)
        .map(|column| column.mapping.name.as_str())
        .collect();
    if !lossy.is_empty() {
        advice.push(format!("digits may be lost in {}; see `rivet check --types`", lossy.join(", ")));
    }
    advice
}

/// A large relation that is read by one statement.
fn uncut(export: &ExportConfig, planned: &Planned) -> Option<String> {
    let plan = &planned.plan;
    let rows = planned.description.rows.unwrap_or(0);
    let is_small = planned.description.rows.is_some_and(|rows| rows < FEW_ROWS);
    if plan.chunks.len() > 1 || is_small || export.destination.kind == DestinationKind::Stdout {
        return None;
    }
    let is_table = plan.relation.table().is_some();
    let has_key = planned.description.keys.iter().any(|key| key.columns.iter().any(|column| column.rangeable));
    match (is_table, has_key) {
        (true, false) => Some(
            "no key to cut by: one statement reads the whole table, and a retry begins again; add a primary key, \
             or name an indexed column with `chunk_column`"
                .to_owned(),
        ),
        (false, _) => Some(
            "one statement runs the whole query, and a retry begins again; name a column of its result with \
             `chunk_column` if it is large"
                .to_owned(),
        ),
        (true, true) if rows >= MANY_ROWS => Some(format!(
            "one statement reads about {} rows; drop `chunk_by: none`, or ask for smaller chunks with `chunk_size`",
            thousands(rows)
        )),
        (true, true) => None,
    }
}

fn chunk_column(column: &str, keys: &[Key]) -> Option<String> {
    let first = keys.iter().find_map(|key| key.columns.first().filter(|first| first.name == column));
    match first {
        None => Some(format!(
            "no index starts with `{column}`, so every chunk reads the whole table; index it, or drop `chunk_column`"
        )),
        Some(known) if known.nullable => {
            Some(format!("`{column}` may be NULL; rows without it are a chunk of their own"))
        }
        Some(_) => None,
    }
}

fn workers(plan: &Plan, warnings: &[String]) -> Option<String> {
    let (workers, chunks) = (plan.execution.parallel, plan.chunks.len());
    if workers > 1 && chunks > 1 && (workers as usize) > chunks {
        return Some(format!("`parallel: {workers}` for {chunks} chunks: {chunks} workers have something to do"));
    }
    // The planner has said it already where there is one chunk.
    if workers > 1 && chunks == 1 && warnings.is_empty() {
        return Some(format!("one chunk keeps one worker busy: `parallel: {workers}` has no effect here"));
    }
    let rows: u64 = plan.chunks.iter().filter_map(|chunk| chunk.estimated_rows).sum();
    (workers == 1 && chunks >= 4 && rows >= MANY_ROWS)
        .then(|| "`parallel: 4` would read several chunks at once, each over its own connection".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rivet_sdk::KeyColumn;

    fn key(nullable: bool) -> Key {
        let column = KeyColumn::new("id", "int").with_nullable(nullable).with_rangeable(true);
        Key::new("k", vec![column]).with_primary(!nullable).with_unique(true)
    }

    #[test]
    fn a_chunk_column_wants_an_index() {
        assert_eq!(chunk_column("id", &[key(false)]), None);
        assert!(chunk_column("id", &[key(true)]).unwrap().contains("may be NULL"));
        assert!(chunk_column("other", &[key(false)]).unwrap().contains("no index starts with `other`"));
    }
}
