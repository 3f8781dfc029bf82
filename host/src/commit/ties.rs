//! What a run knows of the rows at its end, from what each chunk saw.

use std::collections::BTreeMap;

use rivet_sdk::Result;

use crate::plan::ties::{ChunkTies, FORM, MOST, Remembered, TieColumn, Ties, TiesEnd, numbers};
use crate::plan::{Plan, Report};

/// What the manifest says of the rows at the run's end; None where the plan does not ask, or there is no end yet.
pub(super) fn of(plan: &Plan, reports: &[Report]) -> Result<Option<Ties>> {
    let ended = plan.incremental.as_ref().filter(|incremental| incremental.to.is_some());
    let Some(ties) = ended.and_then(|incremental| incremental.ties.as_ref()) else { return Ok(None) };
    match ties.end {
        TiesEnd::Settled => return Ok(Some(Ties::Settled)),
        TiesEnd::TooMany => return Ok(Some(Ties::TooMany)),
        TiesEnd::Greatest { .. } | TiesEnd::Chunk => {}
    }
    let seen: Vec<&ChunkTies> = reports.iter().filter_map(|report| report.ties.as_ref()).collect();
    // Of chunks that tell the rows by their values, those with the greatest ones are at the end.
    let mut greatest: Option<(Vec<i128>, &Vec<String>)> = None;
    for at in seen.iter().filter_map(|ties| ties.at.as_ref()) {
        greatest = greatest.max(Some((numbers(at)?, at)));
    }
    let at = greatest.map(|(_, at)| at.clone());
    let mut remembered = Remembered {
        form: FORM,
        columns: plan.columns.iter().map(|column| TieColumn::of(&column.mapping)).collect(),
        at: at.clone(),
        rows: BTreeMap::new(),
    };
    for ties in seen.into_iter().filter(|ties| ties.at == at || ties.at.is_none()) {
        if ties.too_many {
            return Ok(Some(Ties::TooMany));
        }
        for (hash, count) in &ties.rows {
            *remembered.rows.entry(hash.clone()).or_default() += count;
        }
    }
    let too_many = u64::try_from(remembered.rows.len()).unwrap_or(u64::MAX) > MOST;
    Ok(Some(if too_many { Ties::TooMany } else { Ties::Remembered(remembered) }))
}
