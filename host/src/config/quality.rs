//! `quality`: what must hold before a run is committed.

use super::diagnostic::Diagnostic;
use super::fields::Fields;
use crate::plan::QualitySpec;

/// Values remembered at most to find duplicates, unless the user says otherwise: 16 MB a column.
const UNIQUE_MAX_ENTRIES: u64 = 1_000_000;

/// Reads the rules; None where there are none.
pub(super) fn read(export: &Fields, faults: &mut Vec<Diagnostic>) -> Option<QualitySpec> {
    let rules = export.fields("quality")?;
    let (row_count_min, row_count_max) = (rules.integer("row_count_min"), rules.integer("row_count_max"));
    if let (Some(least), Some(most)) = (row_count_min, row_count_max)
        && least > most
    {
        let fault = rules.fault("row_count_max", format!("it is less than row_count_min ({least})"));
        faults.push(fault.with_hint("no number of rows can be right"));
    }
    for ratio in rules.number_by_name("null_ratio_max").iter().filter(|ratio| ratio.value > 1.0) {
        let key = format!("{}.{}", rules.key("null_ratio_max"), ratio.name);
        let fault = Diagnostic::invalid(ratio.at, key, "a ratio is between 0 and 1");
        faults.push(fault.with_hint("0.05 lets five of a hundred values be NULL"));
    }
    if export.fields("destination").is_some_and(|destination| destination.text("type") == Some("stdout")) {
        let fault = export.fault("quality", "what is on standard output cannot be taken back");
        faults.push(fault.with_hint("check it behind the pipe, or export to a folder"));
    }
    Some(QualitySpec {
        row_count_min,
        row_count_max,
        null_ratio_max: rules.number_by_name("null_ratio_max").iter().map(|r| (r.name.clone(), r.value)).collect(),
        unique_columns: rules.texts("unique_columns").iter().map(|column| column.name.clone()).collect(),
        unique_max_entries: rules.integer("unique_max_entries").unwrap_or(UNIQUE_MAX_ENTRIES),
    })
}
