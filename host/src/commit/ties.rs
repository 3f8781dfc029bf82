//! What a run knows of the rows at its end, from what each chunk saw.

use crate::plan::ties::{ChunkTies, FORM, MOST, Remembered, TieColumn, Ties, TiesEnd};
use crate::plan::{Plan, Report};

/// What the manifest says of the rows at the run's end; None where the plan does not ask, or there is no end yet.
pub(super) fn of(plan: &Plan, reports: &[Report]) -> Option<Ties> {
    let incremental = plan.incremental.as_ref()?;
    incremental.to.as_ref()?;
    match incremental.ties.as_ref()?.end {
        TiesEnd::Settled => return Some(Ties::Settled),
        TiesEnd::TooMany => return Some(Ties::TooMany),
        TiesEnd::Greatest { .. } | TiesEnd::Chunk => {}
    }
    let seen: Vec<&ChunkTies> = reports.iter().filter_map(|report| report.ties.as_ref()).collect();
    // Of chunks that tell the rows by their values, those with the greatest ones are at the end.
    let at = seen.iter().filter_map(|ties| Some((order(ties.at.as_ref()?), ties.at.as_ref()?))).max();
    let at = at.map(|(_, at)| at.clone());
    let mut remembered = Remembered {
        form: FORM,
        columns: plan.columns.iter().map(|column| TieColumn::of(&column.mapping)).collect(),
        at: at.clone(),
        rows: std::collections::BTreeMap::new(),
    };
    for ties in seen.into_iter().filter(|ties| ties.at == at || ties.at.is_none()) {
        if ties.too_many {
            return Some(Ties::TooMany);
        }
        for (hash, count) in &ties.rows {
            *remembered.rows.entry(hash.clone()).or_default() += count;
        }
    }
    let too_many = u64::try_from(remembered.rows.len()).unwrap_or(u64::MAX) > MOST;
    Some(if too_many { Ties::TooMany } else { Ties::Remembered(remembered) })
}

fn order(at: &[String]) -> Vec<i128> {
    at.iter().filter_map(|text| text.parse().ok()).collect()
}
