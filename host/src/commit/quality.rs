//! The rules a run must meet before it is committed.

use std::collections::{BTreeMap, HashSet};

use rivet_sdk::{Error, ErrorKind, Result};

use crate::plan::{Manifest, Plan, QualitySpec, Report};
use crate::sink::too_many_unique;

/// Fails with every rule that the rows of `manifest` break. Nothing becomes visible then, and the
/// watermark stays.
pub(super) fn check(plan: &Plan, manifest: &Manifest, reports: &[Report]) -> Result<()> {
    let Some(rules) = &plan.quality else { return Ok(()) };
    let mut broken = Vec::new();
    row_count(rules, manifest.rows, &mut broken);
    null_ratios(plan, rules, manifest, &mut broken);
    duplicates(rules, reports, &mut broken)?;
    if broken.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Integrity, format!("the rows break their quality rules: {}", broken.join("; ")))
        .with_code("quality")
        .with_hint("nothing was committed; correct the source or the rules, and run again without --resume")
        .with_context("export", plan.export.clone()))
}

fn row_count(rules: &QualitySpec, rows: u64, broken: &mut Vec<String>) {
    if let Some(least) = rules.row_count_min.filter(|least| rows < *least) {
        broken.push(format!("{rows} rows, at least {least} are asked for"));
    }
    if let Some(most) = rules.row_count_max.filter(|most| rows > *most) {
        broken.push(format!("{rows} rows, at most {most} are allowed"));
    }
}

#[allow(clippy::cast_precision_loss, reason = "a ratio")]
fn null_ratios(plan: &Plan, rules: &QualitySpec, manifest: &Manifest, broken: &mut Vec<String>) {
    for (name, most) in &rules.null_ratio_max {
        let output = plan.columns.iter().find(|column| column.mapping.name == *name);
        let counts = output.and_then(|column| manifest.columns.get(&column.output_name));
        let nulls = counts.map_or(0, |counts| counts.nulls);
        if manifest.rows > 0 && nulls as f64 / manifest.rows as f64 > *most {
            broken.push(format!("`{name}` is NULL in {nulls} of {} rows, more than {most} of them", manifest.rows));
        }
    }
}

fn duplicates(rules: &QualitySpec, reports: &[Report], broken: &mut Vec<String>) -> Result<()> {
    let mut found: BTreeMap<&str, u64> = BTreeMap::new();
    for name in &rules.unique_columns {
        let mut seen: HashSet<&str> = HashSet::new();
        for values in reports.iter().filter_map(|report| report.unique.get(name)) {
            let count = found.entry(name).or_default();
            *count += values.duplicates;
            for hash in &values.hashes {
                *count += u64::from(!seen.insert(hash));
            }
            if u64::try_from(seen.len()).unwrap_or(u64::MAX) > rules.unique_max_entries {
                return Err(too_many_unique(name, rules.unique_max_entries));
            }
        }
    }
    let repeated = found.iter().filter(|(_, count)| **count > 0);
    broken.extend(repeated.map(|(name, count)| format!("`{name}` repeats a value in {count} rows")));
    Ok(())
}
